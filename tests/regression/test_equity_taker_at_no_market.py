"""A failure that the fuzzer found; here the model was wrong.

EquityTaker reason: model '', chain 'erc20: approve to the zero address'
"""

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import RAY, WAD
from tests.support.equity_steps import (
    ALL,
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    report_equity,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import lose_new_vault


def test_equity_taker_at_no_market(new_protocol):
    protocol = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=10_000))
    )
    equity, stablecoin = map(protocol.address, ("Equity", "Stablecoin"))
    protocol.lockstep.create_contract(
        "EquityTaker", "EquityTaker", protocol.address("taker"), equity, stablecoin
    )
    lose_new_vault(protocol)
    report_equity(protocol, 100 * RAY)
    call_waterfall_cover_once(protocol)
    with reverts("erc20: approve to the zero address"):
        args = ("MintAuction", XAU, 10 * WAD, ALL, ZERO_ADDRESS)
        protocol.do("EquityTaker.take_and_sell", *args, sender="taker")
    with reverts(""):
        args = ("MintAuction", XAU, 10 * WAD, ALL, "Stablecoin")
        protocol.do("EquityTaker.take_and_sell", *args, sender="taker")


def test_equity_taker_at_another_auction(new_protocol):
    """The model called the collateral auction's `take`, which has other arguments."""
    protocol = new_protocol(build_equity_parameters("minted_equity", "savings", mint_cap=10_000))
    equity, stablecoin = map(protocol.address, ("Equity", "Stablecoin"))
    protocol.lockstep.create_contract(
        "EquityTaker", "EquityTaker", protocol.address("taker"), equity, stablecoin
    )
    with reverts(""):
        protocol.do("EquityTaker.take_and_buy", "CollateralAuction", 0, 0, "stranger", 0, sender="taker")
