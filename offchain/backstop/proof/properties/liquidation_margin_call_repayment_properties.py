"""Properties of a vault's record: the liquidated part, the end of a margin call, and the unpaid debt."""

from __future__ import annotations

from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic import policy_margin_and_margin_call_terms
from backstop.proof.properties.independent_arithmetic.fee_curve_figures import is_permitted_fee
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.revert_conditions.call_context import ENGINE, RAD, CallContext
from backstop.proof.properties.risk_margins import has_initial_policy
from backstop.proof.properties.stability_pool_calls import get_pool_type
from backstop.proof.properties.step_transition import is_auction_or_workout_unwind

_LIQUIDATIONS = "LiquidationEngine"
_SEIZES = {
    (_LIQUIDATIONS, "liquidate"),
    (_LIQUIDATIONS, "liquidate_and_buy"),
    ("FlashTaker", "liquidate_and_sell"),
    ("StabilityPool", "liquidate"),
    ("InstantStabilityPool", "liquidate"),
    (_LIQUIDATIONS, "write_down"),
    ("Workouts", "enter"),
    ("Workouts", "top_up"),
    ("BridgeFacilitator", "realise_loss"),
    *(
        ("PerpetualMarket", each)
        for each in ("post_shortfall", "seize_insolvent", "update_and_seize", "advance_cycle", "withdraw")
    ),
    ("PerpetualLiquidityVault", "leave"),
}
"""Calls, by kind of contract, in which a vault is seized."""


