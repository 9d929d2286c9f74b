"""Shortfalls of accounts after a jump, compared with the market itself, which applies the jump and pays."""

from __future__ import annotations

from random import Random

import pytest

from backstop.live.solvency.margin_price_jump_stress import (
    Holder,
    Market,
    PriceJump,
    compute_long_short_lot_gains,
    compute_price_jump_shortfalls,
    compute_required_insurance,
    compute_shortfall,
    get_default_gaps,
    iter_accounts_at_last_marks,
    iter_price_jump_scenarios,
    read_markets,
)
from backstop.model.arithmetic import BASIS_POINTS, WAD
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.perpetual_test_market import (
    BTC,
    ETH,
    FUND,
    HOUSE,
    Perpetuals,
    deploy_perpetuals_on_model,
    open_long_and_two_shorts,
)

NAMES = {ETH: "WETH", BTC: "WBTC"}


def policy(market):
    return market.world.contracts["MarginPolicy"]


def forecast(market, gaps=None):
    """The outcome of each jump by its name."""
    found = read_markets(market.market)
    asked = iter_price_jump_scenarios(gaps or get_default_gaps(policy(market), found), NAMES)
    return {
        each.jump.name: each
        for each in compute_price_jump_shortfalls(iter_accounts_at_last_marks(market.market), found, asked)
    }


