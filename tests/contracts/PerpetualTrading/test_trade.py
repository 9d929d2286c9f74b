"""trade: in the band, with margin at marks of now that no gain serves as before it is final."""

from backstop.model.arithmetic import WAD, div_up
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.perpetual_test_market import BTC, ETH, TRADING, deploy_perpetuals, open_long_and_two_shorts
from tests.support.revert_setter_and_source_helpers import reverts


def test_both_have_what_they_traded(crowd):
    assert crowd.size("long") == 1_000 and crowd.size("first") == crowd.size("second") == -500
    assert crowd.equity("long") == 3_000 * WAD
    crowd.check_books_after_touching_all()


def test_fees_are_insurance(new_protocol):
    market = deploy_perpetuals(new_protocol, maker_fee=2, taker_fee=5)
    market.deposit("long", 3_000 * WAD)
    market.deposit("short", 3_000 * WAD)
    market.trade("long", "short", 1_000)
    assert market.equity("long") == 2_996 * WAD and market.equity("short") == 2_990 * WAD
    assert market.market.fee_table[()] == 14 * WAD


def test_only_orders_at_sensible_prices(crowd):
    args = (
        ETH,
        crowd.get_contract_or_account_address("first"),
        crowd.get_contract_or_account_address("second"),
        1,
        20 * WAD,
        False,
        False,
    )
    with reverts("trading: not orders"):
        crowd.do(f"{TRADING}.trade", *args, sender="stranger")
    with reverts("trading: price bounds"):
        crowd.trade("first", "second", 1, price=0)
    with reverts("trading: no mark yet"):
        crowd.trade("first", "second", 1, market=2, price=20 * WAD)


def test_no_trade_before_a_first_mark(new_protocol):
    market = deploy_perpetuals(new_protocol)
    lot = WAD // 100
    market.do("MarginPolicy.add_market", 2, lot, build_perpetual_market_terms(), sender="admin")
    market.deposit("long", 3_000 * WAD)
    market.deposit("short", 3_000 * WAD)
    with reverts("trading: no mark yet"):
        market.trade("long", "short", 1, market=2, price=25 * WAD)


