"""Rules about parameters that must fit each other, and the check of a deployment against all rules.

Setters check a single value against its bounds. Each rule here relates two values or more, often of different
contracts.
"""

from __future__ import annotations

from types import MappingProxyType

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.parameter_rules import (
    auction_rules,
    discount_rules,
    feed_rules,
    guard_rules,
    limit_rules,
    liquidity_vault_rules,
    loss_rules,
    margin_rules,
    mark_price_rules,
    stability_pool_rules,
    timelock_rules,
)
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    Rule,
    RuleFinding,
    RuleViolation,
)

__all__ = [
    "DOUBTFUL",
    "REFUSED",
    "RULES",
    "Prices",
    "Rule",
    "RuleFinding",
    "RuleViolation",
    "check_parameters",
    "list_refused_findings",
]

RULES: tuple[Rule, ...] = (
    *auction_rules.RULES,
    *discount_rules.RULES,
    *stability_pool_rules.RULES,
    *feed_rules.RULES,
    *loss_rules.RULES,
    *limit_rules.RULES,
    *guard_rules.RULES,
    *margin_rules.RULES,
    *mark_price_rules.RULES,
    *liquidity_vault_rules.RULES,
    *timelock_rules.RULES,
)


def check_parameters(parameters: Parameters, prices: Prices = MappingProxyType({})) -> list[RuleFinding]:
    """Return every rule that the parameters break, with the place and the values, in the rules' order.

    `prices` are the first prices of a scenario; they may be empty.
    """
    return [RuleFinding(each, misfit) for each in RULES for misfit in each.misfits(parameters, prices)]


def list_refused_findings(parameters: Parameters, prices: Prices = MappingProxyType({})) -> list[RuleFinding]:
    """Return every rule with the verdict "refused" that the parameters break.

    Breaking a refused rule breaks a promise of the protocol.
    """
    return [found for found in check_parameters(parameters, prices) if found.rule.verdict == REFUSED]
