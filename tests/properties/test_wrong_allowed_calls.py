"""Reasons of the margin market to refuse a call, wrong in contract and model alike: a property notices."""

import pytest

from backstop.contract_base import RevertError
from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.model import cycle_book, margin_orders, margin_policy, perpetual_market, perpetual_trading
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from tests.support.market_delisting import announce_delisting
from tests.support.model_only_perpetuals_with_properties import (
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import ETH, HOUSE, ORDERS, RULES, TRADING

MODULES = (cycle_book, margin_orders, margin_policy, perpetual_trading, perpetual_market)


@pytest.fixture
def crowd():
    made = open_watched_crowd_on_model()
    made.deposit("rich", 10_000 * WAD)
    return made


def make_wrong(monkeypatch, wrong, holds):
    """Make one reason hold never, or always."""

    def require(condition, reason):
        if not (holds if reason == wrong else condition):
            raise RevertError(reason)

    for module in MODULES:
        if hasattr(module, "require"):
            monkeypatch.setattr(module, "require", require)


def fill(crowd, *nonces, prices):
    """Fill a trade of a lot between two accounts; the maker buys."""
    args = []
    for i, (name, way) in enumerate((("first", 1), ("other", -1))):
        order = Order(
            crowd.get_contract_or_account_address(name), ETH, way, prices[i], MAX_UINT256, nonces[i]
        )
        args += [
            order,
            sign_order(name, order, crowd.world.chain_id, crowd.get_contract_or_account_address(ORDERS)),
        ]
    return crowd.apply_call_and_report_success(f"{ORDERS}.fill", *args, 1, sender="matcher")


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
        "trading: price bounds",
        "trading: no mark yet",
        "trading: outside the band",
        "trading: owes, only pays in",
        "perpetuals: price is final",
        "cycle_book: too many lots",
        "trading: open limit",
        "trading: initial margin",
        "trading: in settlement",
        "trading: no price for risk",
    ],
)
def test_a_trade_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    sides = ("rich", "other") if reason == "trading: open limit" else ("other", "first")
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(220, lambda: crowd.trades(*sides, 1))


@pytest.mark.parametrize("reason", ["trading: insolvent", "trading: margin would fall"])
def test_who_reduces_is_refused_for_nothing(crowd, monkeypatch, reason):
    if reason == "trading: margin would fall":
        crowd.mark(ETH, 175 * WAD // 10)
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(220, lambda: crowd.trades("long", "first", -1))


@pytest.mark.parametrize(
    "reason",
    [
        "trading: own account",
        "trading: not that many",
        "trading: no price of now",
        "trading: safe account",
        "trading: price is final",
    ],
)
def test_a_liquidation_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    if reason == "trading: price is final":
        announce_delisting(crowd)
    crowd.mark(ETH, 175 * WAD // 10)
    make_wrong(monkeypatch, reason, False)
    args = crowd.get_contract_or_account_address("long"), ETH, 1
    expect_violation_of_property(
        220, lambda: crowd.apply_call_and_report_success(f"{TRADING}.liquidate", *args, sender="other")
    )


@pytest.mark.parametrize(
    "reason", ["trading: not its owner", "trading: no price for lots", "trading: not so many lots"]
)
def test_lots_of_nobody_that_are_refused_for_nothing(crowd, monkeypatch, reason):
    crowd.mark(ETH, 16 * WAD)
    crowd.seize_insolvent("long")
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(
        220, lambda: crowd.apply_call_and_report_success(f"{TRADING}.take", ETH, 1, sender="other")
    )


@pytest.mark.parametrize("reason", ["perpetuals: not its owner", "perpetuals: more than it has"])
def test_a_withdrawal_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(
        220,
        lambda: crowd.apply_call_and_report_success(
            f"{HOUSE}.withdraw", 1, crowd.get_contract_or_account_address("purse"), sender="other"
        ),
    )


def test_a_withdrawal_that_is_refused_after_a_sleep(crowd, monkeypatch):
    """Two cycles after it was touched, one of them with a loss."""
    crowd.mark(ETH, 16 * WAD)
    crowd.advance_cycle()
    crowd.seize_insolvent("long")
    crowd.advance_clock(RULES.quiet)
    for _ in range(3):
        crowd.advance_cycle()
    make_wrong(monkeypatch, "trading: initial margin", False)
    expect_violation_of_property(
        220,
        lambda: crowd.apply_call_and_report_success(
            f"{HOUSE}.withdraw", 1, crowd.get_contract_or_account_address("purse"), sender="second"
        ),
    )


def test_a_floor_that_is_refused_for_nothing(crowd, monkeypatch):
    make_wrong(monkeypatch, "margin_orders: floor only rises", False)
    expect_violation_of_property(
        220, lambda: crowd.apply_call_and_report_success(f"{ORDERS}.raise_nonce", 1, sender="other")
    )


def test_a_reason_that_is_looked_at_too_late(crowd, monkeypatch):
    """A debtor learns that the trade is out of the band only if it is not in it."""
    make_wrong(monkeypatch, "trading: outside the band", True)
    crowd.mark(ETH, 16 * WAD)
    expect_violation_of_property(220, lambda: crowd.trades("long", "first", -1, price=18 * WAD))


# ------------------------------------------------------------------------ successes


def test_two_orders_of_one_nonce(crowd, monkeypatch):
    """They meet at different limits, so that the matcher chooses the price."""
    make_wrong(monkeypatch, "margin_orders: taker was first", True)
    price = crowd.price(ETH)
    expect_violation_of_property(221, lambda: fill(crowd, 7, 7, prices=(price, price - 1)))


def test_an_order_that_is_not_signed_yet(crowd, monkeypatch):
    make_wrong(monkeypatch, "margin_orders: not signed yet", True)
    price, later = crowd.price(ETH), (crowd.world.timestamp + 1) * 10**9
    assert fill(crowd, 6, later - 1, prices=(price, price - 1))
    expect_violation_of_property(221, lambda: fill(crowd, 7, later, prices=(price, price - 1)))


def test_a_floor_that_falls(crowd, monkeypatch):
    crowd.do(f"{ORDERS}.raise_nonce", 9, sender="other")
    make_wrong(monkeypatch, "margin_orders: floor only rises", True)
    expect_violation_of_property(
        221, lambda: crowd.apply_call_and_report_success(f"{ORDERS}.raise_nonce", 8, sender="other")
    )
