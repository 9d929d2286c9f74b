"""Histories of deployments with auctions that count blocks: kept, replayed, reverted and shrunk."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.hosts.host_registry import open_host
from backstop.lockstep.delta_debugging import move_earlier
from backstop.lockstep.replayable_trace import TraceStep
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.fuzz.fuzz_run import FuzzRun
from backstop.proof.fuzz.regression_test_writer import _iter_test_source_lines
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.proof.lockstep import deploy_lockstep, replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace, write_trace_json
from backstop.system import Action, count_slots
from tests.support.auction_steps import start_auction, take_collateral

SLOT = 12


def protocol_on(host, artifacts):
    made = LocalProtocol(
        deploy_lockstep(host, replace(build_standard_parameters(), block_time=SLOT), artifacts=artifacts)
    )
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    made.give_stablecoin("taker", 40_000 * WAD)
    return made


@pytest.fixture
def recorded(artifacts):
    """A lot is sold in parts, before, in and after an outage."""
    with open_host("revm") as host:
        made = protocol_on(host, artifacts)
        id = start_auction(made)
        made.advance(1_200)
        take_collateral(made, id, WAD)
        made.advance(3_600, 0)
        take_collateral(made, id, WAD)
        made.advance(600, 25)
        take_collateral(made, id, WAD)
        return made.lockstep.build_trace()


@pytest.mark.parametrize("host", ["revm", pytest.param("anvil", marks=pytest.mark.anvil)])
def test_a_trace_keeps_its_blocks(recorded, artifacts, tmp_path, host):
    """On a node calls have taken blocks of their own: there the model agrees at its numbers."""
    path = tmp_path / "trace.json"
    write_trace_json(recorded, path)
    again = read_trace(path, artifacts)
    assert list(again.steps) == list(recorded.steps)
    first, second, third = (step.blocks or 0 for step in again.steps[-3:])
    assert (second - first, third - second) == (0, 25)
    with open_host(host, again.started_at) as opened:
        both = replay_trace_in_lockstep(again, opened, artifacts=artifacts)
        assert both.timestamp == again.steps[-1].timestamp
        if host == "revm":
            assert both.next_block_number == third + 1
        assert list(both.trace) == list(again.steps)


def test_traces_of_seconds_have_no_blocks(artifacts, tmp_path):
    with open_host("revm") as host:
        made = LocalProtocol(deploy_lockstep(host, build_standard_parameters(), artifacts=artifacts))
        made.post_price("WETH", 2_000 * RAY)
        assert {step.blocks for step in made.lockstep.trace} == {None}
        write_trace_json(made.lockstep.build_trace(), tmp_path / "trace.json")
    assert '"blocks"' not in (tmp_path / "trace.json").read_text()


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("host", ["revm", "py-evm", pytest.param("anvil", marks=pytest.mark.anvil)])
def test_futures_take_blocks_back(artifacts, host):
    with open_host(host) as opened:
        made = protocol_on(opened, artifacts)
        id = start_auction(made)
        made.advance(SLOT)
        both = made.lockstep
        before = both.next_block_number, made.read("CollateralAuction.status", id)
        with both.fork_state():
            made.advance(3_600)
            assert made.read("CollateralAuction.status", id)[1] < before[1][1]
            assert both.next_block_number == before[0] + 300
            take_collateral(made, id, WAD)
        assert (both.next_block_number, made.read("CollateralAuction.status", id)) == before
        made.advance(600)
        assert both.next_block_number == before[0] + 50
        take_collateral(made, id, WAD)


def test_a_regression_test_lets_the_same_blocks_pass(recorded):
    lines = list(_iter_test_source_lines(recorded))
    assert "protocol.advance(3_600, 0)" in lines and "protocol.advance(600, 25)" in lines


def test_a_shorter_gap_has_as_large_a_part_of_its_blocks():
    action = Action("VaultEngine", "accrue", (0,), "0x01")

    def moved(shorter, *times):
        steps = [TraceStep(time, action, blocks) for time, blocks in times]
        return [(step.timestamp, step.blocks) for step in move_earlier(steps, 1, 1_200, shorter)]

    assert moved(600, (100, 4), (1_300, 54), (1_400, 60)) == [(700, 29), (800, 35)]
    assert moved(0, (100, 4), (1_300, 54), (1_400, 60)) == [(100, 4), (200, 10)]
    assert moved(600, (100, None), (1_300, None), (1_400, None)) == [(700, None), (800, None)]


def test_a_slot_begins_at_its_multiples():
    assert count_slots(24, 0, 12) == 0
    assert [count_slots(24, seconds, 12) for seconds in (11, 12, 23, 24)] == [0, 1, 1, 2]
    assert sum(count_slots(25 + 5 * i, 5, 12) for i in range(24)) == count_slots(25, 120, 12) == 10
    assert count_slots(24, 10**6, 0) == 0


def test_the_fuzzers_chain_misses_slots(artifacts, monkeypatch):
    """Time passes with all blocks of its slots, some, none, or one more."""
    with open_host("revm") as host:
        parameters = replace(build_standard_parameters(), block_time=SLOT)
        machine = FuzzRun(host, 5, artifacts=artifacts, parameters=parameters, traces=None)
        seen = set()
        advance = machine.both.advance

        def noted(seconds, blocks=None):
            full = count_slots(machine.both.timestamp, seconds, SLOT)
            if full > 1 and blocks is not None:
                seen.add("none" if blocks == 0 else (blocks > full) - (blocks < full))
            advance(seconds, blocks)

        monkeypatch.setattr(machine.both, "advance", noted)
        for _ in machine.play_random_steps(400):
            pass
        assert seen == {"none", -1, 0, 1}
