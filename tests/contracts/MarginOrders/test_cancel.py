"""cancel and raise_nonce: an order that its account has taken back is void for good."""

import pytest

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.margin_order_steps import ETH, build_order, build_signed_order
from tests.support.revert_setter_and_source_helpers import reverts

PRICE = 20 * WAD


@pytest.fixture
def orders(margin):
    buy, sell = build_order("maker", ETH, 100, PRICE, nonce=7), build_order("taker", ETH, -60, PRICE, nonce=7)
    return build_signed_order(margin, "maker", buy), build_signed_order(margin, "taker", sell)


def match(protocol, orders):
    protocol.do("MarginOrders.fill", *orders[0], *orders[1], 1, sender="matcher")


def test_a_cancelled_order_is_never_filled_again(margin, orders):
    match(margin, orders)
    margin.do("MarginOrders.cancel", orders[0][0], sender=get_trader_account("maker"))
    digest = margin.read("MarginOrders.digest_of", orders[0][0])
    assert get_only_event_values(margin, "Cancelled", "MarginOrders") == (get_trader_account("maker"), digest)
    assert margin.read("MarginOrders.filled", digest) == MAX_UINT256
    with reverts("margin_orders: not so much left"):
        match(margin, orders)
    other = build_signed_order(margin, "maker", orders[0][0]._replace(nonce=6))
    match(margin, (other, orders[1]))


def test_its_account_only(margin, orders):
    with reverts("margin_orders: not its account"):
        margin.do("MarginOrders.cancel", orders[0][0], sender="matcher")


def test_a_floor_voids_all_under_it(margin, orders):
    margin.do("MarginOrders.raise_nonce", 7, sender=get_trader_account("maker"))
    match(margin, orders)
    margin.do("MarginOrders.raise_nonce", 8, sender=get_trader_account("maker"))
    assert get_only_event_values(margin, "NonceRaised", "MarginOrders") == (get_trader_account("maker"), 8)
    assert margin.read("MarginOrders.nonce_floor", get_trader_account("maker")) == 8
    with reverts("margin_orders: nonce is void"):
        match(margin, orders)


@pytest.mark.parametrize("new", [0, 7, 8])
def test_a_floor_only_rises(margin, new):
    margin.do("MarginOrders.raise_nonce", 8, sender=get_trader_account("maker"))
    with reverts("margin_orders: floor only rises"):
        margin.do("MarginOrders.raise_nonce", new, sender=get_trader_account("maker"))


@pytest.mark.parametrize("name", ["maker#1", "maker#255"])
def test_an_account_of_ones_own(margin, name):
    """Its orders are cancelled, and its floor is raised, by its address; other accounts' stay."""
    mine = build_order(name, ETH, 100, PRICE, nonce=7)
    for sender in (get_trader_account("taker"), get_trader_account(name)[:-4] + "0000"):
        with reverts("margin_orders: not its account"):
            margin.do("MarginOrders.cancel", mine, sender=sender)
        with reverts("margin_orders: not its owner"):
            margin.do("MarginOrders.raise_nonce", 8, get_trader_account(name), sender=sender)
    margin.do("MarginOrders.cancel", mine, sender=get_trader_account("maker"))
    assert get_only_event_values(margin, "Cancelled", "MarginOrders")[0] == get_trader_account(name)
    margin.do("MarginOrders.raise_nonce", 8, get_trader_account(name), sender=get_trader_account("maker"))
    assert get_only_event_values(margin, "NonceRaised", "MarginOrders") == (get_trader_account(name), 8)
    floors = [
        margin.read("MarginOrders.nonce_floor", get_trader_account(each))
        for each in (name, "maker", "maker#2")
    ]
    assert floors == [8, 0, 0]
    assert margin.read("MarginOrders.filled", margin.read("MarginOrders.digest_of", mine)) == MAX_UINT256
    other = margin.read("MarginOrders.digest_of", mine._replace(account=get_trader_account("maker")))
    assert margin.read("MarginOrders.filled", other) == 0
    # The own one may be named as well.
    margin.do("MarginOrders.raise_nonce", 9, get_trader_account("maker"), sender=get_trader_account("maker"))
    assert margin.read("MarginOrders.nonce_floor", get_trader_account("maker")) == 9
