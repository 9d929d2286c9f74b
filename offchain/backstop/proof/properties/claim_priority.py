"""Property of the order of income: claims come before the target of the reserve."""

from __future__ import annotations

from random import Random
from typing import Any

from backstop.model.arithmetic import RAD, WAD
from backstop.model.bounds import MAX_GLOBAL_DEBT_CEILING
from backstop.proof.properties.both import Both
from backstop.proof.properties.future import (
    VISITOR,
    YEAR,
    accrue,
    apply,
    collapse,
    contract_of,
    deficit,
    must,
    pick,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property

_FEE = 10**19
"""Ray a second above RAY: a third of a debt in a year."""


@counterfactual_property(191)
def claims_are_paid_whatever_the_target(both: Both, random: Random) -> bool:
    """Check that the treasury pays each series of claims as much under the highest target as without one.

    Pools bear a loss first where no claim is open, and fees of a year fill the reserve.
    """
    contracts = both.model.world.contracts
    if "Treasury" not in contracts or contract_of(both, "VaultEngine").in_settlement(VISITOR):
        return False
    treasury = contract_of(both, "Treasury")
    series: list[Any] = [both.model.world.addresses[address] for address in treasury.claim_addresses]
    admin = treasury.admins[()]
    with both.imagine():
        if not any(each.series[()].outstanding for each in series) and not _lose(both, random):
            return False
        if not _earn(both) or any(deficit(both, c) for c in types(both)):
            return False
        paid = []
        for target in (0, MAX_GLOBAL_DEBT_CEILING):
            with both.imagine():
                must(both, "Treasury", "set_target", target, by=admin)
                before = [each.series[()].outstanding for each in series]
                if not apply(both, "Treasury", "distribute", by=VISITOR).ok:
                    return False
                paid.append(
                    [old - each.series[()].outstanding for old, each in zip(before, series, strict=True)]
                )
    if paid[0] != paid[1]:
        raise Violation(f"series of claims are paid {paid[0]} without a target, {paid[1]} under one")
    return any(paid[0])


def _lose(both: Both, random: Random) -> bool:
    """Return whether a type has collapsed and its loss is covered."""
    c = pick(random, types(both))
    if c is None:
        return False
    for id in collapse(both, c):
        apply(both, "CollateralAuction", "close", id, by=VISITOR)
    return deficit(both, c) > 0 and apply(both, "LossWaterfall", "cover", c, by=VISITOR).ok


def _earn(both: Both) -> bool:
    """Return whether fees of a year have filled the reserve; all debt is charged a third a year for it."""
    engine = contract_of(both, "VaultEngine")
    if engine.system[()].reserve < RAD:
        for c in types(both):
            if engine.debts[c].normalized_debt and not engine.terms[c].dynamic:
                must(both, "VaultEngine", "set_stability_fee", c, _FEE, by=engine.admins[()])
        both.advance(YEAR)
        for c in types(both):
            accrue(both, c)
    return bool(engine.system[()].reserve >= WAD)
