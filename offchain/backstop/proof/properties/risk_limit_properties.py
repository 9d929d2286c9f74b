"""Properties of limits, of a step and of a future: calls beyond a limit fail, calls within it work."""

from __future__ import annotations

from random import Random
from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.independent_arithmetic.property_arithmetic import (
    BASIS_POINTS,
    RAY,
    compute_bracket_margin_amount,
)
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    counterfactual_property,
    transition_property,
)
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    accrue_fee,
    apply_or_raise,
    attempt_call_and_get_outcome,
    get_contract,
    get_token,
    list_collateral_types,
    pick_item,
)

_ENGINE, _POLICY = "VaultEngine", "RiskPolicy"
_WAD, _RAD, _MILLIONTH = 10**18, 10**45, 10**12
_NO_CEILING = 2**33 - 1


@transition_property(69, calls=["VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"])
def draw_stays_within_limits(step: Transition, changes: Changes) -> None:
    """Check that a draw keeps the debt under the type's and the global debt ceiling (property 69).

    Performing debt, debt under auction and deficits count. Draws and withdrawals add to the type's outflow,
    which decays with time and stays under the flow limit. Raises PropertyViolationError otherwise.
    """
    if step.action.contract != _ENGINE or step.action.method not in (
        "deposit_and_draw",
        "repay_and_withdraw",
    ):
        return
    c, owner, _, amount, _ = step.action.args
    draws = step.action.method == "deposit_and_draw"
    if not amount:
        return
    if draws:
        ceiling = step.read_post_state(_ENGINE, "terms.of_types", c).debt_ceiling
        if _sum_performing_auctioned_lost_debt(step, c) > ceiling * _RAD:
            raise PropertyViolationError(
                f"type {c} owes {_sum_performing_auctioned_lost_debt(step, c)} over a ceiling of {ceiling}"
            )
        highest = step.read_post_state(_ENGINE, "ledger.system").global_debt_ceiling
        whole = sum(
            _sum_performing_auctioned_lost_debt(step, each)
            for each in decode_listed_types(step.read_post_state(_ENGINE, "terms.listed"))
        )
        if highest != _NO_CEILING and whole > highest * _RAD:
            raise PropertyViolationError(f"all types owe {whole} over a ceiling of {highest}")
    if (
        step.read_post_state(_ENGINE, "vaults", (c, owner)).normalized_debt
        and _POLICY in step.model.world.contracts
    ):
        _check_flow(step, c, amount if draws else 0, 0 if draws else amount)


