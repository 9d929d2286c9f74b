"""What the keeper of the backstop pool does: whom it pays, what it takes, sells and leaves alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from backstop.deployment.accounts import account
from backstop.deployment.parameters import (
    BackstopParameters,
    DomainParameters,
    MarginParameters,
    PerpetualParameters,
)
from backstop.deployment.signing import sign_order, trader
from backstop.keepers.keeper import Intent, Keeper, Memory
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_backstop import PerpetualBackstop
from tests.support.world import World

ETH, POOL, HOUSE, DAY = 0, "PerpetualBackstop", "PerpetualMarket", 86_400
MARGIN = MarginParameters(
    (PerpetualParameters("ETH", WAD // 100, 1_000, 500),), backstop=BackstopParameters(limit=1_500)
)


class PoolWorld(World):
    """The small crash with a margin market and 2,000 of the saver's in a pool; a lot is 2 at first."""

    def __init__(self) -> None:
        super().__init__({"margin": MARGIN, "domains": (DomainParameters("Perpetuals", line=1_000),)})
        self.nonce = 0
        for contract in (HOUSE, POOL):
            self.do("Stablecoin", "approve", self.run.at[contract], MAX_UINT256, by="market_maker")
        self.mark()
        self.do(HOUSE, "roll", by="saver")
        self.do(POOL, "deposit", 2_000 * WAD, account("saver"), by="market_maker")

    def do(self, contract: str, method: str, *args: object, by: str) -> Any:
        return self.run.must(contract, method, *args, sender=account(by))

    def keeper(self, role: str = "backstop_keeper", name: str = "", index: int = 0, **options: Any) -> Keeper:
        found = super().keeper(role, name or role, index, **{"most": 100} | options)
        return dataclasses.replace(found, reports=self.run.signed)

    def see(self, dollars: float) -> None:
        """A price that reporters see from now on."""
        path = self.run.sources["ETH"]
        path[self.run.block :] = [int(dollars * RAY)] * (len(path) - self.run.block)

    def mark(self) -> None:
        assert self.run.signed is not None
        self.do("PriceFeed", "bring", tuple(self.run.signed.newest(self.view).values()), by="saver")
        self.do(HOUSE, "accrue", ETH, by="saver")

    def deposit(self, name: str, coins: int) -> None:
        self.do(HOUSE, "deposit", trader(name), coins * WAD, by="market_maker")

    def trade(self, buyer: str, seller: str, lots: int) -> None:
        """At the mark."""
        orders: list[Any] = []
        assert self.view.cycles is not None
        price, chain_id = self.view.cycles.mark(ETH), self.run.session.model.world.chain_id
        for name, size in ((buyer, lots), (seller, -lots)):
            self.nonce += 1
            order = Order(trader(name), ETH, size, price, MAX_UINT256, self.nonce)
            orders += [order, sign_order(name, order, chain_id, self.run.at["MarginOrders"])]
        self.do("MarginOrders", "fill", *orders, lots, by="saver")

    @property
    def pool(self) -> PerpetualBackstop:
        found = self.run.session.model.world.contracts[POOL]
        assert isinstance(found, PerpetualBackstop)
        return found

    @property
    def size(self) -> int:
        return self.pool._size(ETH)

    def wait(self, seconds: int) -> None:
        self.run.go_to(self.run.system.timestamp + seconds)

    def request(self, shares: int | None = None) -> int:
        amount = self.pool.held(account("saver")) if shares is None else shares
        self.do(POOL, "requestRedeem", amount, account("saver"), account("saver"), by="saver")
        return self.run.system.timestamp // DAY

    def work(self, keeper: Keeper) -> list[str]:
        """Have a keeper act until it wants nothing; every call goes. Their methods."""
        called: list[Intent] = []
        for _ in range(20):
            before = len(called)
            for intent in keeper.decide(self.view, Memory(), 0):
                assert self.run.apply(intent.action).reason is None, intent
                called.append(intent)
            if len(called) == before:
                return [each.action.method for each in called]
        raise AssertionError(f"it never ends: {called[-5:]}")