@transition_property(202, calls=[f"{_LIQUIDATIONS}.liquidate"])
def liquidation_takes_all_within_limits(step: Transition, changes: Changes) -> None:
    """Check that a liquidation takes as much of a vault as the auction limits allow (property 202).

    Collateral is taken in whole units of the token. The taken debt is the pro rata debt of this collateral,
    rounded up. The taken and the remaining debt are each at least the debt floor, or the vault is taken
    whole. Raises PropertyViolationError otherwise.
    """
    if not step.is_call(_LIQUIDATIONS, "liquidate"):
        return
    call = CallContext(step)
    c, owner, _ = call.args
    room, vault = call.compute_auction_room(c), call.read_engine_slot("vaults", (c, owner))
    if room is None:
        return
    terms, rate = call.read_engine_slot("terms.of_types", c), call.compute_accumulated_rate_bounds(c)[0]
    unit, floor, whole = 10 ** (18 - terms.decimals), terms.debt_floor * RAD, vault.normalized_debt
    part, lot = min(whole, room // rate), vault.locked_collateral
    if (whole - part) * rate >= floor:
        lot = vault.locked_collateral * part // whole // unit * unit
        part = -(-lot * whole // vault.locked_collateral)
        if lot == 0 or part * rate < floor:
            lot += unit
            part = -(-lot * whole // vault.locked_collateral)
    if (whole - part) * rate < floor:
        lot, part = vault.locked_collateral, whole
    left = step.read_post_state(ENGINE, "vaults", (c, owner))
    expected = vault.locked_collateral - lot, whole - part
    if (left.locked_collateral, left.normalized_debt) != expected:
        raise PropertyViolationError(
            f"vault {c, owner}: a liquidation with room for {room} leaves {left}, not {expected}"
        )


@transition_property(203, writes=["vaults"])
def margin_call_ends_when_met(step: Transition, changes: Changes) -> None:
    """Check that a margin call starts and ends at the right call (property 203).

    It starts with the time of its own call. It ends once the margin is restored or nothing is owed, and not
    before. A liquidated vault keeps its mark of liquidation. Raises PropertyViolationError otherwise.
    """
    for contract, (c, owner), old, new in changes.get("vaults", ()):
        if contract != ENGINE:
            continue
        action = step.action
        kind = step.get_contract(action.contract).KIND
        seized = (kind, action.method) in _SEIZES
        if new.liquidated != old.liquidated and not (seized and new.liquidated):
            raise PropertyViolationError(f"vault {c, owner} is marked by {action.method}: {old} became {new}")
        if seized and action.contract == _LIQUIDATIONS and not new.liquidated:
            raise PropertyViolationError(f"vault {c, owner} is liquidated, and not marked: {new}")
        called_at = old.called_at
        if step.is_call(_LIQUIDATIONS, "call"):
            called_at = step.model.timestamp
        elif called_at and ((seized and not new.normalized_debt) or _is_call_met(step, c, new)):
            called_at = 0
        if new.called_at != called_at:
            raise PropertyViolationError(
                f"vault {c, owner} by {action.method}: {old} became {new}, its call is {called_at}"
            )


def _is_call_met(step: Transition, collateral_type: int, vault: Any) -> bool:
    """Return whether the step met the vault's margin call by a deposit or a repayment.

    The call is met if nothing is owed, or if collateral at the fresh current price reaches the call ratio and
    the extra margin.
    """
    if step.action.method not in ("deposit_and_draw", "repay_and_withdraw", "repay", "draw"):
        return False
    if not vault.normalized_debt:
        return True
    terms, prices = (
        policy_margin_and_margin_call_terms.read_call_terms(step, collateral_type),
        step.read_post_state("PriceFeed", "prices", collateral_type),
    )
    debt = (
        vault.normalized_debt * step.read_post_state(ENGINE, "ledger.debts", collateral_type).accumulated_rate
    )
    price = prices.current if step.model.timestamp <= prices.fresh_until else 0
    worth = vault.locked_collateral * price * BASIS_POINTS
    return not terms.ratio or bool(
        worth
        >= debt * terms.ratio
        + policy_margin_and_margin_call_terms.compute_extra_margin_amount(step, collateral_type, debt)
    )


@transition_property(204, calls=[f"{ENGINE}.repay_and_withdraw"])
def repayment_leaves_no_dust_debt(step: Transition, changes: Changes) -> None:
    """Check that a partial repayment leaves at least the debt floor (property 204).

    The payer's burned stablecoin equals the cost of the repaid debt. A larger partial payment stops at the
    debt floor and takes no more from the payer. Raises PropertyViolationError otherwise.
    """
    if not step.is_call(ENGINE, "repay_and_withdraw"):
        return
    call = CallContext(step)
    c, owner, paid, _, _ = call.args
    old, new = call.read_engine_slot("vaults", (c, owner)), step.read_post_state(ENGINE, "vaults", (c, owner))
    rate, floor = (
        call.compute_accumulated_rate_bounds(c)[0],
        call.read_engine_slot("terms.of_types", c).debt_floor * RAD,
    )
    whole = -(-old.normalized_debt * rate // RAY)
    gone, burned = old.normalized_debt, min(paid, whole)
    if burned < whole:
        gone = burned * RAY // rate
        most = old.normalized_debt - -(-floor // rate)
        if old.normalized_debt * rate >= floor and gone > most:
            gone, burned = most, -(-most * rate // RAY)
    supply = "erc20.totalSupply"
    found = (
        old.normalized_debt - new.normalized_debt,
        call.read("Stablecoin", supply) - step.read_post_state("Stablecoin", supply),
    )
    if found != (gone, burned):
        raise PropertyViolationError(
            f"vault {c, owner}: of {paid} {found} were repaid and burned, not {gone, burned}"
        )


_FEE_CALLS = (
    f"{ENGINE}.deposit_and_draw",
    f"{ENGINE}.repay_and_withdraw",
    f"{_LIQUIDATIONS}.liquidate",
    f"{_LIQUIDATIONS}.liquidate_and_buy",
    f"{ENGINE}.set_fee_dynamic",
)
_POOL_CALL = "*.liquidate"


@transition_property(213, calls=[*_FEE_CALLS, _POOL_CALL])
def dynamic_fee_follows_debt_at_once(step: Transition, changes: Changes) -> None:
    """Check that a dynamic fee equals its curve's value after each change of debt (property 213).

    Draws, repayments, liquidations and the switch to a dynamic fee count. Raises PropertyViolationError
    otherwise.
    """
    action = step.action
    pool_type = get_pool_type(step)
    is_known = pool_type is not None or f"{action.contract}.{action.method}" in _FEE_CALLS
    if not is_known or not has_initial_policy(step):
        return
    c = action.args[0] if pool_type is None else pool_type
    debts = [
        read(ENGINE, "ledger.debts", c).normalized_debt
        for read in (step.read_pre_state, step.read_post_state)
    ]
    if not step.read_post_state(ENGINE, "terms.of_types", c).dynamic or is_auction_or_workout_unwind(step):
        return
    fee = step.read_post_state(ENGINE, "ledger.income", c).stability_fee
    is_moved = debts[0] != debts[1] or action.method == "set_fee_dynamic"
    if is_moved and not is_permitted_fee(step, c, fee):
        raise PropertyViolationError(
            f"type {c}: {action.method} leaves a fee of {fee}, which its curve does not ask for"
        )
