"""Properties of flagged debt, of one successful step: the flagged amount, and the end of a flag."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import MAX_UINT256
from backstop.proof.properties.incremental_table_sums import compute_unraised_principal
from backstop.proof.properties.independent_arithmetic import policy_margin_and_margin_call_terms
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.vault_liquidation_and_safety import is_vault_covered
from backstop.system import Action

_ENGINE, _LIQUIDATIONS, _WORKOUTS, _FEED = "VaultEngine", "LiquidationEngine", "Workouts", "PriceFeed"
_NOBODY = "0x" + "00" * 20
_LEAVING = {
    (_LIQUIDATIONS, "liquidate"),
    (_LIQUIDATIONS, "liquidate_and_buy"),
    ("FlashTaker", "liquidate_and_sell"),
    ("StabilityPool", "liquidate"),
    ("InstantStabilityPool", "liquidate"),
    (_LIQUIDATIONS, "write_down"),
    (_WORKOUTS, "enter"),
    (_WORKOUTS, "top_up"),
}
"""Calls, by kind of contract, by which debt leaves a vault for an auction, a workout or a deficit."""


def _is_leaving(step: Transition) -> bool:
    """Return whether the step's call can move a vault's debt to an auction, a workout or a deficit."""
    return (step.get_contract(step.action.contract).KIND, step.action.method) in _LEAVING


@transition_property(
    40,
    writes=["vault_flags.of_vaults", "balances"],
    calls=sorted({f"*.{method}" for _, method in _LEAVING}),
    events=["*.VaultFlagged", "*.WorkoutFlagged"],
)
def flag_covers_whole_debt_or_nothing(step: Transition, changes: Changes) -> None:
    """Check that a flag marks the whole debt of a vault as doubtful, or none of it (property 40).

    A debt is flagged if it could be liquidated at the lower of current and next price. For a vault of a
    token's issuer, the flag is the shortfall at the issuer's price. After a liquidation a flag is at most the
    remaining debt, and no other call changes it. For a workout, the whole principal or none is flagged.
    Raises PropertyViolationError otherwise.
    """
    told = {}
    for log in step.outcome.logs:
        if log.event == "VaultFlagged":
            told[log.values[:2]] = log.values[2]
        elif log.event == "WorkoutFlagged":
            _check_workout_flag(step, *log.values)
    flags = {each.key: each.old for each in changes.get("vault_flags.of_vaults", ())}
    if not flags.keys() <= told.keys():
        raise PropertyViolationError(
            f"flags of {sorted(flags.keys() - told.keys())} changed, and nobody was told"
        )
    for (c, owner), flag in told.items():
        known = step.read_post_state(_LIQUIDATIONS, "vault_flags.of_vaults", (c, owner))
        if _is_leaving(step):
            left = step.read_post_state(_ENGINE, "vaults", (c, owner)).normalized_debt
            expected = min(flags.get((c, owner), known), left)
        else:
            expected = _compute_normalized_debt_at_risk(step, c, owner)
        if not flag == known == expected:
            raise PropertyViolationError(
                f"vault {c, owner} is flagged with {flag}, {known} are kept, not {expected}"
            )
    _check_no_excess_flags(step, changes)


def _check_no_excess_flags(step: Transition, changes: Changes) -> None:
    """Check that no flag exceeds the debt left after a liquidation.

    No call other than `Workouts.flag` may flag a workout. Raises PropertyViolationError otherwise.
    """
    if _is_leaving(step):
        for contract, key, _, vault in changes.get("vaults", ()):
            if contract != _ENGINE:
                continue
            flag = step.read_post_state(_LIQUIDATIONS, "vault_flags.of_vaults", key)
            if flag > vault.normalized_debt:
                raise PropertyViolationError(
                    f"vault {key} owes {vault.normalized_debt} and is flagged with {flag}"
                )
    for contract, workout_id, old, new in changes.get("balances", ()):
        is_touched = contract == _WORKOUTS and new.left and new.flagged != old.flagged
        if is_touched and not step.is_call(_WORKOUTS, "flag"):
            raise PropertyViolationError(f"{step.action.method} flagged workout {workout_id}, or cleared it")


def _compute_normalized_debt_at_risk(step: Transition, collateral_type: int, owner: str) -> int:
    """Return the normalized debt of a vault that must be flagged [wad]."""
    vault, rate = (
        step.read_post_state(_ENGINE, "vaults", (collateral_type, owner)),
        _read_rate(step, collateral_type),
    )
    if not vault.normalized_debt:
        return 0
    price = _find_lowest_price(step, collateral_type)
    if not price:
        raise PropertyViolationError(f"vault {collateral_type, owner} was flagged without a price")
    if step.read_post_state(_FEED, "issuer_of", collateral_type) != _NOBODY:
        missing = max(0, vault.normalized_debt * rate - vault.locked_collateral * price)
        return -(-missing // rate)
    if not is_vault_covered(
        step,
        collateral_type,
        vault,
        step.read_post_state(_ENGINE, "terms.of_types", collateral_type).liquidation_ratio,
        price,
    ):
        return int(vault.normalized_debt)
    if not vault.called_at:
        return 0
    terms = policy_margin_and_margin_call_terms.read_call_terms(step, collateral_type)
    due = vault.called_at + terms.grace
    in_time = due <= step.model.timestamp <= due + terms.valid
    is_due = (
        terms.ratio and in_time and not is_vault_covered(step, collateral_type, vault, terms.ratio, price)
    )
    return int(vault.normalized_debt) if is_due else 0


def _check_workout_flag(
    step: Transition, workout_id: int, collateral_type: int, flagged_principal: int
) -> None:
    balance, sums = (
        step.read_post_state(_WORKOUTS, "balances", workout_id),
        step.read_post_state(_WORKOUTS, "sums", workout_id),
    )
    schedule = step.read_post_state(_WORKOUTS, "schedules", workout_id)
    principal = compute_unraised_principal(balance.left, sums.premium, sums.excess)
    late = step.model.timestamp > schedule.entered_at + (balance.met + 1) * schedule.interval
    price = _find_lowest_price(step, collateral_type)
    if principal and not late and not price:
        raise PropertyViolationError(f"workout {workout_id} was flagged without a price")
    short = balance.lot * price * BASIS_POINTS < principal * schedule.ratio
    expected = principal if principal and (late or short) else 0
    if flagged_principal != expected or bool(balance.flagged) != bool(expected):
        raise PropertyViolationError(
            f"workout {workout_id}, {balance}, is flagged with {flagged_principal}, not {expected}"
        )


def _find_lowest_price(step: Transition, collateral_type: int) -> int:
    """Return the lower of current and next price [ray], or 0 while the feed is stale but not dead."""
    prices, feed = (
        step.read_post_state(_FEED, "prices", collateral_type),
        step.read_post_state(_FEED, "configs", collateral_type),
    )
    stale_for = step.model.timestamp - prices.fresh_until
    if stale_for > 0 and not 0 < feed.dead_after < stale_for:
        return 0
    coming = prices.next or step.read_post_state(_FEED, "withheld", collateral_type) or prices.current
    return int(min(prices.current, coming))


def _read_rate(step: Transition, collateral_type: int) -> int:
    return int(step.read_post_state(_ENGINE, "ledger.debts", collateral_type).accumulated_rate)


@transition_property(70, calls=["LiquidationEngine.flag"])
def no_safe_vault_is_flagged(step: Transition, changes: Changes) -> None:
    """Check that no vault is flagged that a liquidation would refuse as safe (property 70).

    Only flags at the current price are checked. Raises PropertyViolationError otherwise.
    """
    if not step.is_call(_LIQUIDATIONS, "flag"):
        return
    for log in step.outcome.logs:
        if log.event != "VaultFlagged" or not log.values[2]:
            continue
        c, owner, flag = log.values
        prices = step.read_post_state(_FEED, "prices", c)
        coming = prices.next or step.read_post_state(_FEED, "withheld", c)
        if step.read_post_state(_FEED, "issuer_of", c) != _NOBODY or 0 < coming < prices.current:
            continue
        method: str = "liquidate"
        rest: tuple[object, ...] = (step.action.sender,)
        if step.read_post_state(_LIQUIDATIONS, "mechanism_of", c) != _NOBODY:
            method, rest = "liquidate_and_buy", (*(MAX_UINT256,) * 3, step.action.sender, b"")
        liquidation = Action(_LIQUIDATIONS, method, (c, owner, *rest), step.action.sender)
        if step.model.dry_run(liquidation).reason == "liquidation_engine: safe vault":
            raise PropertyViolationError(f"vault {c, owner} is safe, and flagged with {flag}")
