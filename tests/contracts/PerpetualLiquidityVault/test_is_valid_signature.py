"""isValidSignature: the orders that the pool signs, and no others."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.model.perpetual_liquidity_vault import encode_offer
from tests.support.market_with_pool import POOL
from tests.support.perpetual_test_market import BTC, ETH, ORDERS
from tests.support.revert_setter_and_source_helpers import reverts

YES, NO = bytes.fromhex("1626ba7e"), b"\xff" * 4


@pytest.fixture
def quoted(offered):
    """A long of 100 lots at 16, of which 25 are for sale."""
    offered.take_unassigned_lots(100)
    offered.request_pool_quote()
    return offered


def says(pool, size=-25, price=None, market=ETH, expiry=MAX_UINT256, nonce=7, **other):
    """Return the answer to an order, and to another order's digest where that answer differs."""
    price = pool.compute_worst_quote_price() if price is None else price
    order = Order(pool.market.get_contract_or_account_address(POOL), market, size, price, expiry, nonce, True)
    digest = pool.market.read(f"{ORDERS}.digest_of", order._replace(**other))
    return pool.read("isValidSignature", digest, encode_offer(market, size, price, expiry, nonce))


def test_sizes(quoted):
    assert says(quoted) == says(quoted, -1) == YES
    assert says(quoted, -26) == says(quoted, 0) == says(quoted, 25) == NO
    assert says(quoted, -(2**255)) == says(quoted, 2**255 - 1) == NO


def test_prices(quoted):
    assert says(quoted, price=quoted.compute_worst_quote_price() - 1) == NO
    assert (
        says(quoted, price=quoted.compute_worst_quote_price() + 1) == says(quoted, price=MAX_UINT256) == YES
    )


def test_only_its_own_orders_that_reduce(quoted):
    assert says(quoted, reduce_only=False) == NO
    assert says(quoted, account=quoted.market.get_contract_or_account_address("ann")) == NO
    assert says(quoted, nonce=8) == YES
    for change in ({"market": BTC}, {"size": -24}, {"price": 1}, {"expiry": 1}):
        order = dict(
            size=-25, price=quoted.compute_worst_quote_price(), market=ETH, expiry=MAX_UINT256, nonce=7
        )
        digest = quoted.market.read(
            f"{ORDERS}.digest_of",
            Order(quoted.market.get_contract_or_account_address(POOL), **(order | change), reduce_only=True),
        )
        signature = encode_offer(*(order[name] for name in ("market", "size", "price", "expiry", "nonce")))
        assert quoted.read("isValidSignature", digest, signature) == NO
    assert says(quoted, market=BTC, price=MAX_UINT256) == NO


def test_while_the_quote_runs_and_while_there_is_a_mark(quoted):
    quoted.market.advance_clock(60)
    assert says(quoted) == YES
    quoted.market.advance_clock(1)
    assert says(quoted) == NO
    quoted.market.report_current_prices_again()
    assert says(quoted) == YES
    quoted.market.advance_clock(600 - 62)
    quoted.market.report_current_prices_again()
    assert says(quoted) == YES
    quoted.market.advance_clock(1)
    assert says(quoted) == NO


def test_by_the_feed_and_not_by_the_last_mark(quoted):
    """A price counts as the mark although no call has updated the market yet."""
    price = quoted.compute_worst_quote_price()
    quoted.market.report(ETH, -(-161 * WAD // 10 * 10**27 // (WAD // 100)))
    assert quoted.market.price(ETH) == 16 * WAD
    assert says(quoted, price=price) == NO
    assert says(quoted, price=161 * WAD // 10 * 1_002 // 1_000) == YES


def test_a_short_is_bought_back_under_the_mark(offered):
    market = offered.market
    market.deposit("short", 8_000 * WAD)
    market.trade("other", "short", 2_000)
    market.mark(ETH, 24 * WAD)
    assert market.seize_insolvent("short")
    offered.take_unassigned_lots(100)
    assert offered.read_pool_position_size() == -100
    offered.request_pool_quote()
    most = 24 * WAD * 998 // 1_000
    assert offered.compute_worst_quote_price() == most
    assert says(offered, 25, most) == says(offered, 25, 1) == YES
    assert says(offered, 25, most + 1) == says(offered, 26, most) == NO
    assert says(offered, -25, most) == says(offered, 0, most) == NO
    offered.fill("other", 25, most)
    assert offered.read_pool_position_size() == -75


@pytest.mark.parametrize("short", [False, True])
def test_the_spread_is_rounded_for_the_pool(offered, short):
    market = offered.market
    if short:
        market.deposit("short", 8_000 * WAD)
        market.trade("other", "short", 2_000)
        market.mark(ETH, 24 * WAD)
        assert market.seize_insolvent("short")
    offered.take_unassigned_lots(100)
    offered.request_pool_quote()
    mark = market.price(ETH) + 1
    market.mark(ETH, mark)
    exact = mark * (998 if short else 1_002)
    assert exact % 1_000
    price = exact // 1_000 + (not short)
    lots = 25 if short else -25
    assert says(offered, lots, price) == YES
    assert says(offered, lots, price + (1 if short else -1)) == NO


def test_what_is_no_order_fails(quoted):
    for signature in (b"", b"\0" * 159, b"\0" * 161, b"\0" * 224):
        with reverts(""):
            quoted.read("isValidSignature", bytes(32), signature)
