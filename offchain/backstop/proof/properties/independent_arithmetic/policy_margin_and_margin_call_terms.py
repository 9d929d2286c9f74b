"""A risk policy's requirements of vaults: the initial policy's are recomputed, any other's are bounded."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Transition
from backstop.model.interfaces import CallTerms
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.system import Action

_MOST = 10_000
"""The highest add-on of a debt [basis points]; a policy that asks for more gets none."""
_SHORTEST, _LONGEST = 60, 90 * 86_400
"""Bounds of the times of a margin call [seconds]; a policy with other times calls no vault."""


def compute_extra_margin_amount(step: Transition, collateral_type: int, debt: int) -> int:
    """Return a debt's margin beyond its ratio, as the risk policy asks [basis points x rad].

    The result is 0 if a replaced policy fails or asks for more than the debt itself.
    """
    if "RiskPolicy" not in step.model.world.contracts:
        return 0
    if _is_initial_policy(step):
        terms = step.read_post_state("RiskPolicy", "terms", collateral_type)
        return own.compute_bracket_margin_amount((terms[0:2], terms[2:4]), debt)
    asked = _call_risk_policy(step, "add_on", collateral_type, debt)
    return int(asked) if asked is not None and asked <= debt * _MOST else 0


def read_call_terms(step: Transition, collateral_type: int) -> CallTerms:
    """Return the terms of margin calls: ratio, grace and validity. A ratio of 0 means no calls."""
    terms = (
        step.read_post_state("RiskPolicy", "calls", collateral_type)
        if _is_initial_policy(step)
        else _call_risk_policy(step, "call_terms", collateral_type)
    )
    if terms is None or not all(_SHORTEST <= each <= _LONGEST for each in (terms.grace, terms.valid)):
        return CallTerms()
    most = step.read_post_state("VaultEngine", "terms.of_types", collateral_type).initial_ratio
    return CallTerms(min(terms.ratio, most), terms.grace, terms.valid)


def _is_initial_policy(step: Transition) -> bool:
    """Return whether the engine still uses the risk policy of the deployment."""
    stands = step.read_post_state("VaultEngine", "terms.risk_policy")
    return bool(stands == step.get_contract("RiskPolicy").address)


def _call_risk_policy(step: Transition, method: str, *args: int) -> Any:
    """Return the current risk policy's answer to a call, or None if the call reverts."""
    policy = step.model.world.at(step.read_post_state("VaultEngine", "terms.risk_policy"))
    outcome = step.model.dry_run(Action(policy.label, method, args, step.action.sender))
    return outcome.value if outcome.ok else None
