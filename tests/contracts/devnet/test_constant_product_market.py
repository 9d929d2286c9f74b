"""The market of a local chain: x*y never falls, its payments are rounded down, reserves are booked."""

import dataclasses

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import deploy_protocol
from backstop.deployment.parameter_dataclasses import MarketParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused, reverts

MARKETS = ("Market.WETH", "Market.WBTC", "Market.XAU")


@pytest.fixture(params=["WETH", "WBTC", "XAU"])
def market(request, protocol):
    """A market with 1,000 units of collateral at 2,000 each, and a trader with some of both."""
    symbol = request.param
    protocol.provide(symbol, 1_000 * WAD, 2_000_000 * WAD)
    name = f"Market.{symbol}"
    protocol.mint_and_approve_collateral(symbol, "taker", 100 * WAD)
    protocol.give_stablecoin("taker", 100_000 * WAD)
    for token in (symbol, "Stablecoin"):
        protocol.do(f"{token}.approve", name, MAX_UINT256, sender="taker")
    return name


def reserves(protocol, market):
    return protocol.read(f"{market}.collateral_reserve"), protocol.read(f"{market}.stable_reserve")


def test_selling_pays_the_quote_and_keeps_the_fee(protocol, market):
    before = reserves(protocol, market)
    quote = protocol.read(f"{market}.quote_sell", 10 * WAD)
    assert protocol.do(f"{market}.sell", 10 * WAD, quote, "saver", sender="taker") == quote
    assert protocol.read("Stablecoin.balanceOf", "saver") == quote
    paid = 10 * WAD * 9_970
    assert quote == paid * before[1] // (before[0] * 10_000 + paid)
    after = reserves(protocol, market)
    assert after == (before[0] + 10 * WAD, before[1] - quote)
    assert after[0] * after[1] > before[0] * before[1]


def test_buying_pays_the_quote_to_the_unit(protocol, market):
    before = reserves(protocol, market)
    quote = protocol.read(f"{market}.quote_buy", 10_000 * WAD)
    assert protocol.do(f"{market}.buy", 10_000 * WAD, quote, "saver", sender="taker") == quote
    unit = protocol.read(f"{market}.UNIT")
    assert quote % unit == 0
    assert protocol.read(f"{market[7:]}.balanceOf", "saver") == quote // unit
    assert reserves(protocol, market) == (before[0] - quote, before[1] + 10_000 * WAD)


def test_the_price_follows_trades(protocol, market):
    assert protocol.read(f"{market}.price") == 2_000 * RAY
    protocol.do(f"{market}.sell", 10 * WAD, 0, "taker", sender="taker")
    assert protocol.read(f"{market}.price") < 2_000 * RAY


def test_a_market_without_liquidity_has_no_price(protocol):
    for market in MARKETS:
        assert protocol.read(f"{market}.price") == 0
        assert protocol.read(f"{market}.quote_sell", WAD) == protocol.read(f"{market}.quote_buy", WAD) == 0


def test_a_worse_price_than_asked_for_is_refused(protocol, market):
    quote = protocol.read(f"{market}.quote_sell", WAD)
    with reverts("market: too little out"):
        protocol.do(f"{market}.sell", WAD, quote + 1, "taker", sender="taker")
    quote = protocol.read(f"{market}.quote_buy", WAD)
    with reverts("market: too little out"):
        protocol.do(f"{market}.buy", WAD, quote + 1, "taker", sender="taker")


def test_a_trade_for_nothing_is_refused(protocol, market):
    for method in ("sell", "buy"):
        with reverts("market: nothing out"):
            protocol.do(f"{market}.{method}", 0, 0, "taker", sender="taker")


def test_only_the_owner_sets_the_liquidity(protocol, market):
    with reverts("market: not owner"):
        protocol.do(f"{market}.set_liquidity", 0, 0, sender="taker")


def test_the_owner_takes_everything_out(protocol, market):
    symbol = market[7:]
    stable = protocol.read("Stablecoin.balanceOf", "market_maker")
    protocol.do(f"{market}.set_liquidity", 0, 0, sender="market_maker")
    assert protocol.read("Stablecoin.balanceOf", "market_maker") - stable == 2_000_000 * WAD
    assert protocol.read(f"{symbol}.balanceOf", market) == 0


