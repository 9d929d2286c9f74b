"""sell_salvage: leftover collateral of closed auctions is sold for the type's buffer."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import (
    NOBODY,
    WETH,
    XAU,
    get_only_event_values,
    read_stablecoins,
    take_collateral,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import BUFFER, lose_new_vault
from tests.support.settlement_steps import start_settlement

CALL = "CollateralAuction.sell_salvage"
# A loss of gold happens at this price; the top is 1.1 times as high.
PRICE = 25 * RAY // 100


@pytest.fixture
def lost(protocol):
    """8 gold are left over from a vault of 10,000."""
    lose_new_vault(protocol)
    assert protocol.read("VaultEngine.salvage_of", XAU) == 8 * WAD
    protocol.give_stablecoin("taker", 20_000 * WAD)
    return protocol


def sell(protocol) -> int:
    protocol.post_price("XAU", PRICE)
    return int(protocol.do(CALL, XAU, sender="stranger"))


def test_all_of_it_for_what_it_is_worth_at_the_top(lost):
    id = sell(lost)
    top, target = PRICE * 11 // 10, 8 * WAD * 11 // 40
    assert get_only_event_values(lost, "AuctionStarted") == (id, XAU, NOBODY, 8 * WAD, top, target * RAY, 0)
    auction = lost.read("CollateralAuction.auction_of", id)
    assert (auction.owner, auction.principal, auction.reward_budget) == (NOBODY, 0, 0)
    assert auction.started_at == lost.timestamp
    assert lost.read("VaultEngine.salvage_of", XAU) == 0
    assert lost.read("CollateralAuction.salvage_on_sale", XAU) == 8 * WAD
    assert lost.read("VaultEngine.in_auction_of", XAU) == 0
    assert id == lost.read("CollateralAuction.last_id")


def test_from_the_next_price_where_that_is_higher(lost):
    lost.post_price("XAU", PRICE)
    lost.post_next("XAU", 2 * PRICE)
    id = lost.do(CALL, XAU, sender="stranger")
    assert lost.read("CollateralAuction.auction_of", id).top == 2 * PRICE * 11 // 10


def test_the_target_is_rounded_up_to_a_millionth(lost):
    lost.do("CollateralAuction.set_buf", XAU, 10_001, sender="admin")
    lost.post_price("XAU", PRICE + 1)
    lost.do(CALL, XAU, sender="stranger")
    top = (PRICE + 1) * 10_001 // 10_000
    target = get_only_event_values(lost, "AuctionStarted")[5]
    assert target == -(-8 * WAD * top // 10**39) * 10**39


def test_what_it_brings_is_the_types_buffers(lost):
    id = sell(lost)
    lost.advance(3_600)
    buffer, held = lost.read("VaultEngine.buffer_of", XAU), read_stablecoins(lost, "taker")
    take_collateral(lost, id)
    paid = held - read_stablecoins(lost, "taker")
    # Gold's price falls to zero within four hours.
    assert paid == -(-8 * WAD * (PRICE * 11 // 10) * 3 // 4 // RAY)
    assert lost.read("VaultEngine.buffer_of", XAU) == buffer + paid * RAY
    assert lost.read("XAU.balanceOf", "taker") == 8 * 10**6
    # It pays the loss that it comes from.
    lost.do("LossWaterfall.cover", XAU, sender="stranger")
    covered = [log.values[2:] for log in lost.last.logs if log.event == "LossCovered"]
    assert covered[0] == (BUFFER, buffer + paid * RAY)


def test_a_sold_out_lot_is_no_longer_on_sale(lost):
    id = sell(lost)
    lost.advance(3_600)
    take_collateral(lost, id)
    assert lost.read("CollateralAuction.salvage_on_sale", XAU) == 0
    assert lost.read("CollateralAuction.auction_of", id).lot == 0
    # Whoever likes may clear it away; no loss is booked.
    deficit = lost.read("VaultEngine.deficit_of", XAU)
    lost.do("CollateralAuction.close", id, sender="stranger")
    assert lost.read("VaultEngine.deficit_of", XAU) == deficit


def test_at_the_top_the_target_is_filled(lost):
    id = sell(lost)
    take_collateral(lost, id)
    assert get_only_event_values(lost, "AuctionEnded")[1:] == (XAU, NOBODY, 0)
    assert lost.read("XAU.balanceOf", "taker") == 8 * 10**6


def test_what_a_filled_target_leaves_is_salvage_again(lost):
    """The price has risen tenfold, and a reset starts from there: the target stays what it was."""
    id = sell(lost)
    lost.advance(10_801)
    lost.post_price("XAU", 10 * PRICE)
    lost.do("CollateralAuction.reset", id, "liquidator", sender="liquidator")
    assert get_only_event_values(lost, "AuctionReset") == (id, 11 * PRICE, 0)
    held = read_stablecoins(lost, "taker")
    take_collateral(lost, id)
    assert held - read_stablecoins(lost, "taker") == 8 * WAD * 11 // 40
    returned = get_only_event_values(lost, "AuctionEnded")[3]
    assert returned == 8 * WAD - 8 * WAD // 10 // 10**12 * 10**12
    assert lost.read("VaultEngine.salvage_of", XAU) == returned
    lost.do(CALL, XAU, sender="stranger")


def test_a_part_as_of_any_lot(lost):
    lost.do("VaultEngine.set_debt_floor", XAU, 0, sender="admin")
    id = sell(lost)
    take_collateral(lost, id, 3 * WAD)
    assert lost.read("CollateralAuction.salvage_on_sale", XAU) == 5 * WAD
    take_collateral(lost, id, 5 * WAD)


def test_one_sale_at_a_time(lost):
    id = sell(lost)
    lose_new_vault(lost)
    with reverts("collateral_auction: on sale"):
        lost.do(CALL, XAU, sender="stranger")
    lost.do("CollateralAuction.reset", id, "liquidator", sender="liquidator")
    take_collateral(lost, id)
    assert lost.do(CALL, XAU, sender="stranger") == lost.read("CollateralAuction.last_id")


def test_a_lot_beyond_its_field_is_sold_in_parts(protocol):
    """A token with a huge supply, at a price so high that the target is cut to its field's maximum."""
    collateral = 2**103 - 2**103 % 10**18
    salvage = 3 * collateral
    for _ in range(3):
        protocol.post_price("WETH", RAY // 10**8)
        debt = collateral // 10**8 * 10_000 // 16_000
        protocol.borrow("attacker", "WETH", collateral, debt)
        protocol.post_price("WETH", 1)
        id = protocol.do("LiquidationEngine.liquidate", WETH, "attacker", "stranger", sender="stranger")
        end = protocol.timestamp + 4 * 3_600
        while protocol.timestamp < end:
            protocol.post_price("WETH", 1)
        protocol.do("CollateralAuction.close", id, sender="stranger")
    assert protocol.read("VaultEngine.salvage_of", WETH) == salvage
    protocol.post_price("WETH", RAY)
    id = protocol.do(CALL, WETH, sender="stranger")
    auction = protocol.read("CollateralAuction.auction_of", id)
    assert auction.lot == 10**31
    assert auction.target == (2**48 - 1) * 10**39
    assert protocol.read("VaultEngine.salvage_of", WETH) == salvage - 10**31


def test_needs_salvage(protocol):
    with reverts("collateral_auction: no salvage"):
        protocol.do(CALL, WETH, sender="stranger")


def test_needs_a_fresh_price(lost):
    lost.advance(14_401)
    with reverts("collateral_auction: no price"):
        lost.do(CALL, XAU, sender="stranger")


def test_at_the_last_price_of_a_dead_feed(lost):
    lost.do("PriceFeed.set_guards", XAU, 0, 1, 0, 86_400, sender="admin")
    lost.advance(14_400 + 86_400 + 1)
    last = lost.read("PriceFeed.last_price", XAU)
    id = lost.do(CALL, XAU, sender="stranger")
    assert lost.read("CollateralAuction.auction_of", id).top == last * 11 // 10


@pytest.mark.parametrize("level", [1, 2])
def test_stopped(lost, level):
    lost.post_price("XAU", PRICE)
    lost.do("CollateralAuction.set_stop", XAU, level, sender="admin")
    with reverts("collateral_auction: no starts"):
        lost.do(CALL, XAU, sender="stranger")


def test_not_of_an_unknown_type(protocol):
    with reverts("collateral_auction: no terms"):
        protocol.do(CALL, 3, sender="stranger")


def test_not_in_settlement(lost):
    start_settlement(lost)
    lost.post_price("XAU", PRICE)
    with reverts("ledger: in settlement"):
        lost.do(CALL, XAU, sender="stranger")


def test_losses_of_the_sale_are_nobodys(lost):
    """The deficit was booked when the auction closed: a sale changes none of it."""
    deficit = lost.read("VaultEngine.deficit_of", XAU)
    sell(lost)
    assert lost.read("VaultEngine.deficit_of", XAU) == deficit > 9_000 * RAD
