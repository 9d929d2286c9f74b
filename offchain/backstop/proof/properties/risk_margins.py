"""Property of the margin of new risk: mode, size of the vault, and size of the type."""

from __future__ import annotations

from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, bracketed
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_ENGINE, _POLICY = "VaultEngine", "RiskPolicy"
_YEAR = 365 * 86_400
_CALLS = ("deposit_and_draw", "repay_and_withdraw")


@transition_property(187, calls=[f"{_ENGINE}.{method}" for method in _CALLS])
def new_risk_has_the_margin_of_its_size(step: Transition, changes: Changes) -> None:
    """Check that a vault that draws or withdraws has its ratio, and what mode and brackets ask beyond it.

    The brackets of vaults are read at the debt of the vault, those of a type at the last part of all its debt
    that is as large: a debt in ten vaults needs no less than in one. The higher of both counts. Collateral
    counts at the lower of the current and the next price, as far as a price may grow.
    """
    if step.action.contract != _ENGINE or step.action.method not in _CALLS or not step.action.args[3]:
        return
    c, owner = step.action.args[:2]
    vault = step.after(_ENGINE, "vaults", (c, owner))
    if not vault.normalized_debt or not has_first_policy(step):
        return
    debts = step.after(_ENGINE, "ledger.debts", c)
    debt = vault.normalized_debt * debts.accumulated_rate
    performing = debts.normalized_debt * debts.accumulated_rate
    needed = needed_margin(step, c, debt, performing)
    worth = vault.locked_collateral * price_of_risk(step, c) * BASIS_POINTS
    if worth < needed:
        raise Violation(f"vault {c, owner}: {worth} for new risk that needs {needed}, of {performing} in all")


def needed_margin(step: Transition, c: int, debt: int, performing: int) -> int:
    """Return what the collateral of a debt has to be worth for new risk [basis points x rad].

    `performing` is that of the type with the debt in it; what is sold or lost counts as well.
    """
    terms = step.after(_POLICY, "terms", c)
    sold = step.after(_ENGINE, "ledger.auctions", c).in_auction + step.after(_ENGINE, "ledger.deficit", c)
    whole, of_types = performing + sold, (terms[4:6], terms[6:8])
    marginal = bracketed(of_types, whole) - bracketed(of_types, max(0, whole - debt))
    ratio = step.after(_ENGINE, "terms.of_types", c).initial_ratio
    if terms.mode:
        ratio += step.after(_POLICY, "modes").caution_margin
    return int(debt * ratio + max(bracketed((terms[0:2], terms[2:4]), debt), marginal))


def has_first_policy(step: Transition) -> bool:
    """Return whether margins are asked by the policy of the deployment: of any other no table is known."""
    policy = step.model.world.contracts.get(_POLICY)
    return policy is not None and step.after(_ENGINE, "terms.risk_policy") == policy.address


def price_of_risk(step: Transition, c: int) -> int:
    """Return the price for new risk [ray]: the lower of current and next, under its line of growth."""
    prices, growth = step.after("PriceFeed", "prices", c), step.after(_POLICY, "growths", c)
    price = min(prices.current, prices.next)
    if not growth.anchor:
        return int(price)
    grown = growth.anchor * growth.growth * (step.model.timestamp - growth.anchored_at)
    return int(min(price, growth.anchor + grown // (BASIS_POINTS * _YEAR)))
