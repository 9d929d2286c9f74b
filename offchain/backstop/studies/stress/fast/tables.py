"""What the kernel reads and writes: tables whose rows are records.

Money in stablecoins, prices in stablecoins for a coin, times in seconds from the scenario's start.

Indices: c a collateral type, t a block, g a group of keepers, i a keeper, k a stage, v a vault, a an auction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Table = Any
"""An array of records, or in the kernel one of them: numba has no names for types."""

# Roles that the kernel plays, and at the end the second thing that the crank does.
REPORTER, POKER, LIQUIDATOR, TAKER, BIDDER, CRANK, COVERER, ACCRUER, RESETTING = range(9)
# Kinds of stages.
BUFFER, RESERVE, POOL, REDISTRIBUTION, EMPTY = range(5)
# What a vault is: neither known to be unsafe nor sold, in the heap, or sold.
QUIET, LISTED, SOLD = range(3)
# What the crank wants.
CLOSE, RESET = 0.0, 1.0


def record(floats: str, integers: str = "", flags: str = "") -> np.dtype[np.void]:
    """The type of a row with these fields."""
    kinds = ((floats, np.float64), (integers, np.int64), (flags, np.uint8))
    return np.dtype([(name, kind) for names, kind in kinds for name in names.split()], align=True)


SETTING = record(
    # Until when the feed had stepped before the start; limit of all auctions; the market maker's money.
    floats="opened_before first_step limit scarcity money supply reserve",
    integers="blocks block_time start epoch gas_type",
)
"""Figures of the whole scenario, one row."""

TERMS = record(
    # growth: of a debt in a block; redistribution: of a rate in an epoch; minimum: smallest rest of a target.
    floats="ratio floor limit growth buffer_share redistribution buffer fees art locked "
    "period cut tail cusp buf penalty minimum tip chip "
    "step max_age stale_after window "
    "depth fee recovery tolerance",
    # first, last: its vaults.
    integers="curve every quorum first last",
)
"""What is fixed for a type; `penalty` comes on top; `buffer`, `fees`, `art`, `locked` are at the start."""

VAULT = record(
    # At the start, with fees; and what is left of it, debt at the rate of the start. weight: its debt when it
    # went into the heap.
    floats="opening_debt opening_locked opening_trigger debt locked trigger weight",
    flags="state touched",
)
"""Sorted by type and by trigger, the price under which a vault is unsafe at the rate of the start, falling.

What was touched is put back after each path.
"""

GROUP = record(
    # delay: blocks until a decision is seen; row: of the table that says whose vaults are whose.
    floats="profit takes_at deviation heartbeat refuses_at capital",
    integers="role first number most delay row",
)
"""A group of keepers; its keepers are those from `first` on."""

STAGE = record(floats="cap share opening assets covered", integers="kind")
"""A stage, in the order of the waterfall; a pool has assets."""

EXIT = record(floats="at share", integers="stage")
"""What leaves a pool: when, and what part of its assets of then."""

EVENT = record(floats="paid before")
"""What a stage has paid of a type's losses in this epoch; its balance before, -1 if it has paid nothing."""

TYPE = record(
    # fees: not charged yet; added: to the rate, in this epoch; coins, money: of the local market.
    floats="art rate fees locked lots in_auction buffer deficit bad_debt added "
    "current next fresh_until stepped_at cumulative since checkpoint checkpoint_at "
    "coins money "
    "covered_at accrued_at",
    # reached: all vaults before it were listed when they became unsafe; listed: how many are in the heap.
    integers="epoch reached listed",
    flags="poke cover accrue",  # what is wanted
)
"""The state of a collateral type: ledger, feed, market, and what keepers of the public want for it."""

REPORT = record(floats="price at wish", flags="wished")
"""A reporter's last word on a type, and the one that it is about to send."""

SYSTEM = record(
    floats="reserve supply scarce maker in_auction liquidated first_loss_at covered_at lowest_ratio",
    integers="auctions last_id liquidations touched",
)
"""The state of what there is once; times of -1 are never."""

AUCTION = record(
    floats="lot target penalty top since budget price",
    integers="id type vault",
    flags="due",
)
"""An open auction; `budget` is what rewards may still be paid, a target of zero is its end."""

# key: the vault or the auction's id, which stays; since: the block from which on it is wanted.
WISH = record(floats="amount profit", integers="what key since")
"""What a keeper sends: a vault and its type, an auction and how much of it, the least profit."""

KEEPER = record(floats="budget", integers="wishes before")
"""What a keeper has, how many transactions it sends, and how many it sent the block before."""


class World(NamedTuple):
    """One path. Bids and ups are those of the decisions of a block, the order is that of their inclusion."""

    prices: Floats  # [c, t]
    sources: Floats  # [c, t]
    clearing: Floats  # [t], coins for one gas
    capacity: Floats  # [t], gas
    bids: Floats  # [g, t]
    up: Bytes  # [g, t]
    order: Integers  # [t, g]
    exits: Table
