"""The keeper of the backstop pool: its payouts, and the lots that it takes, sells and leaves alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.role_accounts import get_account
from backstop.keepers.keeper_role_register import KeeperMemory
from backstop.model.arithmetic import WAD
from tests.support.backstop_pool_scenario import ETH, HOUSE, POOL, PoolScenario
from tests.support.keeper_scenario import KeeperScenario


@pytest.fixture
def world() -> Iterator[PoolScenario]:
    found = PoolScenario()
    yield found
    found.close()


@pytest.fixture
def crowd(world: PoolScenario) -> PoolScenario:
    """A long of 1,000 lots, worth 2,000, with 300 of margin against a short."""
    for name, coins in (("long", 300), ("first", 2_000), ("rich", 3_000)):
        world.deposit_margin(name, coins)
    world.trade_at_mark("long", "first", 1_000)
    return world


def fall(crowd: PoolScenario, dollars: int) -> None:
    crowd.advance_clock(60)
    crowd.set_price_seen_by_reporters(dollars)


def test_it_liquidates_for_the_pool_and_quotes(crowd: PoolScenario) -> None:
    """At 176 the long has 60 of 88 it needs; the keeper brings the mark, and offers what the pool has."""
    fall(crowd, 176)
    keeper = crowd.build_keeper()
    called = crowd.run_keeper(keeper)
    assert called[:2] == ["submit_signed_reports", "liquidate"] and called[-1] == "quote"
    assert 0 < crowd.size <= 1_500 * 100 // 176
    assert crowd.run.get_stablecoin_balance(keeper.address) == 0


def test_a_reward_that_is_too_little_is_left(crowd: PoolScenario) -> None:
    fall(crowd, 176)
    assert crowd.run_keeper(crowd.build_keeper(minimum_profit=100 * WAD)) == []
    assert crowd.size == 0


def test_it_takes_lots_that_are_nobodys_up_to_its_limits(crowd: PoolScenario) -> None:
    """1,500 at 1.60 a lot are 937."""
    fall(crowd, 160)
    crowd.mark_ether_market()
    crowd.do(HOUSE, "seize_insolvent", get_trader_account("long"), by="saver")
    called = crowd.run_keeper(crowd.build_keeper())
    assert called == ["take", "quote"] or called == ["submit_signed_reports", "take", "quote"]
    assert crowd.size == 937


def test_who_is_due_is_paid_first(crowd: PoolScenario) -> None:
    batch = crowd.request_redeem()
    crowd.advance_clock(crowd.pool._compute_due_time(batch) - crowd.run.system.timestamp)
    crowd.run.rebalance_local_markets(crowd.run.block)
    crowd.set_price_seen_by_reporters(160)
    crowd.mark_ether_market()
    crowd.do(HOUSE, "seize_insolvent", get_trader_account("long"), by="saver")
    had = crowd.run.get_stablecoin_balance(get_account("saver"))
    called = crowd.run_keeper(crowd.build_keeper())
    assert called[0] == "leave" and "take" not in called
    assert crowd.run.get_stablecoin_balance(get_account("saver")) - had == 2_000 * WAD


def test_once_they_have_waited_for_a_day_it_only_reduces(crowd: PoolScenario) -> None:
    fall(crowd, 160)
    crowd.mark_ether_market()
    crowd.do(HOUSE, "seize_insolvent", get_trader_account("long"), by="saver")
    crowd.do(POOL, "set_limit", ETH, 160, by="admin")
    crowd.run_keeper(crowd.build_keeper())
    assert crowd.size == 100
    batch = crowd.request_redeem(10**25)
    crowd.do(POOL, "set_limit", ETH, 10**6, by="admin")
    crowd.advance_clock(crowd.pool._compute_due_time(batch + 1) - crowd.run.system.timestamp)
    assert set(crowd.run_keeper(crowd.build_keeper())) <= {"submit_signed_reports", "quote"}
    assert crowd.size == 100
    # Somebody's short fails: against its lots the pool closes its own.
    crowd.set_feed_and_market_price(160)
    crowd.advance_clock(60)
    crowd.mark_ether_market()
    crowd.deposit_margin("short", 400)
    crowd.trade_at_mark("rich", "short", 1_000)
    fall(crowd, 260)
    crowd.mark_ether_market()
    crowd.do(HOUSE, "seize_insolvent", get_trader_account("short"), by="saver")
    assert "take" in crowd.run_keeper(crowd.build_keeper())
    assert crowd.size == 0


def test_without_a_pool_it_wants_nothing(crowd: PoolScenario) -> None:
    fall(crowd, 176)
    plain = KeeperScenario()
    try:
        keeper = plain.build_keeper("backstop_keeper")
        assert keeper.decide_calls(plain.view, KeeperMemory(), 0) == []
    finally:
        plain.close()


def test_another_than_the_named_keeper_is_refused(crowd: PoolScenario) -> None:
    fall(crowd, 176)
    intents = crowd.build_keeper(name="somebody").decide_calls(crowd.view, KeeperMemory(), 0)
    assert [each.action.method for each in intents if each.action.method in ("take", "liquidate")] == []


def test_it_takes_no_lots_while_the_mark_is_off_its_index(crowd: PoolScenario) -> None:
    """At 150 the mark is a quarter under the index of 200; once the index is 150 the pool takes."""
    fall(crowd, 150)
    crowd.mark_ether_market()
    crowd.do(HOUSE, "seize_insolvent", get_trader_account("long"), by="saver")
    assert "take" not in crowd.run_keeper(crowd.build_keeper()) and crowd.size == 0
    crowd.set_feed_and_market_price(150)
    crowd.advance_clock(60)
    assert "take" in crowd.run_keeper(crowd.build_keeper()) and crowd.size > 0
