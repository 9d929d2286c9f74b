"""What keepers do about the margin market: marks, losses, rolls, take-overs, settlement."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstop.deployment.accounts import account
from backstop.deployment.signing import trader
from backstop.keepers.approvals import approvals
from backstop.keepers.costs import measured
from backstop.keepers.cycles import gas_of_call, gas_of_each, signed_for
from backstop.keepers.orders import OrderFile, order_line
from backstop.model.arithmetic import WAD
from backstop.model.bounds import FINAL_WINDOW, MIN_NOTICE
from backstop.simulation.worth import worth
from tests.support.margin_world import DOMAIN, ETH, MARGIN, Cycles, methods
from tests.support.perpetuals import check_books
from tests.support.world import World

BRIEF = "tests/backstop/keepers/test_cycles.py::test_debtors_come_in_calls_that_get_into_a_full_block"

GOLD = 1


@pytest.fixture
def world() -> Iterator[Cycles]:
    found = Cycles()
    yield found
    found.close()


@pytest.fixture
def crowd(world: Cycles) -> Cycles:
    """A long of 1,000 lots, worth 2,000, with 300 of margin against two shorts; another with plenty."""
    for name, coins in (("long", 300), ("first", 1_000), ("second", 1_000), ("rich", 2_000)):
        world.deposit(name, coins)
    world.trade("long", "first", 500)
    world.trade("long", "second", 500)
    world.trade("rich", "first", 100)
    return world


def test_a_jump_is_marked_with_what_reporters_have_signed(crowd: Cycles) -> None:
    crank = crowd.keeper("margin_crank", deviation=100)
    crowd.wait(60)
    crowd.see(201)
    assert crowd.work(crank) == []
    crowd.see(203)
    assert methods(crowd.work(crank)) == ["bring", "accrue"]
    assert crowd.cycles.mark(ETH) == 203 * WAD // 100


def test_nothing_is_done_without_reports(crowd: Cycles) -> None:
    crank = dataclasses.replace(crowd.keeper("margin_crank"), reports=None)
    crowd.wait(61)
    crowd.see(100)
    assert crowd.work(crank) == []


def test_a_loss_is_met_booked_and_borne_by_who_gained(crowd: Cycles) -> None:
    """At 160 the long lacks 100 and some of fees and its bond: both shorts give the same share."""
    crank = crowd.keeper("margin_crank")
    crowd.wait(60)
    crowd.see(160)
    assert methods(crowd.work(crank)) == ["bring", "accrue", "meet"]
    long, short = crowd.market.lots[ETH]
    assert short - long == 1_000 and crowd.cycles.position(trader("long"), ETH).size == 0
    before = crowd.equity("first"), crowd.equity("second")
    for _ in range(3):
        crowd.wait(MARGIN.window)
        assert "roll" in methods(crowd.work(crank))
    lost = before[0] - crowd.equity("first"), before[1] - crowd.equity("second")
    # 600 lots and 500 gained the same of each.
    assert lost[0] > 0 and abs(lost[0] * 5 - lost[1] * 6) <= 12
    assert crowd.market.late_table[()] == 0 and crowd.equity("long") == 0
    assert crowd.cycles.rehearse({}).short() == []


def test_whom_a_booking_makes_owe_is_met_as_well(world: Cycles) -> None:
    """The short has gained from the long, and lost nearly all of that on gold: with its haircut it owes."""
    for name, coins in (("long", 300), ("short", 700), ("rich", 3_000)):
        world.deposit(name, coins)
    gold = world.cycles.mark(1)
    lots = 4_500 * WAD // gold
    world.trade("long", "short", 1_000)
    world.trade("short", "rich", lots, 1)
    world.wait(60)
    world.see(160)
    world.mark()
    world.wait(MARGIN.window)
    world.mark()
    world.do("PerpetualMarket", "roll", by="saver")
    world.wait(60)
    spare = world.equity("short") - 50 * WAD
    world.see((gold - spare // lots) * 100 / WAD, "XAUT")
    crank = world.keeper("margin_crank")
    ahead = world.cycles.rehearse(signed_for(crank, world.view, world.cycles))
    assert ahead.short() == [trader("long")]
    assert ahead.to_meet(crank.address) == [trader("long"), trader("short")]
    called = world.work(crank)
    met = [each.action.args[0] for each in called if each.action.method == "meet_all"]
    assert met == [(trader("long"), trader("short"))]
    assert world.cycles.rehearse({}).to_meet(crank.address) == []


def test_debtors_come_in_calls_that_get_into_a_full_block(world: Cycles) -> None:
    """A call that is larger than what blocks have room for would wait for ever, and all behind it."""
    world.deposit("rich", 20_000)
    for number in range(12):
        world.deposit(f"thin_{number}", 60)
        world.trade(f"thin_{number}", "rich", 100)
    world.wait(60)
    world.see(120)
    crank = world.keeper("margin_crank")
    met = [each for each in world.work(crank) if each.action.method == "meet_all"]
    assert [len(each.action.args[0]) for each in met] == [9, 3]
    assert all(each.gas is not None and each.gas <= crank.group.call_gas for each in met)
    world.wait(MARGIN.window)
    met = [each for each in world.work(world.keeper("margin_crank", call_gas=700_000)) if each.gas]
    assert {each.action.method for each in met} == {"bring", "meet_all"}
    assert all(each.gas is not None and each.gas <= 700_000 for each in met)
    assert world.cycles.rehearse({}).to_meet(crank.address) == []


@pytest.fixture
def long_asleep() -> Iterator[Cycles]:
    """One who holds 100 lots long, and 100 short of gold, has slept through four cycles with losses."""
    world = Cycles()
    for name, coins in (("sleeper", 150), ("rich", 5_000)):
        world.deposit(name, coins)
    world.trade("sleeper", "rich", 100)
    world.trade("rich", "sleeper", 1, GOLD)
    for number in range(4):
        world.lose(number)
    yield world
    world.close()


def test_who_has_slept_takes_more_gas(long_asleep: Cycles) -> None:
    cycles, sleeper, job = long_asleep.cycles, trader("sleeper"), "cycles: meet_all"
    once, long_after = measured(f"{job}, each account"), measured("cycles: wake, long after")
    assert cycles.has_slept(sleeper)
    long_asleep.do("PerpetualMarket", "wake", trader("rich"), by="saver")
    cycles = long_asleep.cycles
    assert cycles.has_slept(sleeper) and not cycles.has_slept(trader("rich"))
    assert gas_of_each(cycles, job, sleeper) == 2 * (once + long_after)
    assert gas_of_each(cycles, job, trader("rich")) == 2 * once
    assert gas_of_each(cycles, job, trader("nobody")) == once
    both = [sleeper, trader("rich")]
    assert gas_of_call(cycles, job, both) > measured(job) + gas_of_each(cycles, job, sleeper)


def test_who_has_slept_is_met_with_others_in_one_call(long_asleep: Cycles) -> None:
    world = long_asleep
    world.deposit("thin", 60)
    world.trade("thin", "rich", 100)
    world.wait(60)
    world.see(10)
    called = [each for each in world.work(world.keeper("margin_crank")) if "meet" in each.action.method]
    (met,) = [each.action.args[0] for each in called]
    assert set(met) == {trader("sleeper"), trader("thin")}
    assert world.cycles.rehearse({}).to_meet("") == []
    assert world.cycles.position(trader("sleeper"), ETH).size == 0


def test_a_liquidator_deposits_first_and_takes_over(crowd: Cycles) -> None:
    """At 176 the long has 60 of 88 it needs; the liquidator brings the mark itself."""
    keeper = crowd.keeper("margin_liquidator")
    crowd.fund(2_000)
    crowd.wait(60)
    crowd.see(176)
    called = crowd.work(keeper)
    assert methods(called)[:3] == ["deposit", "bring", "liquidate"]
    assert called[2].gain and called[2].gain > 0
    assert [each.at_risk for each in called[:3]] == [False, False, True]
    me = account("me")
    assert crowd.cycles.position(me, ETH).size > 0
    assert worth(crowd.run, me) == crowd.run.stablecoins(me) + crowd.cycles.equity(me) > 2_000 * WAD
    assert crowd.cycles.rehearse({}).weak == []


def test_it_takes_no_more_than_its_margin_bears(crowd: Cycles) -> None:
    keeper = crowd.keeper("margin_liquidator")
    crowd.fund(20)
    crowd.wait(60)
    crowd.see(176)
    called = crowd.work(keeper)
    taken = sum(each.action.args[2] for each in called if each.action.method == "liquidate")
    assert 0 < taken < 1_000
    size = crowd.cycles.position(account("me"), ETH).size
    one_more = crowd.cycles.rehearse({}).most(
        "liquidate", trader("long"), ETH, whole=1_000 - size, sender=account("me")
    )
    assert one_more == 0


def test_it_counts_its_gas(crowd: Cycles) -> None:
    keeper = crowd.keeper("margin_liquidator", minimum_profit=1_000 * WAD)
    crowd.fund(2_000)
    crowd.wait(60)
    crowd.see(176)
    assert methods(crowd.work(keeper)) == ["deposit"]


def test_it_takes_lots_over_that_are_nobodys(crowd: Cycles) -> None:
    """As far as a share of its equity bears; whoever is on the other side closes without a share."""
    crowd.fund(400)
    crowd.wait(60)
    crowd.see(160)
    crowd.work(crowd.keeper("margin_crank"))
    plain = crowd.keeper("margin_liquidator", minimum_profit=10**6 * WAD)
    assert methods(crowd.work(plain)) == ["deposit"]
    willing = crowd.keeper("margin_liquidator", minimum_profit=10**6 * WAD, relieves=5_000)
    called = crowd.work(willing)
    assert "take" in methods(called)
    assert {each.action.method for each in called if each.at_risk} == {"take"}
    size = crowd.cycles.position(account("me"), ETH).size
    # Half of 400 and of the third of a bond that it has as finder, at 1.60 a lot.
    assert size == 405 * 5 // 16
    long, short = crowd.market.lots[ETH]
    assert short - long == 1_000 - size


def miss_the_window(crowd: Cycles) -> None:
    """The price falls to 150, and nobody meets the long until its cycle is final."""
    crowd.wait(60)
    crowd.see(150)
    crowd.mark()
    for _ in range(2):
        crowd.wait(MARGIN.window)
        crowd.mark()
        crowd.do("PerpetualMarket", "roll", by="saver")
    crowd.mark()


def test_what_no_gain_bears_is_posted_within_the_line(crowd: Cycles) -> None:
    """Nobody meets the long until its cycle is final."""
    miss_the_window(crowd)
    called = crowd.work(crowd.keeper("margin_crank"))
    assert "meet" in methods(called) and "post_shortfall" not in methods(called)
    assert crowd.market.late_table[()] == 0
    assert crowd.view.domains["Perpetuals"].lost > 0


def test_what_was_late_is_posted_once_the_line_has_room(crowd: Cycles) -> None:
    """Nobody meets the long until its cycle is final, and the line is used up then."""
    line = crowd.view.domains["Perpetuals"].collateral_type
    crowd.do("VaultEngine", "set_debt_ceiling", line, 0, by="admin")
    miss_the_window(crowd)
    crank = crowd.keeper("margin_crank")
    assert "post_shortfall" not in methods(crowd.work(crank))
    late = crowd.market.late_table[()]
    assert late > 0
    crowd.do("VaultEngine", "set_debt_ceiling", line, DOMAIN.line, by="admin")
    assert methods(crowd.work(crank)) == ["post_shortfall"]
    assert crowd.market.late_table[()] == 0
    assert crowd.view.domains["Perpetuals"].lost == late


def test_settlement_is_seen_through(crowd: Cycles) -> None:
    """Final prices, two more rolls with their bookings, and everybody closed; then nothing is wanted."""
    crank = crowd.keeper("margin_crank")
    crowd.see(160)
    crowd.do("Settlement", "announce", by="admin")
    crowd.wait(crowd.run.scenario.parameters.settlement.delay)
    crowd.do("Settlement", "begin", by="saver")
    assert "end_market" not in methods(crowd.work(crank))
    for _ in range(50):
        crowd.wait(600)
        for c, price in enumerate(crowd.view.markets.values()):
            if c < 3 and not crowd.view.price_is_final(c):
                for i in range(4):
                    crowd.do("PriceFeed", "report", c, price, by=f"reporter_{i + 1}")
                crowd.do("PriceFeed", "poke", c, by="saver")
    done = methods(crowd.work(crank))
    assert done.count("end_market") == 2 and done.count("wake") == 3
    for _ in range(2):
        crowd.wait(4 * MARGIN.window)
        crowd.work(crank)
    assert not crowd.cycles.has_positions and crowd.market.late_table[()] == 0
    for name in ("first", "second", "rich"):
        amount = crowd.equity(name)
        assert amount > 0
        args = "PerpetualMarket", "withdraw", amount, trader(name)
        crowd.run.must(*args, sender=trader(name))
    check_books(crowd.market)
    crowd.wait(600)
    assert crowd.work(crank) == []


def test_a_market_that_is_delisted_is_ended_and_the_other_goes_on(crowd: Cycles) -> None:
    """Nothing before its price is final; then its end and everybody closed, but nobody's gold."""
    crank = crowd.keeper("margin_crank")
    crowd.trade("first", "second", 10, GOLD)
    at = crowd.run.system.timestamp + MIN_NOTICE
    crowd.do("MarginPolicy", "delist", ETH, at, by="admin")
    crowd.wait(MIN_NOTICE)
    done: list[str] = []
    while crowd.run.system.timestamp < at + 2 * FINAL_WINDOW:
        done += methods(crowd.work(crank))
        final, _ = crowd.run.session.model.view("PriceFeed", "final_price_from", ETH, at)
        assert ("end_market" in done) == final == crowd.cycles.has_ended(ETH)
        crowd.wait(crowd.view.feed_config(ETH).step)
        for i in range(4):
            crowd.do("PriceFeed", "report", ETH, crowd.view.markets[ETH], by=f"reporter_{i + 1}")
        crowd.do("PriceFeed", "poke", ETH, by="saver")
    assert done.count("end_market") == 1 and done.count("wake") == 4
    assert crowd.cycles.to_close() == [] and crowd.cycles.running == [GOLD]
    assert crowd.cycles.position(trader("first"), GOLD).size == 10
    assert not crowd.cycles.is_closing and not crowd.cycles.is_ending(GOLD)


def test_a_matcher_brings_marks_for_what_it_fills(crowd: Cycles, tmp_path: Path) -> None:
    model = crowd.run.session.model.world
    path, said = tmp_path / "orders.jsonl", list[str]()
    file = OrderFile(path, model.chain_id, crowd.run.at["MarginOrders"], said.append)
    crowd.wait(61)
    orders = [crowd.signed("rich", 50), crowd.signed("second", -50)]
    path.write_text("".join(order_line(*each) + "\n" for each in orders))
    matcher = dataclasses.replace(crowd.keeper("matcher"), orders=file)
    assert methods(crowd.work(matcher)) == ["bring", "fill"]
    assert crowd.cycles.position(trader("rich"), ETH).size == 150 and said == []


def test_a_live_liquidator_approves_the_market(crowd: Cycles) -> None:
    wanted = list(approvals(crowd.keeper("margin_liquidator"), crowd.view))
    assert [each.action.args[0] for each in wanted] == [crowd.run.at["PerpetualMarket"]]


def test_nobody_wants_anything_without_such_a_market() -> None:
    plain = World()
    keeper = plain.keeper("margin_crank")
    assert plain.wants(keeper) == [] and plain.view.cycles is None
    plain.close()
