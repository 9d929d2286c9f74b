"""Property of the margin of new risk: mode, size of the vault, and size of the type."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import (
    BASIS_POINTS,
    compute_bracket_margin_amount,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_ENGINE, _POLICY = "VaultEngine", "RiskPolicy"
_YEAR = 365 * 86_400
_CALLS = ("deposit_and_draw", "repay_and_withdraw")


@transition_property(187, calls=[f"{_ENGINE}.{method}" for method in _CALLS])
def vault_risk_meets_size_margin(step: Transition, changes: Changes) -> None:
    """Check that new risk on a vault meets its ratio and its size-dependent margin (property 187).

    The margin has a surcharge for caution mode and the higher of two bracket surcharges. One applies brackets
    to the vault's own debt. The other applies the type's brackets to the last part of the type's debt. So
    splitting a debt over vaults saves no margin. Collateral counts at the lower of current and next price,
    under the growth cap. Raises PropertyViolationError otherwise.
    """
    if step.action.contract != _ENGINE or step.action.method not in _CALLS or not step.action.args[3]:
        return
    c, owner = step.action.args[:2]
    vault = step.read_post_state(_ENGINE, "vaults", (c, owner))
    if not vault.normalized_debt or not has_initial_policy(step):
        return
    debts = step.read_post_state(_ENGINE, "ledger.debts", c)
    debt = vault.normalized_debt * debts.accumulated_rate
    performing = debts.normalized_debt * debts.accumulated_rate
    needed = compute_required_margin(step, c, debt, performing)
    worth = vault.locked_collateral * compute_growth_capped_risk_price(step, c) * BASIS_POINTS
    if worth < needed:
        raise PropertyViolationError(
            f"vault {c, owner}: {worth} for new risk that needs {needed}, of {performing} in all"
        )


def compute_required_margin(step: Transition, collateral_type: int, debt: int, performing: int) -> int:
    """Return the collateral value that a debt needs for new risk [basis points x rad].

    `performing` is the type's performing debt, this debt included [rad]. Debt under auction and deficits are
    added to it.
    """
    terms = step.read_post_state(_POLICY, "terms", collateral_type)
    sold = step.read_post_state(
        _ENGINE, "ledger.auctions", collateral_type
    ).in_auction + step.read_post_state(_ENGINE, "ledger.deficit", collateral_type)
    whole, of_types = performing + sold, (terms[4:6], terms[6:8])
    marginal = compute_bracket_margin_amount(of_types, whole) - compute_bracket_margin_amount(
        of_types, max(0, whole - debt)
    )
    ratio = step.read_post_state(_ENGINE, "terms.of_types", collateral_type).initial_ratio
    if terms.mode:
        ratio += step.read_post_state(_POLICY, "modes").caution_margin
    return int(debt * ratio + max(compute_bracket_margin_amount((terms[0:2], terms[2:4]), debt), marginal))


def has_initial_policy(step: Transition) -> bool:
    """Return whether the engine still uses the risk policy of the deployment.

    The tables of any other policy are unknown.
    """
    policy = step.model.world.contracts.get(_POLICY)
    return policy is not None and step.read_post_state(_ENGINE, "terms.risk_policy") == policy.address


def compute_growth_capped_risk_price(step: Transition, collateral_type: int) -> int:
    """Return the price for new risk [ray]: the lower of current and next price, under the growth cap."""
    prices, growth = (
        step.read_post_state("PriceFeed", "prices", collateral_type),
        step.read_post_state(_POLICY, "growths", collateral_type),
    )
    price = min(prices.current, prices.next)
    if not growth.anchor:
        return int(price)
    grown = growth.anchor * growth.growth * (step.model.timestamp - growth.anchored_at)
    return int(min(price, growth.anchor + grown // (BASIS_POINTS * _YEAR)))
