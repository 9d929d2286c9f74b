"""Keepers of the margin market: marks, losses, rolls, take-overs, settlement."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.role_accounts import get_account
from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.margin_keepers import estimate_account_gas, estimate_call_gas, get_submittable_reports
from backstop.keepers.signed_order_file import OrderFile, format_order
from backstop.keepers.token_approvals import iter_missing_approval_intents
from backstop.model.arithmetic import WAD
from backstop.model.bounds import FINAL_WINDOW, MIN_NOTICE
from backstop.simulation.account_value import compute_total_account_worth
from tests.support.keeper_scenario import KeeperScenario
from tests.support.margin_scenario import ETH, FACILITATOR, MARGIN, MarginScenario, list_intent_methods
from tests.support.perpetual_test_market import check_books

BRIEF = "tests/backstop/keepers/test_cycles.py::test_debtors_come_in_calls_that_get_into_a_full_block"

GOLD = 1


@pytest.fixture
def world() -> Iterator[MarginScenario]:
    found = MarginScenario()
    yield found
    found.close()


@pytest.fixture
def crowd(world: MarginScenario) -> MarginScenario:
    """A long of 1,000 lots, worth 2,000, with 300 of margin against two shorts; another with plenty."""
    for name, coins in (("long", 300), ("first", 1_000), ("second", 1_000), ("rich", 2_000)):
        world.deposit_margin(name, coins)
    world.trade_at_mark("long", "first", 500)
    world.trade_at_mark("long", "second", 500)
    world.trade_at_mark("rich", "first", 100)
    return world


def test_a_jump_is_marked_with_what_reporters_have_signed(crowd: MarginScenario) -> None:
    crank = crowd.build_keeper("margin_crank", deviation=100)
    crowd.pass_time(60)
    crowd.set_reported_price(201)
    assert crowd.run_keepers_until_idle(crank) == []
    crowd.set_reported_price(203)
    assert list_intent_methods(crowd.run_keepers_until_idle(crank)) == ["submit_signed_reports", "accrue"]
    assert crowd.cycle_view.get_last_mark(ETH) == 203 * WAD // 100


def test_nothing_is_done_without_reports(crowd: MarginScenario) -> None:
    crank = dataclasses.replace(crowd.build_keeper("margin_crank"), reports=None)
    crowd.pass_time(61)
    crowd.set_reported_price(100)
    assert crowd.run_keepers_until_idle(crank) == []


def test_a_loss_is_met_booked_and_borne_by_who_gained(crowd: MarginScenario) -> None:
    """At 160 the long lacks 100 and some of fees and its bond: both shorts give the same share."""
    crank = crowd.build_keeper("margin_crank")
    crowd.pass_time(60)
    crowd.set_reported_price(160)
    assert list_intent_methods(crowd.run_keepers_until_idle(crank)) == [
        "submit_signed_reports",
        "accrue",
        "seize_insolvent",
    ]
    long, short = crowd.market.lots[ETH]
    assert short - long == 1_000 and crowd.cycle_view.get_position(get_trader_account("long"), ETH).size == 0
    before = crowd.read_equity("first"), crowd.read_equity("second")
    for _ in range(3):
        crowd.pass_time(MARGIN.window)
        assert "advance_cycle" in list_intent_methods(crowd.run_keepers_until_idle(crank))
    lost = before[0] - crowd.read_equity("first"), before[1] - crowd.read_equity("second")
    # 600 lots and 500 gained the same of each.
    assert lost[0] > 0 and abs(lost[0] * 5 - lost[1] * 6) <= 12
    assert crowd.market.late_table[()] == 0 and crowd.read_equity("long") == 0
    assert crowd.cycle_view.simulate_reports({}).list_debtors() == []


def test_whom_a_booking_makes_owe_is_met_as_well(world: MarginScenario) -> None:
    """The short has gained from the long, and lost nearly all of that on gold: with its haircut it owes."""
    for name, coins in (("long", 300), ("short", 700), ("rich", 3_000)):
        world.deposit_margin(name, coins)
    gold = world.cycle_view.get_last_mark(1)
    lots = 4_500 * WAD // gold
    world.trade_at_mark("long", "short", 1_000)
    world.trade_at_mark("short", "rich", lots, 1)
    world.pass_time(60)
    world.set_reported_price(160)
    world.mark_markets()
    world.pass_time(MARGIN.window)
    world.mark_markets()
    world.do("PerpetualMarket", "advance_cycle", by="saver")
    world.pass_time(60)
    spare = world.read_equity("short") - 50 * WAD
    world.set_reported_price((gold - spare // lots) * 100 / WAD, "XAUT")
    crank = world.build_keeper("margin_crank")
    ahead = world.cycle_view.simulate_reports(get_submittable_reports(crank, world.view, world.cycle_view))
    assert ahead.list_debtors() == [get_trader_account("long")]
    assert ahead.list_insolvent_accounts_to_seize(crank.address) == [
        get_trader_account("long"),
        get_trader_account("short"),
    ]
    called = world.run_keepers_until_idle(crank)
    met = [each.action.args[0] for each in called if each.action.method == "update_and_seize"]
    assert met == [(get_trader_account("long"), get_trader_account("short"))]
    assert world.cycle_view.simulate_reports({}).list_insolvent_accounts_to_seize(crank.address) == []


def test_debtors_come_in_calls_that_get_into_a_full_block(world: MarginScenario) -> None:
    """A call larger than the free room of blocks would wait for ever, and all calls behind it too."""
    world.deposit_margin("rich", 20_000)
    for number in range(12):
        world.deposit_margin(f"thin_{number}", 60)
        world.trade_at_mark(f"thin_{number}", "rich", 100)
    world.pass_time(60)
    world.set_reported_price(120)
    crank = world.build_keeper("margin_crank")
    met = [each for each in world.run_keepers_until_idle(crank) if each.action.method == "update_and_seize"]
    assert [len(each.action.args[0]) for each in met] == [9, 3]
    assert all(each.gas is not None and each.gas <= crank.group.call_gas for each in met)
    world.pass_time(MARGIN.window)
    met = [
        each
        for each in world.run_keepers_until_idle(world.build_keeper("margin_crank", call_gas=700_000))
        if each.gas
    ]
    assert {each.action.method for each in met} == {"submit_signed_reports", "update_and_seize"}
    assert all(each.gas is not None and each.gas <= 700_000 for each in met)
    assert world.cycle_view.simulate_reports({}).list_insolvent_accounts_to_seize(crank.address) == []


@pytest.fixture
def long_asleep() -> Iterator[MarginScenario]:
    """Return a market in which an account with 100 lots long missed four cycles with losses.

    The account is also 100 lots short of gold.
    """
    world = MarginScenario()
    for name, coins in (("sleeper", 150), ("rich", 5_000)):
        world.deposit_margin(name, coins)
    world.trade_at_mark("sleeper", "rich", 100)
    world.trade_at_mark("rich", "sleeper", 1, GOLD)
    for number in range(4):
        world.make_loss_cycle(number)
    yield world
    world.close()


def test_who_has_slept_takes_more_gas(long_asleep: MarginScenario) -> None:
    cycles, sleeper, job = long_asleep.cycle_view, get_trader_account("sleeper"), "cycles: update and seize"
    once, long_after = get_job_gas(f"{job}, each account"), get_job_gas("cycles: update account, long after")
    assert cycles.has_missed_cycles(sleeper)
    long_asleep.do("PerpetualMarket", "update_account", get_trader_account("rich"), by="saver")
    cycles = long_asleep.cycle_view
    assert cycles.has_missed_cycles(sleeper) and not cycles.has_missed_cycles(get_trader_account("rich"))
    assert estimate_account_gas(cycles, job, sleeper) == 2 * (once + long_after)
    assert estimate_account_gas(cycles, job, get_trader_account("rich")) == 2 * once
    assert estimate_account_gas(cycles, job, get_trader_account("nobody")) == once
    both = [sleeper, get_trader_account("rich")]
    assert estimate_call_gas(cycles, job, both) > get_job_gas(job) + estimate_account_gas(
        cycles, job, sleeper
    )


def test_who_has_slept_is_met_with_others_in_one_call(long_asleep: MarginScenario) -> None:
    world = long_asleep
    world.deposit_margin("thin", 60)
    world.trade_at_mark("thin", "rich", 100)
    world.pass_time(60)
    world.set_reported_price(10)
    called = [
        each
        for each in world.run_keepers_until_idle(world.build_keeper("margin_crank"))
        if "seize" in each.action.method
    ]
    (met,) = [each.action.args[0] for each in called]
    assert set(met) == {get_trader_account("sleeper"), get_trader_account("thin")}
    assert world.cycle_view.simulate_reports({}).list_insolvent_accounts_to_seize("") == []
    assert world.cycle_view.get_position(get_trader_account("sleeper"), ETH).size == 0


def test_a_liquidator_deposits_first_and_takes_over(crowd: MarginScenario) -> None:
    """At 176 the long has 60 of 88 it needs; the liquidator brings the mark itself."""
    keeper = crowd.build_keeper("margin_liquidator")
    crowd.give_keeper_approved_stablecoins(2_000)
    crowd.pass_time(60)
    crowd.set_reported_price(176)
    called = crowd.run_keepers_until_idle(keeper)
    assert list_intent_methods(called)[:3] == ["deposit", "submit_signed_reports", "liquidate"]
    assert called[2].gain and called[2].gain > 0
    assert [each.at_risk for each in called[:3]] == [False, False, True]
    me = get_account("me")
    assert crowd.cycle_view.get_position(me, ETH).size > 0
    assert (
        compute_total_account_worth(crowd.run, me)
        == crowd.run.get_stablecoin_balance(me) + crowd.cycle_view.get_account_equity(me)
        > 2_000 * WAD
    )
    assert crowd.cycle_view.simulate_reports({}).liquidatable_accounts == []


def test_it_takes_no_more_than_its_margin_bears(crowd: MarginScenario) -> None:
    keeper = crowd.build_keeper("margin_liquidator")
    crowd.give_keeper_approved_stablecoins(20)
    crowd.pass_time(60)
    crowd.set_reported_price(176)
    called = crowd.run_keepers_until_idle(keeper)
    taken = sum(each.action.args[2] for each in called if each.action.method == "liquidate")
    assert 0 < taken < 1_000
    size = crowd.cycle_view.get_position(get_account("me"), ETH).size
    one_more = crowd.cycle_view.simulate_reports({}).find_most_lots(
        "liquidate", get_trader_account("long"), ETH, whole=1_000 - size, sender=get_account("me")
    )
    assert one_more == 0


def test_it_counts_its_gas(crowd: MarginScenario) -> None:
    keeper = crowd.build_keeper("margin_liquidator", minimum_profit=1_000 * WAD)
    crowd.give_keeper_approved_stablecoins(2_000)
    crowd.pass_time(60)
    crowd.set_reported_price(176)
    assert list_intent_methods(crowd.run_keepers_until_idle(keeper)) == ["deposit"]


def test_it_takes_lots_over_that_are_nobodys(crowd: MarginScenario) -> None:
    """The keeper takes lots up to a share of its equity; on the other side it closes lots without a share."""
    crowd.give_keeper_approved_stablecoins(400)
    crowd.pass_time(60)
    crowd.set_reported_price(160)
    crowd.run_keepers_until_idle(crowd.build_keeper("margin_crank"))
    plain = crowd.build_keeper("margin_liquidator", minimum_profit=10**6 * WAD)
    assert list_intent_methods(crowd.run_keepers_until_idle(plain)) == ["deposit"]
    willing = crowd.build_keeper("margin_liquidator", minimum_profit=10**6 * WAD, relieves=5_000)
    called = crowd.run_keepers_until_idle(willing)
    assert "take" in list_intent_methods(called)
    assert {each.action.method for each in called if each.at_risk} == {"take"}
    size = crowd.cycle_view.get_position(get_account("me"), ETH).size
    # Half of 400 and of the third of a bond that it has as finder, at 1.60 a lot.
    assert size == 405 * 5 // 16
    long, short = crowd.market.lots[ETH]
    assert short - long == 1_000 - size


def miss_the_window(crowd: MarginScenario) -> None:
    """Let the price fall to 150, and leave the long unliquidated until its cycle is final."""
    crowd.pass_time(60)
    crowd.set_reported_price(150)
    crowd.mark_markets()
    for _ in range(2):
        crowd.pass_time(MARGIN.window)
        crowd.mark_markets()
        crowd.do("PerpetualMarket", "advance_cycle", by="saver")
    crowd.mark_markets()


def test_what_no_gain_bears_is_posted_within_the_line(crowd: MarginScenario) -> None:
    """The long stays unliquidated until its cycle is final."""
    miss_the_window(crowd)
    called = crowd.run_keepers_until_idle(crowd.build_keeper("margin_crank"))
    assert "seize_insolvent" in list_intent_methods(called) and "post_shortfall" not in list_intent_methods(
        called
    )
    assert crowd.market.late_table[()] == 0
    assert crowd.view.facilitators_by_name["Perpetuals"].lost > 0


def test_what_was_late_is_posted_once_the_line_has_room(crowd: MarginScenario) -> None:
    """The long stays unliquidated until its cycle is final, and the line is used up then."""
    line = crowd.view.facilitators_by_name["Perpetuals"].collateral_type
    crowd.do("VaultEngine", "set_debt_ceiling", line, 0, by="admin")
    miss_the_window(crowd)
    crank = crowd.build_keeper("margin_crank")
    assert "post_shortfall" not in list_intent_methods(crowd.run_keepers_until_idle(crank))
    late = crowd.market.late_table[()]
    assert late > 0
    crowd.do("VaultEngine", "set_debt_ceiling", line, FACILITATOR.line, by="admin")
    assert list_intent_methods(crowd.run_keepers_until_idle(crank)) == ["post_shortfall"]
    assert crowd.market.late_table[()] == 0
    assert crowd.view.facilitators_by_name["Perpetuals"].lost == late


def test_settlement_is_seen_through(crowd: MarginScenario) -> None:
    """Final prices, two more rolls with their bookings, and all positions closed; then keepers are idle."""
    crank = crowd.build_keeper("margin_crank")
    crowd.set_reported_price(160)
    crowd.do("Settlement", "announce", by="admin")
    crowd.pass_time(crowd.run.scenario.parameters.settlement.delay)
    crowd.do("Settlement", "begin", by="saver")
    assert "end_market" not in list_intent_methods(crowd.run_keepers_until_idle(crank))
    for _ in range(50):
        crowd.pass_time(600)
        for c, price in enumerate(crowd.view.markets.values()):
            if c < 3 and not crowd.view.has_final_feed_price(c):
                for i in range(4):
                    crowd.do("PriceFeed", "report", c, price, by=f"reporter_{i + 1}")
                crowd.do("PriceFeed", "poke", c, by="saver")
    done = list_intent_methods(crowd.run_keepers_until_idle(crank))
    assert done.count("end_market") == 2 and done.count("update_account") == 3
    for _ in range(2):
        crowd.pass_time(4 * MARGIN.window)
        crowd.run_keepers_until_idle(crank)
    assert not crowd.cycle_view.has_positions and crowd.market.late_table[()] == 0
    for name in ("first", "second", "rich"):
        amount = crowd.read_equity(name)
        assert amount > 0
        args = "PerpetualMarket", "withdraw", amount, get_trader_account(name)
        crowd.run.apply_or_raise(*args, sender=get_trader_account(name))
    check_books(crowd.market)
    crowd.pass_time(600)
    assert crowd.run_keepers_until_idle(crank) == []


def test_a_market_that_is_delisted_is_ended_and_the_other_goes_on(crowd: MarginScenario) -> None:
    """Keepers wait for the final price; then they end the market and close its positions, none in gold."""
    crank = crowd.build_keeper("margin_crank")
    crowd.trade_at_mark("first", "second", 10, GOLD)
    at = crowd.run.system.timestamp + MIN_NOTICE
    crowd.do("MarginPolicy", "delist", ETH, at, by="admin")
    crowd.pass_time(MIN_NOTICE)
    done: list[str] = []
    while crowd.run.system.timestamp < at + 2 * FINAL_WINDOW:
        done += list_intent_methods(crowd.run_keepers_until_idle(crank))
        final, _ = crowd.run.session.model.view("PriceFeed", "final_price_from", ETH, at)
        assert ("end_market" in done) == final == crowd.cycle_view.has_market_ended(ETH)
        crowd.pass_time(crowd.view.get_feed_config(ETH).step)
        for i in range(4):
            crowd.do("PriceFeed", "report", ETH, crowd.view.markets[ETH], by=f"reporter_{i + 1}")
        crowd.do("PriceFeed", "poke", ETH, by="saver")
    assert done.count("end_market") == 1 and done.count("update_account") == 4
    assert (
        crowd.cycle_view.list_accounts_in_ended_markets() == []
        and crowd.cycle_view.running_market_ids == [GOLD]
    )
    assert crowd.cycle_view.get_position(get_trader_account("first"), GOLD).size == 10
    assert not crowd.cycle_view.has_every_market_ended and not crowd.cycle_view.is_market_ending(GOLD)


def test_a_matcher_brings_marks_for_what_it_fills(crowd: MarginScenario, tmp_path: Path) -> None:
    model = crowd.run.session.model.world
    path, said = tmp_path / "orders.jsonl", list[str]()
    file = OrderFile(path, model.chain_id, crowd.run.at["MarginOrders"], said.append)
    crowd.pass_time(61)
    orders = [crowd.sign_order_at_mark("rich", 50), crowd.sign_order_at_mark("second", -50)]
    path.write_text("".join(format_order(*each) + "\n" for each in orders))
    matcher = dataclasses.replace(crowd.build_keeper("matcher"), orders=file)
    assert list_intent_methods(crowd.run_keepers_until_idle(matcher)) == ["submit_signed_reports", "fill"]
    assert crowd.cycle_view.get_position(get_trader_account("rich"), ETH).size == 150 and said == []


def test_a_live_liquidator_approves_the_market(crowd: MarginScenario) -> None:
    wanted = list(iter_missing_approval_intents(crowd.build_keeper("margin_liquidator"), crowd.view))
    assert [each.action.args[0] for each in wanted] == [crowd.run.at["PerpetualMarket"]]


def test_nobody_wants_anything_without_such_a_market() -> None:
    plain = KeeperScenario()
    keeper = plain.build_keeper("margin_crank")
    assert plain.wants(keeper) == [] and plain.view.cycles is None
    plain.close()
