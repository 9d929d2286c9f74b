"""Holdings and losses of exit batches, in exact fractions, without the model's arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from backstop.proof.properties.independent_arithmetic import property_arithmetic as own

# A table's value before or after a step: contract, path, key.
Read = Callable[..., Any]

DAY, LOOK = 86_400, 600
# Shares and assets that every pool has beside its members'.
VIRTUAL_SHARES, VIRTUAL_ASSETS = 10**6, 1
_SCALE = 10**47
# What a share of a generation is worth of those of the one before it; none after so many.
STEP, VOID = 10**9, 5
# Shares for a wei at most, where one enters.
MOST_SHARES = 10**15


class BatchGroup(NamedTuple):
    """Leavers that absorb losses equally: a group of settled exit batches, or one waiting batch."""

    id: int  # its first batch
    units: int  # shares, as they are counted now
    ceiling: int  # on the loss index


def convert_shares(shares: int, recorded: int, present: int) -> int:
    """Return shares recorded in one generation, counted in a later generation, rounded down.

    A new generation divides all shares by 1e9. After five generations nothing is left.
    """
    return 0 if present - recorded >= VOID else shares // STEP ** (present - recorded)


def list_open_batch_groups(read: Read, pool: str) -> list[BatchGroup]:
    """Return a pool's open groups of exit batches, earliest settled first.

    The list is empty for an equity pool, where batched shares stay with the members.
    """
    state, found = read(pool, "token.state"), list[BatchGroup]()
    if not state.open:
        return found  # as of a pool of equity: shares of its batches are members'
    queue = read(pool, "line.queue")
    runs, batch_id = state.open - (queue.collecting - queue.unsettled), 0
    for k in range(runs):
        batch_id = read(pool, "line.batches", batch_id).link if k else read(pool, "exit_batches.first_run")
        found.append(
            BatchGroup(
                batch_id,
                read(pool, "exit_batches.runs", batch_id).units,
                read(pool, "exit_batches.levels", batch_id),
            )
        )
    for batch_id in range(queue.unsettled, queue.collecting):
        batch = read(pool, "line.batches", batch_id)
        units = convert_shares(batch.units, batch.generation, state.generation)
        ceiling = read(pool, "exit_batches.levels", batch_id) or read(pool, "exit_batches.ceilings", batch_id)
        found.append(BatchGroup(batch_id, units, ceiling))
    return found


def compute_group_assets(read: Read, pool: str, group: BatchGroup) -> Fraction:
    """Return the assets of a group of exit batches that losses can still take [wei, exact]."""
    return Fraction(max(0, group.ceiling - read(pool, "exit_batches.index")) * group.units, _SCALE)


def compute_vested_assets_after_exits(read: Read, pool: str, now: int) -> int:
    """Return the pool's vested assets that belong to live shares [wei], without exit batches."""
    leaving = sum(
        int(compute_group_assets(read, pool, group)) for group in list_open_batch_groups(read, pool)
    )
    return max(0, own.compute_vested_assets(read(pool, "funds.assets"), now) - leaving)


def compute_loss_per_share(read: Read, pool: str, lost: int) -> Fraction:
    """Return the part of a loss that one share absorbs [wei, exact].

    Live shares and exit batches bear equal parts per share, each up to its own assets.
    """
    shares = read(pool, "token.state").supply + VIRTUAL_SHARES
    rooms = []
    for group in list_open_batch_groups(read, pool):
        if group.units:
            rooms.append((compute_group_assets(read, pool, group) / group.units, group.units))
        shares += group.units
    each, left = Fraction(0), Fraction(lost)
    for room, units in sorted(rooms):
        if left < (room - each) * shares:
            break
        left -= (room - each) * shares
        each, shares = room, shares - units
    return each + left / shares
