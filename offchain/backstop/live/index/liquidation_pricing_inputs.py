"""Conditions: the inputs besides the vaults that decide which vaults of a type are unsafe at one moment."""

from __future__ import annotations

from typing import NamedTuple

from backstop.model.interfaces import CallTerms
from backstop.model.risk_policy import Terms


class PricingConditions(NamedTuple):
    """Price, accumulated rate, ratios and terms that `LiquidationEngine` would use at `timestamp`."""

    price: int  # of liquidations, ray; 0 is none, and then nobody is liquidated or called
    rate: int  # accumulated rate with the fees up to now, ray
    timestamp: int  # seconds
    liquidation_ratio: int  # basis points; 0 for a type that no auction has room for, as a facilitator's
    policy: Terms = Terms()  # margin by size: only a vault's own brackets count here
    calls: CallTerms = CallTerms()

    def compute_required_worth(self, debt: int, ratio: int) -> int:
        """Return the collateral worth that a debt [rad] requires at a ratio [basis points x rad], exact.

        The policy's add-on for large debts is included.
        """
        return debt * ratio + self.policy.add_on(debt)
