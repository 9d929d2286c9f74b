"""Reacting owners in the kernel: the rule of `simulation/scenario/owner_behavior.py` on tables.

Draws and chances are the same integers; debts and worth are floats here, so that a decision differs only
where a distance is within rounding of a bound.
"""

from __future__ import annotations

from math import floor
from typing import NamedTuple

import numpy as np
from numba import njit

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.scenario.owner_behavior import (
    BILLION,
    DEFENCE_SIZE,
    DEFENCE_WAY,
    DEFENDS,
    DRAWN,
    IDLE,
    PARTS,
    RELEASE_SIZE,
    RELEASE_WAY,
    RELEASES_RISK,
    OwnerAction,
    OwnerBehavior,
)
from backstop.studies.stress.fast.kernel_tables import (
    SOLD,
    Floats,
    Integers,
    PathConditions,
    Table,
    build_row_type,
)
from backstop.studies.stress.fast.loss_kernel import charge_fees
from backstop.studies.stress.fast.pricing import get_fresh_price_or_zero

_SELL, _REPAY, _ADD = range(3)
_DRAW = 0

ACTIVITY = build_row_type(
    # price: sum of the feed's prices at liquidations, each times the debt; liquidated_at: time of the first.
    floats="repaid sold added drawn withdrawn liquidated seized price liquidated_at",
    integers="actions",
)
"""Acts of a vault's owner on a path, and its liquidations [coins, stablecoins, seconds]."""

DAY = 86_400
LIQUIDATED, REPAID = range(2)
"""Columns of daily sums."""


class ActionTables(NamedTuple):
    """Arrays of an OwnerAction: when owners act in one direction, in which ways, and by how much."""

    distances: Integers
    chances: Integers
    ways: Integers
    sizes: Integers
    least: int


class OwnerTables(NamedTuple):
    """Behavior of vault owners as arrays; `every` is 0 if owners do not act."""

    book: Integers  # places of the vaults, in the order of the book
    types: Integers  # of the vault at each place
    every: int
    idle: int
    within: int
    falls: Integers
    factors: Integers
    large_debt: float
    large_factor: int
    defend: ActionTables
    release: ActionTables


def build_owner_tables(behavior: OwnerBehavior | None, vaults: Table, terms: Table) -> OwnerTables:
    """Return the tables of an owners' behavior; with None, tables of owners that never act."""
    if behavior is None:
        still = OwnerAction((0,), (0, 0), (BILLION, 0, 0), (0,) * (PARTS + 1), 0)
        behavior = OwnerBehavior(0, 0, 0, (0,), (BASIS_POINTS,), 0, BASIS_POINTS, still, still)
    return OwnerTables(
        np.argsort(vaults["number"]),
        np.repeat(np.arange(len(terms)), terms["last"] - terms["first"]),
        behavior.every,
        behavior.idle,
        behavior.within,
        np.array(behavior.falls, dtype=np.int64),
        np.array(behavior.factors, dtype=np.int64),
        behavior.large_debt / WAD,
        behavior.large_factor,
        _build_action_tables(behavior.defend),
        _build_action_tables(behavior.release),
    )


def _build_action_tables(action: OwnerAction) -> ActionTables:
    return ActionTables(
        np.array(action.distances, dtype=np.int64),
        np.array(action.chances, dtype=np.int64),
        np.array(action.ways, dtype=np.int64),
        np.array(action.sizes, dtype=np.int64),
        action.least,
    )


@njit(cache=True)
def draw_number(key: int, vault: int, look: int, purpose: int) -> np.int64:
    """Return a pseudorandom integer from 0 to DRAWN - 1.

    It is a hash of path key, vault, number of the decision (`look`) and purpose, equal to that of
    owner_behavior.draw_number.
    """
    mixed = (
        np.uint64(key)
        + np.uint64(vault) * np.uint64(0x9E3779B97F4A7C15)
        + np.uint64(look) * np.uint64(0xD1B54A32D192ED03)
        + np.uint64(purpose) * np.uint64(0x8CB92BA72F3D8DD7)
    )
    for _ in range(2):
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.int64(mixed >> np.uint64(32))


