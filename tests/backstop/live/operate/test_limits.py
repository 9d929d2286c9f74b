"""Spending limits of roles, the stops that they cause, and that no account can stop protective calls."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.deployment.role_accounts import get_account
from backstop.live.monitor.health_conditions import HealthIssue, find_health_issues
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.gas_fees import GWEI
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_settings import read_yaml_keeper_settings_by_name
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.spending_limits import (
    MOST_FAILURES,
    LimitEnforcer,
    PausedRoles,
    PendingCall,
    SpendingLimits,
)
from backstop.live.operate.transaction_journal import DAY, Attempt, Entry, Journal, Spending
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.vault_auctions_after_price_drop import (
    BORROWER,
    ETH,
    apply_successful_call,
    liquidate_borrower_and_advance_time,
    post_price,
)

BRIEF = "tests/backstop/live/operate/test_limits.py::test_baits_stop_what_costs_and_nothing_that_pays"

LIQUIDATOR = get_account("liquidator")
Open = Callable[..., KeeperLoop]


@pytest.fixture
def attach_it(attach_fallen: Callable[..., LiveSystem], said: list[str]) -> Open:
    """Opens keepers of a chain on which a vault is unsafe, as a process does."""

    def open_it(
        *roles: str,
        limits: dict[str, SpendingLimits] | None = None,
        journal: Path | None = None,
        **options: dict,
    ) -> KeeperLoop:
        system = attach_fallen()
        keepers = build_keepers(system.deployment, list(roles), options=options)
        pauses = PausedRoles(None if journal is None else journal / "paused")
        brakes = LimitEnforcer(keepers, limits or {}, pauses=pauses)
        return KeeperLoop(system, keepers, said.append, journal=journal, brakes=brakes)

    return open_it


def failed(loop: KeeperLoop, keeper: str, times: int, gas: int = 10**15) -> None:
    """Record this many failed transactions of a keeper, as the journal keeps them."""
    address = next(each.address for each in loop.keepers if each.name == keeper)
    journal = loop.boxes[address].journal
    for _ in range(times):
        entry = Entry(9, keeper, "bait", (), "", "0x", 0, at=int(time.time()), block=1, failed=True)
        entry.attempts.append(Attempt("0x1", "0x", 5, 1))
        entry.paid = gas
        journal.entries.append(entry)
        journal.drop_final_entry_keep_spending(entry)


# ------------------------------------------------------------------- the attack


def test_baits_stop_what_costs_and_nothing_that_pays(
    attach_it: Open, fallen: LiveSystem, said: list[str]
) -> None:
    """An attacker makes keepers' calls fail until they stop, and then lets the price fall.

    A budget that is used up and a hundred failures do not stop the liquidation, because it pays for itself.
    """
    limits = {"others": SpendingLimits(gas_hour=10**16, gas_day=10**16)}
    loop = attach_it("liquidator", "accruer", limits=limits, accruer={"heartbeat": 1})
    for keeper in ("liquidator", "accruer"):
        failed(loop, keeper, 5 * MOST_FAILURES)
    assert loop.run_round() == 1
    assert said[-1].startswith("liquidator: LiquidationEngine.liquidate(0, 0xa0ee7a14) sent")
    assert any(line.startswith("100 of 100 transactions of accruer failed within an hour") for line in said)
    assert not any(line.startswith("accruer: ") for line in said)
    # It is loud as long as it lasts.
    assert {("accruer", "failures"), ("liquidator", "failures")} <= loop._build_work_done_and_means_left(
        False
    ).stopped.keys()


@pytest.mark.deep(brief=BRIEF)
def test_a_bait_costs_who_lays_it_as_much(attach_it: Open, fallen: LiveSystem) -> None:
    """It has to be taken away before the keeper's transaction, in the same block, for a higher tip."""
    fallen.node.request("evm_setAutomine", False)
    loop = attach_it("liquidator")
    assert loop.run_round() == 1
    before = fallen.node.get_balance(BORROWER)
    to, call = fallen.encode_call(
        Action("LiquidationEngine", "liquidate", (ETH, BORROWER, BORROWER), get_account("borrower"))
    )
    tip = hex(50 * GWEI)
    fallen.node.request(
        "eth_sendTransaction",
        {"from": get_account("borrower"), "to": to, "data": "0x" + call.hex(), "gas": hex(2_000_000)}
        | {"maxFeePerGas": tip, "maxPriorityFeePerGas": tip},
    )
    fallen.node.request("evm_mine")
    loop.run_round()
    (_, _, spent), *rest = loop.boxes[LIQUIDATOR].journal.iter_spending()
    assert not rest and (spent.done, spent.failed) == (0, 1)
    assert 0 < spent.gas < before - fallen.node.get_balance(BORROWER)