def _check_flow(step: Transition, collateral_type: int, drawn: int, withdrawn: int) -> None:
    old, new = (
        step.read_pre_state(_POLICY, "flows", collateral_type),
        step.read_post_state(_POLICY, "flows", collateral_type),
    )
    if not old.cap or step.read_post_state(_POLICY, "growths", collateral_type).anchor:
        return  # without a limit, or at a price that is held down
    unit = 10 ** (18 - step.read_post_state(_ENGINE, "terms.of_types", collateral_type).decimals)
    prices = step.read_post_state("PriceFeed", "prices", collateral_type)
    price = min(prices.current, prices.next)
    used = old.used - old.cap * 10**6 * (step.model.timestamp - old.updated) // old.window
    out = -(-drawn // _MILLIONTH) - (-(withdrawn // unit * unit) * price // (_MILLIONTH * RAY))
    if new.used != max(0, used) + out or new.used > old.cap * 10**6:
        raise PropertyViolationError(f"type {collateral_type}: {out} flows out, {old} became {new}")


def _sum_performing_auctioned_lost_debt(step: Transition, collateral_type: int) -> int:
    """Return a type's performing debt, debt under auction and deficit, summed [rad]."""
    debts = step.read_post_state(_ENGINE, "ledger.debts", collateral_type)
    performing = debts.normalized_debt * debts.accumulated_rate
    sold = step.read_post_state(_ENGINE, "ledger.auctions", collateral_type).in_auction
    return int(performing + sold + step.read_post_state(_ENGINE, "ledger.deficit", collateral_type))


@counterfactual_property(78)
def draw_within_limits_succeeds(lockstep: LockstepLike, random: Random) -> bool:
    """Check that a well collateralised account can draw the minimum debt (property 78).

    The trial deposits three times the required margin on a fork of model and chain. Returns False, without a
    trial, unless the price is fresh and no mode, halt, grace period or limit is in the way. Raises
    PropertyViolationError if the draw is refused.
    """
    engine, feed = get_contract(lockstep, _ENGINE), get_contract(lockstep, "PriceFeed")
    c = pick_item(
        random, [c for c in list_collateral_types(lockstep) if get_token(lockstep, c).KIND == "Token"]
    )
    if c is None or engine.in_settlement(""):
        return False
    terms, prices, config = engine.terms[c], feed.prices[c], feed.configs[c]
    price, now = min(prices.current, prices.next), lockstep.timestamp
    if not price or config.halted or now < config.grace_until or now > prices.fresh_until:
        return False
    drawn = max(1, terms.debt_floor) * _WAD
    policy = lockstep.model.world.contracts.get(_POLICY)
    if policy is not None and not _is_draw_unrestricted(policy, c, drawn):
        return False
    debt = 2 * drawn * RAY
    needed = debt * terms.initial_ratio + (
        _compute_extra_margin_amount_bound(policy, c, debt) if policy else 0
    )
    raw = 3 * needed // (price * BASIS_POINTS * terms.unit) + 1
    if raw * terms.unit >= 2**100:
        return False
    with lockstep.fork_state():
        accrue_fee(lockstep, c)
        if not _has_ceiling_room(lockstep, c, debt) or engine.vaults[c, VISITOR].normalized_debt:
            return False
        token = get_token(lockstep, c).label
        apply_or_raise(lockstep, token, "mint", VISITOR, raw, by=VISITOR)
        apply_or_raise(lockstep, token, "approve", engine.address, raw, by=VISITOR)
        call = "deposit_and_draw", c, VISITOR, raw * terms.unit, drawn, VISITOR
        outcome = attempt_call_and_get_outcome(lockstep, _ENGINE, *call, by=VISITOR)
        if not outcome.ok:
            raise PropertyViolationError(
                f"nobody can draw {drawn} on {raw * terms.unit} of type {c}: {outcome.reason!r}"
            )
    return True


def _has_ceiling_room(lockstep: LockstepLike, collateral_type: int, more: int) -> bool:
    """Return whether the type's and the global debt ceiling leave room for `more` debt [rad]."""
    engine = get_contract(lockstep, _ENGINE)
    every = {
        each: engine.debts[each].normalized_debt * engine.debts[each].accumulated_rate
        + engine.auctions[each].in_auction
        + engine.deficit[each]
        for each in list_collateral_types(lockstep)
    }
    # Fees of other types that nobody has charged yet count later.
    highest = engine.system[()].global_debt_ceiling * _RAD
    room = every[collateral_type] + more < engine.terms[collateral_type].debt_ceiling * _RAD
    return room and 2 * sum(every.values()) + more < highest


def _is_draw_unrestricted(policy: Any, collateral_type: int, drawn: int) -> bool:
    """Return whether the risk policy puts no restriction on a draw of this amount [wad].

    That needs normal mode, no growth-capped price, and room in the flow limit.
    """
    flow = policy.flows[collateral_type]
    left = flow.cap * 10**6 - flow.used
    return bool(
        policy.modes[()].mode == policy.terms[collateral_type].mode == 0
        and not policy.growths[collateral_type].anchor
        and (not flow.cap or left > 2 * drawn // _MILLIONTH)
    )


def _compute_extra_margin_amount_bound(policy: Any, collateral_type: int, debt: int) -> int:
    """Return an upper bound of the size-dependent extra margin of a debt [basis points x rad]."""
    terms = policy.terms[collateral_type]
    of_type = sum(rate for _, rate in (terms[4:6], terms[6:8]))
    return compute_bracket_margin_amount((terms[0:2], terms[2:4]), debt) + debt * of_type
