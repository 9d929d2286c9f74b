"""Behaviour of vault owners: when they make a vault safer or riskier, how, and by how much.

At each look an owner sees the distance of its vault from liquidation and the price drop so far, and a draw
decides. Draws are numbers of a counter: the same path, vault and look give the same draws in any run, so that
two settings are compared with equal luck. Decisions are integers; the fast engine has the same rule in
`fast/owner_kernel.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, div_up

BILLION = 10**9
PARTS = 10
"""Parts into which quantiles of sizes divide: eleven sizes."""

SELL, REPAY, ADD, DRAW, WITHDRAW = "sell", "repay", "add", "draw", "withdraw"
DEFENCES, RELEASES = (SELL, REPAY, ADD), (DRAW, WITHDRAW)

# Purposes of draws.
IDLE, DEFENDS, DEFENCE_WAY, DEFENCE_SIZE, RELEASES_RISK, RELEASE_WAY, RELEASE_SIZE = range(7)

_MASK = 2**64 - 1
DRAWN = 2**32
"""Draws are below this."""


@dataclass(frozen=True)
class OwnerAction:
    """Parameters of owners' actions in one direction: chance by distance, methods, sizes."""

    distances: tuple[int, ...]  # basis points, rising
    chances: tuple[int, ...]  # billionths, under the first distance, between two, from the last on
    ways: tuple[int, ...]  # billionths, of DEFENCES or RELEASES
    sizes: tuple[int, ...]  # basis points of the debt: quantiles 0%, 10%, ..., 100%
    least: int  # basis points of distance that is left at least


@dataclass(frozen=True)
class OwnerBehavior:
    """Parameters of the behaviour of vault owners. Owners act at regular intervals."""

    every: int  # seconds
    idle: int  # billionths: share of vaults whose owners never act
    within: int  # seconds over which the fall of the price counts
    falls: tuple[int, ...]  # basis points, rising
    factors: tuple[int, ...]  # basis points by which such falls multiply the chance of a defence
    large_debt: int  # wad; 0 if size does not matter
    large_factor: int  # basis points by which so large a debt multiplies the chance of a defence
    defend: OwnerAction
    release: OwnerAction


class OwnedVault(NamedTuple):
    """State of a vault from which its owner decides."""

    number: int  # place in the book
    debt: int  # wad, rounded up
    worth: int  # wad of stablecoin, rounded down: the collateral at the market's price
    ratio: int  # basis points: liquidation ratio
    initial_ratio: int  # basis points
    floor: int  # wad
    fall: int  # basis points that the price has fallen over `within`; 0 if it rose


class OwnerDecision(NamedTuple):
    """Decision of an owner: the method and the amount [wad of stablecoin]."""

    way: str
    amount: int  # wad of stablecoin


