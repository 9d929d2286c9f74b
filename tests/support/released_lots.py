"""Staked equity whose auction nobody ends, and what is left of it to those who staked it."""

from __future__ import annotations

from collections.abc import Callable

from backstop.deployment.parameters import PoolParameters
from backstop.model.arithmetic import RAY, WAD
from tests.support.equity import SALE, cover, open_protocol, report_equity
from tests.support.plain import only, without_fees
from tests.support.poisoning import value
from tests.support.protocol import Protocol
from tests.support.savings import DAY, lose

OVERDUE = 8 * DAY + 1
"""Seconds after which anybody releases by force what a sale has reserved."""
SALE_NAME, PLACE = "StakeAuction", 0
"""The auction of staked equity, and its place among the stages."""


def open_staked(new_protocol: Callable[..., Protocol], cooldown: int = DAY) -> Protocol:
    """Open a protocol whose first stage is staked equity, with 100 of one member; savers are the second."""
    stages = only("staked_equity", "savings")
    staked = PoolParameters(cooldown=cooldown)
    protocol = open_protocol(new_protocol(without_fees(stages=stages, equity=SALE, staked_equity=staked)))
    stake(protocol, "staker", 100 * WAD)
    return protocol


def stake(protocol: Protocol, who: str, amount: int, call: str = "deposit") -> None:
    """Deposit equity of the admin's for somebody."""
    protocol.do("Equity.transfer", who, amount, sender="admin")
    protocol.do("Equity.approve", "StakedEquity", amount, sender=who)
    if call == "mint":
        shares = protocol.read("StakedEquity.previewDeposit", amount)
        protocol.do("StakedEquity.mint", shares, who, sender=who)
        return
    protocol.do("StakedEquity.deposit", amount, who, sender=who)


def slash(protocol: Protocol, debt: int, symbol: str = "XAU") -> None:
    """Lose a debt and have staked equity slashed for it; nobody buys."""
    lose(protocol, symbol, debt=debt)
    report_equity(protocol, 100 * RAY)
    cover(protocol, protocol.type_of(symbol))


def release(protocol: Protocol, *types: int) -> None:
    """Have what the sales reserved released by force when it is overdue, and the savers pay."""
    protocol.advance(OVERDUE)
    for c in types:
        protocol.do("LossWaterfall.force_release", c, PLACE, sender="attacker")
    for c in types:
        cover(protocol, c)
    assert protocol.read("LossWaterfall.pending_total") == 0


def check_ends(protocol: Protocol, *types: int, brought: int = 1_000 * WAD, staker: int = 100 * WAD) -> None:
    """End the sales; nobody has what was another's."""
    for c in types:
        protocol.do(f"{SALE_NAME}.end", c, sender="attacker")
    kept, taken = (value(protocol, who, "StakedEquity") for who in ("staker", "attacker"))
    assert taken <= brought, f"who brought {brought / WAD} has {taken / WAD}, the staker {kept / WAD}"
    assert kept >= staker - 10**6, f"the staker has {kept / WAD} of {staker / WAD}"
