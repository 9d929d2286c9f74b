"""exchange: the range of actions open to any trading contract, for any requested accounts."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.perpetual_test_market import ETH, HOUSE
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def own(market):
    """A market with a trading that is an account."""
    market.create_market("Own", market.get_contract_or_account_address("desk"))
    market.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(open_limit=10**12), sender="admin")
    market.do("Own.accrue", ETH, sender="keeper")
    return market


def exchange(market, lots, price=20 * WAD, buyer_gets=0, seller_gets=0, number=1):
    args = (
        ETH,
        market.get_contract_or_account_address(f"buyer_{number}"),
        market.get_contract_or_account_address("seller"),
        lots,
        price,
        buyer_gets,
        seller_gets,
    )
    market.do("Own.execute_trade", *args, sender="desk")


def test_what_is_paid_beside_is_insurance(own):
    exchange(own, 1, buyer_gets=-3, seller_gets=1)
    assert own.read("Own.fees") == 2
    assert own.read("Own.standing_of", own.get_contract_or_account_address("seller")).own == 1
    with reverts("perpetuals: more than is paid"):
        exchange(own, 1, buyer_gets=-3, seller_gets=4)


@pytest.mark.parametrize("lots", [2**63, -(2**63)])
def test_positions_have_room(own, lots):
    with reverts("cycle_book: too many lots"):
        exchange(own, lots)


def test_more_lots_than_any_limit(own):
    """Each position has room, and together they have not."""
    exchange(own, 1)
    with reverts("price_path: too much is open"):
        exchange(own, 2**63 - 1, price=1, number=2)


def test_cash_has_room(own):
    with reverts("price_path: beyond all figures"):
        exchange(own, 2**62, price=2**80)


def test_a_look_between_two_marks_adds_the_funding_since(market):
    """A premium has longs pay; a view read before any update returns the value that a mark makes of it."""
    for name in ("long", "short"):
        market.deposit(name, 1_000 * WAD)
    market.trade("long", "short", 10, price=20 * WAD + WAD // 20)
    market.advance_clock(3_601)
    market.report_current_prices_again()
    rate = market.market.fundings[ETH].rate
    before = market.read(f"{HOUSE}.standing_of", market.get_contract_or_account_address("long")).own
    market.advance_clock(600)
    seen = [
        market.read(f"{HOUSE}.standing_of", market.get_contract_or_account_address(name)).own
        for name in ("long", "short")
    ]
    market.report_current_prices_again()
    marked = [
        market.read(f"{HOUSE}.standing_of", market.get_contract_or_account_address(name)).own
        for name in ("long", "short")
    ]
    assert rate > 0 and seen == marked and before - seen[0] == 600 * 10 * rate
