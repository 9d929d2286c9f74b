"""The properties of workouts: of one successful step, with its own arithmetic, and of simulated futures."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

from backstop.lockstep.step_transition import Changes, SlotChange, Transition
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD
from backstop.model.dutch_auction import MAX_PRICE
from backstop.proof.properties.incremental_table_sums import compute_unraised_principal
from backstop.proof.properties.independent_arithmetic.price_figures import is_price_fresh, list_known_prices
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
    collect_tokens_from_holders,
    force_random_guardian_mode,
    get_contract,
    list_payer_balances,
    list_payer_names,
    pick_item,
    read_deficit,
    report_price,
)
from backstop.system import Action


@transition_property(23, writes=["balances"])
def workouts_follow_their_terms(step: Transition, changes: Changes) -> None:
    """Check that workouts are entered, paid and foreclosed by their terms (property 23).

    A vault enters in caution mode or above, after a margin call, once in a period and under the type's cap.
    Its collateral must be worth the debt after the discount. Payments repay principal first, and only the
    last one returns the lot. An instalment is met only by payments, while the lot covers the remaining debt
    or has no price. Foreclosure needs a missed instalment or a lot under the workout's ratio. The auction
    starts from the higher of current and next price. Raises PropertyViolationError otherwise.
    """
    for contract, workout_id, old, new in changes.get("balances", ()):
        if contract != "Workouts":
            continue
        if not old.left:
            _check_entry(step, workout_id, new)
        elif not new.left and step.action.method == "foreclose":
            _check_foreclosure(step, changes, workout_id, old)
        elif step.action.method in ("pay", "top_up"):
            _check_payment_or_topup(step, SlotChange(contract, workout_id, old, new))
        elif new == old._replace(flagged=new.flagged):
            continue  # whether it is in doubt has a property of its own
        elif step.action.method != "unwind" or not step.read_post_state("Settlement", "progress").begun_at:
            raise PropertyViolationError(
                f"{step.action.method} changed workout {workout_id}: {old} became {new}"
            )


def _check_entry(step: Transition, workout_id: int, new: Any) -> None:
    c, owner = new.collateral_type, step.read_post_state("Workouts", "schedules", workout_id).owner
    terms, now = step.read_post_state("Workouts", "terms", c), step.model.timestamp
    vault = step.read_pre_state("VaultEngine", "vaults", (c, owner))
    principal = _compute_remaining_principal(step, workout_id, new)
    mode = step.read_post_state("RiskPolicy", "modes").mode
    entered = step.read_pre_state("Workouts", "last_entries", (c, owner))
    rate = step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
    fair = (
        step.action.method == "enter"
        and mode > 0
        and vault.called_at > 0
        and now >= entered + terms.period
        and 0 < new.instalments <= terms.instalments
        and step.read_post_state("Workouts", "in_workouts", c) <= terms.cap * RAD
    )
    if not fair:
        raise PropertyViolationError(
            f"vault {c, owner}, {vault}, entered a workout in mode {mode} under {terms}"
        )
    if (new.lot, principal, new.met) != (vault.locked_collateral, vault.normalized_debt * rate, 0):
        raise PropertyViolationError(
            f"vault {c, owner}, {vault}, became {new} with {principal} rad of principal"
        )
    if not _is_lot_sufficient(step, new, terms.discount, principal):
        raise PropertyViolationError(
            f"vault {c, owner} entered a workout, and is not worth {principal} rad any more"
        )


def _check_payment_or_topup(step: Transition, workout_change: SlotChange) -> None:
    _, workout_id, old, new = workout_change
    sums, schedule = (
        step.read_pre_state("Workouts", "sums", workout_id),
        step.read_pre_state("Workouts", "schedules", workout_id),
    )
    if step.action.method == "top_up":
        if new.left != old.left or new.lot < old.lot:
            raise PropertyViolationError(f"topping up made {new} of {old}")
    elif new.left and (new.lot != old.lot or new.left > old.left):
        raise PropertyViolationError(f"paying made {new} of {old}")
    if not new.left:
        return
    if new.met != old.met:
        owed = Fraction(sums.owed * new.met, new.instalments)
        principal = _compute_remaining_principal(step, workout_id, new)
        if new.met < old.met or sums.owed - new.left < owed:
            raise PropertyViolationError(
                f"workout {workout_id} has met {new.met}, with {new.left} left of {sums.owed}"
            )
        fresh = _has_risk_price(step, new.collateral_type)
        if fresh and not _is_lot_sufficient(step, new, schedule.discount, principal):
            raise PropertyViolationError(
                f"workout {workout_id} has met {new.met}, and is not worth {principal} rad any more"
            )


def _check_foreclosure(step: Transition, changes: Changes, workout_id: int, old: Any) -> None:
    c, schedule = old.collateral_type, step.read_pre_state("Workouts", "schedules", workout_id)
    price = step.read_post_state("PriceFeed", "prices", c).current
    due = schedule.entered_at + (old.met + 1) * schedule.interval
    principal = _compute_remaining_principal(step, workout_id, old)
    short = old.lot * price * BASIS_POINTS < principal * schedule.ratio
    if principal == 0 or not (step.model.timestamp > due or short):
        raise PropertyViolationError(f"workout {workout_id}, {old}, was foreclosed at {price}, before {due}")
    lot, top = (
        step.read_post_state("CollateralAuction", "lots", workout_id),
        step.read_post_state("CollateralAuction", "tops", workout_id),
    )
    buf = step.read_post_state("CollateralAuction", "terms", c).buf
    if (lot.lot, lot.collateral_type) != (old.lot, c):
        raise PropertyViolationError(f"workout {workout_id}, {old}, is auctioned as {lot}")
    if compute_unraised_principal(lot.target, top.penalty, top.excess) != principal:
        raise PropertyViolationError(
            f"workout {workout_id} has {principal} rad left, its auction is for {lot}, {top}"
        )
    if top.top != min(max(list_known_prices(step, c)) * buf // BASIS_POINTS, MAX_PRICE):
        raise PropertyViolationError(
            f"workout {workout_id}: the auction starts at {top.top}, not from the price"
        )
    if any(contract == "VaultEngine" for contract, *_ in changes.get("vaults", ())):
        raise PropertyViolationError(f"foreclosing workout {workout_id} changed a vault")


def _compute_remaining_principal(step: Transition, workout_id: int, workout: Any) -> int:
    """Return the unpaid principal of a workout [rad], without premium and rounding."""
    sums = step.read_pre_state("Workouts", "sums", workout_id)
    if not sums.owed:
        sums = step.read_post_state("Workouts", "sums", workout_id)
    return compute_unraised_principal(workout.left, sums.premium, sums.excess)


def _is_lot_sufficient(step: Transition, workout: Any, discount: int, principal: int) -> bool:
    """Return whether a lot repays `principal` [rad] at the lower of both prices less the discount."""
    prices = step.read_post_state("PriceFeed", "prices", workout.collateral_type)
    value = Fraction(workout.lot * min(prices.current, prices.next) * (BASIS_POINTS - discount), BASIS_POINTS)
    return value >= principal


def _has_risk_price(step: Transition, collateral_type: int) -> bool:
    """Return whether the feed has fresh current and next prices, with none withheld."""
    prices = step.read_post_state("PriceFeed", "prices", collateral_type)
    return bool(min(prices.current, prices.next)) and is_price_fresh(
        step, step.read_post_state, collateral_type
    )


@counterfactual_property(25)
def workouts_cost_creditors_nothing(lockstep: LockstepLike, random: Random) -> bool:
    """Check that a workout costs creditors no more than an immediate liquidation (property 25).

    The trial plays three futures of a called vault on a fork of model and chain. They are liquidation,
    foreclosure after the first missed payment, and full payment. The lot is sold at the entry price less the
    discount or just above. It must then repay its principal. Returns False if no vault can enter a workout.
    Raises PropertyViolationError if a payer loses more by the workout.
    """
    if "Workouts" not in lockstep.model.world.contracts:
        return False
    engine = get_contract(lockstep, "VaultEngine")
    found = [key for key, vault in engine.vaults.items() if vault.normalized_debt]
    vault = pick_item(random, [key for key in found if key[1] not in lockstep.model.world.addresses])
    if vault is None or engine.in_settlement(VISITOR):
        return False
    c, owner = vault
    with lockstep.fork_state():
        price = _call_vault_at_random_price(lockstep, c, owner, random)
        if not price:
            return False
        lowest = -(
            -price * (BASIS_POINTS - get_contract(lockstep, "Workouts").terms[c].discount) // BASIS_POINTS
        )
        losses = []
        futures: tuple[Callable[..., bool], ...] = (
            _liquidate_and_sell,
            _enter_foreclose_and_sell,
            _enter_workout_and_pay_all_instalments,
        )
        for future in futures:
            with lockstep.fork_state():
                before = _read_balances_by_loss_bearer(lockstep, c)
                if not future(lockstep, c, owner, price, lowest):
                    return False
                after = _read_balances_by_loss_bearer(lockstep, c)
                losses.append([max(0, before[name] - after[name]) for name in before])
    for name, now, *later in zip(_read_balances_by_loss_bearer(lockstep, c), *losses, strict=True):
        if max(later) > now:
            raise PropertyViolationError(
                f"vault {vault}: {name} loses {later} rad by a workout at {price}, {now} without"
            )
    return True


def _call_vault_at_random_price(
    lockstep: LockstepLike, collateral_type: int, owner: str, random: Random
) -> int:
    """Issue a margin call on a vault at a random price, and return the price [ray].

    Returns 0 if the vault then could not enter a workout.
    """
    engine, workouts, policy = (
        get_contract(lockstep, name) for name in ("VaultEngine", "Workouts", "RiskPolicy")
    )
    terms = engine.terms[collateral_type]
    calls = terms.initial_ratio, 3_600, 86_400
    apply_or_raise(lockstep, "RiskPolicy", "set_call_terms", collateral_type, *calls, by=policy.admins[()])
    # There is room, and the debt stays what it is.
    for setter, new in (("set_auction_limit", 10**9), ("set_stability_fee", 0)):
        apply_or_raise(lockstep, "VaultEngine", setter, collateral_type, new, by=engine.admins[()])
    offer = random.choice((0, 500, 2_000)), 10_000, random.choice((0, 500)), 4, 3_600, 0, 10**9
    apply_or_raise(lockstep, "Workouts", "set_terms", collateral_type, *offer, by=workouts.admins[()])
    accrue_fee(lockstep, collateral_type)
    vault = engine.vaults[collateral_type, owner]
    debt = vault.normalized_debt * engine.debts[collateral_type].accumulated_rate
    if (
        not vault.locked_collateral
        or not get_contract(lockstep, "PriceFeed").configs[collateral_type].reporters
    ):
        return 0
    least = -(-debt * BASIS_POINTS // (vault.locked_collateral * (BASIS_POINTS - offer[0]))) + 1
    most = (debt * terms.liquidation_ratio - 1) // (vault.locked_collateral * BASIS_POINTS)
    price = random.choice((least * 9 // 10, least, most, random.randint(min(least, most), most)))
    if price <= 0 or price > bounds.MAX_PRICE or not report_price(lockstep, collateral_type, price):
        return 0
    force_random_guardian_mode(lockstep, random)
    if not attempt_call_and_get_outcome(
        lockstep, "LiquidationEngine", "call", collateral_type, owner, by=VISITOR
    ).ok:
        return 0
    can_enter = lockstep.model.dry_run(Action("Workouts", "enter", (collateral_type, owner, 4), owner)).ok
    return price if can_enter else 0


def _liquidate_and_sell(
    lockstep: LockstepLike, collateral_type: int, owner: str, price: int, lowest: int
) -> bool:
    liquidated = attempt_call_and_get_outcome(
        lockstep, "LiquidationEngine", "liquidate", collateral_type, owner, VISITOR, by=VISITOR
    )
    return liquidated.ok and _sell_lot_near_lowest_price(lockstep, liquidated.value, lowest)


def _enter_foreclose_and_sell(
    lockstep: LockstepLike, collateral_type: int, owner: str, price: int, lowest_price: int
) -> bool:
    workout_id = int(
        attempt_call_and_get_outcome(lockstep, "Workouts", "enter", collateral_type, owner, 4, by=owner).value
    )
    lockstep.advance(get_contract(lockstep, "Workouts").terms[collateral_type].interval + 1)
    if not report_price(lockstep, collateral_type, price):
        return False
    apply_or_raise(lockstep, "Workouts", "foreclose", workout_id, VISITOR, by=VISITOR)
    return _sell_lot_near_lowest_price(lockstep, workout_id, lowest_price)


def _enter_workout_and_pay_all_instalments(
    lockstep: LockstepLike, collateral_type: int, owner: str, price: int, lowest: int
) -> bool:
    workout_id = int(
        attempt_call_and_get_outcome(lockstep, "Workouts", "enter", collateral_type, owner, 4, by=owner).value
    )
    owed = get_contract(lockstep, "Workouts").sums[workout_id].owed
    if not collect_tokens_from_holders(lockstep, owner, owed):
        return False
    for k in range(1, 5):
        left = get_contract(lockstep, "Workouts").balances[workout_id].left
        if not left:
            break  # the first instalment of a few wei is all of them
        attempt_call_and_get_outcome(
            lockstep, "Workouts", "pay", workout_id, left - owed * (4 - k) // 4, by=owner
        )
    return True


def _sell_lot_near_lowest_price(lockstep: LockstepLike, auction_id: int, lowest_price: int) -> bool:
    """Sell a whole lot at the last moment at which its price is at least `lowest_price`.

    Returns False if the purchase is refused. Raises PropertyViolationError if principal stays unpaid.
    """
    auction = get_contract(lockstep, "CollateralAuction")
    lot, top = auction.lots[auction_id], auction.tops[auction_id]
    terms = auction.terms[lot.collateral_type]
    # The price falls: the last second at which it is high enough.
    first, after = 0, terms.tail + 1
    while after - first > 1:
        middle = (first + after) // 2
        price, due = terms.price(top.top, middle)
        first, after = (middle, after) if price >= lowest_price and not due else (first, middle)
    # Where blocks are counted: whole slots, as a second more may bring a block more.
    lockstep.advance(first - first % max(1, auction.block_time))
    collect_tokens_from_holders(lockstep, VISITOR, get_contract(lockstep, "Stablecoin").supply[()])
    taken = attempt_call_and_get_outcome(
        lockstep, "CollateralAuction", "take", auction_id, MAX_UINT256, MAX_UINT256, VISITOR, b"", by=VISITOR
    )
    if not taken.ok:
        return False
    lot, top = auction.lots[auction_id], auction.tops[auction_id]
    left = compute_unraised_principal(lot.target, top.penalty, top.excess)
    if left:
        raise PropertyViolationError(
            f"auction {auction_id}, sold at {lowest_price} or above, leaves {left} rad of principal"
        )
    return True


def _read_balances_by_loss_bearer(lockstep: LockstepLike, collateral_type: int) -> dict[str, int]:
    """Return the balance of each payer of a type's losses and the negative deficit [rad], by name.

    Borrowers are left out.
    """
    found = dict(zip(list_payer_names(lockstep), list_payer_balances(lockstep, collateral_type), strict=True))
    del found["borrowers"]
    return found | {"whoever pays next": -read_deficit(lockstep, collateral_type)}
