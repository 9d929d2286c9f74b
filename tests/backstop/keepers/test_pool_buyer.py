"""A buyer of the pool's quotes: the time, size and price of its bids, and the quotes that it leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.role_accounts import get_account
from backstop.keepers.keeper_role_register import Intent, Keeper, KeeperMemory
from backstop.model.arithmetic import RAY, WAD
from backstop.model.margin_orders import Order
from tests.support.backstop_pool_scenario import ETH, HOUSE, POOL, PoolScenario

NAME = "buyer"
FEE, SPREAD = 15, 20
"""Basis points that a taker pays, and that the pool quotes off the mark."""


class QuoteWorld(PoolScenario):
    """The pool has taken lots of a long at 1.60 over: 937 of them, worth 1,500."""

    def __init__(self) -> None:
        super().__init__()
        for name, coins in (("long", 300), ("first", 2_000), ("rich", 3_000)):
            self.deposit_margin(name, coins)
        self.trade_at_mark("long", "first", 1_000)
        self.price(160)
        self.mark_ether_market()
        self.do(HOUSE, "seize_insolvent", get_trader_account("long"), by="saver")
        self.do(POOL, "take", ETH, 937, by="backstop_keeper")

    def price(self, dollars: float, outside: float | None = None) -> None:
        """Set the price that reporters see from now on, and the price that the market outside pays."""
        self.advance_clock(1)
        self.run.sources["ETH"] = [*self.run.sources["ETH"]]
        self.set_price_seen_by_reporters(dollars)
        path = self.run.paths["ETH"]
        path[self.run.block :] = [int((outside or dollars) * RAY)] * (len(path) - self.run.block)

    def buyer(self, coins: int = 5_000, **options: Any) -> Keeper:
        """A buyer with so many coins in its hand, which holds its account's key."""
        found = self.build_keeper("pool_buyer", NAME, **options)
        if coins:
            self.do("Stablecoin", "transfer", get_trader_account(NAME), coins * WAD, by="market_maker")
            self.run.apply_or_raise(
                "Stablecoin", "approve", self.run.at[HOUSE], 10**30, sender=get_trader_account(NAME)
            )
        return dataclasses.replace(
            found,
            address=get_trader_account(NAME),
            sign_order=self.run.build_order_signer(NAME),
            reports=self.run.signed,
        )

    @property
    def lots(self) -> int:
        """Return the buyer's position [lots]."""
        return self.read_trader_position_size(NAME)

    def bids(self, keeper: Keeper) -> list[Intent]:
        return keeper.decide_calls(self.view, KeeperMemory(), 0)

    def funded(self, coins: int = 5_000, **options: Any) -> Keeper:
        """Return a buyer with its money in its account."""
        keeper = self.buyer(coins, **options)
        (paid_in,) = self.bids(keeper)
        assert paid_in.action.method == "deposit" and paid_in.spends == coins * WAD
        assert self.run.apply(paid_in.action).ok
        return keeper

    def next_quote(self) -> None:
        """Let the running quote end, with fresh reports."""
        self.advance_clock(600)


class ShortWorld(QuoteWorld):
    """The pool has taken lots of a short over, at 2.60."""

    def __init__(self) -> None:
        PoolScenario.__init__(self)
        self.filled: list[Intent] = []
        for name, coins in (("short", 400), ("rich", 6_000)):
            self.deposit_margin(name, coins)
        self.trade_at_mark("rich", "short", 1_000)
        self.price(260)
        self.mark_ether_market()
        self.do(HOUSE, "seize_insolvent", get_trader_account("short"), by="saver")
        # The index follows, so that the pool may take risk.
        self.set_feed_and_market_price(260)
        self.advance_clock(60)
        self.mark_ether_market()
        self.do(POOL, "take", ETH, 500, by="backstop_keeper")

    def run_keeper(self, keeper: Keeper) -> list[str]:
        for _ in range(5):
            wanted = self.bids(keeper)
            if not wanted:
                break
            for intent in wanted:
                assert self.run.apply(intent.action).reason is None, intent
                self.filled.append(intent)
        return [each.action.method for each in self.filled]


@pytest.fixture
def world() -> Iterator[QuoteWorld]:
    found = QuoteWorld()
    yield found
    found.close()


def test_it_asks_for_a_quote_and_fills_it_at_the_pools_price(world: QuoteWorld) -> None:
    """A quarter of 937 lots, rounded up, at 1.60 and a fifth of a percent; then nothing while it runs."""
    keeper = world.funded(premium=100)
    assert world.run_keeper(keeper)[-2:] == ["quote", "fill"]
    assert (world.size, world.lots) == (937 - 235, 235)
    assert world.bids(keeper) == []
    world.next_quote()
    world.run_keeper(keeper)
    assert (world.size, world.lots) == (702 - 176, 235 + 176)


def test_what_it_takes_over_is_money_at_risk(world: QuoteWorld) -> None:
    """Also the quote, which is gas for nothing unless it fills it."""
    found = {each.action.method: each.at_risk for each in world.bids(world.funded(premium=100))}
    assert found["quote"] and found["fill"] and not found.get("submit_signed_reports")


