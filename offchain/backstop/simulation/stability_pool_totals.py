"""Totals of a type's stability pool: debt that it repaid, collateral that members got, and its worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backstop.contract_base import Log
from backstop.deployment.parameter_dataclasses import CollateralParameters
from backstop.model.arithmetic import RAY
from backstop.model.stability_pool import Pricing


@dataclass
class StabilityPoolTotals:
    """Totals of a stability pool's liquidations: debt repaid, collateral received, losses."""

    pricing: Pricing
    unit: int  # wad of one raw unit of the collateral's token
    offsets: int = 0
    principal: int = 0  # rad that left vaults
    paid: int = 0  # wad
    lost: int = 0  # rad of the principal that was not repaid: a loss at once
    written_off: int = 0  # rad of this for which the pool's coins were too few
    collateral: int = 0  # wad that members got
    worth: int = 0  # wad of it, at the feed's price of each offset
    reward: int = 0  # wad of collateral, for liquidators
    reward_worth: int = 0  # wad of it, at the feed's price of each offset
    auctioned: int = 0  # rad of principal that went to auctions
    owner_loss: int = 0  # wad: worth at the market price that owners gave beyond the principal
    member_loss: int = 0  # wad that members paid beyond the worth of their collateral at the market price

    def add_offset(self, log: Log, sale_price: int, market_price: int) -> int:
        """Add a CollateralSold event, and return the liquidator's reward [wad of collateral].

        `sale_price` is the feed's price, `market_price` the outside market's [ray].
        """
        *_, collateral, fee, paid, principal = log.values
        sent = collateral - fee
        reward = self.pricing.compute_reward(sent, self.unit)
        lost = principal - min(principal, paid * RAY)
        self.offsets += 1
        self.principal += principal
        self.paid += paid
        self.lost += lost
        self.written_off += lost if self.pricing.has_write_off and (fee or not sent) else 0
        self.collateral += sent - reward
        self.worth += (sent - reward) * sale_price // RAY
        self.reward += reward
        self.reward_worth += reward * sale_price // RAY
        self.member_loss += max(0, paid - (sent - reward) * market_price // RAY)
        self.owner_loss += max(0, collateral * market_price // RAY - principal // RAY)
        return reward

    def compute_gain(self, market_price: int) -> int:
        """Return the value of members' collateral at a market price [ray] less their payments [wad]."""
        return self.collateral * market_price // RAY - self.paid

    def build_summary(self, final_price: int) -> dict[str, Any]:
        """Return the totals as their part of `summary.json`.

        The amounts `repaid_rad` and `lost_rad` add up to `principal_rad`.
        """
        return {
            "offsets": self.offsets,
            "principal_rad": str(self.principal),
            "repaid_rad": str(self.principal - self.lost),
            "lost_rad": str(self.lost),
            "written_off_rad": str(self.written_off),
            "auctioned_rad": str(self.auctioned),
            "paid_wad": str(self.paid),
            "collateral_wad": str(self.collateral),
            "worth_wad": str(self.worth),
            "gain_wad": str(self.compute_gain(final_price)),
            "member_loss_wad": str(self.member_loss),
            "reward_wad": str(self.reward),
            "reward_worth_wad": str(self.reward_worth),
        }


def build_stability_pool_totals(
    collateral_types: Iterable[CollateralParameters],
) -> dict[int, StabilityPoolTotals]:
    """Return empty totals for each collateral type with a stability pool, by type number."""
    return {
        c: StabilityPoolTotals(
            Pricing(
                each.stability_pool.penalty, each.stability_pool.reward, each.stability_pool.has_write_off
            ),
            10 ** (18 - each.decimals),
        )
        for c, each in enumerate(collateral_types)
        if each.stability_pool is not None
    }


def sum_stability_pool_figures(summary: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the sums over all stability pools of a run's summary; None if there is no pool.

    Amounts of collateral are left out, because types have different tokens.
    """
    found = [entry["stability_pool"] for entry in summary["collateral_types"] if "stability_pool" in entry]
    if not found:
        return None
    return {
        name: sum(int(each[name]) for each in found)
        for name in found[0]
        if name not in ("collateral_wad", "reward_wad", "members")
    }
