"""What batches of leavers hold and bear, in exact fractions: none of it is the model's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from backstop.proof.properties.figures import arithmetic as own

# A table's value before or after a step: contract, path, key.
Read = Callable[..., Any]

DAY, LOOK = 86_400, 600
# Shares and assets that every pool has beside its members'.
VIRTUAL_SHARES, VIRTUAL_ASSETS = 10**6, 1
_SCALE = 10**47


def open_batches(read: Read, pool: str) -> range:
    """Return the batches of a pool that are cut and not over."""
    collecting = read(pool, "exits.queue").collecting
    return range(collecting - read(pool, "token.state").open, collecting)


def held(read: Read, pool: str, id: int) -> Fraction:
    """Return what losses may still take of a batch, exactly [wei]."""
    room = read(pool, "exits.ceilings", id) - read(pool, "exits.index")
    return Fraction(max(0, room) * read(pool, "exits.batches", id).units, _SCALE)


def live(read: Read, pool: str, now: int) -> int:
    """Return the vested assets that are live shares' [wei]."""
    batches = sum(int(held(read, pool, id)) for id in open_batches(read, pool))
    return own.vested(read(pool, "funds.assets"), now) - batches


def borne(read: Read, pool: str, lost: int) -> Fraction:
    """Return what one share bears of a loss [wei]: live ones and batches alike, each up to what it has."""
    shares = read(pool, "token.state").supply + VIRTUAL_SHARES
    rooms = []
    for id in open_batches(read, pool):
        units = read(pool, "exits.batches", id).units
        rooms.append((held(read, pool, id) / units, units))
        shares += units
    each, left = Fraction(0), Fraction(lost)
    for room, units in sorted(rooms):
        if left < (room - each) * shares:
            break
        left -= (room - each) * shares
        each, shares = room, shares - units
    return each + left / shares
