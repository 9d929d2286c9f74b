"""Record of the calls of a vault's owner in a run: repayments, draws, collateral in and out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class OwnerActivity:
    """Totals of an owner's actions with one vault: repayments, draws, and collateral in and out."""

    actions: int = 0
    repaid: int = 0  # wad, what was sold for it included
    sold: int = 0  # wad of collateral
    added: int = 0  # wad of collateral
    drawn: int = 0  # wad
    withdrawn: int = 0  # wad of collateral, without what was sold
