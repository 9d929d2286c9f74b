"""The properties of workouts: of one successful step, with its own arithmetic, and of what would happen."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD
from backstop.model.dutch import MAX_PRICE
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures.prices import fresh, known_prices
from backstop.proof.properties.future import (
    VISITOR,
    accrue,
    apply,
    contract_of,
    deficit,
    give,
    must,
    payer_names,
    payers,
    pick,
    raise_mode,
    report,
)
from backstop.proof.properties.registry import Violation, counterfactual_property, transition_property
from backstop.proof.properties.sums import principal_left
from backstop.proof.properties.transition import Change, Changes, Transition
from backstop.system import Action


@transition_property(23, writes=["balances"])
def workouts_keep_to_their_terms(step: Transition, changes: Changes) -> None:
    """Assert that a vault enters in caution, called, once in a period, under the cap, worth its debt.

    Its worth is taken after the discount. Payments repay principal first and give the lot back with the last
    one only; instalments are met only by what is paid, and while the lot is worth the rest (or has no price).
    A workout is foreclosed only once an instalment is missed or under its own ratio, and its auction starts
    from the higher of current and next price.
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
        elif new == old._replace(flagged=new.flagged):
            continue  # whether it is in doubt has a property of its own
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
    if principal_left(lot.target, top.penalty, top.excess) != principal:
        raise Violation(f"workout {id} has {principal} rad left, its auction is for {lot}, {top}")
    if top.top != min(max(known_prices(step, c)) * buf // BASIS_POINTS, MAX_PRICE):
        raise Violation(f"workout {id}: the auction starts at {top.top}, not from the price")
    if any(contract == "VaultEngine" for contract, *_ in changes.get("vaults", ())):
        raise Violation(f"foreclosing workout {id} changed a vault")


def _principal(step: Transition, id: int, balance: Any) -> int:
    """Return what is left above the premium and the rounding [rad]."""
    sums = step.before("Workouts", "sums", id)
    if not sums.owed:
        sums = step.after("Workouts", "sums", id)
    return principal_left(balance.left, sums.premium, sums.excess)


def _is_worth(step: Transition, balance: Any, discount: int, principal: int) -> bool:
    """Return whether a lot repays its principal at the lower of both prices, less the discount."""
    prices = step.after("PriceFeed", "prices", balance.collateral_type)
    value = Fraction(balance.lot * min(prices.current, prices.next) * (BASIS_POINTS - discount), BASIS_POINTS)
    return value >= principal


def _is_priced(step: Transition, c: int) -> bool:
    """Return whether new risk has a price: a fresh one, and none held back."""
    prices = step.after("PriceFeed", "prices", c)
    return bool(min(prices.current, prices.next)) and fresh(step, step.after, c)


@counterfactual_property(25)
def workouts_cost_creditors_nothing(both: Both, random: Random) -> bool:
    """Assert that what may enter a workout repays its principal at the entry price less the discount.

    So no creditor loses more if it enters and is foreclosed after the first missed payment, or pays in full,
    than if it is liquidated now: all three are played, with the lot sold at that price or just above.
    """
    if "Workouts" not in both.model.world.contracts:
        return False
    engine = contract_of(both, "VaultEngine")
    found = [key for key, vault in engine.vaults.items() if vault.normalized_debt]
    vault = pick(random, [key for key in found if key[1] not in both.model.world.addresses])
    if vault is None or engine.in_settlement(VISITOR):
        return False
    c, owner = vault
    with both.fork_state():
        price = _distress(both, c, owner, random)
        if not price:
            return False
        lowest = -(-price * (BASIS_POINTS - contract_of(both, "Workouts").terms[c].discount) // BASIS_POINTS)
        losses = []
        futures: tuple[Callable[..., bool], ...] = (_is_liquidated, _misses_a_payment, _pays_in_full)
        for future in futures:
            with both.fork_state():
                before = _creditors(both, c)
                if not future(both, c, owner, price, lowest):
                    return False
                after = _creditors(both, c)
                losses.append([max(0, before[name] - after[name]) for name in before])
    for name, now, *later in zip(_creditors(both, c), *losses, strict=True):
        if max(later) > now:
            raise Violation(f"vault {vault}: {name} loses {later} rad by a workout at {price}, {now} without")
    return True


def _distress(both: Both, c: int, owner: str, random: Random) -> int:
    """Call an unsafe vault in caution or worse, at a price; return 0 if it may not enter a workout at it."""
    engine, workouts, policy = (contract_of(both, name) for name in ("VaultEngine", "Workouts", "RiskPolicy"))
    terms = engine.terms[c]
    calls = terms.initial_ratio, 3_600, 86_400
    must(both, "RiskPolicy", "set_call_terms", c, *calls, by=policy.admins[()])
    # There is room, and the debt stays what it is.
    for setter, new in (("set_auction_limit", 10**9), ("set_stability_fee", 0)):
        must(both, "VaultEngine", setter, c, new, by=engine.admins[()])
    offer = random.choice((0, 500, 2_000)), 10_000, random.choice((0, 500)), 4, 3_600, 0, 10**9
    must(both, "Workouts", "set_terms", c, *offer, by=workouts.admins[()])
    accrue(both, c)
    vault = engine.vaults[c, owner]
    debt = vault.normalized_debt * engine.debts[c].accumulated_rate
    if not vault.locked_collateral or not contract_of(both, "PriceFeed").configs[c].reporters:
        return 0
    least = -(-debt * BASIS_POINTS // (vault.locked_collateral * (BASIS_POINTS - offer[0]))) + 1
    most = (debt * terms.liquidation_ratio - 1) // (vault.locked_collateral * BASIS_POINTS)
    price = random.choice((least * 9 // 10, least, most, random.randint(min(least, most), most)))
    if price <= 0 or price > bounds.MAX_PRICE or not report(both, c, price):
        return 0
    raise_mode(both, random)
    if not apply(both, "LiquidationEngine", "call", c, owner, by=VISITOR).ok:
        return 0
    can_enter = both.model.dry_run(Action("Workouts", "enter", (c, owner, 4), owner)).ok
    return price if can_enter else 0


def _is_liquidated(both: Both, c: int, owner: str, price: int, lowest: int) -> bool:
    liquidated = apply(both, "LiquidationEngine", "liquidate", c, owner, VISITOR, by=VISITOR)
    return liquidated.ok and _sell_above(both, liquidated.value, lowest)


def _misses_a_payment(both: Both, c: int, owner: str, price: int, lowest: int) -> bool:
    id = int(apply(both, "Workouts", "enter", c, owner, 4, by=owner).value)
    both.advance(contract_of(both, "Workouts").terms[c].interval + 1)
    if not report(both, c, price):
        return False
    must(both, "Workouts", "foreclose", id, VISITOR, by=VISITOR)
    return _sell_above(both, id, lowest)


def _pays_in_full(both: Both, c: int, owner: str, price: int, lowest: int) -> bool:
    id = int(apply(both, "Workouts", "enter", c, owner, 4, by=owner).value)
    owed = contract_of(both, "Workouts").sums[id].owed
    if not give(both, owner, owed):
        return False
    for k in range(1, 5):
        left = contract_of(both, "Workouts").balances[id].left
        if not left:
            break  # the first instalment of a few wei is all of them
        apply(both, "Workouts", "pay", id, left - owed * (4 - k) // 4, by=owner)
    return True


def _sell_above(both: Both, id: int, lowest: int) -> bool:
    """Sell all of a lot at a price or just above it: then nothing of the principal may be left."""
    auction = contract_of(both, "CollateralAuction")
    lot, top = auction.lots[id], auction.tops[id]
    terms = auction.terms[lot.collateral_type]
    # The price falls: the last second at which it is high enough.
    first, after = 0, terms.tail + 1
    while after - first > 1:
        middle = (first + after) // 2
        price, due = terms.price(top.top, middle)
        first, after = (middle, after) if price >= lowest and not due else (first, middle)
    # Where blocks are counted: whole slots, as a second more may bring a block more.
    both.advance(first - first % max(1, auction.block_time))
    give(both, VISITOR, contract_of(both, "Stablecoin").supply[()])
    taken = apply(both, "CollateralAuction", "take", id, MAX_UINT256, MAX_UINT256, VISITOR, b"", by=VISITOR)
    if not taken.ok:
        return False
    lot, top = auction.lots[id], auction.tops[id]
    left = principal_left(lot.target, top.penalty, top.excess)
    if left:
        raise Violation(f"auction {id}, sold at {lowest} or above, leaves {left} rad of principal")
    return True


def _creditors(both: Both, c: int) -> dict[str, int]:
    """Return what those have who may lose by a type's workouts, and what nobody has paid yet [rad]."""
    found = dict(zip(payer_names(both), payers(both, c), strict=True))
    del found["borrowers"]
    return found | {"whoever pays next": -deficit(both, c)}