def test_the_band_is_half_a_percent(crowd):
    crowd.trade("other", "first", 1, price=20 * WAD * 10_050 // 10_000)
    crowd.trade("other", "first", 1, price=20 * WAD * 9_950 // 10_000)
    with reverts("trading: outside the band"):
        crowd.trade("other", "first", 1, price=20 * WAD * 10_050 // 10_000 + 1)
    with reverts("trading: outside the band"):
        crowd.trade("other", "first", 1, price=20 * WAD * 9_950 // 10_000 - 1)


def test_new_risk_needs_a_price_of_now(crowd):
    crowd.advance_clock(60)
    crowd.trade("other", "first", 1)
    crowd.advance_clock(1)
    with reverts("trading: no price for risk"):
        crowd.trade("other", "first", 1)
    # Both only reduce.
    crowd.trade("first", "long", 1)


def test_new_risk_needs_prices_of_all_its_markets(crowd):
    crowd.trade("other", "first", 1, BTC)
    crowd.advance_clock(61)
    crowd.mark(ETH, 20 * WAD)
    with reverts("trading: no price for risk"):
        crowd.trade("other", "second", 1)


def test_an_order_may_ask_to_reduce_only(crowd):
    crowd.trade("first", "long", 500, maker_reduces=True, taker_reduces=True)
    assert crowd.size("first") == 0
    with reverts("trading: would not reduce"):
        crowd.trade("other", "second", 1, maker_reduces=True)


def test_a_gain_that_is_not_final_opens_nothing(crowd):
    """A first move from 20 to 18 gives `first` 1,000, which it cannot use for two rolls."""
    crowd.mark(ETH, 18 * WAD)
    crowd.deposit("poor", 900 * WAD)
    crowd.trade("other", "poor", 100)
    with crowd.model.fork_state():
        assert crowd.standing("first").unfinal == 1_000 * WAD
    # 11,000 of equity, of which 1,000 does not count, carry 10% of 5,555 lots at 18.
    with reverts("trading: initial margin"):
        crowd.trade("other", "first", 5_556 - 500)
    crowd.deposit("other", 20_000 * WAD)
    crowd.trade("other", "first", 5_555 - 500)
    with reverts("trading: initial margin"):
        crowd.trade("other", "first", 1)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.trade("other", "first", 500)


def test_who_owes_only_pays_in(crowd):
    crowd.mark(ETH, 16 * WAD)
    for other in ("first", "other"):
        with reverts("trading: owes, only pays in"):
            crowd.trade(other, "long", 1)
    crowd.deposit("long", 1_000 * WAD)
    crowd.trade("first", "long", 1)


def test_a_reduction_may_not_take_its_maintenance_margin_away(crowd):
    """Where maintenance is less than the band, a reduction at a bad price leaves less for the rest."""
    crowd.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(maintenance=40), sender="admin")
    price = 17_001 * WAD // 1_000
    crowd.mark(ETH, price)
    with reverts("trading: margin would fall"):
        crowd.trade("first", "long", 5, price=price * 9_951 // 10_000)
    crowd.trade("first", "long", 5, price=price * 9_961 // 10_000)


def test_a_reduction_may_not_make_insolvent(crowd):
    crowd.mark(ETH, 17_001 * WAD // 1_000)
    assert crowd.equity("long") == WAD
    with reverts("trading: insolvent"):
        crowd.trade("first", "long", 500, price=17_001 * WAD // 1_000 * 9_951 // 10_000)


def test_a_gain_that_is_not_final_is_not_given_away(market):
    """All that the dodger has is its gain: it reduces at the mark or better, and not under it."""
    for name, amount in (("dodger", 1_000), ("thin", 50_000), ("friend", 50_000)):
        market.deposit(name, amount * WAD)
    market.trade("thin", "dodger", 450)
    market.trade("friend", "thin", 450)
    market.mark(ETH, 18 * WAD)
    market.mark(ETH, 21 * WAD)
    market.mark(ETH, 18 * WAD)
    found = market.standing("dodger")
    assert found.own < found.unfinal
    with reverts("trading: gains are not final"):
        market.trade("dodger", "friend", 100, price=18 * WAD + 1)
    market.trade("dodger", "friend", 100, price=18 * WAD)
    market.trade("dodger", "friend", 100, price=18 * WAD - 1)


def test_beyond_gains_that_are_not_final_all_may_be_given_away(market):
    """Down to the wei: the balance after fees has to be as much as they are."""
    for name, amount in (("dodger", 1_000), ("thin", 50_000), ("friend", 50_000)):
        market.deposit(name, amount * WAD)
    market.trade("thin", "dodger", 450)
    market.trade("friend", "thin", 450)
    for dollars in (18, 21, 18):
        market.mark(ETH, dollars * WAD)
    had = market.standing("dodger").own
    market.trade("dodger", "friend", 100, price=18 * WAD)
    found = market.standing("dodger")
    fee = div_up(100 * (18 * WAD + 1) * (had - found.own), 1_800 * WAD)
    market.deposit("dodger", found.unfinal - found.own + 100 + fee - 1)
    with reverts("trading: gains are not final"):
        market.trade("dodger", "friend", 100, price=18 * WAD + 1)
    market.deposit("dodger", 1)
    market.trade("dodger", "friend", 100, price=18 * WAD + 1)
    found = market.standing("dodger")
    assert found.own == found.unfinal > 0


def test_the_open_limit_holds(crowd):
    crowd.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(open_limit=1_001), sender="admin")
    crowd.trade("other", "first", 1)
    with reverts("trading: open limit"):
        crowd.trade("other", "first", 1)
    crowd.trade("first", "long", 10)


def test_a_limit_that_has_come_down_keeps_no_lots_from_changing_hands(crowd):
    crowd.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(open_limit=1), sender="admin")
    crowd.trade("other", "long", 10)
    assert crowd.size("other") == 10 and crowd.size("long") == 990


def test_lots_may_be_sold_for_as_much_less_as_their_maintenance_margin(new_protocol):
    """At 17.10 the long is under its margin: 5% under the mark it is no further under, a wei more it is."""
    market = open_long_and_two_shorts(deploy_perpetuals(new_protocol, band=1_000))
    market.mark(ETH, 171 * WAD // 10)
    least = 171 * WAD // 10 * 95 // 100
    with reverts("trading: margin would fall"):
        market.trade("long", "other", -10, price=least - 1)
    market.trade("long", "other", -10, price=least)
