"""Property of debt that is drawn while a redistribution counts."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY, compute_recent_losses
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_ENGINE = "VaultEngine"


@transition_property(189, calls=[f"{_ENGINE}.deposit_and_draw"])
def draw_after_redistribution_pays_its_share(step: Transition, changes: Changes) -> None:
    """Check that a new draw is charged for recently redistributed losses (property 189).

    Redistribution adds a loss to the debts of all borrowers of a type. A borrower that repays before it and
    draws after it must owe as much as a borrower that stayed. Losses of the current and the previous epoch
    count, rounded up. Raises PropertyViolationError if the draw adds too little debt.
    """
    if not step.is_call(_ENGINE, "deposit_and_draw") or not step.action.args[3]:
        return
    c, owner, _, drawn, _ = step.action.args
    rate = step.read_post_state(_ENGINE, "ledger.debts", c).accumulated_rate
    borne = step.read_pre_state(_ENGINE, "ledger.redistributions", c)
    added = compute_recent_losses(
        borne, step.model.timestamp, step.get_contract("LossWaterfall").epoch_length
    )
    old, new = (read(_ENGINE, "vaults", (c, owner)) for read in (step.read_pre_state, step.read_post_state))
    more = new.normalized_debt - old.normalized_debt
    if more * (rate - added) < drawn * RAY:
        raise PropertyViolationError(
            f"{owner} owes {more} more for {drawn} at a rate of {rate}, {added} of it shared losses"
        )
