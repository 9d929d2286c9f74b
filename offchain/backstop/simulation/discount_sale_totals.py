"""Totals of a type's sales at a fixed discount: collateral sold, debt repaid and lost, and owners' cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backstop.contract_base import Log
from backstop.model.arithmetic import RAY


@dataclass
class DiscountSaleTotals:
    """Totals of a collateral type's sales of unsafe vaults at a fixed discount."""

    sales: int = 0
    collateral: int = 0  # wad that left vaults
    fee: int = 0  # wad of it that the protocol kept
    paid: int = 0  # wad
    principal: int = 0  # rad that left vaults
    lost: int = 0  # rad of it that was not repaid: a loss at once
    bonus: int = 0  # wad: worth of what buyers got, at the price of each sale, beyond what they paid
    owner_loss: int = 0  # wad: worth at the market price that owners gave beyond the principal

    def add_sale(self, log: Log, sale_price: int, market_price: int) -> None:
        """Add a CollateralSold event to the totals.

        `sale_price` is the feed's price of the sale [ray], `market_price` the outside market's [ray].
        """
        *_, collateral, fee, paid, principal = log.values
        self.sales += 1
        self.collateral += collateral
        self.fee += fee
        self.paid += paid
        self.principal += principal
        self.lost += principal - min(principal, paid * RAY)
        self.bonus += max(0, (collateral - fee) * sale_price // RAY - paid)
        self.owner_loss += max(0, collateral * market_price // RAY - principal // RAY)

    def build_summary(self) -> dict[str, Any]:
        """Return the totals as their part of `summary.json`.

        The amounts `repaid_rad` and `lost_rad` add up to `principal_rad`.
        """
        return {
            "sales": self.sales,
            "principal_rad": str(self.principal),
            "repaid_rad": str(self.principal - self.lost),
            "lost_rad": str(self.lost),
            "sold_wad": str(self.collateral),
            "fee_wad": str(self.fee),
            "paid_wad": str(self.paid),
            "bonus_wad": str(self.bonus),
        }


def sum_discount_sales(summary: Mapping[str, Any]) -> DiscountSaleTotals:
    """Return the sum of discount sales over all collateral types of a run's summary.

    Amounts of collateral are left out, because types have different tokens.
    """
    totals = DiscountSaleTotals()
    for entry in summary["collateral_types"]:
        found = entry.get("discount_sales")
        if found is not None:
            totals.sales += found["sales"]
            totals.paid += int(found["paid_wad"])
            totals.principal += int(found["principal_rad"])
            totals.lost += int(found["lost_rad"])
            totals.bonus += int(found["bonus_wad"])
    return totals
