"""Property of effects of the mode and the debt at once: types' modes, and adjusted ceilings."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.revert_conditions.call_context import ENGINE, POLICY, RAD

_BREAKER, _CEILINGS = "CircuitBreaker", "AutoCeiling"


@transition_property(214, events=[f"{_BREAKER}.ModeChanged"], calls=[f"{_CEILINGS}.adjust"])
def new_mode_and_ceiling_apply_at_once(step: Transition, changes: Changes) -> None:
    """Check that a new risk mode and an adjusted debt ceiling apply in the same call (property 214).

    Each listed collateral type gets the new mode. The ceiling becomes the type's debt plus a gap, up to a
    maximum. It does not rise again within its minimum interval. Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if (log.contract, log.event) == (_BREAKER, "ModeChanged"):
            mode = log.values[1]
            first = step.read_post_state(ENGINE, "terms.risk_policy") == step.get_contract(POLICY).address
            types = decode_listed_types(step.read_post_state(ENGINE, "terms.listed")) if first else []
            known = [step.read_post_state(POLICY, "terms", c).mode for c in types]
            if any(each != mode for each in known):
                raise PropertyViolationError(f"the mode is {mode}, types have {known}")
    if not step.is_call(_CEILINGS, "adjust"):
        return
    (c,) = step.action.args
    terms, debts = step.read_pre_state(_CEILINGS, "terms", c), step.read_post_state(ENGINE, "ledger.debts", c)
    debt = debts.normalized_debt * debts.accumulated_rate
    debt += step.read_post_state(ENGINE, "ledger.auctions", c).in_auction + step.read_post_state(
        ENGINE, "ledger.deficit", c
    )
    old = step.read_pre_state(ENGINE, "terms.of_types", c).debt_ceiling
    new, raised_at = min(-(-debt // RAD) + terms.gap, terms.max_line), terms.raised_at
    if new > old:
        is_early = step.model.timestamp < terms.raised_at + terms.ttl
        new, raised_at = (old, raised_at) if is_early else (new, step.model.timestamp)
    found = (
        step.read_post_state(ENGINE, "terms.of_types", c).debt_ceiling,
        step.read_post_state(_CEILINGS, "terms", c).raised_at,
    )
    if found != (new, raised_at) or debts.accrued_at != step.model.timestamp:
        raise PropertyViolationError(
            f"type {c}: a ceiling of {old} becomes {found} for {debt}, not {new, raised_at}"
        )
