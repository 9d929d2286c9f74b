"""Property of settlement: the figures that are frozen from its beginning on."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_ENGINE = "VaultEngine"
_NO_CEILING = 2**33 - 1


@transition_property(212, writes=["progress", "ledger.debts"])
def no_rate_moves_in_settlement(step: Transition, changes: Changes) -> None:
    """Check that settlement charges all fees when it begins and freezes all rates (property 212).

    From then on no type can be borrowed against, all fees are zero, and the waterfall is closed. Raises
    PropertyViolationError otherwise.
    """
    for contract, _, old, new in changes.get("progress", ()):
        if contract != "Settlement" or old.begun_at or not new.begun_at:
            continue
        now = step.model.timestamp
        for c in decode_listed_types(step.read_post_state(_ENGINE, "terms.listed")):
            fee, debts = (
                step.read_post_state(_ENGINE, "ledger.income", c).stability_fee,
                step.read_post_state(_ENGINE, "ledger.debts", c),
            )
            if (
                fee
                or debts.accrued_at != now
                or not step.read_post_state(_ENGINE, "terms.of_types", c).settling
            ):
                raise PropertyViolationError(f"settlement begins, and type {c} has a fee of {fee}: {debts}")
        ceiling = step.read_post_state(_ENGINE, "ledger.system").global_debt_ceiling
        if (
            new.begun_at != now
            or ceiling != _NO_CEILING
            or not step.read_post_state("LossWaterfall", "books").settlement
        ):
            raise PropertyViolationError(f"settlement begins with {new}, and nothing is wound up")
    if not step.read_pre_state("Settlement", "progress").begun_at:
        return
    for contract, c, old, new in changes.get("ledger.debts", ()):
        is_listed = c in decode_listed_types(step.read_post_state(_ENGINE, "terms.listed"))
        if contract == _ENGINE and is_listed and old.accumulated_rate != new.accumulated_rate:
            raise PropertyViolationError(f"type {c}: a rate moves in settlement, {old} became {new}")