def unsafe_too(fallen: LiveSystem) -> str:
    """A second vault that is unsafe, and its owner."""
    saver = get_account("saver")
    draw = "VaultEngine", "deposit_and_draw"
    post_price(fallen, 200)
    apply_successful_call(fallen, *draw, ETH, saver, 300 * WAD, 0, saver, sender="market_maker")
    apply_successful_call(fallen, *draw, ETH, saver, 0, 38_000 * WAD, saver, sender="saver")
    post_price(fallen, 150)
    return saver


def test_after_failures_it_goes_on_one_at_a_time(attach_it: Open, fallen: LiveSystem) -> None:
    """A bait costs one failure a block at most, however many are laid; one success in time ends it."""
    unsafe_too(fallen)
    fallen.node.request("evm_setAutomine", False)
    loop = attach_it("liquidator")
    failed(loop, "liquidator", MOST_FAILURES)
    for _ in range(2):
        assert loop.run_round() == 1 and loop.pending_transaction_count == 1
        fallen.node.request("evm_mine")
    loop.run_round()
    assert loop.tally.counts["liquidator", "done"] == 2


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_limits.py::test_after_failures_it_goes_on_one_at_a_time"
)
def test_failures_are_too_many_beside_as_many_successes(attach_it: Open) -> None:
    """A role that does much fails often: its failures count where they are half of it."""
    loop = attach_it("liquidator")
    failed(loop, "liquidator", MOST_FAILURES)
    journal = loop.boxes[LIQUIDATOR].journal

    def done(times: int) -> None:
        for _ in range(times):
            entry = Entry(9, "liquidator", "sale", (), "", "0x", 0, at=int(time.time()), block=1, ok=True)
            entry.attempts.append(Attempt("0x1", "0x", 5, 1))
            journal.entries.append(entry)
            journal.drop_final_entry_keep_spending(entry)

    done(MOST_FAILURES)
    loop.brakes.refresh_and_list_ended_stops()
    assert ("liquidator", "failures") in loop.brakes.stops
    done(1)
    assert [stop.cause for stop in loop.brakes.refresh_and_list_ended_stops()] == [
        "failures"
    ] and not loop.brakes.stops


# ---------------------------------------------------------------------- budgets


def test_a_budget_ends_what_does_not_pay(attach_it: Open, fallen: LiveSystem, said: list[str]) -> None:
    """A pending call counts at its highest possible cost, a mined call at its real cost."""
    fallen.node.request("evm_setAutomine", False)
    loop = attach_it("accruer", limits={"accruer": SpendingLimits(gas_day=10**14)}, accruer={"heartbeat": 1})
    assert 1 <= loop.run_round() < 3
    waiting = loop.boxes[get_account("accruer")].waiting
    used, limit = loop.brakes.get_used_and_total_budgets()["accruer", "gas_day"]
    assert used == sum(each.gas * each.attempts[0].most for each in waiting) and limit == 10**14
    assert "accruer has used 0.000" in said[-1] and "only what pays for itself is sent" in said[-1]
    fallen.node.request("evm_mine")
    loop._follow_chain_and_note_mined()
    loop.brakes.refresh_and_list_ended_stops()
    assert loop.brakes.get_used_and_total_budgets()["accruer", "gas_day"][0] == loop.tally.gas_paid < used