def test_donations_change_nothing(protocol, market):
    before = reserves(protocol, market)
    protocol.do("Stablecoin.transfer", market, WAD, sender="taker")
    assert reserves(protocol, market) == before


def test_a_token_that_fails_silently_stops_the_trade(protocol):
    token = protocol.deploy_token("ReturnsFalseToken", "False", "FALSE", 18)
    both = protocol.lockstep
    stable, maker = both.addresses["Stablecoin"], protocol.address("market_maker")
    both.create_contract("ConstantProductMarket", "Market.FALSE", both.addresses[token], 18, stable, 0, maker)
    with reverts("market: transfer in failed"):
        protocol.do("Market.FALSE.set_liquidity", WAD, 0, sender="market_maker")


def test_a_token_of_more_than_18_decimals_is_refused(protocol):
    with pytest.raises(BackstopError, match="'market: token decimals'"):
        stable = protocol.address("Stablecoin")
        protocol.lockstep.create_contract(
            "ConstantProductMarket", "Market.DEEP", stable, 19, stable, 0, stable
        )


@pytest.mark.parametrize("fee", [10_000, 2**255])
def test_a_fee_of_everything_is_refused(fee):
    collateral = dataclasses.replace(
        build_standard_parameters().collateral_types[0], market=MarketParameters(fee=fee)
    )
    with pytest.raises(BackstopError, match="'market: fee bounds'"):
        deploy_protocol(
            None, dataclasses.replace(build_standard_parameters(), collateral_types=(collateral,))
        )


@pytest.mark.parametrize(
    ("decimals", "fee", "reason"), [(19, 30, "market: token decimals"), (18, 10_000, "market: fee bounds")]
)
def test_what_it_cannot_be_made_with(protocol, decimals, fee, reason):
    token, stablecoin, owner = map(protocol.address, ("WETH", "Stablecoin", "market_maker"))
    made = ("ConstantProductMarket", token, decimals, stablecoin, fee, owner)
    check_contract_creation_refused(protocol, *made, reason=reason)


def test_a_virtual_reserve_deepens_the_market_and_pays_nothing(protocol, market):
    held = protocol.read("Stablecoin.balanceOf", market)
    depth, virtual = 20_000_000 * WAD, 20_000_000 * WAD - held
    protocol.mint_and_approve_collateral(market[7:], "market_maker", 10_000 * WAD)
    protocol.do(f"{market}.set_liquidity", 10_000 * WAD, depth, virtual, sender="market_maker")
    assert protocol.read("Stablecoin.balanceOf", market) == held
    assert protocol.read(f"{market}.price") == 2_000 * RAY
    sold = protocol.do(f"{market}.sell", 10 * WAD, 0, "saver", sender="taker")
    # The price falls by a tenth of what it falls without: x*y of ten times the reserves.
    paid = 10 * WAD * 9_970
    assert sold == paid * depth // (10_000 * WAD * 10_000 + paid)
    assert protocol.read(f"{market}.virtual_stable") == virtual
    assert protocol.read("Stablecoin.balanceOf", market) == held - sold


def test_a_market_cannot_pay_its_virtual_reserve(protocol, market):
    stable = protocol.read("Stablecoin.balanceOf", "market_maker")
    depth, virtual = 2_000_000 * WAD, 1_999_000 * WAD
    protocol.do(f"{market}.set_liquidity", 1_000 * WAD, depth, virtual, sender="market_maker")
    assert protocol.read("Stablecoin.balanceOf", "market_maker") - stable == virtual
    with reverts("erc20: transfer amount exceeds balance"):
        protocol.do(f"{market}.sell", 10 * WAD, 0, "taker", sender="taker")


def test_a_virtual_reserve_is_a_part_of_the_reserve(protocol, market):
    with reverts("market: virtual reserve"):
        protocol.do(f"{market}.set_liquidity", WAD, 10, 11, sender="market_maker")
