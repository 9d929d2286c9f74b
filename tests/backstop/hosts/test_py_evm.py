"""py-evm, an engine that shares nothing with Anvil's: the same outcomes, slots and gas."""

import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from backstop.hosts.host_registry import open_host
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.fuzz.parameter_generator import draw_parameters
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.auto_deleveraging.margin_crash import MarginCrash
from backstop.system import Action
from tests.support.checkout_paths import DATA
from tests.support.storage_fixture_contract import SENDER

STEPS = 120


@pytest.mark.deep(
    brief="tests/backstop/hosts/test_lockstep.py::test_what_is_imagined_is_compared_and_taken_back"
)
def test_a_crash_of_vaults_is_the_same():
    """Every outcome, event and slot is compared with the model's; its run is the same as any host's."""
    small = replace(load_scenario(DATA / "runs" / "small.yaml"), duration=4 * 3_600)
    summary = simulate(small, "py-evm", 1).summary
    assert summary["losses"]["created_rad"] != "0" and summary["differences"] == 0
    assert summary["state_hash"] == simulate(small, "model", 1).summary["state_hash"]


@pytest.mark.deep(
    brief="tests/backstop/hosts/test_lockstep.py::test_what_is_imagined_is_compared_and_taken_back"
)
def test_a_crash_of_a_margin_market_is_the_same():
    with open_host("py-evm") as host:
        result = MarginCrash(host, 6, 1).run_crash()
    assert result.measured and result.insolvent == 3 and result.paid.nobody == 0


@pytest.mark.deep(
    brief="tests/backstop/hosts/test_lockstep.py::test_what_is_imagined_is_compared_and_taken_back"
)
def test_random_steps_and_futures_taken_back(artifacts):
    with open_host("py-evm") as host:
        machine = FuzzRun(host, derive_run_seed(1, 3), artifacts=artifacts, traces=None)
        for _ in machine.play_random_steps(STEPS):
            pass
        for _ in range(20):  # not every question has an answer
            machine.check_random_counterfactual_property()
        machine.both.compare_state()
        assert machine.asked and machine.both.audit_storage() > 0


@pytest.fixture(scope="module")
def random_trace(artifacts):
    # Where blocks count, a node has its own.
    parameters = replace(draw_parameters(Random(derive_run_seed(1, 3))), block_time=0)
    with open_host("revm") as host:
        machine = FuzzRun(
            host, derive_run_seed(1, 3), artifacts=artifacts, parameters=parameters, traces=None
        )
        for _ in machine.play_random_steps(STEPS):
            pass
        return machine.both.build_trace()


@pytest.mark.anvil
@pytest.mark.deep(
    brief="tests/backstop/hosts/test_lockstep.py::test_what_is_imagined_is_compared_and_taken_back"
)
def test_each_call_takes_the_gas_that_the_node_takes(artifacts, random_trace):
    def played(name):
        with open_host(name, random_trace.started_at) as host:
            both = replay_trace_in_lockstep(replace(random_trace, steps=()), host, artifacts=artifacts)
            for step in random_trace.steps:
                both.play_step(step)
                yield both.chain.gas, both.chain.changed

    costs = list(played("py-evm"))
    assert costs == list(played("anvil"))
    assert max(gas for gas, _ in costs) > 100_000


def test_slots_that_a_call_changed_are_told(shelf_on):
    """A slot that is written and restored, or written by a call that reverts, is no change."""
    shelf = shelf_on("py-evm")
    address = shelf.addresses["Shelf"]
    shelf.apply(Action("Shelf", "fill", (0, 3), SENDER))
    assert shelf.changed == {(address, shelf.compute_slot("Shelf", "amounts", i)): i * i for i in (1, 2)}
    shelf.apply(Action("Shelf", "fill", (0, 3), SENDER))
    assert shelf.changed == {}
    shelf.apply(Action("Shelf", "fail", (0,), SENDER))
    assert shelf.changed == {}


def test_snapshots_are_taken_back_the_last_one_first(shelf_on):
    shelf = shelf_on("py-evm")
    host, slots = shelf.host, [(shelf.addresses["Shelf"], shelf.compute_slot("Shelf", "amounts", 7))]
    seen = []
    for _ in range(3):
        seen.append((host.snapshot(), host.timestamp, host.read_slots(slots)))
        shelf.advance(5)
        shelf.apply(Action("Shelf", "store", (7, "", b"", ()), SENDER))
    for snapshot, timestamp, words in reversed(seen):
        host.restore_snapshot(snapshot)
        assert (host.timestamp, host.read_slots(slots)) == (timestamp, words)
        assert shelf.view("Shelf", "now")[0] == timestamp


def test_nobody_else_needs_it():
    program = """
import sys
sys.modules["eth"] = None
import backstop.cli.simulate
from backstop.hosts.host_registry import new_host
assert new_host("revm").get_code_size("0x" + 40 * "0") == 0
new_host("py-evm")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stderr.endswith("eth, which is not installed: pip install 'py-evm==0.12.1b1'\n")
