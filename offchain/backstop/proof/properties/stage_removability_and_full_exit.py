"""The property of the list of stages: governance can end any stage, and its members then leave in full."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    apply_or_raise,
    attempt_call_and_get_outcome,
    collect_tokens_from_holders,
    get_contract,
    list_collateral_types,
    list_pool_names,
    pick_item,
    request_and_mature_exit_batch,
    settle_batches,
)

_WATERFALL = "LossWaterfall"
_EVER = 2**256 - 1
_NOTHING = ((0, 10_000), (_EVER, 0))
"""An absolute cap, and one in basis points, of which one is nothing."""


@counterfactual_property(158)
def governance_can_remove_any_stage(lockstep: LockstepLike, random: Random) -> bool:
    """Check that governance can remove any waterfall stage that owes nothing (property 158).

    On a fork of model and chain, the trial first sets the stage's caps to zero and then removes it. A
    stranger donates dust to the pool each time. Members must be able to withdraw in full between the two
    changes or after them. Returns False if a loss is open, debt is flagged, or the stage owes. Raises
    PropertyViolationError if a change or a withdrawal fails.
    """
    waterfall = get_contract(lockstep, _WATERFALL)
    if (
        lockstep.parameters is None
        or waterfall.KIND != _WATERFALL
        or lockstep.parameters.has_stage("scripted")
    ):
        return False
    ids = waterfall.lineup[()].ids
    if len(ids) < 2 or tuple(waterfall.books[()]) != (0,) * len(waterfall.books[()]):
        return False
    k = random.choice(ids)
    if waterfall.owed[k] or any(
        lockstep.view("LiquidationEngine", "debt_at_risk_of", c) for c in list_collateral_types(lockstep)
    ):
        return False
    stage = waterfall.stages[k].stage
    pool = pick_item(
        random, [each for each in list_pool_names(lockstep) if get_contract(lockstep, each).address == stage]
    )
    with lockstep.fork_state():
        terms = {each: tuple(lockstep.view(_WATERFALL, "stage_terms", each)) for each in ids}
        _apply_stage_list_after_dust(
            lockstep, list((terms | {k: (*terms[k][:5], *random.choice(_NOTHING))}).values()), pool
        )
        if random.random() < 0.5:
            _check_random_member_can_exit(lockstep, pool, random)
            return pool is not None
        _apply_stage_list_after_dust(
            lockstep,
            [tuple(lockstep.view(_WATERFALL, "stage_terms", each)) for each in ids if each != k],
            pool,
        )
        _check_random_member_can_exit(lockstep, pool, random)
    return True


def _apply_stage_list_after_dust(
    lockstep: LockstepLike, stage_terms: Sequence[Any], pool_name: str | None
) -> None:
    """Propose a list of stages, wait, let a stranger deposit dust, and apply the list.

    Raises PropertyViolationError if the list is refused.
    """
    waterfall = get_contract(lockstep, _WATERFALL)
    apply_or_raise(lockstep, _WATERFALL, "propose_stages", tuple(stage_terms), by=waterfall.admins[()])
    lockstep.advance(waterfall.cap_delay)
    token = "Equity" if pool_name == "StakedEquity" else "Stablecoin"
    if pool_name is not None and collect_tokens_from_holders(lockstep, VISITOR, 1, token):
        apply_or_raise(
            lockstep, token, "approve", get_contract(lockstep, pool_name).address, _EVER, by=VISITOR
        )
        attempt_call_and_get_outcome(lockstep, pool_name, "deposit", 1, VISITOR, by=VISITOR)
    outcome = attempt_call_and_get_outcome(
        lockstep, _WATERFALL, "apply_stages", tuple(stage_terms), by=VISITOR
    )
    if not outcome.ok:
        raise PropertyViolationError(f"the list of stages cannot be changed: {outcome.reason!r}")


def _check_random_member_can_exit(lockstep: LockstepLike, pool_name: str | None, random: Random) -> None:
    """Check that a random member of a pool that covers no losses is paid in full.

    Raises PropertyViolationError if more than 1 wei stays unpaid.
    """
    if pool_name is None:
        return
    pool, contracts = get_contract(lockstep, pool_name), lockstep.model.world.addresses
    who = pick_item(random, [each for each in pool.list_holders() if each not in contracts])
    if who is None or not pool.cooldown:
        return
    batch = request_and_mature_exit_batch(lockstep, pool_name, who)
    settle_batches(lockstep, pool_name)
    left = lockstep.view(pool_name, "pendingRedeemRequest", batch, who)
    # A share is a millionth of a millionth of a wei's worth: what is less than a wei is never claimed.
    if lockstep.view(pool_name, "convertToAssets", left) > 1:
        raise PropertyViolationError(
            f"{who} has {left} shares in {pool_name} that are not paid, and nothing can be lost"
        )
