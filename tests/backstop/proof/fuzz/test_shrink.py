"""A failing trace is shrunk to a small one with the same failure, and to a test that fails with the bug."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from backstop.contract_base import external
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS
from backstop.hosts.host_interface import GENESIS
from backstop.hosts.host_registry import open_host
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.lockstep.replayable_trace import TraceStep
from backstop.lockstep.rollback_trace_tester import Failure
from backstop.model.price_feed import PriceFeed
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.fuzz.protocol_trace_shrinking import find_failure, shrink_trace
from backstop.proof.fuzz.regression_test_writer import write_regression
from backstop.proof.fuzz.shrunk_failures import shrink_file
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.properties import CounterfactualSeed
from backstop.proof.replayable_trace import ProtocolTrace, read_trace, write_trace_json
from backstop.system import Action
from tests.support.revert_setter_and_source_helpers import edit_contracts

ROOT = CONTRACTS.parent
# It needs no Ape, which would start a node.
PLUGINS = ("-p", "tests.conftest", "-p", "no:ape_test")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """Contracts that create a wei too much with every draw."""
    return edit_contracts(
        tmp_path_factory.mktemp("wrong"), "Stablecoin.vy", "_mint(to, amount)", "_mint(to, amount + 1)"
    )


@pytest.fixture(scope="module")
def failing(wrong) -> ProtocolTrace:
    """Return the trace of a run on wrong contracts, which ends in a divergence."""
    with open_host("revm") as host:
        machine = FuzzRun(host, derive_run_seed(1, 0), artifacts=wrong, traces=None)
        with pytest.raises(DivergenceError):
            for _ in machine.play_random_steps(1_000):
                pass
        return machine.both.build_trace("found")


@pytest.fixture(scope="module")
def shrunk(failing, wrong):
    """Return the shrunk run, and its failure."""
    return shrink_trace(failing, wrong)


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_shrink.py::test_the_small_trace_replays_on_both_hosts"
)
def test_only_what_is_needed_stays(shrunk):
    small, failure = shrunk
    (last,) = small.steps[small.opening :]
    assert isinstance(last.step, Action) and last.step.method == "deposit_and_draw"
    # One person does it all.
    assert last.step.sender == last.step.args[1] == get_account("borrower")
    # A token, its approval and one price; nothing else of the opening.
    assert small.opening <= 8
    assert failure.kind == "difference"
    assert failure.steps == len(small.steps)


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_shrink.py::test_the_small_trace_replays_on_both_hosts"
)
def test_it_shrinks_to_the_same_every_time(failing, wrong, shrunk):
    assert shrink_trace(failing, wrong) == shrunk


def test_stopped_it_keeps_what_it_has(failing, wrong):
    asked = iter(range(30))
    small, failure = shrink_trace(failing, wrong, stopped=lambda: next(asked, None) is None)
    assert find_failure(small, wrong) == failure
    assert len(small.steps) <= len(failing.steps)


def test_the_right_contracts_have_nothing_to_shrink(failing, artifacts):
    with pytest.raises(BackstopError, match="does not fail"):
        shrink_trace(failing, artifacts)


@pytest.fixture(scope="module")
def found(failing, wrong, tmp_path_factory):
    path = tmp_path_factory.mktemp("failures") / "found.json"
    write_trace_json(failing, path)
    return shrink_file(path, wrong)


@pytest.mark.anvil
@pytest.mark.parametrize("host", ["revm", "anvil"])
def test_the_small_trace_replays_on_both_hosts(found, wrong, artifacts, host):
    trace = read_trace(found.trace, wrong)
    with open_host(host, trace.started_at) as opened, pytest.raises(DivergenceError):
        replay_trace_in_lockstep(trace, opened, artifacts=wrong)
    with open_host(host, trace.started_at) as opened:
        replay_trace_in_lockstep(trace, opened, artifacts=artifacts)


def run_test_file(path, contracts):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *PLUGINS, "--contracts", contracts, path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'offchain'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_shrink.py::test_the_small_trace_replays_on_both_hosts"
)
def test_the_test_file_fails_with_the_bug_and_passes_without(found, wrong):
    assert "deposit_and_draw" in found.test.read_text()
    bad = run_test_file(found.test, wrong.root)
    assert bad.returncode == 1 and "model and chain differ" in bad.stdout
    good = run_test_file(found.test, CONTRACTS)
    assert good.returncode == 0, good.stdout


@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_shrink.py::test_the_small_trace_replays_on_both_hosts"
)
def test_a_question_is_part_of_a_trace(artifacts, wrong, tmp_path):
    """A failure that only shows in a counterfactual future is found again from a file."""
    with open_host("revm") as host:
        machine = FuzzRun(host, derive_run_seed(1, 0), artifacts=artifacts, traces=None)
        now = machine.both.timestamp
        asked = [TraceStep(now, CounterfactualSeed(12, seed)) for seed in range(20)]
        trace = machine.both.build_trace()
    path = tmp_path / "asked.json"
    write_trace_json(replace(trace, steps=[*trace.steps, *asked]), path)
    again = read_trace(path, artifacts)
    assert find_failure(again, artifacts) is None
    small, failure = shrink_trace(again, wrong)
    assert failure.kind == "difference"
    assert [type(step.step) for step in small.steps[small.opening :]] == [CounterfactualSeed]
    test = write_regression(small, failure, tmp_path)
    assert "protocol.lockstep.check_counterfactual_property(CounterfactualSeed(12, " in test.read_text()


@pytest.fixture
def poked():
    """One call, of a feed that has no price."""
    step = TraceStep(GENESIS + 1, Action("PriceFeed", "poke", (0,), get_account("poker")))
    return ProtocolTrace([step], GENESIS, parameters=build_standard_parameters())


def test_a_fault_of_the_model_is_a_plain_call(poked, tmp_path, monkeypatch):
    def poke(self, sender, market):
        raise ZeroDivisionError

    monkeypatch.setattr(PriceFeed, "poke", external(poke))
    test = write_regression(poked, Failure("ZeroDivisionError", "division by zero", 1), tmp_path)
    assert test.read_text().endswith('    protocol.do("PriceFeed.poke", 0, sender="poker")\n')


def test_the_formatter_is_quiet(poked, tmp_path, capfd):
    write_regression(poked, Failure("a kind too long for a line " * 5, "", 1), tmp_path)
    assert capfd.readouterr() == ("", "")
