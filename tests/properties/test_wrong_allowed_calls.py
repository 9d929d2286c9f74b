"""Reasons of the margin market to refuse a call, wrong in contract and model alike: a property notices."""

import pytest

from backstop.deployment.devnet_signing import sign_order
from backstop.model import cycle_book, margin_orders, margin_policy, perpetual_desk, perpetual_market
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.model.state import RevertError
from tests.support.market_delisting import announce_delisting
from tests.support.perpetuals import DESK, ETH, HOUSE, ORDERS, RULES
from tests.support.perpetuals_with_properties import crowd_on_the_model, expect_property_violation

MODULES = (cycle_book, margin_orders, margin_policy, perpetual_desk, perpetual_market)


@pytest.fixture
def crowd():
    made = crowd_on_the_model()
    made.deposit("rich", 10_000 * WAD)
    return made


def make_wrong(monkeypatch, wrong, holds):
    """Have one reason hold never, or always."""

    def require(condition, reason):
        if not (holds if reason == wrong else condition):
            raise RevertError(reason)

    for module in MODULES:
        if hasattr(module, "require"):
            monkeypatch.setattr(module, "require", require)


def fill(crowd, *nonces, prices):
    """Have two accounts trade a lot, the maker buys."""
    args = []
    for i, (name, way) in enumerate((("first", 1), ("other", -1))):
        order = Order(crowd.at(name), ETH, way, prices[i], MAX_UINT256, nonces[i])
        args += [order, sign_order(name, order, crowd.world.chain_id, crowd.at(ORDERS))]
    return crowd.tries(f"{ORDERS}.fill", *args, 1, sender="matcher")


@pytest.mark.parametrize(
    "reason",
    [
        "margin_orders: same account",
        "margin_orders: other market",
        "margin_orders: same side",
        "margin_orders: taker's limit",
        "margin_orders: not its signer",
        "margin_orders: expired",
        "margin_orders: nonce is void",
        "margin_orders: not so much left",
        "margin_orders: taker was first",
        "margin_orders: not signed yet",
        "desk: price bounds",
        "desk: no mark yet",
        "desk: outside the band",
        "desk: owes, only pays in",
        "perpetuals: price is final",
        "cycle_book: too many lots",
        "desk: open limit",
        "desk: initial margin",
        "desk: in settlement",
        "desk: no price for risk",
    ],
)
def test_a_trade_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    sides = ("rich", "other") if reason == "desk: open limit" else ("other", "first")
    make_wrong(monkeypatch, reason, False)
    expect_property_violation(220, lambda: crowd.trades(*sides, 1))


@pytest.mark.parametrize("reason", ["desk: insolvent", "desk: margin would fall"])
def test_who_reduces_is_refused_for_nothing(crowd, monkeypatch, reason):
    if reason == "desk: margin would fall":
        crowd.mark(ETH, 175 * WAD // 10)
    make_wrong(monkeypatch, reason, False)
    expect_property_violation(220, lambda: crowd.trades("long", "first", -1))


@pytest.mark.parametrize(
    "reason",
    [
        "desk: own account",
        "desk: not that many",
        "desk: no price of now",
        "desk: safe account",
        "desk: price is final",
    ],
)
def test_a_liquidation_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    if reason == "desk: price is final":
        announce_delisting(crowd)
    crowd.mark(ETH, 175 * WAD // 10)
    make_wrong(monkeypatch, reason, False)
    args = crowd.at("long"), ETH, 1
    expect_property_violation(220, lambda: crowd.tries(f"{DESK}.liquidate", *args, sender="other"))


@pytest.mark.parametrize(
    "reason", ["desk: not its owner", "desk: no price for lots", "desk: not so many lots"]
)
def test_lots_of_nobody_that_are_refused_for_nothing(crowd, monkeypatch, reason):
    crowd.mark(ETH, 16 * WAD)
    crowd.meet("long")
    make_wrong(monkeypatch, reason, False)
    expect_property_violation(220, lambda: crowd.tries(f"{DESK}.take", ETH, 1, sender="other"))


@pytest.mark.parametrize("reason", ["perpetuals: not its owner", "perpetuals: more than it has"])
def test_a_withdrawal_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    make_wrong(monkeypatch, reason, False)
    expect_property_violation(
        220, lambda: crowd.tries(f"{HOUSE}.withdraw", 1, crowd.at("purse"), sender="other")
    )


def test_a_withdrawal_that_is_refused_after_a_sleep(crowd, monkeypatch):
    """Two cycles after it was touched, one of them with a loss."""
    crowd.mark(ETH, 16 * WAD)
    crowd.roll()
    crowd.meet("long")
    crowd.advance(RULES.quiet)
    for _ in range(3):
        crowd.roll()
    make_wrong(monkeypatch, "desk: initial margin", False)
    expect_property_violation(
        220, lambda: crowd.tries(f"{HOUSE}.withdraw", 1, crowd.at("purse"), sender="second")
    )


def test_a_floor_that_is_refused_for_nothing(crowd, monkeypatch):
    make_wrong(monkeypatch, "margin_orders: floor only rises", False)
    expect_property_violation(220, lambda: crowd.tries(f"{ORDERS}.raise_nonce", 1, sender="other"))


def test_a_reason_that_is_looked_at_too_late(crowd, monkeypatch):
    """Who owes learns that the trade is out of the band only if it is not in it."""
    make_wrong(monkeypatch, "desk: outside the band", True)
    crowd.mark(ETH, 16 * WAD)
    expect_property_violation(220, lambda: crowd.trades("long", "first", -1, price=18 * WAD))


# ------------------------------------------------------------------------ successes


def test_two_orders_of_one_nonce(crowd, monkeypatch):
    """They meet at different limits, so that whoever matches chooses the price."""
    make_wrong(monkeypatch, "margin_orders: taker was first", True)
    price = crowd.price(ETH)
    expect_property_violation(221, lambda: fill(crowd, 7, 7, prices=(price, price - 1)))


def test_an_order_that_is_not_signed_yet(crowd, monkeypatch):
    make_wrong(monkeypatch, "margin_orders: not signed yet", True)
    price, later = crowd.price(ETH), (crowd.world.timestamp + 1) * 10**9
    assert fill(crowd, 6, later - 1, prices=(price, price - 1))
    expect_property_violation(221, lambda: fill(crowd, 7, later, prices=(price, price - 1)))


def test_a_floor_that_falls(crowd, monkeypatch):
    crowd.do(f"{ORDERS}.raise_nonce", 9, sender="other")
    make_wrong(monkeypatch, "margin_orders: floor only rises", True)
    expect_property_violation(221, lambda: crowd.tries(f"{ORDERS}.raise_nonce", 8, sender="other"))