def test_a_quote_of_somebody_else_is_filled(world: QuoteWorld) -> None:
    world.do(POOL, "quote", ETH, by="saver")
    assert "quote" not in world.run_keeper(world.funded(premium=100))
    assert world.lots == 235


def test_it_signs_for_what_it_fills_and_not_for_long(world: QuoteWorld) -> None:
    """Any account that sees the buyer's order may fill it: at this price, for these lots, for two minutes."""
    world.do(POOL, "quote", ETH, by="saver")
    keeper = world.funded(premium=100)
    fill = world.bids(keeper)[-1]
    offer, _, mine, _, lots = fill.action.args
    price = -(-16 * WAD // 10 * (10_000 + SPREAD) // 10_000)
    assert isinstance(mine, Order) and isinstance(offer, Order)
    assert (mine.size, mine.price, lots, mine.account) == (235, price, 235, get_trader_account(NAME))
    assert offer == Order(world.pool.address, ETH, -235, price, mine.expiry, mine.nonce, True)
    assert mine.expiry == world.run.system.timestamp + world.pool.mark_age


@pytest.mark.parametrize(
    ("premium", "outside", "buys"),
    [(0, 160, False), (SPREAD + FEE - 1, 160, False), (SPREAD + FEE + 1, 160, True), (0, 161, True)],
)
def test_it_pays_what_a_lot_is_worth_to_it_and_no_more(
    world: QuoteWorld, premium: int, outside: float, buys: bool
) -> None:
    """A lot costs the spread and the fee more than the mark; the market outside may be higher."""
    world.price(160, outside)
    world.run_keeper(world.funded(premium=premium))
    assert bool(world.lots) == buys


def test_what_earns_too_little_is_left(world: QuoteWorld) -> None:
    """65 basis points of 376 are 2.4."""
    world.run_keeper(world.funded(premium=100, minimum_profit=3 * WAD))
    assert world.lots == 0


def test_it_borrows_nothing(world: QuoteWorld) -> None:
    """With 100 it holds 62 lots at 1.60, and then no more, however the pool goes on quoting."""
    keeper = world.funded(100, premium=100)
    for _ in range(3):
        world.run_keeper(keeper)
        world.next_quote()
    held = world.lots
    assert 60 <= held <= 62
    world.price(120)
    world.run_keeper(keeper)
    assert world.lots == held


def test_its_capital_is_a_bound(world: QuoteWorld) -> None:
    keeper = world.buyer(5_000, capital=50 * WAD, premium=100)
    (paid_in,) = world.bids(keeper)
    assert paid_in.spends == 50 * WAD and world.run.apply(paid_in.action).ok
    world.run_keeper(keeper)
    assert 29 <= world.lots <= 31


def test_it_sells_what_the_pool_is_short_of() -> None:
    """The price is below the mark then, and so is the least worth of the lots."""
    other = ShortWorld()
    try:
        keeper = other.funded(premium=100)
        assert other.size < 0
        had = other.size
        other.run_keeper(keeper)
        assert other.lots < 0 and other.size + other.lots == had
        fill = next(each for each in reversed(other.filled) if each.action.method == "fill")
        assert fill.action.args[2].price == 26 * WAD // 10 * (10_000 - SPREAD) // 10_000
    finally:
        other.close()


def test_lots_that_it_closes_need_no_money(world: QuoteWorld) -> None:
    """A buyer with a short position takes as many lots, however little money it has left."""
    keeper = world.funded(400, premium=100)
    world.trade_at_mark("rich", NAME, 200)
    world.run_keeper(keeper)
    assert world.lots == 35


def test_without_marks_of_now_it_waits(world: QuoteWorld) -> None:
    keeper = dataclasses.replace(world.funded(premium=100), reports=None)
    world.advance_clock(10 * 60)
    assert world.bids(keeper) == []


def test_it_opens_nothing_in_a_market_that_is_delisted(world: QuoteWorld) -> None:
    keeper = world.funded(premium=100)
    world.do("MarginPolicy", "delist", ETH, world.run.system.timestamp + 4 * 86_400, by="admin")
    world.next_quote()
    assert [each.action.method for each in world.bids(keeper)] == []


def test_without_a_key_or_a_pool_it_wants_nothing(world: QuoteWorld) -> None:
    keeper = world.buyer(premium=100)
    assert world.bids(dataclasses.replace(keeper, sign_order=None)) == []
    assert get_account("pool_buyer") != get_trader_account("pool_buyer")


def test_without_a_market_outside_a_lot_is_worth_its_mark(
    world: QuoteWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed's own price is of half an hour ago, and higher."""
    keeper = world.funded(premium=0)
    monkeypatch.setattr(
        "backstop.keepers.keeper_view.KeeperView.find_constant_product_pool", lambda self, c: None
    )
    assert world.bids(keeper) == []
    assert world.bids(dataclasses.replace(keeper, group=dataclasses.replace(keeper.group, premium=100))) != []
