"""Staked equity in an auction that is never ended, and the stakers' remainder of it."""

from __future__ import annotations

from collections.abc import Callable

from backstop.deployment.parameter_dataclasses import PoolParameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
from tests.support.equity_steps import (
    SALE,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    report_equity,
)
from tests.support.no_fee_deployments import build_parameters_without_fees, build_uncapped_stages
from tests.support.pool_attack_steps import value_shares
from tests.support.saver_steps import DAY, lose_new_vault

OVERDUE = 8 * DAY + 1
"""Seconds after which any account force-releases a sale's reservation."""
SALE_NAME, PLACE = "StakeAuction", 0
"""The auction of staked equity, and its place among the stages."""


def open_protocol_with_staked_equity(
    new_protocol: Callable[..., LocalProtocol], cooldown: int = DAY
) -> LocalProtocol:
    """Open a protocol with staked equity as its first stage, with 100 of one member.

    Savers are the second.
    """
    stages = build_uncapped_stages("staked_equity", "savings")
    staked = PoolParameters(cooldown=cooldown)
    protocol = post_prices_and_fund_people(
        new_protocol(build_parameters_without_fees(stages=stages, equity=SALE, staked_equity=staked))
    )
    stake_equity(protocol, "staker", 100 * WAD)
    return protocol


def stake_equity(protocol: LocalProtocol, who: str, amount: int, call: str = "deposit") -> None:
    """Deposit equity of the admin's for an account."""
    protocol.do("Equity.transfer", who, amount, sender="admin")
    protocol.do("Equity.approve", "StakedEquity", amount, sender=who)
    if call == "mint":
        shares = protocol.read("StakedEquity.previewDeposit", amount)
        protocol.do("StakedEquity.mint", shares, who, sender=who)
        return
    protocol.do("StakedEquity.deposit", amount, who, sender=who)


def slash_staked_equity(protocol: LocalProtocol, debt: int, symbol: str = "XAU") -> None:
    """Lose a debt and have staked equity slashed for it; there is no buyer."""
    lose_new_vault(protocol, symbol, debt=debt)
    report_equity(protocol, 100 * RAY)
    call_waterfall_cover_once(protocol, protocol.get_collateral_type(symbol))


def force_release_sales(protocol: LocalProtocol, *types: int) -> None:
    """Force-release the sales' reservations when overdue, and have the savers pay."""
    protocol.advance(OVERDUE)
    for c in types:
        protocol.do("LossWaterfall.force_release", c, PLACE, sender="attacker")
    for c in types:
        call_waterfall_cover_once(protocol, c)
    assert protocol.read("LossWaterfall.pending_total") == 0


def end_sales_and_check_gains(
    protocol: LocalProtocol,
    *types: int,
    attacker_deposit: int = 1_000 * WAD,
    staker_deposit: int = 100 * WAD,
) -> None:
    """End the sales; check that no account has another's equity."""
    for c in types:
        protocol.do(f"{SALE_NAME}.end", c, sender="attacker")
    kept, taken = (value_shares(protocol, who, "StakedEquity") for who in ("staker", "attacker"))
    assert taken <= attacker_deposit, (
        f"who brought {attacker_deposit / WAD} has {taken / WAD}, the staker {kept / WAD}"
    )
    assert kept >= staker_deposit - 10**6, f"the staker has {kept / WAD} of {staker_deposit / WAD}"
