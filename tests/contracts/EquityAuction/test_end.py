"""end: unsold equity returns, and the later stages pay."""

import pytest

from backstop.model.arithmetic import RAD, WAD
from tests.support.equity_steps import (
    ALL,
    XAU,
    call_waterfall_cover_once,
    read_last_call_events,
    take_from_equity_auction,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault
from tests.support.settlement_steps import start_settlement

NAME = "MintAuction"
HOURS = 36_000


def test_not_before_the_deadline(auction):
    for seconds in (0, HOURS - 1, 1):
        auction.advance(seconds)
        with reverts("equity_auction: still open"):
            auction.do(f"{NAME}.end", XAU, sender="stranger")
    auction.advance(1)
    auction.do(f"{NAME}.end", XAU, sender="stranger")


@pytest.mark.parametrize("c", [0, 31, 2**256 - 1])
def test_no_auction(auction, c):
    with reverts("equity_auction: no auction"):
        auction.do(f"{NAME}.end", c, sender="stranger")


def test_returns_and_releases(auction):
    take_from_equity_auction(auction, WAD)
    found = auction.read(f"{NAME}.auction_of", XAU)
    auction.advance(HOURS + 1)
    auction.do(f"{NAME}.end", XAU, sender="stranger")
    assert read_last_call_events(auction, "AuctionEnded", NAME) == [(XAU, found.lot, found.target)]
    assert read_last_call_events(auction, "ReservationReleased", "LossWaterfall")[0][2:] == (0, found.target)
    assert auction.read("Equity.issue_of_epoch").booked == 0
    assert auction.read("LossWaterfall.reserved", XAU, 0) == 0
    with reverts("equity_auction: no auction"):
        auction.do(f"{NAME}.end", XAU, sender="stranger")


def test_the_later_stages_pay_what_it_did_not(auction):
    assets = auction.read("Savings.totalAssets")
    assert call_waterfall_cover_once(auction) == 0
    auction.advance(HOURS + 1)
    assert call_waterfall_cover_once(auction) == 0
    auction.do(f"{NAME}.end", XAU, sender="stranger")
    assert auction.read(f"{NAME}.capacity", XAU) != ALL
    call_waterfall_cover_once(auction)
    assert auction.read("VaultEngine.deficit_of", XAU) == 0
    assert assets - auction.read("Savings.totalAssets") > 10_000 * WAD


def test_nobody_holds_them_back_by_starting_again(scarce):
    """In the epoch in which it gave up it does not start again; in the next it does."""
    epoch = scarce.parameters.epoch_length
    scarce.advance(epoch - scarce.timestamp % epoch)
    assert call_waterfall_cover_once(scarce) == 4_000 * RAD
    scarce.advance(HOURS + 1)
    scarce.do(f"{NAME}.end", XAU, sender="stranger")
    call_waterfall_cover_once(scarce)
    assert not read_last_call_events(scarce, "AuctionStarted", NAME)
    lose_new_vault(scarce)
    assert scarce.timestamp // epoch == scarce.read("LossWaterfall.last_epoch", XAU)
    call_waterfall_cover_once(scarce)
    assert not read_last_call_events(scarce, "AuctionStarted", NAME)

    scarce.advance(epoch - scarce.timestamp % epoch)
    lose_new_vault(scarce)
    call_waterfall_cover_once(scarce)
    assert read_last_call_events(scarce, "AuctionStarted", NAME)


def test_at_once_in_settlement(auction):
    start_settlement(auction)
    found = auction.read(f"{NAME}.auction_of", XAU)
    auction.do(f"{NAME}.end", XAU, sender="stranger")
    assert read_last_call_events(auction, "AuctionEnded", NAME) == [(XAU, found.lot, found.target)]
    assert auction.read("LossWaterfall.reserved", XAU, 0) == 0