@njit(cache=True)
def _interpolate_factor(places: Integers, factors: Integers, place: int) -> int:
    if place <= places[0]:
        return factors[0]
    for i in range(1, len(places)):
        if place < places[i]:
            step = places[i] - places[i - 1]
            return factors[i - 1] + (factors[i] - factors[i - 1]) * (place - places[i - 1]) // step
    return factors[-1]


@njit(cache=True)
def _interpolate_size(sizes: Integers, drawn: np.int64) -> int:
    part = drawn * PARTS // DRAWN
    rest = drawn * PARTS - part * DRAWN
    return sizes[part] + (sizes[part + 1] - sizes[part]) * rest // DRAWN


@njit(cache=True)
def _select_chance(action: ActionTables, distance: int) -> int:
    place = 0
    while place < len(action.distances) and distance >= action.distances[place]:
        place += 1
    chance: int = action.chances[place]
    return chance


@njit(cache=True)
def _select_way(ways: Integers, drawn: np.int64) -> int:
    passed = 0
    for place in range(len(ways)):
        passed += ways[place]
        if drawn * BILLION < passed * DRAWN:
            return place
    return len(ways) - 1


@njit(cache=True)
def run_owner_reactions(
    owners: OwnerTables,
    setting: Table,
    terms: Table,
    world: PathConditions,
    kinds: Table,
    system: Table,
    vaults: Table,
    touched: Integers,
    activity: Table,
    daily: Floats,
    prices: Floats,
    block: int,
) -> None:
    """Run each owner's decision on its vault at this block, in the order of the book.

    An owner may defend the vault, or else release collateral or draw more debt.
    """
    now = block * setting.block_time
    look, before = now // owners.every, max(0, block - owners.within // setting.block_time)
    factors = np.empty(len(terms), dtype=np.int64)
    for c in range(len(terms)):
        past, present = world.prices[c, before], world.prices[c, block]
        fall = max(0, floor((past - present) / past * BASIS_POINTS))
        factors[c] = _interpolate_factor(owners.falls, owners.factors, fall)
    for v in owners.book:
        c = owners.types[v]
        vault = vaults[v]
        if vault.state == SOLD or vault.debt <= 0.0:
            continue
        debt, worth = vault.debt * kinds[c].rate, vault.locked * prices[c]
        if worth <= debt:
            continue
        key, number = world.owner_key, vault.number
        if draw_number(key, number, 0, IDLE) * BILLION < owners.idle * DRAWN:
            continue
        distance = floor(worth * BASIS_POINTS / (debt * terms[c].ratio)) - BASIS_POINTS
        chance = _select_chance(owners.defend, distance)
        if distance >= 0:
            chance = chance * factors[c] // BASIS_POINTS
        if owners.large_debt > 0 and debt >= owners.large_debt:
            chance = chance * owners.large_factor // BASIS_POINTS
        acts, repaid = False, activity[v].repaid
        if draw_number(key, number, look, DEFENDS) * BILLION < min(chance, BILLION) * DRAWN:
            acts = _defend_vault(
                owners.defend, terms[c], kinds, c, system, vault, activity[v], prices[c], debt, worth, now,
                look, key,
            )  # fmt: skip
        else:
            chance = _select_chance(owners.release, distance)
            if draw_number(key, number, look, RELEASES_RISK) * BILLION < chance * DRAWN:
                acts = _release_collateral_or_draw(
                    owners.release, setting, terms[c], kinds, c, system, vault, activity[v], prices[c], debt,
                    worth, now, look, key,
                )  # fmt: skip
        if acts:
            activity[v].actions += 1
            daily[int(now) // DAY, REPAID] += activity[v].repaid - repaid
            if not vault.touched:
                vault.touched = 1
                touched[system.touched] = v
                system.touched += 1
            vault.trigger = terms[c].ratio * vault.debt / vault.locked if vault.locked > 0 else 0.0


@njit(cache=True)
def _provide_stablecoins(kinds: Table, system: Table, amount: float) -> bool:
    """Move stablecoins from the markets to the market maker until it has `amount`.

    Return False if the markets hold too few.
    """
    for kind in kinds:
        missing = amount - system.maker
        if missing <= 0:
            return True
        moved = min(missing, max(0.0, kind.money - kind.virtual))
        kind.virtual += moved
        system.maker += moved
    return system.maker >= amount


@njit(cache=True)
def _repay_debt(
    terms: Table, kind: Table, system: Table, vault: Table, amount: float, debt: float, now: float
) -> None:
    charge_fees(terms, kind, system, now)
    part = vault.debt if amount >= debt else amount / kind.rate
    vault.debt -= part
    kind.art -= part
    system.maker -= amount
    system.supply -= amount


@njit(cache=True)
def _defend_vault(
    action: ActionTables,
    terms: Table,
    kinds: Table,
    type_index: int,
    system: Table,
    vault: Table,
    activity: Table,
    price: float,
    debt: float,
    worth: float,
    now: float,
    look: int,
    key: int,
) -> bool:
    """Make a vault safer by a sale of collateral, a repayment or a deposit.

    Return False, and change no vault, if the contracts or the markets do not allow it.
    """
    kind = kinds[type_index]
    way = _select_way(action.ways, draw_number(key, vault.number, look, DEFENCE_WAY))
    size = _interpolate_size(action.sizes, draw_number(key, vault.number, look, DEFENCE_SIZE))
    wanted = terms.ratio * (1 + action.least / BASIS_POINTS)
    if way == _SELL:
        wanted = max(wanted, terms.initial_ratio)
    lacking = max(0.0, debt * wanted - worth)
    divisor = 1.0
    if way == _SELL:
        divisor = wanted - 1
    elif way == _REPAY:
        divisor = wanted
    amount = max(debt * size / BASIS_POINTS, lacking / divisor)
    if way == _ADD:
        coins = amount / price
        vault.locked += coins
        kind.locked += coins
        activity.added += coins
        return amount > 0
    if debt - amount < terms.floor:
        amount = debt
    if amount <= 0 or not _provide_stablecoins(kinds, system, amount):
        return False
    if way == _SELL:
        coins = amount / price
        risk_price = min(get_fresh_price_or_zero(kind, now), kind.next)
        rest = debt - amount
        if coins > vault.locked or (
            rest > 0 and (vault.locked - coins) * risk_price < rest * terms.initial_ratio
        ):
            return False
        vault.locked -= coins
        kind.locked -= coins
        activity.sold += coins
    _repay_debt(terms, kind, system, vault, amount, debt, now)
    activity.repaid += amount
    return True


@njit(cache=True)
def _release_collateral_or_draw(
    action: ActionTables,
    setting: Table,
    terms: Table,
    kinds: Table,
    type_index: int,
    system: Table,
    vault: Table,
    activity: Table,
    price: float,
    debt: float,
    worth: float,
    now: float,
    look: int,
    key: int,
) -> bool:
    """Draw more debt or withdraw collateral from a vault.

    Return False if the contracts would refuse that.
    """
    kind = kinds[type_index]
    way = _select_way(action.ways, draw_number(key, vault.number, look, RELEASE_WAY))
    size = _interpolate_size(action.sizes, draw_number(key, vault.number, look, RELEASE_SIZE))
    wanted = max(terms.ratio * (1 + action.least / BASIS_POINTS), terms.initial_ratio)
    room = worth / wanted - debt if way == _DRAW else worth - debt * wanted
    amount = min(debt * size / BASIS_POINTS, room)
    if amount <= 0:
        return False
    coins = amount / price
    after_debt = debt + amount if way == _DRAW else debt
    after_locked = vault.locked if way == _DRAW else vault.locked - coins
    risk_price = min(get_fresh_price_or_zero(kind, now), kind.next)
    if after_locked * risk_price < after_debt * terms.initial_ratio:
        return False
    if way == _DRAW:
        owed = 0.0
        for each in kinds:
            owed += each.art * each.rate + each.in_auction + each.deficit
        mine = kind.art * kind.rate + kind.in_auction + kind.deficit
        if mine + amount > terms.ceiling or owed + amount > setting.ceiling:
            return False
        charge_fees(terms, kind, system, now)
        vault.debt += amount / kind.rate
        kind.art += amount / kind.rate
        system.maker += amount
        system.supply += amount
        activity.drawn += amount
    else:
        vault.locked -= coins
        kind.locked -= coins
        activity.withdrawn += coins
    return True
