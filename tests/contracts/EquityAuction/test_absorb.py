"""absorb: an auction starts for a whole number of wei of one deficit."""

import pytest

from backstop.deployment.parameter_dataclasses import replace_stage_caps
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.equity_steps import (
    WETH,
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
    read_last_call_events,
    report_equity,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault

STAGE = "MintAuction"


def up(a, b):
    return -(-a // b)


@pytest.mark.parametrize("sender", ["stranger", "admin", "taker"])
def test_only_the_waterfall(losing, sender):
    with reverts("equity_auction: only waterfall"):
        losing.do(f"{STAGE}.absorb", XAU, 100 * RAD, sender=sender)


def test_starts(losing):
    deficit = losing.read("VaultEngine.deficit_of", XAU)
    floor = losing.read("PriceFeed.time_weighted", EQUITY_MARKET) * 8_000 // 10_000
    assert call_waterfall_cover_once(losing) == deficit // RAY * RAY
    target = deficit // RAY
    lot = up(target * RAY, floor)
    assert losing.read(f"{STAGE}.auction_of", XAU) == (lot, target * RAY, losing.timestamp, 240 * RAY, floor)
    assert read_last_call_events(losing, "AuctionStarted", STAGE) == [
        (XAU, lot, target * RAY, 240 * RAY, floor)
    ]
    assert read_last_call_events(losing, "LossReserved", "LossWaterfall")[0][2:] == (0, target * RAY)
    # Nothing is minted before it is paid for.
    assert losing.read("Equity.balanceOf", STAGE) == 0
    assert losing.read("Equity.issue_of_epoch").booked == lot
    assert losing.read("VaultEngine.deficit_of", XAU) == deficit


def test_as_much_as_there_is_equity_for(scarce):
    assert call_waterfall_cover_once(scarce) == 4_000 * RAD
    assert scarce.read(f"{STAGE}.auction_of", XAU).lot == 50 * WAD
    assert scarce.read("Equity.mintable") == 0


def test_the_rest_waits(scarce):
    call_waterfall_cover_once(scarce)
    supply = scarce.read("Savings.totalAssets")
    assert call_waterfall_cover_once(scarce) == 0
    assert scarce.read("Savings.totalAssets") == supply


def test_caps_bind(new_protocol):
    parameters = build_equity_parameters("minted_equity", "savings", mint_cap=10_000)
    made = post_prices_and_fund_people(
        new_protocol(replace_stage_caps(parameters, "minted_equity", cap_absolute=3 * RAD + 5))
    )
    lose_new_vault(made)
    assert call_waterfall_cover_once(made) == 3 * RAD


@pytest.mark.parametrize(("cap", "starts"), [(WAD, True), (WAD - 1, False)])
def test_dust_is_not_worth_an_auction(new_protocol, cap, starts):
    """Under a stablecoin the next stage pays at once."""
    parameters = build_equity_parameters("minted_equity", "savings", mint_cap=10_000)
    made = post_prices_and_fund_people(
        new_protocol(replace_stage_caps(parameters, "minted_equity", cap_absolute=cap * RAY))
    )
    lose_new_vault(made)
    call_waterfall_cover_once(made)
    assert bool(read_last_call_events(made, "AuctionStarted", STAGE)) == starts
    assert (made.read("VaultEngine.deficit_of", XAU) == 0) == (not starts)


def test_top_of_the_higher_price(losing):
    """A fall for a moment starts no auction from below; a rise starts it from above."""
    report_equity(losing, 50 * RAY)
    report_equity(losing, 50 * RAY)
    average = losing.read("PriceFeed.time_weighted", EQUITY_MARKET)
    assert losing.read("PriceFeed.current_price", EQUITY_MARKET) == 50 * RAY < average
    call_waterfall_cover_once(losing)
    assert losing.read(f"{STAGE}.auction_of", XAU).top == average * 24_000 // 10_000


def test_top_of_the_current_price(losing):
    report_equity(losing, 150 * RAY)
    report_equity(losing, 150 * RAY)
    average = losing.read("PriceFeed.time_weighted", EQUITY_MARKET)
    assert average < 150 * RAY
    call_waterfall_cover_once(losing)
    found = losing.read(f"{STAGE}.auction_of", XAU)
    assert found.top == 360 * RAY
    assert found.floor == average * 8_000 // 10_000


@pytest.mark.parametrize("coming", [101, 150])
def test_top_of_the_next_price(losing, coming):
    report_equity(losing, coming * RAY)
    average = losing.read("PriceFeed.time_weighted", EQUITY_MARKET)
    assert average == losing.read("PriceFeed.current_price", EQUITY_MARKET) == 100 * RAY
    call_waterfall_cover_once(losing)
    found = losing.read(f"{STAGE}.auction_of", XAU)
    # The floor stays where it was: no more equity is at stake.
    assert (found.top, found.floor) == (coming * RAY * 24 // 10, 80 * RAY)


def test_top_of_what_a_halt_holds_back(losing):
    losing.do("PriceFeed.set_halted", EQUITY_MARKET, True, sender="admin")
    report_equity(losing, 150 * RAY)
    call_waterfall_cover_once(losing)
    assert losing.read(f"{STAGE}.auction_of", XAU).top == 360 * RAY


def test_a_stale_price_stops_nothing(losing):
    losing.advance(7 * 86_400)
    assert losing.read("PriceFeed.current_price", EQUITY_MARKET) == 0
    call_waterfall_cover_once(losing)
    assert losing.read(f"{STAGE}.auction_of", XAU).top == 240 * RAY


def test_the_top_is_capped(losing):
    hold_equity_price_until_average(losing, 2**112 - 1)
    call_waterfall_cover_once(losing)
    found = losing.read(f"{STAGE}.auction_of", XAU)
    # Rounded up to a ten-trillionth of a stablecoin, as all prices.
    floor = losing.read("PriceFeed.time_weighted", EQUITY_MARKET) * 8_000 // 10_000
    assert (found.top, found.floor) == (up(2**112 - 1, 10**14) * 10**14, up(floor, 10**14) * 10**14)


def test_one_for_each_type(auction):
    price = auction.read("MintAuction.auction_of", XAU).floor
    lose_new_vault(auction, "WBTC")
    report_equity(auction, 100 * RAY)
    before = auction.read("Equity.issue_of_epoch").booked
    call_waterfall_cover_once(auction, 1)
    second = auction.read("MintAuction.auction_of", 1)
    assert second.lot == auction.read("Equity.issue_of_epoch").booked - before
    assert auction.read("MintAuction.auction_of", XAU).floor == price
    with reverts("equity_auction: no auction"):
        auction.read("MintAuction.auction_of", WETH)


def test_again_after_the_last_was_filled(auction):
    auction.do(f"{STAGE}.take", XAU, 2**256 - 1, 2**256 - 1, "taker", b"", sender="taker")
    lose_new_vault(auction)
    report_equity(auction, 100 * RAY)
    assert call_waterfall_cover_once(auction) > 9_000 * RAD
    assert auction.read(f"{STAGE}.auction_of", XAU).started_at == auction.timestamp
