"""A margin market in a run: opened by signed orders, and what it did adds up to what its contracts hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from backstop import load_run
from backstop.deployment.accounts import account
from backstop.deployment.signing import trader
from backstop.errors import BackstopError
from backstop.keepers.deleveraging import in_order, standings
from backstop.model.arithmetic import RAY, WAD
from backstop.model.interfaces import LAST, LIQUIDATION, RISK
from backstop.simulation.headline import headline
from backstop.simulation.run import RunResult, Simulation, simulate
from backstop.simulation.run_directory import TABLES, write_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.session import open_session
from backstop.system import Action
from tests.support.paths import DATA

FILE = DATA / "runs" / "margin.yaml"
ETH, WBTC = 0, 1
HOUR = 3_600
PAID = ("clawed_back", "insured", "taken", "posted", "cut", "unpaid")


class Day:
    """A run whose margin market nobody looks after but the test."""

    def __init__(self, run: Simulation) -> None:
        self.run, contracts = run, run.session.model.world.contracts
        self.market: Any = contracts["MarginMarket"]
        self.deleverager: Any = contracts["MarginDeleverager"]
        run.open_book(lambda *_: None, lambda: False)

    def block(self) -> None:
        """One more."""
        run = self.run
        run.block += 1
        run.now = run.block * run.scenario.block_time
        run.run_block()

    def until(self, hours: int) -> None:
        """Blocks up to a time."""
        while self.run.now < hours * HOUR:
            self.block()

    def do(self, contract: str, method: str, *args: Any, by: str = "stranger") -> Any:
        outcome = self.run.apply(Action(contract, method, args, account(by)))
        assert outcome.reason is None, outcome.reason
        return outcome.value

    def insolvent(self) -> list[str]:
        """The deepest in debt first."""
        worths = {
            owner: self.market._worth(owner, book, LAST).equity
            for owner, book in self.market.accounts.items()
            if book.markets
        }
        return sorted((owner for owner, equity in worths.items() if equity < 0), key=lambda o: worths[o])

    def thin(self) -> str | None:
        """A long that may be liquidated."""
        for owner, book in self.market.accounts.items():
            worth = self.market._worth(owner, book, LIQUIDATION)
            long = self.market.positions[owner, ETH].size > 0
            if long and 0 <= worth.equity * 10_000 < worth.maintenance:
                return str(owner)
        return None

    def settle(self, owner: str, *, execute: bool = True) -> int:
        """Deleverage each of an account's markets; how many freezes it took."""
        freezes = 0
        for market in (ETH, WBTC):
            if self.market._worth(owner, self.market.accounts[owner], LAST).equity >= 0:
                break
            if self.market.positions[owner, market].size == 0:
                continue
            if self.do("MarginDeleverager", "begin", owner, market) == 0:
                break
            freezes += 1
            if not execute:
                break
            ranked = in_order(self.deleverager.KIND, standings(self.deleverager, self.market))
            self.do("MarginDeleverager", "submit", tuple(ranked))
            while self.deleverager.cases[()].until:
                self.do("MarginDeleverager", "execute", 5)
        return freezes


@contextmanager
def day(seed: int = 1, host: str = "model", **changes: Any) -> Iterator[Day]:
    scenario = replace(load_scenario(FILE), **changes)
    with open_session(scenario, host, seed) as session:
        yield Day(Simulation(scenario, session, seed))


@pytest.fixture(scope="module")
def fallen() -> RunResult:
    """All who were insolvent at the low were dealt with, on model and chain."""
    with day(host="revm") as here:
        here.until(3)
        for owner in here.insolvent():
            here.settle(owner)
        for market in (ETH, WBTC):
            if here.market.interests[market].unpaid:
                here.do("MarginMarket", "post_shortfall", market)
        assert here.run.session.both is not None
        here.run.session.both.check()
        return here.run.result()


def margin(result: RunResult) -> dict[str, Any]:
    found: dict[str, Any] = result.summary["margin"]
    return found


def rows(result: RunResult, table: str) -> list[dict[str, Any]]:
    return [dict(zip(TABLES[table], row, strict=True)) for row in result.tables[table]]


def test_the_book_is_open_before_the_start() -> None:
    with day() as here:
        book = here.run.margin_book
        assert here.run.system.timestamp == here.run.scenario.start
        assert here.market.holdings[()] == sum(book.deposits.values())
        assert here.market.fund.insurances[()].amount == 10_000 * WAD
        for trade in book.trades:
            assert here.market.positions[trader(trade.long), trade.market].size > 0
            assert here.market.positions[trader(trade.short), trade.market].size < 0
        whale = here.market.positions[trader("whale"), ETH]
        assert whale.size == 90_000
        # A lot at 205 is 2.05; funding is taken off once there was any.
        assert whale.cost == 90_000 * 205 * WAD // 100
        assert all(here.market.fundings[market].rate == 0 for market in (ETH, WBTC))
        both = here.market.accounts[trader("long_3")]
        assert both.markets == 0b11  # one margin for both
        assert here.run.names[trader("long_3")] == "long_3"
        assert here.run.result().summary["margin"]["accounts"] == 26