def test_money_at_risk_has_a_budget(attach_it: Open, fallen: LiveSystem, tmp_path: Path) -> None:
    """The budget holds over a restart, and for purchases that are long final."""
    liquidate_borrower_and_advance_time(fallen)
    bidder = get_account("bidder")
    apply_successful_call(fallen, "Stablecoin", "transfer", bidder, 9_000 * WAD, sender="market_maker")
    journal = tmp_path / "kept"
    less = {"bidder": SpendingLimits(risk_hour=8_000 * WAD)}
    loop = attach_it("bidder", limits=less, journal=journal)
    while loop.run_round():  # it has to allow the auction to take its money first
        pass
    assert fallen.view("Stablecoin", "balanceOf", bidder) == 9_000 * WAD
    assert loop.brakes.stops["bidder", "risk"].why.startswith(
        "bidder has used 0.000000 of 8,000.000000 to put"
    )
    loop.close()
    more = {"bidder": SpendingLimits(risk_hour=9_500 * WAD)}
    loop = attach_it("bidder", limits=more, journal=journal)
    while loop.run_round() or loop.pending_transaction_count:
        pass
    spent = 9_000 * WAD - fallen.view("Stablecoin", "balanceOf", bidder)
    assert spent > 8_000 * WAD and loop.brakes.get_used_and_total_budgets()["bidder", "risk_hour"][0] == spent
    for _ in range(3):
        fallen.node.request("evm_mine")
        loop.run_round()
    loop.close()
    again = attach_it("bidder", limits=more, journal=journal)
    assert again.brakes.get_used_and_total_budgets()["bidder", "risk_hour"][0] == spent
    again.close()


# ------------------------------------------------------- wrong knowledge, and whoever pauses


