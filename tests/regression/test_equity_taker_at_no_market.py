"""A failure that the fuzzer found; here the model was wrong.

EquityTaker reason: model '', chain 'erc20: approve to the zero address'
"""

from backstop.model.arithmetic import RAY, WAD
from backstop.model.contract_base import ZERO_ADDRESS
from tests.support.equity_steps import ALL, XAU, cover_deficit, open_protocol, report_equity, with_equity
from tests.support.helpers import reverts
from tests.support.saver_steps import lose_new_vault


def test_equity_taker_at_no_market(new_protocol):
    protocol = open_protocol(new_protocol(with_equity("minted_equity", "savings", mint_cap=10_000)))
    equity, stablecoin = map(protocol.address, ("Equity", "Stablecoin"))
    protocol.lockstep.create_contract(
        "EquityTaker", "EquityTaker", protocol.address("taker"), equity, stablecoin
    )
    lose_new_vault(protocol)
    report_equity(protocol, 100 * RAY)
    cover_deficit(protocol)
    with reverts("erc20: approve to the zero address"):
        args = ("MintAuction", XAU, 10 * WAD, ALL, ZERO_ADDRESS)
        protocol.do("EquityTaker.take_and_sell", *args, sender="taker")
    with reverts(""):
        args = ("MintAuction", XAU, 10 * WAD, ALL, "Stablecoin")
        protocol.do("EquityTaker.take_and_sell", *args, sender="taker")


def test_equity_taker_at_another_auction(new_protocol):
    """The model called the collateral auction's `take`, which has other arguments."""
    protocol = new_protocol(with_equity("minted_equity", "savings", mint_cap=10_000))
    equity, stablecoin = map(protocol.address, ("Equity", "Stablecoin"))
    protocol.lockstep.create_contract(
        "EquityTaker", "EquityTaker", protocol.address("taker"), equity, stablecoin
    )
    with reverts(""):
        protocol.do("EquityTaker.take_and_buy", "CollateralAuction", 0, 0, "stranger", 0, sender="taker")