@pytest.fixture
def world() -> Iterator[PoolWorld]:
    found = PoolWorld()
    yield found
    found.close()


@pytest.fixture
def crowd(world: PoolWorld) -> PoolWorld:
    """A long of 1,000 lots, worth 2,000, with 300 of margin against a short."""
    for name, coins in (("long", 300), ("first", 2_000), ("rich", 3_000)):
        world.deposit(name, coins)
    world.trade("long", "first", 1_000)
    return world


def fall(crowd: PoolWorld, dollars: int) -> None:
    crowd.wait(60)
    crowd.see(dollars)


def test_it_liquidates_for_the_pool_and_quotes(crowd: PoolWorld) -> None:
    """At 176 the long has 60 of 88 it needs; the keeper brings the mark, and offers what the pool has."""
    fall(crowd, 176)
    keeper = crowd.keeper()
    called = crowd.work(keeper)
    assert called[:2] == ["bring", "liquidate"] and called[-1] == "quote"
    assert 0 < crowd.size <= 1_500 * 100 // 176
    assert crowd.run.stablecoins(keeper.address) == 0


def test_a_reward_that_is_too_little_is_left(crowd: PoolWorld) -> None:
    fall(crowd, 176)
    assert crowd.work(crowd.keeper(minimum_profit=100 * WAD)) == []
    assert crowd.size == 0


def test_it_takes_lots_that_are_nobodys_up_to_its_limits(crowd: PoolWorld) -> None:
    """1,500 at 1.60 a lot are 937."""
    fall(crowd, 160)
    crowd.mark()
    crowd.do(HOUSE, "meet", trader("long"), by="saver")
    called = crowd.work(crowd.keeper())
    assert called == ["take", "quote"] or called == ["bring", "take", "quote"]
    assert crowd.size == 937


def test_who_is_due_is_paid_first(crowd: PoolWorld) -> None:
    batch = crowd.request()
    crowd.wait(crowd.pool._due_at(batch) - crowd.run.system.timestamp)
    crowd.run.move_markets(crowd.run.block)
    crowd.see(160)
    crowd.mark()
    crowd.do(HOUSE, "meet", trader("long"), by="saver")
    had = crowd.run.stablecoins(account("saver"))
    called = crowd.work(crowd.keeper())
    assert called[0] == "leave" and "take" not in called
    assert crowd.run.stablecoins(account("saver")) - had == 2_000 * WAD


def test_once_they_have_waited_for_a_day_it_only_reduces(crowd: PoolWorld) -> None:
    fall(crowd, 160)
    crowd.mark()
    crowd.do(HOUSE, "meet", trader("long"), by="saver")
    crowd.do(POOL, "set_limit", ETH, 160, by="admin")
    crowd.work(crowd.keeper())
    assert crowd.size == 100
    batch = crowd.request(10**25)
    crowd.do(POOL, "set_limit", ETH, 10**6, by="admin")
    crowd.wait(crowd.pool._due_at(batch + 1) - crowd.run.system.timestamp)
    assert set(crowd.work(crowd.keeper())) <= {"bring", "quote"}
    assert crowd.size == 100
    # Somebody's short fails: against its lots the pool closes its own.
    crowd.mark()
    crowd.deposit("short", 400)
    crowd.trade("rich", "short", 1_000)
    fall(crowd, 260)
    crowd.mark()
    crowd.do(HOUSE, "meet", trader("short"), by="saver")
    assert "take" in crowd.work(crowd.keeper())
    assert crowd.size == 0


def test_without_a_pool_it_wants_nothing(crowd: PoolWorld) -> None:
    fall(crowd, 176)
    plain = World()
    try:
        keeper = plain.keeper("backstop_keeper")
        assert keeper.decide(plain.view, Memory(), 0) == []
    finally:
        plain.close()


def test_another_than_the_named_keeper_is_refused(crowd: PoolWorld) -> None:
    fall(crowd, 176)
    intents = crowd.keeper(name="somebody").decide(crowd.view, Memory(), 0)
    assert [each.action.method for each in intents if each.action.method in ("take", "liquidate")] == []