def test_left_alone_accounts_stay(tmp_path) -> None:
    """Without a keeper of the margin market nobody touches it."""
    found = margin(simulate(load_scenario(FILE), "model", 1))
    assert int(found["left_alone_wad"]) > 0
    assert found["liquidations"] == found["bankruptcies"] == 0 and found["freezes"] == []
    assert all(found[f"{kind}_wad"] == "0" for kind in (*PAID, "loss"))


def test_what_was_owed_is_what_was_paid_and_is_left(fallen: RunResult) -> None:
    found = margin(fallen)
    assert fallen.summary["fields_compared"] > 0
    assert int(found["loss_wad"]) == sum(int(found[f"{kind}_wad"]) for kind in PAID)
    assert int(found["insured_wad"]) == 4_000 * WAD  # the cap of a day
    assert int(found["taken_wad"]) > 0 and found["bankruptcies"] > 3
    assert found["left_alone_wad"] == "0"


def test_what_was_posted_counts_once(fallen: RunResult) -> None:
    summary = fallen.summary
    created, posted = int(summary["losses"]["created_rad"]), int(margin(fallen)["posted_wad"])
    assert posted > 0 and created >= posted * RAY
    beyond = (int(margin(fallen)["loss_wad"]) - posted) * RAY
    assert int(summary["totals"]["lost_rad"]) == created + beyond
    found = headline(summary)
    assert found.lost == found.recovered + sum(amount for _, amount in found.paid) + found.unpaid


def test_tables_and_summary_agree(fallen: RunResult) -> None:
    found, payments = margin(fallen), rows(fallen, "margin_payments")
    for kind in PAID[:-1]:
        assert sum(row["paid_wad"] for row in payments if row["kind"] == kind) == int(found[f"{kind}_wad"])
    freezes = rows(fallen, "margin_freezes")
    assert len(freezes) == len(found["freezes"]) > 3
    assert {row["ended_by"] for row in freezes} == {"finished"}
    for row, brief in zip(freezes, found["freezes"], strict=True):
        mine = [each for each in payments if each["freeze_id"] == row["freeze_id"]]
        assert sum(each["paid_wad"] for each in mine) == row["taken_wad"] == int(brief["taken_wad"])
        assert len({each["payer"] for each in mine}) == row["charged"] == brief["charged"]
        assert sum(each["lots"] for each in mine) == row["closed_lots"] <= row["lots"]
        assert all(each["paid_wad"] <= each["gain_wad"] for each in mine)
        assert row["taken_wad"] + row["left_wad"] <= row["loss_wad"]
        # Nobody changed in a freeze: what the policy would take, the contract took.
        assert row["taken_wad"] == row["ranked_wad"] == row["shared_wad"] == row["minimal_wad"]
        assert row["greedy_wad"] >= row["taken_wad"]
        assert brief["policies"] == {
            f"{name}_wad": str(row[f"{name}_wad"]) for name in ("greedy", "ranked", "shared", "minimal")
        }
        assert brief["owner"] == row["owner_name"] and brief["market"] == row["symbol"]
        assert brief["at"] == row["timestamp"] - fallen.summary["started_at"]


def test_the_payers_are_those_who_paid_most(fallen: RunResult) -> None:
    paid: dict[str, int] = {}
    for row in rows(fallen, "margin_payments"):
        if row["kind"] == "taken":
            paid[row["payer_name"]] = paid.get(row["payer_name"], 0) + row["paid_wad"]
    most = sorted((amount for amount in paid.values() if amount), reverse=True)[:10]
    payers = margin(fallen)["payers"]
    assert [int(each["paid_wad"]) for each in payers] == most
    assert all(paid[each["account"]] == int(each["paid_wad"]) <= int(each["gain_wad"]) for each in payers)


def test_what_is_posted_is_a_loss_of_the_protocol(fallen: RunResult) -> None:
    found, domain = margin(fallen), fallen.summary["domains"][0]
    assert 0 < int(found["posted_wad"]) <= 20_000 * WAD
    assert int(domain["lost_wad"]) == int(found["posted_wad"])
    of_domain = [row for row in rows(fallen, "waterfall") if row["symbol"] == "Perpetuals"]
    recognised = sum(row["amount_rad"] for row in of_domain if row["kind"] == "recognised")
    assert recognised == int(found["posted_wad"]) * 10**27
    assert fallen.summary["ledger"]["balance_gap_rad"] == "0"


