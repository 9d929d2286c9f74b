"""EquityTaker: takes equity or surplus without capital, inside the callback of the take."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.equity_steps import (
    ALL,
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    read_equity,
    read_last_call_events,
    report_equity,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import earn_year_of_high_fees, give_stablecoin, lose_new_vault

HOURS = 36_000


def with_market(protocol):
    """A market with 1,000 equity at 100, and a taker of its own for `taker`."""
    equity, stablecoin, maker = map(protocol.address, ("Equity", "Stablecoin", "market_maker"))
    protocol.lockstep.create_contract("ConstantProductMarket", "Market.BSE", equity, 18, stablecoin, 0, maker)
    protocol.lockstep.create_contract(
        "EquityTaker", "EquityTaker", protocol.address("taker"), equity, stablecoin
    )
    protocol.do("Equity.transfer", "market_maker", 1_000 * WAD, sender="admin")
    give_stablecoin(protocol, "market_maker", 100_000 * WAD)
    for token in ("Equity", "Stablecoin"):
        protocol.do(f"{token}.approve", "Market.BSE", MAX_UINT256, sender="market_maker")
    protocol.do("Market.BSE.set_liquidity", 1_000 * WAD, 100_000 * WAD, sender="market_maker")
    return protocol


@pytest.fixture
def recapitalising(new_protocol):
    """A loss of 10,000 under auction, at half of its time."""
    made = with_market(
        post_prices_and_fund_people(
            new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=10_000))
        )
    )
    lose_new_vault(made)
    report_equity(made, 100 * RAY)
    call_waterfall_cover_once(made)
    made.advance(HOURS * 9 // 10)
    return made


@pytest.fixture
def selling(new_protocol):
    """A lot of 500 of surplus for sale, at the end of its time."""
    made = with_market(
        post_prices_and_fund_people(
            new_protocol(build_equity_parameters("buffer", "savings", surplus_lot=500))
        )
    )
    earn_year_of_high_fees(made)
    for call in (("set_target", 1_000), ("set_shares", (0,))):
        made.do(f"Treasury.{call[0]}", call[1], sender="admin")
    made.do("Treasury.distribute", sender="stranger")
    report_equity(made, 100 * RAY)
    made.do("SurplusAuction.start", sender="stranger")
    made.advance(HOURS)
    return made


def test_equity_is_sold_in_between(recapitalising):
    stablecoin = recapitalising.read("Stablecoin.balanceOf", "taker")
    args = ("MintAuction", XAU, 10 * WAD, ALL, "Market.BSE")
    recapitalising.do("EquityTaker.take_and_sell", *args, sender="taker")
    profit = recapitalising.read("Stablecoin.balanceOf", "taker") - stablecoin
    ((auction, got, equity),) = read_last_call_events(recapitalising, "EquityTaken", "EquityTaker")
    assert (auction, got, equity) == (recapitalising.address("MintAuction"), profit, 0)
    ((_, _, amount, paid, _),) = read_last_call_events(recapitalising, "Taken", "MintAuction")
    assert amount == 10 * WAD
    assert profit == 100_000 * WAD * 10 // 1_010 - paid > 0
    # Nothing stays allowed.
    assert recapitalising.read("Stablecoin.allowance", "EquityTaker", "MintAuction") == 0


def test_not_at_a_loss(recapitalising):
    args = ("MintAuction", XAU, 100 * WAD, ALL, "Market.BSE")
    with reverts("market: too little out"):
        recapitalising.do("EquityTaker.take_and_sell", *args, sender="taker")


def test_surplus_buys_what_pays_for_it(selling):
    stablecoin, equity = selling.read("Stablecoin.balanceOf", "taker"), read_equity(selling, "taker")
    args = ("SurplusAuction", 500 * WAD, ALL, "Market.BSE", 405 * WAD)
    selling.do("EquityTaker.take_and_buy", *args, sender="taker")
    ((_, amount, paid, _),) = read_last_call_events(selling, "Taken", "SurplusAuction")
    bought = 1_000 * WAD * 405 // 100_405
    assert selling.read("Stablecoin.balanceOf", "taker") - stablecoin == amount - 405 * WAD == 95 * WAD
    assert read_equity(selling, "taker") - equity == bought - paid > 0
    assert selling.read("Equity.allowance", "EquityTaker", "SurplusAuction") == 0


def test_not_if_it_buys_too_little(selling):
    args = ("SurplusAuction", 500 * WAD, ALL, "Market.BSE", 400 * WAD)
    with reverts("market: too little out"):
        selling.do("EquityTaker.take_and_buy", *args, sender="taker")


def test_only_its_owner(recapitalising):
    for method, args in (
        ("take_and_sell", ("MintAuction", XAU, WAD, ALL, "Market.BSE")),
        ("take_and_buy", ("SurplusAuction", WAD, ALL, "Market.BSE", 1)),
    ):
        with reverts("equity_taker: not owner"):
            recapitalising.do(f"EquityTaker.{method}", *args, sender="stranger")


def test_only_in_a_take_of_its_own(recapitalising):
    data = bytes(64)
    with reverts("equity_taker: not taker"):
        recapitalising.do("MintAuction.take", XAU, WAD, ALL, "EquityTaker", data, sender="taker")
    with reverts("equity_taker: not taker"):
        recapitalising.do("EquityTaker.on_auction_take", "taker", 0, 1, 1, data, sender="taker")


def test_it_is_its_owners(recapitalising):
    for name, contract in (("OWNER", "taker"), ("EQUITY", "Equity"), ("STABLECOIN", "Stablecoin")):
        assert recapitalising.read(f"EquityTaker.{name}") == recapitalising.address(contract)
