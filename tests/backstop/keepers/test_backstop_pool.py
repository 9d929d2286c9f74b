"""What the keeper of the backstop pool does: whom it pays, what it takes, sells and leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backstop.deployment.accounts import account
from backstop.deployment.signing import trader
from backstop.keepers.keeper import Memory
from backstop.model.arithmetic import WAD
from tests.support.pool_world import ETH, HOUSE, POOL, PoolWorld
from tests.support.world import World


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
    crowd.feed(160)
    crowd.wait(60)
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


def test_it_takes_no_lots_while_the_mark_is_off_its_index(crowd: PoolWorld) -> None:
    """At 150 the mark is a quarter under the index of 200; once the index is 150 the pool takes."""
    fall(crowd, 150)
    crowd.mark()
    crowd.do(HOUSE, "meet", trader("long"), by="saver")
    assert "take" not in crowd.work(crowd.keeper()) and crowd.size == 0
    crowd.feed(150)
    crowd.wait(60)
    assert "take" in crowd.work(crowd.keeper()) and crowd.size > 0