def test_a_freeze_that_nobody_carries_through_lapses() -> None:
    """What was paid before it counts once, however often it begins again."""
    with day() as here:
        here.until(3)
        owner = here.insolvent()[0]
        assert here.settle(owner, execute=False) == 1
        (row,) = rows(here.run.result(), "margin_freezes")
        assert (row["ended_by"], row["ended_at"], row["charged"]) == ("open", None, 0)
        owed = int(margin(here.run.result())["loss_wad"])
        here.run.go_to(row["timestamp"] + 601)
        (row,) = rows(here.run.result(), "margin_freezes")
        assert (row["ended_by"], row["ended_at"]) == ("lapsed", row["timestamp"] + 600)
        again = here.settle(owner)
        found = margin(here.run.result())
        assert abs(int(found["loss_wad"]) - owed) < owed // 100  # but for funding
        assert found["bankruptcies"] == 1 and len(found["freezes"]) == 1 + again


def test_takeovers_are_listed() -> None:
    with day() as here:
        here.do("MarginMarket", "deposit", account("stranger"), 100_000 * WAD, by="market_maker")
        while (owner := here.thin()) is None:
            here.block()
        lots, auctions = 3, len(here.run.recorder.auctions)
        price = here.market._price(ETH, LIQUIDATION)
        here.do("MarginMarket", "liquidate", owner, ETH, lots)
        result = here.run.result()
        (row,) = rows(result, "margin_liquidations")
        assert (row["owner"], row["owner_name"]) == (owner, here.run.names[owner])
        assert (row["liquidator"], row["symbol"], row["lots"]) == (account("stranger"), "ETH", lots)
        assert row["price_wad"] == price and row["fee_wad"] == row["reward_wad"] // 10
        assert margin(result)["liquidations"] == 1
        # A position that was taken over is no liquidation of a vault.
        assert sum(each["liquidations"] for each in result.summary["collateral_types"]) == auctions


def test_an_owner_takes_out_what_he_does_not_have_to_leave() -> None:
    scenario = load_scenario(FILE)
    accounts = (replace(scenario.margin_book.accounts[0], takes_out=600), scenario.margin_book.accounts[1])
    with day(margin_book=replace(scenario.margin_book, accounts=accounts)) as here:
        whale, before = trader("whale"), here.run.stablecoins(trader("whale"))
        while here.run.now < 600:
            assert here.run.stablecoins(whale) == before and here.run.leaving
            here.block()
        assert here.run.stablecoins(whale) > before and not here.run.leaving
        worth = here.market._worth(whale, here.market.accounts[whale], RISK)
        assert 0 <= worth.equity * 10_000 - worth.initial < 10_000
        after = here.run.stablecoins(whale)
        here.block()
        assert here.run.stablecoins(whale) == after


def test_a_short_that_is_left_to_others() -> None:
    """What its owner took out comes back first, and his own longs pay the rest: he has pushed himself."""
    found = margin(simulate(load_scenario("jelly-squeeze"), "model", 1))
    assert int(found["clawed_back_wad"]) > 300_000 * WAD
    paid = {each["account"]: int(each["paid_wad"]) for each in found["payers"]}
    assert 100 * (paid["buyer_1"] + paid["buyer_2"]) > 99 * sum(paid.values()) > 400_000 * WAD
    assert found["posted_wad"] == found["unpaid_wad"] == found["left_alone_wad"] == "0"
    assert found["freezes"][0]["owner"] == "seller" and found["liquidations"] > 10


def test_a_price_that_never_was() -> None:
    """Shorts are closed at it while the market stands still, and longs pay for what they could not."""
    result = simulate(load_scenario("oracle-jump"), "model", 1)
    found = margin(result)
    assert found["bankruptcies"] >= 3 and int(found["taken_wad"]) > 100_000 * WAD
    assert {each["market"] for each in found["freezes"][:3]} == {"ETH"}
    assert all(each["at"] >= 12_000 for each in found["freezes"])
    eth = result.summary["collateral_types"][0]
    assert int(eth["worst_price_ray"]) > 3_150 * 10**27 and eth["liquidations"] == 0


def test_tables_are_written_and_read_back(fallen: RunResult, tmp_path) -> None:
    write_run(tmp_path, fallen.summary, {"schema_version": 1}, fallen.tables, fallen.trace)
    run = load_run(tmp_path)
    assert run.summary["margin"] == margin(fallen)
    for name in ("margin_freezes", "margin_payments", "margin_liquidations"):
        assert len(run.frames[name]) == len(fallen.tables[name])


def test_margins_that_the_vaults_did_not_draw() -> None:
    scenario = load_scenario(FILE)
    with pytest.raises(BackstopError, match="keepers' capital and margins take"):
        simulate(replace(scenario, insurance=10**9 * WAD), "model", 1)


def test_leverage_beyond_the_initial_margin_does_not_fit() -> None:
    scenario = load_scenario(FILE)
    pairs = {"ETH": replace(scenario.margin_book.pairs["ETH"], longs=(300_000, 300_000))}
    book = replace(scenario.margin_book, pairs=pairs, accounts=())
    with pytest.raises(
        BackstopError, match=r"MarginOrders\.fill from market_maker reverted with 'margin_mark"
    ):
        simulate(replace(scenario, margin_book=book), "model", 1)
