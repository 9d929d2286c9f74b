"""Debt in doubt out of the tables alone, as rules that need it see it."""

from __future__ import annotations

from backstop.lockstep.step_transition import Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.independent_arithmetic.price_figures import Read


def compute_debt_at_risk(step: Transition, read: Read, collateral_type: int) -> int:
    """Return a type's debt that may be lost and is not booked as a deficit [rad].

    It is debt under auction, flagged workouts and flagged vault debt.
    """
    debts = read("VaultEngine", "ledger.debts", collateral_type)
    found = read("VaultEngine", "ledger.auctions", collateral_type).in_auction
    if "Workouts" in step.model.world.contracts:
        found -= read("Workouts", "in_workouts", collateral_type) - read(
            "Workouts", "flagged_principal", collateral_type
        )
    flagged = min(read("LiquidationEngine", "vault_flags.of_types", collateral_type), debts.normalized_debt)
    return int(found + flagged * debts.accumulated_rate)


def has_known_loss_before_step(step: Transition) -> bool:
    """Return whether a loss was open, missed by a stage, or at risk before the step."""
    types = decode_listed_types(step.read_pre_state("VaultEngine", "terms.listed"))
    open_ones = (
        step.read_pre_state("LossWaterfall", "books").open
        or step.read_pre_state("LossWaterfall", "lineup").owing
    )
    return bool(open_ones or any(compute_debt_at_risk(step, step.read_pre_state, c) for c in types))
