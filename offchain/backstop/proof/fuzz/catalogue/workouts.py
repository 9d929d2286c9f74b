"""Workouts: who enters, pays or does not, and who forecloses, each in time or a second off."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, div_up
from backstop.model.interfaces import CAUTION
from backstop.model.workouts import Balance, principal_left
from backstop.proof.fuzz.catalogue.prices import settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


@move(weight=4)
def enter_a_workout(s: Scene) -> Iterator[Action | Wait]:
    """Enter with a vault just worth its debt less the discount, called, after caution was raised."""
    found = [(c, owner) for c in range(min(s.listed, 4)) for owner in s.people if _may_enter(s, c, owner)]
    if s.workouts is None or s.policy is None or not found or s.settling:
        return
    c, owner = s.some(found)
    terms, vault, debt = s.workouts.terms[c], s.vault(c, owner), s.debt(c, owner)
    least = div_up(debt * BASIS_POINTS, vault.locked_collateral * (BASIS_POINTS - terms.discount))
    need = debt * s.policy.calls[c].ratio + s.policy.add_on("", c, debt)
    most = (need - 1) // (vault.locked_collateral * BASIS_POINTS)
    # Fees make a debt grow on the way.
    price = s.some((most, most, (least + most) // 2, least + least // 1_000, least, least - 1))
    if not 0 < price <= min(most, bounds.MAX_PRICE) or (least > most and s.chance(0.9)):
        return
    if s.chance(0.8):
        yield Wait(max(0, s.workouts.entries[c, owner] + terms.period - s.now - s.some((0, 0, 0, 1))))
    yield from settle_price(s, c, price)
    if not s.vault(c, owner).called_at:
        yield s.call("LiquidationEngine", "call", c, owner, by=s.somebody())
    if s.policy.mode("") < CAUTION and s.chance(0.97):
        yield s.call("CircuitBreaker", "raise_to", CAUTION, by=s.guardian)
    instalments = s.some((1, (terms.instalments + 1) // 2, terms.instalments))
    if s.chance(0.03):
        instalments = s.some((0, terms.instalments + 1))
    by = owner if s.chance(0.95) else s.somebody()
    yield s.call("Workouts", "enter", c, owner, instalments, by=by)


def _may_enter(s: Scene, c: int, owner: str) -> bool:
    """Return whether a vault has collateral, and debt for which workouts have room; rarely more."""
    if s.workouts is None or s.policy is None or not (s.workouts.terms[c].cap and s.policy.calls[c].ratio):
        return False
    left = min(s.room(c), s.workouts.terms[c].cap * RAD - s.workouts.principals[c])
    debt = s.debt(c, owner)
    return bool(s.vault(c, owner).locked_collateral and debt and (debt < left or s.chance(0.05)))


@move(weight=3)
def pay_a_workout(s: Scene) -> Iterator[Action | Wait]:
    """Pay an instalment, a wei off it, what repays the principal, the rest, or nothing."""
    id = s.workout_id()
    if s.workouts is None or id is None:
        return
    balance: Balance = s.workouts.balances[id]
    sums, payer = s.workouts.sums[id], s.richest()
    if balance.left and s.chance(0.3):
        due = s.workouts.schedules[id].due(balance.met)
        yield Wait(max(0, due - s.now - s.some((0, 1, 600))))
        if s.chance(0.7) and not s.settling:
            yield from settle_price(s, balance.collateral_type, s.price(balance.collateral_type))
    parts = max(1, balance.instalments)
    next_one = -(-sums.owed * (balance.met + 1) // parts) - (sums.owed - balance.left)
    principal = principal_left(balance, sums) // RAY
    amount = s.some((s.near(max(0, next_one)), s.near(max(0, next_one)), s.near(principal), MAX_UINT256, 0))
    held = s.held("Stablecoin", payer)
    if amount != MAX_UINT256 and s.chance(0.9):
        amount = min(amount, held)
    yield s.call("Workouts", "pay", id, amount, by=payer)


@move(weight=1.2)
def top_up_a_workout(s: Scene) -> Iterator[Action | Wait]:
    """Add collateral out of a vault that owes nothing; at times out of one that does."""
    id = s.workout_id()
    if s.workouts is None or id is None or s.settling:
        return
    balance: Balance = s.workouts.balances[id]
    c, owner = balance.collateral_type, s.workouts.schedules[id].owner
    if balance.left == 0:
        owner = s.somebody()
    elif s.debt(c, owner) == 0 and s.chance(0.8):
        yield s.call("VaultEngine", "deposit_and_draw", c, owner, s.near(balance.lot), 0, owner, by=owner)
    elif s.chance(0.8):
        return
    by = owner if s.chance(0.9) else s.somebody()
    yield s.call("Workouts", "top_up", id, s.near(s.vault(c, owner).locked_collateral), by=by)


@move(weight=2)
def foreclose_a_workout(s: Scene) -> Iterator[Action | Wait]:
    """Foreclose once an instalment is missed, to the second, or just under the workout's ratio."""
    id = s.workout_id()
    if s.workouts is None or id is None or s.settling:
        return
    balance: Balance = s.workouts.balances[id]
    schedule, c = s.workouts.schedules[id], balance.collateral_type
    if balance.lot:
        price = s.feed.prices[c].current
        if s.chance(0.5):
            principal = principal_left(balance, s.workouts.sums[id])
            price = principal * schedule.ratio // (balance.lot * BASIS_POINTS) + s.some((0, 0, 1))
            if not 0 < price <= bounds.MAX_PRICE:
                return
            yield from settle_price(s, c, price)
        else:
            yield Wait(max(0, schedule.due(balance.met) - s.now))
        yield from settle_price(s, c, price)
        yield Wait(s.some((0, 1)))
    yield s.call("Workouts", "foreclose", id, s.somebody(), by=s.somebody())