def jump(market, gaps):
    """Move the marks by these gaps, rounded down."""
    for number, gap in gaps.items():
        market.mark(number, market.price(number) * (BASIS_POINTS + gap) // BASIS_POINTS)


def owed(market):
    """Below nothing, by account, once each is up to date."""
    market.wake_all()
    found = {}
    for owner in market.list_accounts_ever_opened():
        standing = market.market._compute_standing(owner)
        if standing.own < standing.haircut:
            found[owner] = standing.haircut - standing.own
    return found


def booked(seed: int) -> Perpetuals:
    """Accounts of many leverages in both markets, of which some sleep through cycles with losses."""
    dice = Random(seed)
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    market.do(f"{FUND}.insure", 10**6 * WAD, sender="rich")
    for round_ in range(dice.randint(1, 3)):
        for i in range(dice.randint(3, 6)):
            one, other = f"one_{round_}_{i}", f"other_{round_}_{i}"
            number = dice.choice((ETH, BTC))
            lots = dice.randint(1, 400)
            notional = lots * market.price(number)
            for name in (one, other):
                market.deposit(name, notional * dice.randint(1_050, 3_000) // BASIS_POINTS)
            market.trade(*dice.choice(((one, other), (other, one))), lots, number)
            if dice.random() < 0.5:
                third = f"other_{dice.randint(0, round_)}_0"
                small = max(1, lots // 7)
                market.deposit(third, notional)
                market.deposit(one, notional)
                market.trades(third, one, dice.choice((small, -small)), BTC if number == ETH else ETH)
        if dice.random() < 0.7:
            # Some fail, their lots are nobody's, and others pay a part of that.
            number = dice.choice((ETH, BTC))
            market.mark(number, market.price(number) * dice.choice((84, 88, 112, 116)) // 100)
            market.seize_repeatedly_and_count_rounds()
            for _ in range(dice.randint(0, 2)):
                market.advance_cycle()
                market.report_current_prices_again()
    return market


@pytest.mark.parametrize("seed", range(12))
def test_it_is_what_accounts_owe_after_the_jump(seed):
    """Of each account and jump, to the wei where lots move by whole wei; else at most a wei a lot more."""
    market = booked(seed)
    before = market.model.snapshot()
    gaps = {ETH: Random(seed).randint(500, 6_000), BTC: Random(-seed).randint(500, 9_000)}
    found = forecast(market, gaps)
    assert market.model.snapshot() == before
    assert len(found) == 6
    some = 0
    for each in found.values():
        with market.model.fork_state():
            jump(market, each.jump.gaps)
            really = owed(market)
        exact = all(market.price(m) * gap % BASIS_POINTS == 0 for m, gap in each.jump.gaps.items())
        said = dict(each.lacking)
        for owner in {*said, *really}:
            lots = sum(abs(market.market.positions[owner, m].size) for m in (ETH, BTC))
            more = said.get(owner, 0) - really.get(owner, 0)
            assert 0 <= more <= (0 if exact else 2 * lots), (each.jump, owner)
        some += len(really)
        assert [amount for _, amount in each.lacking] == sorted(said.values(), reverse=True)
        assert each.sum_largest(2) == sum(sorted(said.values())[-2:])
    assert some


@pytest.mark.parametrize("bond", [0, WAD])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["all up", "all down", "WETH down", "WBTC up"])
def test_insurance_pays_just_that(seed, name, bond):
    """With no debtor and no unassigned lots: all debtors are liquidated, and the unused insurance has come
    back.
    """
    dice = Random(seed)
    market = deploy_perpetuals_on_model(bond)
    market.report_current_prices_again()
    market.do(f"{FUND}.insure", 10**6 * WAD, sender="rich")
    for i in range(8):
        number = (ETH, BTC)[i % 2]
        lots = dice.randint(10, 400)
        for who in ("long", "short"):
            market.deposit(
                f"{who}_{i}", lots * market.price(number) * dice.randint(1_000, 2_500) // 10_000 + 3 * bond
            )
        market.trade(f"long_{i}", f"short_{i}", lots, number)
    each = forecast(market, {ETH: 2_500, BTC: 3_000})[name]
    had = market.read(f"{FUND}.insurance_of").amount
    jump(market, each.jump.gaps)
    for _ in range(4):
        market.seize_repeatedly_and_count_rounds()
        market.advance_cycle()
    market.wake_all()
    market.do(f"{HOUSE}.collect_fees", sender="keeper")
    paid = had - market.read(f"{FUND}.insurance_of").amount
    assert each.total > 0
    assert paid == each.total
    assert market.market.late_table[()] == 0


# ------------------------------------------------------------------------- by hand


def test_a_lot_moves_as_the_mark_does():
    assert compute_long_short_lot_gains(Market(20, 5, 5), 1_000) == (2, -2)
    assert compute_long_short_lot_gains(Market(20, 5, 5), -1_000) == (-2, 2)
    assert compute_long_short_lot_gains(Market(20, 0, 5), -1_000) == (0, 0)
    # Of half a wei losers lose one, and winners gain nothing.
    assert compute_long_short_lot_gains(Market(25, 5, 5), 200) == (0, -1)


def test_where_lots_are_nobodys_one_side_moves_by_less():
    """Ten long, four short: ten share the loss of four; four gain the loss of ten."""
    assert compute_long_short_lot_gains(Market(100, 10, 4), 1_000) == (4, -10)
    assert compute_long_short_lot_gains(Market(100, 10, 4), -1_000) == (-4, 10)


def test_shortfalls_are_above_nothing_and_rounded_up():
    holder = Holder("a", 100, {0: -10})
    assert compute_shortfall(holder, {0: (0, -10)}) == 0
    assert compute_shortfall(holder, {0: (0, -11)}) == 10
    assert compute_shortfall(holder, {1: (0, -11)}) == 0
    assert compute_shortfall(Holder("a", -5, {}), {0: (1, 1)}) == 5


def test_nothing_falls_by_more_than_all():
    found = list(iter_price_jump_scenarios({0: 12_000, 1: 500}, {0: "A", 1: "B"}))
    assert found == [
        PriceJump("A up", {0: 12_000}),
        PriceJump("A down", {0: -10_000}),
        PriceJump("B up", {1: 500}),
        PriceJump("B down", {1: -500}),
        PriceJump("all up", {0: 12_000, 1: 500}),
        PriceJump("all down", {0: -10_000, 1: -500}),
    ]
    assert [each.name for each in iter_price_jump_scenarios({0: 100}, {0: "A"})] == ["A up", "A down"]


def test_the_usual_jump_is_twice_the_initial_margin():
    """At 20 with 3,000 for 1,000 lots a long lacks 1,000 after 20%, the shorts, with 10,000 each, nothing."""
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    open_long_and_two_shorts(market)
    assert forecast(market)["WETH down"].lacking == (
        (market.get_contract_or_account_address("long"), 1_000 * WAD),
    )
    assert forecast(market)["WETH up"].lacking == ()
    assert forecast(market, {ETH: 4_000})["WETH down"].total == 5_000 * WAD


def test_who_is_insured_by_the_initial_margin_is_covered():
    """With all leverage on one side, and a tenth of the open interest insured."""
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    market.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(insured=1_000), sender="admin")
    market.do(f"{FUND}.insure", 2_000 * WAD, sender="rich")
    market.deposit("weak", 2_000 * WAD)
    market.deposit("strong", 20_000 * WAD)
    market.trade("weak", "strong", 1_000)
    assert compute_required_insurance(market.market, policy(market)) == 2_000 * WAD
    assert forecast(market)["WETH down"].total == 2_000 * WAD