@pytest.mark.parametrize("cause", ["difference", "deviation"])
def test_wrong_knowledge_stops_money_at_risk_alone(
    attach_it: Open, fallen: LiveSystem, said: list[str], cause: str
) -> None:
    liquidate_borrower_and_advance_time(fallen)
    bidder = get_account("bidder")
    apply_successful_call(fallen, "Stablecoin", "transfer", bidder, 9_000 * WAD, sender="market_maker")
    limits = {"bidder": SpendingLimits(deviation=500)}
    auction = fallen.addresses["CollateralAuction"]
    apply_successful_call(fallen, "Stablecoin", "approve", auction, 1 << 255, sender="bidder")
    if cause == "deviation":
        apply_successful_call(
            fallen, "Market.ETH", "set_liquidity", 5_000 * WAD, 840_000 * WAD, sender="market_maker"
        )
    fallen.node.request("evm_setAutomine", False)
    loop = attach_it("bidder", "taker", limits=limits)
    if cause == "difference":
        loop.system.mirror.differences.append("here")
    loop.run_round()
    assert [line.partition(":")[0] for line in said if " sent, nonce" in line] == ["taker"], said
    assert loop.brakes.stops["bidder", cause]


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(("away", "stopped"), [(106, True), (104, False), (96, False), (94, True)])
def test_the_market_may_be_above_or_below_the_feed(
    attach_it: Open, fallen: LiveSystem, away: int, stopped: bool
) -> None:
    loop = attach_it("bidder", limits={"bidder": SpendingLimits(deviation=500)})
    view = market_view(loop.system.mirror, loop.system.timestamp)
    feed = view.get_feed_price_record(ETH).current
    view.outside = view.outside._replace(prices=(feed * away // 100, *view.outside.prices[1:]))
    (bidder,) = loop.keepers
    take = bidder.build_intent("CollateralAuction", "take", 1, about=1, spends=1, gain=1, of=ETH)
    found = loop.brakes.find_stop(PendingCall(bidder, take, 0), view, 0)
    assert (found is not None and found.cause == "deviation") == stopped


@pytest.mark.deep(brief="tests/backstop/live/operate/test_limits.py::test_money_at_risk_has_a_budget")
@pytest.mark.parametrize("cause", ["difference", "risk", "fork"])
def test_a_position_that_is_taken_over_is_money_at_risk(
    attach_it: Open, fallen: LiveSystem, cause: str
) -> None:
    """A take-over pays for itself, so failures and gas do not stop it; a fault or a used-up budget does."""
    limits = {"liquidator": SpendingLimits(gas_hour=1, risk_hour=100)}
    loop = attach_it("liquidator", limits=limits)
    (liquidator,) = loop.keepers
    taken = liquidator.build_intent("PerpetualTrading", "liquidate", about=1, gain=1, at_risk=True)
    call, view = PendingCall(liquidator, taken, 10), market_view(loop.system.mirror, loop.system.timestamp)
    failed(loop, "liquidator", MOST_FAILURES)
    assert loop.brakes.find_stop(call, view, 0) is None
    if cause == "risk":
        journal = loop.boxes[LIQUIDATOR].journal
        for spends, stopped in ((99, False), (1, True)):
            entry = Entry(9, "liquidator", "deposit", (), "", "0x", 0, spends=spends, block=1, ok=True)
            entry.at = int(time.time())
            journal.entries.append(entry)
            loop.brakes.clear_spending_cache()
            assert (loop.brakes.find_stop(call, view, 0) is not None) == stopped
    elif cause == "fork":
        loop.brakes.confirmed = lambda: False
        assert loop.brakes.find_stop(call, view, 0) is not None
    else:
        assert loop.brakes.find_stop(call, view, 1) is not None
    assert loop.brakes.stops["liquidator", cause]
    # What only earns a reward goes on.
    reward = call._replace(intent=taken._replace(at_risk=False))
    assert loop.brakes.find_stop(reward, view, 1) is None


def run(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def test_a_role_is_paused_and_resumed(attach_it: Open, said: list[str], tmp_path: Path) -> None:
    """Another process does so, without a restart; and a restart changes nothing of the pause."""
    journal = tmp_path / "kept"
    loop = attach_it("liquidator", "accruer", journal=journal, accruer={"heartbeat": 1})
    result = run("--journal", journal, "--pause", "liquidator,bidder")
    assert (result.exit_code, result.stdout) == (0, "paused: bidder, liquidator\n")
    assert loop.run_round() == 3 and "liquidator is paused: nothing of it is sent" in said
    loop.close()
    loop = attach_it("liquidator", journal=journal)
    assert loop.run_round() == 0
    assert run("--journal", journal, "--resume", "liquidator").stdout == "paused: bidder\n"
    loop._looked_at = None
    assert loop.run_round() == 1
    assert "liquidator goes on: no longer stopped (paused)" in said
    loop.close()


def test_who_names_the_same_settings_means_the_same_keeper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any folder: a pause file that no keeper reads would be a false report."""
    settings, elsewhere = tmp_path / "kept" / "keeper.yaml", tmp_path / "elsewhere"
    settings.parent.mkdir()
    elsewhere.mkdir()
    settings.write_text("schema_version: 1\nroles: [accruer]\n")
    monkeypatch.chdir(elsewhere)
    result = run("--config", settings, "--pause", "accruer")
    assert result.stdout == "paused: accruer\n" and list(elsewhere.iterdir()) == []
    journal = tmp_path / "kept" / "runs" / "keeper"
    assert (journal / "paused" / "accruer").exists()
    assert result.stderr == f"no keeper has a journal in {journal} yet\n"


def test_all_are_paused_at_once(tmp_path: Path) -> None:
    pauses = PausedRoles(tmp_path / "paused")
    assert "bidder" in pauses.change_paused(["all"], []) and "crank" in pauses.read_paused()
    result = run("--journal", tmp_path, "--resume", "bidder")
    assert (
        result.exit_code == 1
        and result.stderr == "Error: all roles are paused: let all go on, --resume all\n"
    )
    assert run("--journal", tmp_path, "--resume", "all").stdout == "paused: none\n"
    result = run("--journal", tmp_path, "--pause", "baker")
    assert result.exit_code == 1 and "role 'baker' is unknown; expected one of " in result.stderr


# ------------------------------------------------------------------------- what is kept


def test_a_journal_cut_anywhere_forgets_no_cost(tmp_path: Path) -> None:
    """A transaction counts from the moment of its signature: at its whole price, or at its real cost."""
    journal = Journal(tmp_path, 1, "0x12345678", "0xabc")
    journal.lock_and_read_file()
    entry = Entry(0, "bidder", "take", (), "0x1", "0x", 100, spends=70)
    entry.attempts += [Attempt("0x1", "0x", 5, 1), Attempt("0x2", "0x", 6, 1)]
    journal.put_entry(entry)
    assert journal.path is not None
    least = journal.path.stat().st_size
    entry.block, entry.ok, entry.paid, entry.at = 3, True, 123, int(time.time())
    journal.note_outcome(entry)
    journal.drop_final_entry_keep_spending(entry)
    assert [each for _, _, each in journal.iter_spending()] == [Spending(123, 70, 1, 0)]
    content = journal.path.read_bytes()
    found = set()
    for end in {*range(least, len(content), 13), len(content) - 1, len(content)}:
        other = Journal(tmp_path / str(end), 1, "0x12345678", "0xabc")
        assert other.path is not None
        other.path.parent.mkdir()
        other.path.write_bytes(content[:end])
        other.lock_and_read_file()
        (spent,) = [each for _, _, each in other.iter_spending()]
        found.add(spent)
        other.close()
        again = Journal(tmp_path / str(end), 1, "0x12345678", "0xabc")
        again.lock_and_read_file()
        assert [each for _, _, each in again.iter_spending()] == [spent]
        again.close()
    assert found == {Spending(600, 70, 0, 0), Spending(123, 70, 1, 0)}
    journal.close()


def waiting(loop: KeeperLoop, keeper: str, **fields: Any) -> Entry:
    """Record a pending transaction, as the journal keeps it: 100 gas at up to 50 wei."""
    entry = Entry(9, keeper, "call", (), "", "0x", 100, attempts=[Attempt("0x2", "0x", 50, 1)], **fields)
    address = next(each.address for each in loop.keepers if each.name == keeper)
    loop.boxes[address].journal.entries.append(entry)
    loop.brakes.clear_spending_cache()
    return entry


@pytest.mark.deep(brief="tests/backstop/live/operate/test_limits.py::test_what_waits_counts_however_long")
def test_a_replacement_needs_room_for_what_it_costs_more(attach_it: Open) -> None:
    """Room beside all other spending; the replaced transaction is counted already."""
    loop = attach_it("accruer", limits={"accruer": SpendingLimits(gas_hour=10_000)})
    failed(loop, "accruer", 1, gas=4_000)
    entry = waiting(loop, "accruer", at=int(time.time()))
    assert loop.brakes.can_afford("accruer", entry, 60) and not loop.brakes.can_afford("accruer", entry, 61)


@pytest.mark.parametrize(("given_up", "used"), [(False, 5_000), (True, 0)])
def test_what_waits_counts_however_long(attach_it: Open, given_up: bool, used: int) -> None:
    """It may be mined in the next block; a transaction that is given up counts from the time of that."""
    loop = attach_it("accruer", limits={"accruer": SpendingLimits(gas_hour=10_000)})
    waiting(loop, "accruer", at=int(time.time()) - 2 * 3_600, given_up=given_up)
    assert loop.brakes.get_used_and_total_budgets()["accruer", "gas_hour"][0] == used


def test_an_hour_and_a_day_pass(tmp_path: Path, attach_it: Open) -> None:
    journal = tmp_path / "kept"
    limits = {"others": SpendingLimits(gas_hour=10**18, gas_day=10**18)}
    loop = attach_it("accruer", journal=journal, limits=limits)
    path = loop.boxes[get_account("accruer")].journal.path
    assert path is not None
    loop.close()
    now = int(time.time()) // 60
    rows = [["accruer", now - ago, gas, 0, 1, 0] for ago, gas in ((1, 5), (59, 7), (62, 11), (1_500, 13))]
    lines = [{"schema_version": 2}, *({"spent": row} for row in rows)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    loop = attach_it("accruer", journal=journal, limits=limits)
    used = loop.brakes.get_used_and_total_budgets()
    assert (used["accruer", "gas_hour"][0], used["accruer", "gas_day"][0]) == (12, 23)
    loop.close()


@pytest.mark.deep(brief="tests/backstop/live/operate/test_limits.py::test_an_hour_and_a_day_pass")
def test_an_hour_is_over_when_its_last_minute_is(
    tmp_path: Path, attach_it: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row is of a whole minute, and counts as long as any of it is within the hour."""
    loop = attach_it("accruer", limits={"accruer": SpendingLimits(gas_hour=10**18)})
    journal = loop.boxes[get_account("accruer")].journal
    entry = Entry(9, "accruer", "accrue", (), "", "0x", 0, at=6_000_059, block=1, ok=True, paid=5)
    entry.attempts.append(Attempt("0x1", "0x", 5, 1))
    journal.entries.append(entry)
    journal.drop_final_entry_keep_spending(entry)
    for now, used in ((6_003_659, 5), (6_003_660, 0)):
        monkeypatch.setattr(time, "time", lambda now=now: float(now))
        loop.brakes.refresh_and_list_ended_stops()
        assert loop.brakes.get_used_and_total_budgets()["accruer", "gas_hour"][0] == used


def test_what_failed_put_nothing_at_risk() -> None:
    entry = Entry(0, "bidder", "take", (), "0x1", "0x", 100, spends=70, attempts=[Attempt("0x", "0x", 5, 1)])
    assert entry.actual_or_maximum_spending == Spending(500, 70)
    entry.block, entry.paid = 3, 123
    entry.failed = True
    assert entry.actual_or_maximum_spending == Spending(123, 0, 0, 1)
    entry.ok, entry.failed = True, False
    assert entry.actual_or_maximum_spending == Spending(123, 70, 1, 0)


def test_a_clock_that_was_ahead_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that starts with a wrong clock is set right a minute later: no budget begins anew."""
    now = int(time.time()) // 60 * 60
    clock = [now + 2 * DAY]
    monkeypatch.setattr(time, "time", lambda: float(clock[0]))
    journal = Journal(tmp_path, 1, "0x12345678", "0xabc")
    assert journal.path is not None
    rows = [["bidder", now // 60 - ago, gas, 0, 1, 0] for ago, gas in ((1, 5), (1_400, 7), (1_600, 11))]
    lines = [{"schema_version": 2}, *({"spent": row} for row in rows)]
    journal.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    journal.lock_and_read_file()
    journal.close()
    clock[0] = now
    journal = Journal(tmp_path, 1, "0x12345678", "0xabc")
    journal.lock_and_read_file()
    assert [spent.gas for _, _, spent in journal.iter_spending()] == [5, 7]
    journal.close()


def test_a_journal_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 1, "0x12345678", "0xabc")
    assert journal.path is not None
    entry = {"nonce": 4, "keeper": "crank", "label": "x", "about": ["close", 1], "to": "0x1", "data": "0x"}
    attempt = {"hash": "0x1", "raw": "0x", "most": 3, "tip": 1, "withdraws": False}
    entry |= {"gas": 10, "token": "", "spends": 0, "attempts": [attempt], "block": None, "ok": False}
    journal.path.write_text(f'{{"schema_version": 1}}\n{json.dumps({"entry": entry})}\n')
    journal.lock_and_read_file()
    assert [each for _, _, each in journal.iter_spending()] == [Spending(30, 0, 0, 0)]
    journal.close()


# ----------------------------------------------------------------------- loud, and settings


def test_stops_and_burning_budgets_are_alerts(attach_it: Open) -> None:
    limits = {"accruer": SpendingLimits(gas_day=4 * 10**16)}
    loop = attach_it("accruer", limits=limits, accruer={"heartbeat": 1})
    board = StatusBoard()
    loop.observer = StatusPublisher(board, lambda text: None, 0)
    failed(loop, "accruer", 11)  # a quarter of the day's budget, and a little, within two hours
    loop.run_round()
    found = find_health_issues(board, 0)
    assert found[HealthIssue("burning", "accruer")].startswith("accruer has used 0.01")
    assert found[HealthIssue("burning", "accruer")].endswith(
        "of 0.040000 coins for gas a day within 120 minutes"
    )
    failed(loop, "accruer", 9)
    loop._looked_at = None
    loop.run_round()
    assert board.facts is not None
    board.publish_status(dataclasses.replace(board.facts, work=loop._build_work_done_and_means_left(False)))
    assert HealthIssue("role stopped", "accruer: failures") in find_health_issues(board, 0)


def test_limits_are_read(tmp_path: Path) -> None:
    file = tmp_path / "keeper.yaml"
    text = (
        "schema_version: 1\nlimits:\n  bidder: {gas_day: 0.5 coins, risk_hour: 1_000 tokens, deviation: 5%}\n"
    )
    file.write_text(text)
    assert read_yaml_keeper_settings_by_name(file)["limits"] == {
        "bidder": SpendingLimits(gas_day=WAD // 2, risk_hour=1_000 * WAD, deviation=500)
    }
    file.write_text(text.replace("bidder", "baker"))
    result = run("--config", file)
    assert result.exit_code == 1 and "keeper.yaml:3: limits.baker: role 'baker' is unknown" in result.stderr
    file.write_text(text.replace("0.5 coins", "0.5"))
    assert "is not an amount of coins; write e.g. '12.5 coins'" in run("--config", file).stderr