def draw_number(key: int, vault: int, look: int, purpose: int) -> int:
    """Return a reproducible random number from 0 to DRAWN - 1 for a vault, time and purpose.

    The generator is SplitMix64 of a counter (Steele, Lea and Flood, OOPSLA 2014).
    """
    mixed = (
        key + vault * 0x9E3779B97F4A7C15 + look * 0xD1B54A32D192ED03 + purpose * 0x8CB92BA72F3D8DD7
    ) & _MASK
    for _ in range(2):
        mixed = (mixed + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
    return mixed >> 32


def interpolate_factor(places: Sequence[int], factors: Sequence[int], place: int) -> int:
    """Return the factor at a place by linear interpolation, rounded down; constant beyond the ends."""
    if place <= places[0]:
        return factors[0]
    for i in range(1, len(places)):
        if place < places[i]:
            step = places[i] - places[i - 1]
            return factors[i - 1] + (factors[i] - factors[i - 1]) * (place - places[i - 1]) // step
    return factors[-1]


def interpolate_size(sizes: Sequence[int], drawn: int) -> int:
    """Return the size for a random number by linear interpolation of quantiles [basis points].

    The result is rounded down.
    """
    part, rest = divmod(drawn * PARTS, DRAWN)
    return sizes[part] + (sizes[part + 1] - sizes[part]) * rest // DRAWN


def select_chance(action: OwnerAction, distance: int) -> int:
    """Return the chance of acting [billionths] at a distance from liquidation [basis points]."""
    place = sum(distance >= bound for bound in action.distances)
    return action.chances[place]


def select_way(ways: Sequence[int], drawn: int) -> int:
    """Return the index of the method that a random number selects, by the methods' shares.

    The last method gets the remainder of rounding.
    """
    passed = 0
    for place, share in enumerate(ways):
        passed += share
        if drawn * BILLION < passed * DRAWN:
            return place
    return len(ways) - 1


def decide_owner_action(
    behavior: OwnerBehavior, key: int, look: int, vault: OwnedVault
) -> OwnerDecision | None:
    """Return the owner's action at one of its regular decision times; None if it does nothing.

    A price drop multiplies the chance of a defence only above the liquidation price: below it, in eight weeks
    of a real book, owners defended as often after small drops as after large ones. An owner without debt does
    nothing. Nor does an owner with a debt of at least the collateral's worth, because abandoning the vault
    costs less.
    """
    if vault.debt <= 0 or vault.worth <= vault.debt:
        return None
    if draw_number(key, vault.number, 0, IDLE) * BILLION < behavior.idle * DRAWN:
        return None
    distance = vault.worth * BASIS_POINTS * BASIS_POINTS // (vault.debt * vault.ratio) - BASIS_POINTS
    chance = select_chance(behavior.defend, distance)
    if distance >= 0:
        chance = chance * interpolate_factor(behavior.falls, behavior.factors, vault.fall) // BASIS_POINTS
    if behavior.large_debt and vault.debt >= behavior.large_debt:
        chance = chance * behavior.large_factor // BASIS_POINTS
    if draw_number(key, vault.number, look, DEFENDS) * BILLION < chance * DRAWN:
        return _size_defence(behavior.defend, key, look, vault)
    chance = select_chance(behavior.release, distance)
    if draw_number(key, vault.number, look, RELEASES_RISK) * BILLION < chance * DRAWN:
        return _size_release(behavior.release, key, look, vault)
    return None


def _size_defence(action: OwnerAction, key: int, look: int, vault: OwnedVault) -> OwnerDecision | None:
    """Return a defence with its size rounded up; None if the size is 0.

    The size is the drawn one, or the larger amount that the least distance requires. An owner that sells
    collateral must meet the initial ratio. A remaining debt below the debt floor is repaid too.
    """
    way = DEFENCES[select_way(action.ways, draw_number(key, vault.number, look, DEFENCE_WAY))]
    size = interpolate_size(action.sizes, draw_number(key, vault.number, look, DEFENCE_SIZE))
    wanted = vault.ratio * (BASIS_POINTS + action.least)
    if way == SELL:
        wanted = max(wanted, vault.initial_ratio * BASIS_POINTS)
    one = BASIS_POINTS * BASIS_POINTS
    lacking = vault.debt * wanted - vault.worth * one
    divisor = {SELL: wanted - one, REPAY: wanted, ADD: one}[way]
    amount = max(div_up(vault.debt * size, BASIS_POINTS), div_up(max(0, lacking), divisor))
    if way != ADD and vault.debt - amount < vault.floor:
        amount = vault.debt
    return OwnerDecision(way, amount) if amount else None


def _size_release(action: OwnerAction, key: int, look: int, vault: OwnedVault) -> OwnerDecision | None:
    """Return a draw or withdrawal of the drawn size, rounded down; None if there is no room for it.

    The least distance and the initial ratio limit the size.
    """
    way = RELEASES[select_way(action.ways, draw_number(key, vault.number, look, RELEASE_WAY))]
    size = interpolate_size(action.sizes, draw_number(key, vault.number, look, RELEASE_SIZE))
    wanted = max(vault.ratio * (BASIS_POINTS + action.least), vault.initial_ratio * BASIS_POINTS)
    one = BASIS_POINTS * BASIS_POINTS
    if way == DRAW:
        room = vault.worth * one // wanted - vault.debt
    else:
        room = vault.worth - div_up(vault.debt * wanted, one)
    amount = min(vault.debt * size // BASIS_POINTS, room)
    return OwnerDecision(way, amount) if amount > 0 else None
