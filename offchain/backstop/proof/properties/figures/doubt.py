"""Debt in doubt out of the tables alone, as rules that need it see it."""

from __future__ import annotations

from backstop.model.listing import ids_of
from backstop.proof.properties.figures.prices import Read
from backstop.proof.properties.transition import Transition


def in_doubt(step: Transition, read: Read, c: int) -> int:
    """Return a type's debt that may be lost and is not booked [rad]: auctions, not sound workouts; flags."""
    debts = read("VaultEngine", "ledger.debts", c)
    found = read("VaultEngine", "ledger.auctions", c).in_auction
    if "Workouts" in step.model.world.contracts:
        found -= read("Workouts", "in_workouts", c) - read("Workouts", "in_doubt", c)
    flagged = min(read("LiquidationEngine", "doubt.of_types", c), debts.normalized_debt)
    return int(found + flagged * debts.accumulated_rate)


def loss_is_known(step: Transition) -> bool:
    """Return whether any loss was known before a step: booked and open, missed by a stage, or in doubt."""
    types = ids_of(step.before("VaultEngine", "terms.listed"))
    open_ones = step.before("LossWaterfall", "books").open or step.before("LossWaterfall", "lineup").owing
    return bool(open_ones or any(in_doubt(step, step.before, c) for c in types))
