"""`ape run crash`: a scenario on a devnet, alone and with other keepers."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from backstop.cli.crash import cli
from backstop.deployment.parameter_dataclasses import TreasuryParameters
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.keepers import all_role_names
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import PRIVATE, ROLES, build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.operate.scenario_driver import PLAYED, LiveSimulation, drive_scenario, truncate_scenario
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace
from backstop.report.run_page import write_run_page
from backstop.simulation.book_opening import mint_market_maker_collateral
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.studies.comparison.presets import apply_preset, load_preset
from backstop.system import Action
from tests.support.background_threads import run_thread_until_context_ends
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import SMALL, Devnet

BRIEF = "tests/backstop/live/operate/test_crash.py::test_being_stopped_leaves_partial_results"

HOURS = 2
"""Of the day: vaults are liquidated, and their collateral sold."""


def run(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_crash.py::test_being_stopped_leaves_partial_results"
)
def test_alone_it_plays_everybody(attach: Callable[..., LiveSystem], day: Scenario, tmp_path: Path) -> None:
    out = tmp_path / "run"
    system = attach(impersonate=True)
    summary = drive_scenario(
        truncate_scenario(day, HOURS * 3_600), system, 1, out, speed=0, played=all_role_names.ROLES
    )
    assert summary["completed"] and summary["differences"] == 0
    assert summary["ledger"]["balance_gap_rad"] == "0"
    assert sum(each["liquidations"] for each in summary["collateral_types"]) > 5
    # The clock is the scenario's, the day is the chain's.
    assert summary["started_at"] % 86_400 == 0 and summary["started_at"] > time.time()

    loaded = load_run(out)
    assert json.loads((out / "summary.json").read_text()) == summary
    assert loaded.meta["host"] == "devnet" and "error" not in loaded.meta
    assert len(loaded.frames["state"]) == 3 * (HOURS * 60 + 1)
    assert len(loaded.frames["actions"]) == summary["steps"]
    assert write_run_page(out).stat().st_size > 10_000

    # Everything since the deployment, to the wei, on another chain.
    artifacts = Artifacts()
    trace = read_trace(out / "trace.json", artifacts)
    both = replay_trace_in_lockstep(trace, RevmHost(trace.started_at), artifacts=artifacts, check_every=0)
    both.compare_state()
    # A trace has the calls of a batch of liquidations, and no batch.
    followed = system.mirror.model.snapshot()
    assert both.model.snapshot() == {name: followed[name] for name in system.deployment.addresses}

    # Afterwards time passes by itself again, and nobody can act for others.
    before = system.node.get_head().timestamp
    with pytest.raises(BackstopError, match="No Signer available"):
        system.node.request("eth_sendTransaction", {"from": "0x" + "99" * 20, "to": "0x" + "99" * 20})

    def time_passes() -> bool:
        system.node.request("evm_mine")
        return system.node.get_head().timestamp > before

    wait_until_true(time_passes)


@contextmanager
def at_work(loop: KeeperLoop) -> Iterator[Callable[[], bool]]:
    """Run keepers as in a process of their own.

    A crash asks before each block whether to stop. It is held up until the keepers have nothing more to do in
    the last block: their calls do not depend on the speed of this machine.
    """
    look, node = loop.run_round, loop.system.node
    done_with: str | None = None

    def round() -> int:
        nonlocal done_with
        sent = look()
        done_with = None if sent or loop.pending_transaction_count else loop.system.mirror.hash
        return sent

    def stop() -> bool:
        wait_until_true(lambda: done_with == head.request("eth_getBlockByNumber", "latest", False)["hash"])
        return False

    head = Node(node.url)
    with (
        patch.object(loop, "run_round", round),
        run_thread_until_context_ends(lambda stop: loop.run(interval=0.01, patience=5, stop=stop)),
    ):
        yield stop


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_crash.py::test_being_stopped_leaves_partial_results"
)
def test_keepers_act_beside_it(attach: Callable[..., LiveSystem], day: Scenario, tmp_path: Path) -> None:
    said: list[str] = []
    watcher = attach()
    loop = KeeperLoop(
        watcher, build_keepers(watcher.deployment, ["liquidator", "taker", "crank"]), said.append
    )
    with at_work(loop) as stop:
        crashing = truncate_scenario(day, HOURS * 3_600)
        summary = drive_scenario(crashing, attach(impersonate=True), 1, tmp_path / "run", speed=0, stop=stop)
    assert summary["differences"] == 0 and not watcher.mirror.differences
    keepers = {each["name"]: each for each in summary["keepers"]}
    liquidations = sum(each["liquidations"] for each in summary["collateral_types"])
    assert keepers["liquidator"]["included"] - keepers["liquidator"]["failed"] == liquidations > 0
    assert keepers["taker"]["included"] > 0 and int(keepers["taker"]["profit_wad"]) > 0
    assert keepers["reporter_1"]["role"] == "reporter"
    assert (
        sum(each["included"] for each in keepers.values() if each["role"] != "reporter")
        >= loop.tally.mined_transaction_count
    )
    frames = load_run(tmp_path / "run").frames
    assert set(frames["takes"]["taker_name"]) == {"taker"}


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_crash.py::test_being_stopped_leaves_partial_results"
)
def test_keepers_of_losses_and_income_act_beside_it(fresh: Devnet, tmp_path: Path) -> None:
    """With equity: marks, sales of equity, and auctions of the surplus that existed before."""
    day = truncate_scenario(apply_preset(load_preset("backstop"), SMALL), 4 * 3_600)
    equity = day.parameters.equity
    assert equity is not None
    rich = dataclasses.replace(
        day.parameters,
        equity=dataclasses.replace(equity, surplus_lot=50, buf=10_500, duration=3_600),
        treasury=TreasuryParameters(target=100),
    )
    deployment = deploy_live(fresh.node, rich, tmp_path / "deployment.json", Signers(test_accounts=True))
    watcher, driver = (
        LiveSystem(fresh.node, deployment, Signers(test_accounts=True), impersonate=driven)
        for driven in (False, True)
    )
    said: list[str] = []
    others = [role for role in ROLES if role not in (*PLAYED, *PRIVATE)]
    loop = KeeperLoop(watcher, build_keepers(deployment, others), said.append)
    with at_work(loop) as stop:
        summary = drive_scenario(day, driver, 1, None, speed=0, stop=stop)
    assert summary["differences"] == 0 and not watcher.mirror.differences
    keepers = {each["name"]: each for each in summary["keepers"]}
    for name in ("recogniser", "recap_bidder", "surplus_bidder", "treasurer"):
        assert keepers[name]["included"] > keepers[name]["failed"], said
    # What equity is worth in the end decides its profit; it paid less than equity was worth then.
    assert any(text.startswith("surplus_bidder: SurplusAuction.take(") for text in said), said
    for line in ("Stablecoin.approve(StakeAucti)", "StakeAuction.take(StakeAucti, 0)"):
        assert any(text.startswith(f"recap_bidder: {line} done") for text in said), said


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_crash.py::test_being_stopped_leaves_partial_results"
)
def test_a_second_crash_on_the_same_chain(
    attach: Callable[..., LiveSystem], day: Scenario, tmp_path: Path
) -> None:
    short = truncate_scenario(day, 1_800)
    system = attach(impersonate=True)
    first = drive_scenario(short, system, 1, None, speed=0)
    second = drive_scenario(short, attach(impersonate=True), 1, None, speed=0)
    assert second["started_at"] > first["ended_at"]
    opened = [[each["opened_vaults"] for each in summary["collateral_types"]] for summary in (first, second)]
    assert opened == [[20, 8, 2], [20, 8, 2]]
    assert int(second["ledger"]["supply_wad"]) > int(first["ledger"]["supply_wad"])


@pytest.mark.deep(brief=BRIEF)
def test_a_killed_node_leaves_partial_results(
    attach: Callable[..., LiveSystem], devnet: Devnet, day: Scenario, tmp_path: Path
) -> None:
    def progress(done: int, total: int, text: str) -> None:
        if (done, text) == (30, "running"):
            devnet.process.stop_process()

    with pytest.raises(BackstopError, match=r"the node at http://127.0.0.1:\d+ is gone"):
        drive_scenario(day, attach(impersonate=True), 1, tmp_path / "run", speed=0, progress=progress)
    loaded = load_run(tmp_path / "run")
    assert "is gone" in loaded.meta["error"]
    assert loaded.summary["completed"] is False
    assert len(loaded.frames["system"]) == 30
    assert write_run_page(tmp_path / "run").exists()


def test_being_stopped_leaves_partial_results(
    attach: Callable[..., LiveSystem], day: Scenario, tmp_path: Path
) -> None:
    blocks: list[int] = []
    with pytest.raises(RunInterruptedError, match="stopped at block 20 of 180"):
        drive_scenario(
            day,
            attach(impersonate=True),
            1,
            tmp_path / "run",
            speed=0,
            progress=lambda done, total, text: blocks.append(done) if text == "running" else None,
            stop=lambda: len(blocks) == 20,
        )
    assert len(load_run(tmp_path / "run").frames["system"]) == 20


def test_who_sends_from_an_account_that_it_plays_is_told(
    attach: Callable[..., LiveSystem], day: Scenario, tmp_path: Path
) -> None:
    """As `keeper --roles all` beside it would: two processes that count one account's nonces block each
    other.
    """
    other, blocks = attach(), list[int]()

    def report(done: int, total: int, text: str) -> None:
        if text == "running":
            blocks.append(done)
        if len(blocks) == 3:
            price = other.view("PriceFeed", "current_price", 0) or 200 * RAY
            sent = other.send_action_without_waiting(
                Action("PriceFeed", "report", (0, price), get_account("reporter_2"))
            )
            other.host.wait_for_receipt(sent)

    with pytest.raises(BackstopError) as refused:
        drive_scenario(day, attach(impersonate=True), 1, tmp_path / "run", speed=0, progress=report)
    assert re.fullmatch(
        r"block \d+: another keeper sends PriceFeed\.report from reporter_2 \(0x[0-9a-f]{40}\), which this "
        r"crash plays, one sender an account: run `keeper` without reporter, "
        r"or this with --play without reporter",
        str(refused.value),
    )
    assert load_run(tmp_path / "run").meta["error"] == str(refused.value)


def test_a_deployment_of_other_collateral_is_refused(
    attach: Callable[..., LiveSystem], day: Scenario
) -> None:
    first, *others = day.parameters.collateral_types
    parameters = dataclasses.replace(
        day.parameters, collateral_types=(dataclasses.replace(first, symbol="STETH"), *others)
    )
    with pytest.raises(BackstopError, match="the deployment has ETH, WBTC, XAUT, the scenario STETH"):
        drive_scenario(
            dataclasses.replace(day, parameters=parameters), attach(impersonate=True), 1, None, speed=0
        )


def test_other_nodes_are_refused(
    attach: Callable[..., LiveSystem], day: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = attach(impersonate=True)
    monkeypatch.setitem(system.node.__dict__, "version", "Geth/v1.16")
    with pytest.raises(BackstopError, match=r"is Geth/v1.16: a crash sets the time .* `ape run devnet`"):
        drive_scenario(day, system, 1, None, speed=0)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--scenario", "white-friday"), "scenario 'white-friday' is unknown"),
        (("--until", "noon"), "--until: 'noon' is not a time"),
        (("--until", "99:00"), "--until: black-thursday runs from 00:01 to 30:00"),
        ((), "no --network"),
        (("--network", "http://127.0.0.1:1"), "no node answers at http://127.0.0.1:1"),
    ],
)
def test_bad_input_is_one_line(flags: tuple[str, ...], line: str) -> None:
    result = run(*flags)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and line in result.stderr and result.stderr.count("\n") == 1


def test_a_role_that_nobody_knows_is_named(devnet: Devnet, deployment, tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    result = run("--scenario", SMALL, "--network", devnet.url, "--deployment", file, "--play", "baker")
    assert "role 'baker' is unknown" in result.stderr


def test_until_ends_a_scenario_early() -> None:
    scenario = load_scenario("black-thursday")
    assert truncate_scenario(scenario, None) == scenario
    assert truncate_scenario(scenario, 100).duration == 60


def test_what_the_market_maker_has_no_longer_is_left_until_it_looks_again(
    attach: Callable[..., LiveSystem], day: Scenario
) -> None:
    """Keepers sell to the market between its look and its refill."""
    system = attach(impersonate=True)
    with system.impersonate_and_freeze_time():
        play = LiveSimulation(day, system, 1, 0, PLAYED)
        mint_market_maker_collateral(play, "ETH")
        play.refill_market("ETH", WAD, 10**15 * WAD, 0)
        assert system.view("Market.ETH", "stable_reserve") < 10**15 * WAD
        with pytest.raises(BackstopError, match=r"does not fit: Market.ETH.set_liquidity from market_maker"):
            play.refill_market("ETH", 10**60, 0, 0)
