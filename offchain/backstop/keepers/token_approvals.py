"""Allowances that a keeper gives before it can buy."""

from __future__ import annotations

from backstop.keepers.keeper_role_register import Decisions, Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import MAX_UINT256

SPENDERS = {
    "recap_bidder": ("StakeAuction", "MintAuction"),
    "surplus_bidder": ("SurplusAuction",),
    "margin_liquidator": ("PerpetualMarket",),
    "pool_buyer": ("PerpetualMarket",),
}
"""The contracts that take a keeper's money by allowance."""


def iter_missing_approval_intents(keeper: Keeper, view: KeeperView) -> Decisions:
    """Yield calls that approve the contracts which take the keeper's tokens, where approval is missing.

    Only live keepers need these calls; a simulation sets allowances in advance.
    """
    for spender in SPENDERS.get(keeper.group.role, ()):
        if spender in view.addresses and not view.get_allowance(keeper.group.asset, keeper.address, spender):
            address = view.addresses[spender]
            yield keeper.build_intent(keeper.group.asset, "approve", address, MAX_UINT256, about=spender)
