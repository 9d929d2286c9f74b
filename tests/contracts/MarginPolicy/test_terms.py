"""add_market and set_terms: a market's terms, within bounds; and prices, as whole wei of a lot."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.auction_steps import get_only_event_values
from tests.support.margin_order_steps import BTC, ETH, TERMS, build_perpetual_market_terms
from tests.support.revert_setter_and_source_helpers import reverts

NONE = ((0, 0), (0, 0))


def test_a_market_has_its_terms(margin):
    new = build_perpetual_market_terms(
        of_accounts=((1, 2), (3, 4)), of_market=((5, 6), (7, 8)), dust=9, insured=10
    )
    assert margin.do("MarginPolicy.add_market", 2, WAD, new, sender="admin") == 2
    assert get_only_event_values(margin, "MarketAdded", "MarginPolicy") == (2, 2, WAD)
    assert get_only_event_values(margin, "TermsSet", "MarginPolicy") == (2, new)
    assert margin.read("MarginPolicy.terms_of", 2) == new
    assert margin.read("MarginPolicy.base_of", 2) == (2, WAD)
    assert margin.read("MarginPolicy.markets") == 3


def test_terms_change_and_what_a_lot_is_does_not(margin):
    margin.do(
        "MarginPolicy.set_terms",
        ETH,
        build_perpetual_market_terms(open_limit=5, dust=7, insured=3),
        sender="admin",
    )
    assert margin.read("MarginPolicy.open_limit", ETH) == 5
    assert margin.read("MarginPolicy.insured", ETH) == 3
    assert margin.read("MarginPolicy.base_of", ETH) == (0, WAD // 100)
    assert margin.read("MarginPolicy.haircut", ETH) == TERMS.haircut


def test_admin_only(margin):
    with reverts("roles: not admin"):
        margin.do("MarginPolicy.add_market", 2, WAD, build_perpetual_market_terms(), sender="guardian")
    with reverts("roles: not admin"):
        margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(), sender="guardian")
    with reverts("margin_policy: unknown market"):
        margin.do("MarginPolicy.set_terms", 2, build_perpetual_market_terms(), sender="admin")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"initial": 10_001}, "initial bounds"),
        ({"maintenance": 9}, "upkeep bounds"),
        ({"initial": 500}, "upkeep bounds"),
        ({"discount": 50_001}, "discount bounds"),
        ({"haircut": 99}, "haircut bounds"),
        ({"haircut": 10_001}, "haircut bounds"),
        ({"max_funding": 1_001}, "funding bounds"),
        ({"open_limit": 10**12 + 1}, "open bounds"),
        ({"dust": 1_000_001}, "dust bounds"),
        ({"insured": 10_001}, "insured bounds"),
        ({"of_accounts": ((10**9 + 1, 0), (0, 0))}, "bracket bounds"),
        ({"of_market": ((0, 5_001), (0, 5_000))}, "bracket rates"),
        ({"of_accounts": ((0, 10_001), (0, 0))}, "bracket rates"),
    ],
)
def test_bounds(margin, changes, reason):
    with reverts(f"margin_policy: {reason}"):
        margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(**changes), sender="admin")


def test_the_highest_terms_fit(margin):
    brackets = (10**9, 10_000), (10**9, 0)
    most = build_perpetual_market_terms(
        initial=10_000,
        maintenance=9_999,
        discount=50_000,
        haircut=10_000,
        max_funding=1_000,
        open_limit=10**12,
        dust=10**6,
        insured=10_000,
        of_accounts=brackets,
        of_market=brackets,
    )
    margin.do("MarginPolicy.set_terms", ETH, most, sender="admin")
    assert margin.read("MarginPolicy.terms_of", ETH) == most
    assert margin.read("MarginPolicy.base_of", ETH) == (0, WAD // 100)


def test_what_may_be_open_is_bounded_in_lots_and_in_the_asset(margin):
    for lot, most in ((1, 2**63 - 1), (10**21, 10**7)):
        with reverts("margin_policy: open bounds"):
            margin.do(
                "MarginPolicy.add_market",
                0,
                lot,
                build_perpetual_market_terms(open_limit=most + 1),
                sender="admin",
            )
        market = margin.do(
            "MarginPolicy.add_market", 0, lot, build_perpetual_market_terms(open_limit=most), sender="admin"
        )
        assert margin.read("MarginPolicy.open_limit", market) == most


@pytest.mark.parametrize(
    ("feed", "lot", "reason"),
    [
        (0, 0, "lot bounds"),
        (0, 10**21 + 1, "lot bounds"),
        (EQUITY_MARKET + 1, 1, "feed bounds"),
        (MAX_UINT256, 1, "feed bounds"),
    ],
)
def test_bounds_of_what_never_changes(margin, feed, lot, reason):
    with reverts(f"margin_policy: {reason}"):
        margin.do("MarginPolicy.add_market", feed, lot, build_perpetual_market_terms(), sender="admin")


def test_no_more_than_eight(margin):
    for market in range(2, 8):
        assert (
            margin.do("MarginPolicy.add_market", 0, WAD, build_perpetual_market_terms(), sender="admin")
            == market
        )
    with reverts("margin_policy: too many markets"):
        margin.do("MarginPolicy.add_market", 0, WAD, build_perpetual_market_terms(), sender="admin")


def test_prices_are_whole_wei_of_a_lot(margin):
    price = 60_123 * RAY + 987_654_321_987_654_321_987_654_321
    margin.report("WBTC", price)
    of_lot = price * (WAD // 1_000) // RAY
    assert margin.read("MarginPolicy.mark_price", BTC, 60) == (of_lot, of_lot, of_lot + 1)
    margin.do("MarginPolicy.add_market", 0, 1, build_perpetual_market_terms(), sender="admin")
    assert margin.read("MarginPolicy.mark_price", 2, 60) == (2_000, 2_000, 2_000)
    margin.report("WETH", 1)
    assert margin.read("MarginPolicy.mark_price", 2, 60) == (1, 1, 1)


def test_margins_are_exact(margin):
    margin.do(
        "MarginPolicy.set_terms",
        ETH,
        build_perpetual_market_terms(of_accounts=((1_000, 100), (2_000, 300))),
        sender="admin",
    )
    notional = 123 * 20 * WAD
    extra = (notional - 1_000 * WAD) * 100 + (notional - 2_000 * WAD) * 300
    assert margin.read("MarginPolicy.margin_requirement", ETH, -123, 20 * WAD, 0, False) == (
        20 * WAD,
        notional,
        notional * 1_000 + extra,
        notional * 500 + extra,
    )
    assert margin.read("MarginPolicy.maintenance", ETH, notional) == notional * 500 + extra
    # Nothing is gained at an edge.
    edge = [margin.read("MarginPolicy.maintenance", ETH, 1_000 * WAD + i) for i in (-1, 0, 1)]
    assert edge[1] - edge[0] == 500
    assert edge[2] - edge[1] == 600
