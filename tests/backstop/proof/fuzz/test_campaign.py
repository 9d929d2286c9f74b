"""Random steps over the whole protocol: model and chain agree on everything, every property holds.

`ape test tests/backstop/proof/fuzz --steps 1000000 --seed 7 --host anvil` plays more, others, or on a node.
"""

from __future__ import annotations

import re
from random import Random

import pytest

from backstop.deployment.contracts_by_parameter_name import MARGIN_POLICIES
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import open_host
from backstop.model import bounds
from backstop.model.collateral_auction import Lot
from backstop.model.interfaces import Prices
from backstop.model.redeem_queue import get_collecting_time
from backstop.proof.fuzz.fuzz_run import BLOCK, FuzzRun, derive_policy_balanced_run_seed, derive_run_seed
from backstop.proof.fuzz.generator_registry import MOVES
from backstop.proof.fuzz.parameter_generator import ODD_COOLDOWN, draw_parameters
from backstop.proof.fuzz.protocol_trace_shrinking import find_failure
from backstop.proof.fuzz.run_series_with_kept_traces import RunExecutor
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace

RUN_LENGTH = 1_000
# Of every run of the campaign, so many steps are played again on the other host.
COMPARED = 100
# In every run of the tests, of each so many runs of the campaign; in the deep ones, of the others.
EACH = 10
LATER = pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_campaign.py::test_both_hosts_agree_to_the_last_slot"
)
# A catalogue in which every move makes sense takes some seventy: three in ten have a margin market, and
# an auction rarely leaves salvage. The pool of the market seldom has a position: the first run that makes it
# insolvent is the 328th.
RUNS_FOR_ALL_MOVES = (*range(120), 327)
# They let time pass, or try what nobody may do.
WITHOUT_SUCCESS = {"wait_briefly", "wait_long", "call_restricted_functions", "misuse_flash_taker"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Generate a test for each run of the campaign: the last run has the remaining steps."""
    if {"run", "length"} <= set(metafunc.fixturenames):
        steps = metafunc.config.getoption("--steps")
        runs = range(-(-steps // RUN_LENGTH))
        lengths = [(run, min(RUN_LENGTH, steps - run * RUN_LENGTH)) for run in runs]
        if metafunc.function is test_both_hosts_agree_to_the_last_slot:
            cases = [pytest.param(*each, marks=() if each[0] % EACH == 0 else LATER) for each in lengths]
            metafunc.parametrize(("run", "length"), cases)
        else:
            metafunc.parametrize(("run", "length"), lengths)


@pytest.fixture
def seed(request, run) -> int:
    return derive_run_seed(request.config.getoption("--seed"), run)


@pytest.fixture(scope="module")
def got_done() -> dict[int, set[str]]:
    """Return the effective moves of a whole run, by seed: no run need be played for them again."""
    return {}


def test_model_and_chain_agree(artifacts, host_kind, tmp_path, length, seed, got_done):
    with open_host(host_kind) as host:
        block = BLOCK if host_kind == "anvil" else 1
        machine = FuzzRun(host, seed, artifacts=artifacts, block=block, traces=tmp_path)
        moves = {played.move for played in machine.play_random_steps(length) if played.outcome.ok}
        if length == RUN_LENGTH:
            got_done[seed] = moves
        machine.both.compare_state()
        # Slots that the model does not know would show here.
        assert machine.both.audit_storage() > 0


@pytest.mark.anvil
def test_both_hosts_agree_to_the_last_slot(artifacts, tmp_path, run, length, seed):
    with open_host("revm") as host:
        machine = FuzzRun(host, seed, artifacts=artifacts, traces=tmp_path)
        for _ in machine.play_random_steps(min(length, COMPARED)):
            pass
        trace, addresses = machine.both.build_trace(), list(machine.both.addresses.values())
        expected = host.read_nonzero_slots(addresses)
    # Outcomes, reasons and events are compared with the model's, as they were on revm.
    with open_host("anvil", trace.started_at) as host:
        replay_trace_in_lockstep(trace, host, artifacts=artifacts, check_every=0, block=BLOCK)
        # Where blocks count, those that a node mines for its calls move prices.
        assert trace.parameters.block_time or host.read_nonzero_slots(addresses) == expected


@pytest.mark.parametrize("first", [0, 10, 70])
def test_of_ten_runs_of_a_campaign_three_have_a_margin_market(first):
    """One of each policy, and two of them are mostly of traders; runs differ."""
    seeds = [derive_policy_balanced_run_seed(7, index) for index in range(first, first + 10)]
    margins = {seed: draw_parameters(Random(seed)).margin for seed in seeds}
    policies = {seed: margin.policy for seed, margin in margins.items() if margin is not None}
    assert len(margins) == 10
    assert sorted(policies.values()) == sorted(MARGIN_POLICIES)
    assert sum(seed % 2 for seed in policies) == 2


def test_each_deployment_has_room_for_the_pool_of_another_token():
    """Its constructor refuses a cooldown that does not fit into the delay of caps."""
    least = ODD_COOLDOWN + get_collecting_time(ODD_COOLDOWN) + bounds.LOOK
    assert all(draw_parameters(Random(seed)).cap_delay > least for seed in range(2_000))


def idle_moves(artifacts: Artifacts, got_done: dict[int, set[str]], most: int) -> set[str]:
    """The moves that got nothing done, once they are no more than this many, or after all runs."""
    idle = MOVES.keys() - WITHOUT_SUCCESS
    for seed in (derive_run_seed(1, run) for run in RUNS_FOR_ALL_MOVES):
        if seed in got_done:
            idle -= got_done[seed]
        elif len(idle) > most:
            with open_host("revm") as host:
                machine = FuzzRun(host, seed, artifacts=artifacts, check_every=0, traces=None)
                for played in machine.play_random_steps(RUN_LENGTH):
                    idle -= {played.move} if played.outcome.ok else set()
                    if len(idle) <= most:
                        break
    return idle


def test_most_moves_get_something_done(artifacts, got_done):
    few = len(MOVES) // 20
    assert len(idle_moves(artifacts, got_done, few)) <= few


# The rarest move takes as many runs again.
@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_campaign.py::test_most_moves_get_something_done")
def test_every_move_gets_something_done(artifacts, got_done):
    assert not idle_moves(artifacts, got_done, 0)


@pytest.mark.parametrize(
    ("record", "bits", "seed", "found"),
    [
        (
            Lot,
            (104, 40, 32, 16),
            2,
            r"CollateralAuction lots\[\d+\]\.target: model \d+, chain 'room for 40 bits'",
        ),
        (Prices, (40, 112, 32), 1, r"PriceFeed prices\[\d+\]\.current: model \d+, chain 'room for 40 bits'"),
    ],
    ids=["later", "in the opening"],
)
def test_a_value_without_room_in_its_slot_is_found_with_its_trace(
    artifacts, tmp_path, monkeypatch, record, bits, seed, found
):
    """As if a layout had a field that is too narrow: the campaign does not crash."""
    monkeypatch.setattr(record, "BITS", bits)
    player = RunExecutor(tmp_path, "revm", seed=1, check_every=100)
    # Not every run liquidates anything so early.
    runs = (player.play_run(index=i, steps=1_000) for i in range(6))
    failure = next(each["failure"] for each in runs if "failure" in each)
    assert failure["kind"] == "difference"
    assert re.search(found, failure["text"])
    again = find_failure(read_trace(tmp_path / failure["trace"], artifacts), artifacts)
    assert again is not None and again.kind == "difference"
