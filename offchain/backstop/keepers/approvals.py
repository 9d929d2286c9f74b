"""Allowances that a keeper gives before it can buy."""

from __future__ import annotations

from backstop.keepers.keeper import Decisions, Keeper
from backstop.keepers.view import View
from backstop.model.arithmetic import MAX_UINT256

SPENDERS = {
    "recap_bidder": ("StakeAuction", "MintAuction"),
    "surplus_bidder": ("SurplusAuction",),
    "margin_liquidator": ("PerpetualMarket",),
    "pool_buyer": ("PerpetualMarket",),
}
"""The contracts that take a keeper's money by allowance."""


def approvals(me: Keeper, view: View) -> Decisions:
    """Yield the allowances that a keeper lacks; in a simulation they are set up front."""
    for spender in SPENDERS.get(me.group.role, ()):
        if spender in view.addresses and not view.allowance(me.group.asset, me.address, spender):
            address = view.addresses[spender]
            yield me.intent(me.group.asset, "approve", address, MAX_UINT256, about=spender)
