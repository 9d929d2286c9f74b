"""The property of the list of stages: governance can end any stage, and its members then leave in full."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from backstop.proof.properties.both import Both
from backstop.proof.properties.future import (
    VISITOR,
    all_pools,
    apply,
    ask_to_leave,
    contract_of,
    give,
    must,
    pick,
    settle,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property

_WATERFALL = "LossWaterfall"
_EVER = 2**256 - 1
_NOTHING = ((0, 10_000), (_EVER, 0))
"""An absolute cap, and one in basis points, of which one is nothing."""


@counterfactual_property(158)
def any_stage_can_be_ended(both: Both, random: Random) -> bool:
    """Assert that a stage that owes nothing can be left out after caps of nothing, whatever is put in it.

    With no loss open and nothing in doubt, one announcement makes its caps nothing and another leaves it out;
    between both, and after them, its members can leave with all that they have.
    """
    waterfall = contract_of(both, _WATERFALL)
    if both.parameters is None or waterfall.KIND != _WATERFALL or both.parameters.has_stage("scripted"):
        return False
    ids = waterfall.lineup[()].ids
    if len(ids) < 2 or tuple(waterfall.books[()]) != (0,) * len(waterfall.books[()]):
        return False
    k = random.choice(ids)
    if waterfall.owed[k] or any(both.view("LiquidationEngine", "doubt_of", c) for c in types(both)):
        return False
    stage = waterfall.stages[k].stage
    pool = pick(random, [each for each in all_pools(both) if contract_of(both, each).address == stage])
    with both.fork_state():
        terms = {each: tuple(both.view(_WATERFALL, "stage_terms", each)) for each in ids}
        _change(both, list((terms | {k: (*terms[k][:5], *random.choice(_NOTHING))}).values()), pool)
        if random.random() < 0.5:
            _check_all_leave(both, pool, random)
            return pool is not None
        _change(both, [tuple(both.view(_WATERFALL, "stage_terms", each)) for each in ids if each != k], pool)
        _check_all_leave(both, pool, random)
    return True


def _change(both: Both, terms: Sequence[Any], pool: str | None) -> None:
    """Announce a list, have a stranger put dust into the pool when it may be used, and have it used."""
    waterfall = contract_of(both, _WATERFALL)
    must(both, _WATERFALL, "propose_stages", tuple(terms), by=waterfall.admins[()])
    both.advance(waterfall.cap_delay)
    token = "Equity" if pool == "StakedEquity" else "Stablecoin"
    if pool is not None and give(both, VISITOR, 1, token):
        must(both, token, "approve", contract_of(both, pool).address, _EVER, by=VISITOR)
        apply(both, pool, "deposit", 1, VISITOR, by=VISITOR)
    outcome = apply(both, _WATERFALL, "apply_stages", tuple(terms), by=VISITOR)
    if not outcome.ok:
        raise Violation(f"the list of stages cannot be changed: {outcome.reason!r}")


def _check_all_leave(both: Both, name: str | None, random: Random) -> None:
    """Check that a member of a pool that bears nothing is paid all of its batch."""
    if name is None:
        return
    pool, contracts = contract_of(both, name), both.model.world.addresses
    who = pick(random, [each for each in pool.holders() if each not in contracts])
    if who is None or not pool.cooldown:
        return
    batch = ask_to_leave(both, name, who)
    settle(both, name)
    left = both.view(name, "pendingRedeemRequest", batch, who)
    # A share is a millionth of a millionth of a wei's worth: what is less than a wei is never claimed.
    if both.view(name, "convertToAssets", left) > 1:
        raise Violation(f"{who} has {left} shares in {name} that are not paid, and nothing can be lost")