@move(weight=1)
def retire_type_in_workout(s: Scene) -> Iterator[Action | Wait]:
    """Repay what a workout's type owes but premiums, and retire the type; at times pay a premium then."""
    id = s.workout_id()
    if s.workouts is None or id is None or s.settling or not s.workouts.balances[id].left:
        return
    c = s.workouts.balances[id].collateral_type
    for owner in [
        owner for (of, owner), vault in s.engine.vaults.items() if of == c and vault.normalized_debt
    ]:
        yield s.call("VaultEngine", "repay_and_withdraw", c, owner, MAX_UINT256, 0, owner, by=s.richest())
    for each in s.open_workouts():
        balance: Balance = s.workouts.balances[each]
        if balance.collateral_type == c and (left := principal_left(balance, s.workouts.sums[each])):
            yield s.call("Workouts", "pay", each, div_up(left, RAY), by=s.richest())
    yield s.call("VaultEngine", "retire_collateral_type", c, by=s.admin)
    if s.chance(0.3):
        yield s.call("Workouts", "pay", id, s.some((1, MAX_UINT256)), by=s.richest())


@move(weight=1)
def set_workout_terms(s: Scene) -> Iterator[Action | Wait]:
    """Set terms of a type, within bounds and outside."""
    if s.workouts is None:
        return
    c = s.type() if s.chance(0.97) else s.listed
    discount = s.some((0, 1_000, 2_000, bounds.MAX_WORKOUT_DISCOUNT))
    highest = BASIS_POINTS * BASIS_POINTS // (BASIS_POINTS - discount)
    ratio = s.some((BASIS_POINTS, highest, s.random.randint(BASIS_POINTS, highest)))
    premium = s.some((0, 1, 200, bounds.MAX_PREMIUM))
    instalments = s.some((1, 4, 7, bounds.MAX_INSTALMENTS))
    interval = s.some((bounds.MIN_INTERVAL, 3_600, 86_400, bounds.MAX_INTERVAL))
    period = s.some((0, 0, 3_600, bounds.MAX_WORKOUT_PERIOD))
    taken = s.workouts.principals[min(c, s.listed - 1)] // RAD
    cap = s.some((0, taken, 10**5, 10**7, bounds.MAX_DEBT_CEILING))
    if s.chance(0.15):
        discount = s.some((bounds.MAX_WORKOUT_DISCOUNT + 1, discount))
        ratio = s.some((BASIS_POINTS - 1, highest + 1, ratio))
        premium = s.some((bounds.MAX_PREMIUM + 1, premium))
        instalments = s.some((0, bounds.MAX_INSTALMENTS + 1, instalments))
        interval = s.some((bounds.MIN_INTERVAL - 1, bounds.MAX_INTERVAL + 1, interval))
        period = s.some((bounds.MAX_WORKOUT_PERIOD + 1, period))
        cap = s.some((bounds.MAX_DEBT_CEILING + 1, MAX_UINT256, cap))
    args = c, discount, ratio, premium, instalments, interval, period, cap
    yield s.call("Workouts", "set_terms", *args, by=s.admin if s.chance(0.93) else s.somebody())
