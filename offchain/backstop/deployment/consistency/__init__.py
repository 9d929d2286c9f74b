"""Whether the parameters of a deployment fit each other: one table of rules, and what of it a setting breaks.

Setters check a value against its bounds. What is here needs two values or more, of different contracts often.
"""

from __future__ import annotations

from types import MappingProxyType

from backstop.deployment.consistency import (
    auctions,
    cycles,
    feeds,
    governance,
    guards,
    limits,
    losses,
    margin,
    pool,
)
from backstop.deployment.consistency.rule import DOUBTFUL, REFUSED, Finding, Misfit, Prices, Rule
from backstop.deployment.parameters import Parameters

__all__ = ["DOUBTFUL", "REFUSED", "RULES", "Finding", "Misfit", "Prices", "Rule", "check", "refused"]

RULES: tuple[Rule, ...] = (
    *auctions.RULES,
    *feeds.RULES,
    *losses.RULES,
    *limits.RULES,
    *guards.RULES,
    *margin.RULES,
    *cycles.RULES,
    *pool.RULES,
    *governance.RULES,
)


def check(parameters: Parameters, prices: Prices = MappingProxyType({})) -> list[Finding]:
    """Return where a setting breaks rules, in the order of the table; a scenario has prices, its first."""
    return [Finding(each, misfit) for each in RULES for misfit in each.misfits(parameters, prices)]


def refused(parameters: Parameters, prices: Prices = MappingProxyType({})) -> list[Finding]:
    """Return where a setting breaks what the protocol promises."""
    return [found for found in check(parameters, prices) if found.rule.verdict == REFUSED]
