"""A property that names when it is asked misses nothing: it looks at nothing else, and remembers nothing."""

import pickle
from dataclasses import replace
from random import Random

import pytest

from backstop.contract_base import Table
from backstop.deployment.example_parameters import (
    build_backed_margin_parameters,
    build_margin_parameters,
    build_standard_parameters,
)
from backstop.deployment.parameter_dataclasses import TimelockParameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.lockstep.step_transition import Transition, collect_changes
from backstop.proof.fuzz.fuzz_run import FuzzRun
from backstop.proof.fuzz.parameter_generator import draw_parameters
from backstop.proof.properties.property_registry import (
    HISTORY_PROPERTIES,
    OCCASIONS,
    STATE_PROPERTIES,
    TRANSITION_PROPERTIES,
    select_triggered,
)
from tests.support.adapter_steps import with_adapter
from tests.support.stability_pool_steps import build_pool_parameters

ARTIFACTS = Artifacts()
SEEDS, OF_MARGIN, STEPS = (2, 5, 11, 23), (14, 22, 23), 250
# 11 has stability pools, 14 perpetual markets whose positions close by rank, 22 by shares, 23 none that does.
# Paths of tables that a property has read.
READ: set[str] = set()


def _notes(method):
    def noting(table, *args):
        READ.add(table.path)
        return getattr(dict, method)(table, *args)

    return noting


def _asks(method):
    def asking(tables, path, *default):
        READ.add(path)
        return getattr(dict, method)(tables, path, *default)

    return asking


class Watched(Table):
    """A table that tells that it is read."""

    __slots__ = ()
    get, items, keys, values = _notes("get"), _notes("items"), _notes("keys"), _notes("values")
    __getitem__, __iter__, __contains__ = _notes("__getitem__"), _notes("__iter__"), _notes("__contains__")


class Step(Transition):
    """A step that reports the tables of its occasions, also where it knows the written slots."""

    def read_pre_state(self, contract, path, key=()):
        READ.add(path)
        return super().read_pre_state(contract, path, key)


class Recorder:
    """Records properties instead of checking them at steps: those without an occasion are watched."""

    def __init__(self, model):
        self.histories = {number: begin(model) for number, begin in HISTORY_PROPERTIES.items()}
        self.left_out = set()
        for contract in model.world.contracts.values():
            for table in contract.tables.values():
                table.__class__ = Watched

    def __call__(self, step):
        changes = collect_changes(step)
        events = frozenset([(log.contract, log.event) for log in step.outcome.logs])
        action = step.action
        every = (*TRANSITION_PROPERTIES, *HISTORY_PROPERTIES)
        numbers = select_triggered(every, action.contract, action.method, frozenset(changes), events)
        for number in every:
            holds = TRANSITION_PROPERTIES.get(number) or self.histories[number].check_step
            if number in numbers:
                holds(step, changes)
                continue
            self.left_out.add(number)
            remembers = self._memory(number)
            READ.clear()
            holds(Step(*step), changes)
            assert OCCASIONS[number].writes >= READ, f"{number} reads {READ} at {action}"
            assert self._memory(number) == remembers, f"{number} remembers something of {action}"

    def _memory(self, number):
        return pickle.dumps(vars(self.histories[number])) if number in self.histories else None


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("seed", SEEDS)
def test_who_is_not_asked_sees_and_remembers_nothing(seed):
    machine = FuzzRun(RevmHost(), seed, artifacts=ARTIFACTS, opened=False)
    recorder = machine.both.step_check = Recorder(machine.both.model)
    machine.add_adversarial_contracts_and_funding()
    for _ in machine.play_random_steps(STEPS):
        pass
    assert recorder.left_out == {*TRANSITION_PROPERTIES, *HISTORY_PROPERTIES}


class Paths(dict):
    """The tables of a contract, which tell that they are looked for."""

    get, __getitem__, __contains__ = _asks("get"), _asks("__getitem__"), _asks("__contains__")


def test_a_property_of_states_names_all_that_it_reads():
    read = set()
    for seed in {*SEEDS, *OF_MARGIN}:
        machine = FuzzRun(RevmHost(), seed, artifacts=ARTIFACTS)
        both = machine.both
        for _ in machine.play_random_steps(STEPS):
            pass
        state = {name: Paths(tables) for name, tables in both.snapshot().items()}
        for number, holds in STATE_PROPERTIES.items():
            READ.clear()
            holds(state, both.addresses)
            read.update([number] if READ else [])
            assert OCCASIONS[number].writes >= READ, f"{number} reads {READ - OCCASIONS[number].writes}"
    assert read == STATE_PROPERTIES.keys()


@pytest.fixture(scope="module")
def kinds():
    """Which contract each name of a deployment means."""
    drawn = [draw_parameters(Random(seed)) for seed in range(8)]
    drawn += [
        build_margin_parameters(),
        build_backed_margin_parameters(),
        with_adapter(),
        replace(build_standard_parameters(), timelock=TimelockParameters()),
        build_pool_parameters(),
    ]
    return {each.name: each.kind for parameters in drawn for each in plan_deployment(parameters).creations}


def known(kinds, part):
    """All ways to name the functions or events of contracts."""
    names = {
        kind: {each.name for each in part(ARTIFACTS[kind].contract_abi).values()} for kind in kinds.values()
    }
    found = {f"{name}.{each}" for name, kind in kinds.items() for each in ("*", *names[kind])}
    return found | {f"*.{each}" for of_kind in names.values() for each in of_kind}


@pytest.mark.parametrize("number", OCCASIONS)
def test_what_is_named_is_there(number, kinds):
    """A name that nothing has would leave its property unasked for ever."""
    writes, calls, events = OCCASIONS[number]
    assert writes <= {path for kind in kinds.values() for path in ARTIFACTS[kind].storage}
    assert calls <= known(kinds, lambda abi: abi.by_selector)
    assert events <= known(kinds, lambda abi: abi.events)
