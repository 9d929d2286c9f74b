"""The property of workouts, of one successful step; its arithmetic is its own."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY
from backstop.model.dutch import MAX_PRICE
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Change, Changes, Transition

MICRO_RAD = 10**39


@transition_property(23)
def workouts_keep_to_their_terms(step: Transition, changes: Changes) -> None:
    """A vault enters in caution, called, once in a period, under the cap, worth its debt after the discount.

    Payments repay principal first and give the lot back with the last one only; instalments are met only by
    what is paid, and while the lot is worth the rest (or has no price). A workout is foreclosed only once an
    instalment is missed or under its own ratio, and its auction starts from the price of now.
    """
    for contract, id, old, new in changes.get("balances", ()):
        if contract != "Workouts":
            continue
        if not old.left:
            _enters(step, id, new)
        elif not new.left and step.action.method == "foreclose":
            _is_foreclosed(step, changes, id, old)
        elif step.action.method in ("pay", "top_up"):
            _is_kept(step, Change(contract, id, old, new))
        elif step.action.method != "unwind" or not step.after("Settlement", "progress").begun_at:
            raise Violation(f"{step.action.method} changed workout {id}: {old} became {new}")


def _enters(step: Transition, id: int, new: Any) -> None:
    c, owner = new.collateral_type, step.after("Workouts", "schedules", id).owner
    terms, now = step.after("Workouts", "terms", c), step.model.timestamp
    vault = step.before("VaultEngine", "vaults", (c, owner))
    principal = _principal(step, id, new)
    mode = step.after("RiskPolicy", "modes").mode
    entered = step.before("Workouts", "last_entries", (c, owner))
    rate = step.after("VaultEngine", "ledger.debts", c).accumulated_rate
    fair = (
        step.action.method == "enter"
        and mode > 0
        and vault.called_at > 0
        and now >= entered + terms.period
        and 0 < new.instalments <= terms.instalments
        and step.after("Workouts", "in_workouts", c) <= terms.cap * RAD
    )
    if not fair:
        raise Violation(f"vault {c, owner}, {vault}, entered a workout in mode {mode} under {terms}")
    if (new.lot, principal, new.met) != (vault.locked_collateral, vault.normalized_debt * rate, 0):
        raise Violation(f"vault {c, owner}, {vault}, became {new} with {principal} rad of principal")
    if not _is_worth(step, new, terms.discount, principal):
        raise Violation(f"vault {c, owner} entered a workout, and is not worth {principal} rad any more")


def _is_kept(step: Transition, workout: Change) -> None:
    _, id, old, new = workout
    sums, schedule = step.before("Workouts", "sums", id), step.before("Workouts", "schedules", id)
    if step.action.method == "top_up":
        if new.left != old.left or new.lot < old.lot:
            raise Violation(f"topping up made {new} of {old}")
    elif new.left and (new.lot != old.lot or new.left > old.left):
        raise Violation(f"paying made {new} of {old}")
    if not new.left:
        return
    if new.met != old.met:
        owed = Fraction(sums.owed * new.met, new.instalments)
        principal = _principal(step, id, new)
        if new.met < old.met or sums.owed - new.left < owed:
            raise Violation(f"workout {id} has met {new.met}, with {new.left} left of {sums.owed}")
        fresh = _is_priced(step, new.collateral_type)
        if fresh and not _is_worth(step, new, schedule.discount, principal):
            raise Violation(f"workout {id} has met {new.met}, and is not worth {principal} rad any more")


def _is_foreclosed(step: Transition, changes: Changes, id: int, old: Any) -> None:
    c, schedule = old.collateral_type, step.before("Workouts", "schedules", id)
    price = step.after("PriceFeed", "prices", c).current
    due = schedule.entered_at + (old.met + 1) * schedule.interval
    principal = _principal(step, id, old)
    short = old.lot * price * BASIS_POINTS < principal * schedule.ratio
    if principal == 0 or not (step.model.timestamp > due or short):
        raise Violation(f"workout {id}, {old}, was foreclosed at {price}, before {due}")
    lot, top = step.after("CollateralAuction", "lots", id), step.after("CollateralAuction", "tops", id)
    buf = step.after("CollateralAuction", "terms", c).buf
    if (lot.lot, lot.collateral_type) != (old.lot, c):
        raise Violation(f"workout {id}, {old}, is auctioned as {lot}")
    if lot.target * RAY - top.penalty * MICRO_RAD - top.excess != principal:
        raise Violation(f"workout {id} has {principal} rad left, its auction is for {lot}, {top}")
    if top.top != min(price * buf // BASIS_POINTS, MAX_PRICE):
        raise Violation(f"workout {id}: the auction starts at {top.top}, not from the price")
    if any(contract == "VaultEngine" for contract, *_ in changes.get("vaults", ())):
        raise Violation(f"foreclosing workout {id} changed a vault")


def _principal(step: Transition, id: int, balance: Any) -> int:
    """Rad: what is left above the premium and the rounding."""
    sums = step.before("Workouts", "sums", id)
    if not sums.owed:
        sums = step.after("Workouts", "sums", id)
    return max(0, int(balance.left * RAY - sums.premium * MICRO_RAD - sums.excess))


def _is_worth(step: Transition, balance: Any, discount: int, principal: int) -> bool:
    """Whether a lot repays its principal at the lower of both prices, less the discount."""
    prices = step.after("PriceFeed", "prices", balance.collateral_type)
    value = Fraction(balance.lot * min(prices.current, prices.next) * (BASIS_POINTS - discount), BASIS_POINTS)
    return value >= principal


def _is_priced(step: Transition, c: int) -> bool:
    """Whether new risk has a price: a fresh one, and none held back."""
    return bool(step.model.view("PriceFeed", "risk_price", c))
