"""A taker without a stablecoin of its own sells in the market what it takes, within the take."""

import pytest

from backstop.model.arithmetic import RAY, WAD, rpow
from tests.support.auction_steps import ALL, WETH, get_only_event_values, read_stablecoins, start_auction
from tests.support.revert_setter_and_source_helpers import reverts

TARGET = 13_560 * WAD


def shallow(quiet, stable):
    """A lot of 10 WETH for 13,560 and a market at the same 1,500 as the feed; half an hour has passed."""
    protocol = quiet()
    # The market maker's own vault is drawn on while the price is 2,000.
    protocol.provide("WETH", stable * WAD // 1_500, stable * WAD)
    assert start_auction(protocol) == 1
    protocol.advance(1_800)
    return protocol


def auction_price():
    """1,800, less 1% every 90 seconds for half an hour."""
    return 1_800 * RAY * rpow(99 * RAY // 100, 20) // RAY


def proceeds(protocol, amount):
    """Return the market's payment for collateral: in * out constant, 30 basis points of the input as fee."""
    stable, collateral = (protocol.read(f"Market.WETH.{each}_reserve") for each in ("stable", "collateral"))
    return amount * 9_970 * stable // (collateral * 10_000 + amount * 9_970)


def flash_take(protocol, amount=ALL, min_profit=0, max_price=ALL):
    return protocol.do(
        "FlashTaker.take_and_sell", 1, amount, max_price, "Market.WETH", min_profit, sender="taker"
    )


def test_a_deep_market_pays_for_the_lot_and_a_profit(quiet):
    protocol = shallow(quiet, 3_000_000)
    price = auction_price()
    slice = TARGET * RAY // price
    earned = proceeds(protocol, slice) - TARGET
    assert 0 < earned < 300 * WAD
    with reverts("flash_taker: not enough profit"):
        flash_take(protocol, min_profit=earned + 1)
    with reverts("dutch_auction: price too high"):
        flash_take(protocol, max_price=price - 1)
    assert read_stablecoins(protocol, "taker") == 0
    assert flash_take(protocol, min_profit=earned, max_price=price) == earned
    assert get_only_event_values(protocol, "Taken")[2:] == (slice, TARGET, 0)
    assert read_stablecoins(protocol, "taker") == earned
    # The rest of the lot is the borrower's again, nothing stays with the contract in between.
    vault = protocol.table("VaultEngine", "vaults", (WETH, protocol.address("borrower")))
    assert vault.locked_collateral == 10 * WAD - slice
    assert read_stablecoins(protocol, "FlashTaker") == protocol.read("WETH.balanceOf", "FlashTaker") == 0
    assert protocol.read("VaultEngine.in_auction_of", WETH) == 0


def test_in_a_shallow_market_only_a_slice_pays(quiet):
    protocol = shallow(quiet, 90_000)
    price = auction_price()
    whole, part = TARGET * RAY // price, WAD // 2
    assert proceeds(protocol, whole) < TARGET
    with reverts("flash_taker: sold at a loss"):
        flash_take(protocol)

    paid = -(-part * price // RAY)
    earned = proceeds(protocol, part) - paid
    assert earned > 0
    assert flash_take(protocol, part) == earned == read_stablecoins(protocol, "taker")
    assert protocol.read("CollateralAuction.auction_of", 1)[2] == 10 * WAD - part
    # The sale has moved the market: the same slice again is worth less than it costs.
    assert proceeds(protocol, part) < paid
    with reverts("flash_taker: sold at a loss"):
        flash_take(protocol, part)
    # Half an hour later the auction has come down to the market.
    protocol.advance(1_800)
    assert flash_take(protocol, part) > 0


def test_too_early_nobody_can_sell_at_a_profit(quiet):
    protocol = quiet()
    protocol.provide("WETH", 2_000 * WAD, 3_000_000 * WAD)
    start_auction(protocol)
    with reverts("flash_taker: sold at a loss"):
        flash_take(protocol)
    with reverts("flash_taker: sold at a loss"):
        flash_take(protocol, 2 * WAD)
    assert protocol.read("CollateralAuction.auction_of", 1)[2] == 10 * WAD


@pytest.mark.parametrize("stable", [3_000_000, 90_000])
def test_who_lost_what_the_taker_earned(quiet, stable):
    protocol = shallow(quiet, stable)
    before = protocol.read("Market.WETH.stable_reserve")
    debt = protocol.read("VaultEngine.in_auction_of", WETH)
    earned = flash_take(protocol, WAD // 4)
    paid = get_only_event_values(protocol, "Taken")[3]
    # The market's stablecoins have gone to the protocol and the taker, to the last wei.
    assert before - protocol.read("Market.WETH.stable_reserve") == paid + earned
    assert debt - protocol.read("VaultEngine.in_auction_of", WETH) == paid * RAY
    assert protocol.read("Market.WETH.price") < 1_500 * RAY
