"""capacity: the proceeds of the equity at the floor price; zero during an auction."""

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.equity_steps import (
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
    report_equity,
)
from tests.support.saver_steps import lose_new_vault

ALL = 2**256 - 1


def up(price):
    return -(-price // 10**14) * 10**14


def test_is_worth_the_floor(priced):
    assert priced.read("PriceFeed.time_weighted", EQUITY_MARKET) == 100 * RAY
    assert priced.read("MintAuction.capacity", XAU) == 10_000 * 80 * RAD


def test_whole_wei(auction):
    hold_equity_price_until_average(auction, 10**26 + 7)
    floor = auction.read("PriceFeed.time_weighted", EQUITY_MARKET) * 8_000 // 10_000
    # Prices are whole ten-trillionths of a stablecoin, rounded up.
    assert floor % 10**14
    worth = auction.read("Equity.mintable") * up(floor)
    assert worth % RAY
    assert auction.read("MintAuction.capacity", 0) == worth // RAY * RAY


def test_without_a_price_there_is_none(new_protocol):
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings")), equity_price=None
    )
    assert made.read("MintAuction.capacity", XAU) == 0
    lose_new_vault(made)
    # The next stage pays.
    call_waterfall_cover_once(made)
    assert made.read("VaultEngine.deficit_of", XAU) == 0


def test_a_stale_price_is_as_good(priced):
    priced.advance(7 * 86_400)
    assert priced.read("PriceFeed.current_price", EQUITY_MARKET) == 0
    assert priced.read("MintAuction.capacity", XAU) == 10_000 * 80 * RAD


def test_nothing_more_for_its_type_alone(auction):
    assert auction.read("MintAuction.capacity", XAU) == 0
    left = auction.read("Equity.mintable")
    assert 0 < left < 10_000 * WAD
    floor = auction.read("PriceFeed.time_weighted", EQUITY_MARKET) * 8_000 // 10_000
    assert auction.read("MintAuction.capacity", 0) == left * floor // RAY * RAY


def test_what_is_minted_lowers_it_and_what_is_freed_raises_it(auction):
    """One is sold for 224, after an hour: the target needs 2.8 less, so 1.8 more may be minted."""
    report_equity(auction, 100 * RAY)
    price = auction.read("MintAuction.status", XAU)[1]
    before = auction.read("MintAuction.capacity", 0)
    auction.do("MintAuction.take", XAU, WAD, ALL, "taker", b"", sender="taker")
    assert auction.read("MintAuction.capacity", 0) == before + (price - 80 * RAY) // RAY * WAD * RAY
