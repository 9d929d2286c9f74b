"""Property of the rate that moves by utilisation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_ENGINE, _POLICY = "VaultEngine", "RiskPolicy"
_RAD, _YEAR = 10**45, 365 * 86_400


@transition_property(190, writes=["flows"])
def kink_rate_follows_past_utilisation(step: Transition, changes: Changes) -> None:
    """Check that an adaptive fee rate follows past utilisation of the credit line (property 190).

    The rate at the kink changes for the time since its last update, at the debt before this call. A draw or a
    payment in the same second has no effect. The change is proportional to the distance of utilisation from
    the kink. It is bounded by the base rate and the first slope, and counts a year at most. Raises
    PropertyViolationError otherwise.
    """
    if any(log.event in ("FeeCurveSet", "FlowLimitSet") for log in step.outcome.logs):
        return
    for contract, c, old, new in changes.get("flows", ()):
        if step.get_contract(contract).KIND != _POLICY:
            continue
        terms = step.read_post_state(contract, "terms", c)
        rate, off = _compute_kink_rate_and_tolerance(step, c, terms, old)
        if abs(new.rate_at_kink - rate) > off:
            raise PropertyViolationError(
                f"type {c}: the rate at the kink moved from {old} to {new}, not to {float(rate)}"
            )


def _compute_kink_rate_and_tolerance(
    step: Transition, collateral_type: int, terms: Any, flow: Any
) -> tuple[Fraction, int]:
    """Return the expected rate at the kink [ray per second] and its rounding tolerance."""
    rate, elapsed = Fraction(flow.rate_at_kink), min(step.model.timestamp - flow.updated, _YEAR)
    if not flow.speed or not terms.kink:
        return rate, 0
    normalized = step.read_pre_state(_ENGINE, "ledger.debts", collateral_type).normalized_debt
    debt = normalized * step.read_post_state(_ENGINE, "ledger.debts", collateral_type).accumulated_rate
    used, kink = min(Fraction(1), Fraction(debt, flow.line * _RAD)), Fraction(terms.kink, BASIS_POINTS)
    scale = rate * flow.speed * elapsed / _YEAR
    way = scale * (used - kink) / (1 - kink if used > kink else kink)
    least, most = (
        Fraction(each * RAY, BASIS_POINTS * _YEAR) for each in (terms.base, terms.base + terms.slope_1)
    )
    # A rate beyond its bounds, of a curve before this one, stays until utilisation moves it back.
    moved = max(rate, min(rate + way, most)) if way > 0 else min(rate, max(rate + way, least))
    return moved, 2 + int(scale / min(kink, 1 - kink)) // 10**18
