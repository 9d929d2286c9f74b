"""Property of debt that is drawn while a redistribution counts."""

from __future__ import annotations

from backstop.proof.properties.figures.arithmetic import RAY, shared
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_ENGINE = "VaultEngine"


@transition_property(189, calls=[f"{_ENGINE}.deposit_and_draw"])
def returning_borrowers_share_a_redistribution(step: Transition, changes: Changes) -> None:
    """Check that a draw is charged what losses have added to debts in the epochs that count.

    A borrower who repays before a redistribution and draws again after it owes as much as one who stayed. Of
    the present epoch and the one before, rounded up.
    """
    if not step.calls(_ENGINE, "deposit_and_draw") or not step.action.args[3]:
        return
    c, owner, _, drawn, _ = step.action.args
    rate = step.after(_ENGINE, "ledger.debts", c).accumulated_rate
    borne = step.before(_ENGINE, "ledger.redistributions", c)
    added = shared(borne, step.model.timestamp, step.contract("LossWaterfall").epoch_length)
    old, new = (read(_ENGINE, "vaults", (c, owner)) for read in (step.before, step.after))
    more = new.normalized_debt - old.normalized_debt
    if more * (rate - added) < drawn * RAY:
        raise Violation(
            f"{owner} owes {more} more for {drawn} at a rate of {rate}, {added} of it shared losses"
        )
