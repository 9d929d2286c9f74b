"""The taker without capital: it sells what it takes inside the take, or takes nothing."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.discount_steps import build_discount_parameters
from tests.support.revert_setter_and_source_helpers import reverts

WETH = 0


@pytest.fixture
def auction(protocol):
    """An auction of 10 WETH for 14,000 and the penalty, and a deep market at the same price of 1,900."""
    protocol.borrow("borrower", "WETH", 10 * WAD, 13_000 * WAD)
    protocol.provide("WETH", 10_000 * WAD, 19_000_000 * WAD)
    protocol.post_price("WETH", 1_880 * RAY)
    return protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "liquidator", sender="liquidator")


def take(protocol, auction, *, min_profit=0, market="Market.WETH", sender="taker", max_price=MAX_UINT256):
    return protocol.do(
        "FlashTaker.take_and_sell", auction, MAX_UINT256, max_price, market, min_profit, sender=sender
    )


def test_the_profit_goes_to_the_owner(protocol, auction):
    protocol.advance(1_800)
    profit = take(protocol, auction)
    assert profit > 0
    assert protocol.read("Stablecoin.balanceOf", "taker") == profit
    assert protocol.read("Stablecoin.balanceOf", "FlashTaker") == 0
    assert protocol.read("WETH.balanceOf", "FlashTaker") == 0
    assert protocol.last.logs[-2].event == "FlashTaken"


def test_a_sale_that_does_not_pay_for_the_collateral_reverts(protocol, auction):
    with reverts("flash_taker: sold at a loss"):
        take(protocol, auction)


def test_too_little_profit_reverts(protocol, auction):
    protocol.advance(1_800)
    profit = take_quietly(protocol, auction)
    with reverts("flash_taker: not enough profit"):
        take(protocol, auction, min_profit=profit + 1)
    assert take(protocol, auction, min_profit=profit) == profit


def take_quietly(protocol, auction):
    """Return the proceeds of a take now, found on the model alone."""
    world = protocol.lockstep.model.world
    mark = world.mark()
    taker = world.contracts["FlashTaker"]
    market = protocol.address("Market.WETH")
    profit = taker.take_and_sell(protocol.address("taker"), auction, MAX_UINT256, MAX_UINT256, market, 0)
    world.roll_back(mark)
    return profit


def test_only_the_owner_uses_it(protocol, auction):
    with reverts("flash_taker: not owner"):
        take(protocol, auction, sender="stranger")


def test_only_the_auction_calls_back(protocol):
    with reverts("flash_taker: not auction"):
        protocol.do("FlashTaker.on_auction_take", "FlashTaker", 1, 1, 1, bytes(32), sender="stranger")


def test_nobody_else_makes_the_auction_call_it(protocol, auction):
    protocol.advance(1_800)
    protocol.give_stablecoin("stranger", 20_000 * WAD)
    with reverts("flash_taker: not taker"):
        protocol.do(
            "CollateralAuction.take",
            auction,
            MAX_UINT256,
            MAX_UINT256,
            "FlashTaker",
            bytes(32),
            sender="stranger",
        )


@pytest.fixture
def discounted(new_protocol):
    """A vault of 10 WETH that is sold at a discount at 1,700, and a deep market at 1,700."""
    protocol = new_protocol(build_discount_parameters(), prices=True)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    protocol.provide("WETH", 10_000 * WAD, 17_000_000 * WAD)
    protocol.post_price("WETH", 1_700 * RAY)
    return protocol


def buy(protocol, *, min_profit=0, sender="taker", max_repay=1_000 * WAD):
    args = (WETH, "borrower", MAX_UINT256, max_repay, MAX_UINT256, "Market.WETH", min_profit)
    return protocol.do("FlashTaker.liquidate_and_sell", *args, sender=sender)


def test_a_purchase_of_a_vault_pays_itself(discounted):
    with discounted.lockstep.fork_state():
        profit = buy(discounted)
    with reverts("flash_taker: not enough profit"):
        buy(discounted, min_profit=profit + 1)
    assert buy(discounted, min_profit=profit) == profit > 0
    assert discounted.read("Stablecoin.balanceOf", "taker") == profit
    assert discounted.read("Stablecoin.balanceOf", "FlashTaker") == 0


def test_a_purchase_that_the_market_does_not_pay_reverts(discounted):
    discounted.provide("WETH", 10_000 * WAD, 16_000_000 * WAD)
    with reverts("flash_taker: sold at a loss"):
        buy(discounted)


def test_only_the_owner_buys(discounted):
    with reverts("flash_taker: not owner"):
        buy(discounted, sender="stranger")
