"""Tables that the kernel reads and writes; their rows are records.

Money is in stablecoins, prices in stablecoins for a coin, times in seconds from the scenario's start.

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
"""Array of records, or one record in the kernel, as numba has no names for their types."""

# Roles that the kernel plays; RESETTING is the crank's second job.
REPORTER, POKER, LIQUIDATOR, TAKER, BIDDER, CRANK, COVERER, ACCRUER, RESETTING = range(9)
# Jobs of the taker and of bidders with vaults that are sold at a discount; calls of a stability pool for one
# vault, and each further one.
RESELLING, BUYING, OFFSETTING, OFFSETTING_MORE = 9, 10, 11, 12
# Kinds of stages.
BUFFER, RESERVE, POOL, REDISTRIBUTION, EMPTY = range(5)
# States of a vault: not known to be unsafe, in the heap, or sold.
QUIET, LISTED, SOLD = range(3)
# Jobs of the crank.
CLOSE, RESET = 0.0, 1.0


def build_row_type(floats: str, integers: str = "", flags: str = "") -> np.dtype[np.void]:
    """Return a NumPy record type with these space-separated field names.

    `floats` become float64, `integers` int64 and `flags` uint8.
    """
    kinds = ((floats, np.float64), (integers, np.int64), (flags, np.uint8))
    return np.dtype([(name, kind) for names, kind in kinds for name in names.split()], align=True)


SETTING = build_row_type(
    # opened_before, first_step: seconds before the start at which the feed stepped; limit: of all auctions;
    # money: of the market maker.
    floats="opened_before first_step limit ceiling scarcity money supply reserve",
    # more: blocks for which a path may go on after its end.
    integers="blocks more block_time start epoch gas_type",
)
"""Figures of the whole scenario, in one row."""

TERMS = build_row_type(
    # growth: of debt in a block; redistribution: most of a rate in an epoch; minimum: least rest of a target.
    floats="ratio initial_ratio floor limit ceiling growth buffer_share redistribution buffer fees art "
    "locked "
    "period cut tail cusp buf penalty minimum tip chip "
    "step max_age stale_after window "
    "depth fee recovery tolerance "
    # Of sales at a discount; threshold: debt for collateral's worth at a health of 1.
    "base_bonus max_bonus full_health max_discount cursor target_health close_factor whole_close_health "
    "small_position bonus_fee threshold "
    # Of stability pools; pool_deposits: at the start.
    "pool_penalty pool_reward pool_deposits",
    # first, last: range of its vaults.
    # thins: 1 if its depth falls with the price.
    # discounted: 1 if its unsafe vaults are sold at a discount, and not auctioned.
    # pooled: 1 if a stability pool repays them; writes_off: 1 if unpaid debt is a loss at once.
    integers="curve every quorum first last thins discounted pooled writes_off",
)
"""Terms of a type; `penalty` is on top of the debt; `buffer`, `fees`, `art`, `locked` are at the start."""

VAULT = build_row_type(
    # opening_*: at the start, with fees; debt: what is left, at the start's rate; weight: debt when it went
    # into the heap.
    # refused_at: when a purchase from it failed last.
    floats="opening_debt opening_locked opening_trigger debt locked trigger weight refused_at",
    # rank: of its owner's address, which decides between equal debts; number: in the book; refused: whose
    # purchase failed, a keeper.
    integers="rank number refused",
    flags="state touched",
)
"""Vault, sorted by type and by falling trigger: the price below which it is unsafe at the start's rate.

Touched vaults are restored after each path.
"""

GROUP = build_row_type(
    # delay: blocks until a decision can be included; row: in the table that assigns vaults to keepers.
    floats="profit takes_at deviation heartbeat refuses_at capital",
    integers="role first number most delay row",
)
"""Group of keepers, which are numbered from `first` on."""

STAGE = build_row_type(floats="cap share opening assets covered now before", integers="kind epoch")
"""Stage, in the order of the waterfall; pools have assets.

A stage with one balance for all types has its payments in this epoch and in the one before.
"""

EXIT = build_row_type(floats="at share", integers="stage")
"""Exit from a pool: its time, and its share of the pool's assets at that time."""

EVENT = build_row_type(floats="now before")
"""Payments of a stage with a balance for each type, for a type, in this epoch and in the one before."""

TYPE = build_row_type(
    # fees: not charged yet; added, added_before: what redistribution put on the rate in this epoch and in the
    # one before; coins, money: reserves of the local market; virtual: money that it does not hold.
    floats="art rate fees locked lots in_auction buffer deficit bad_debt added added_before "
    "current next fresh_until stepped_at cumulative since checkpoint checkpoint_at "
    "coins money virtual "
    "covered_at accrued_at "
    # pool: coins of its stability pool.
    "pool "
    # unsold: debt whose collateral is still to be sold after the end; besides: what of it is lost.
    "unsold besides",
    # reached: the scan has seen all vaults before it; listed: vaults in the heap.
    integers="epoch reached listed",
    flags="poke cover accrue",  # calls that keepers want
)
"""State of a collateral type: ledger, feed, market, and the public calls that keepers want for it."""

REPORT = build_row_type(floats="price at wish", flags="wished")
"""Last report of a reporter on a type, and the one that it is about to send."""

SYSTEM = build_row_type(
    floats="reserve supply scarce maker in_auction liquidated first_loss_at covered_at lowest_ratio",
    integers="auctions last_id liquidations touched",
)
"""State of the whole system; a time of -1 means never."""

AUCTION = build_row_type(
    floats="lot target penalty top since budget price",
    integers="id type vault",
    flags="due",
)
"""Open auction; `budget` is the remaining limit of rewards, and a target of zero ends the auction."""

# key: the vault, or the auction's lasting id; since: the block from which on it is wanted.
# Of a purchase at a discount (buys is 1): coins, amount, price: the most that it gets, pays, pays for one.
# Of a call of a stability pool (buys is 1, by a liquidator or the crank): its type, and how many vaults.
WISH = build_row_type(floats="amount profit coins price", integers="what key since type", flags="buys")
"""Transaction that a keeper sends: a vault and its type, or an auction and how much of it to take.

`profit` is the least profit with which it runs.
"""

KEEPER = build_row_type(floats="budget", integers="wishes before")
"""Keeper: its money, how many transactions it sends, and how many it sent the block before."""


class PathConditions(NamedTuple):
    """Outside conditions of one path: prices, depths, gas, bids, outages and exits of depositors.

    `bids` and `up` hold for the block in which keepers decide, `order` for the block that includes the calls.
    Prices end with the scenario's last block and are constant afterwards. `depths` end with their last
    change.
    """

    prices: Floats  # [c, t]
    sources: Floats  # [c, t]
    depths: Floats  # [c, t] of markets; one column where they never change
    clearing: Floats  # [t], coins for one gas
    capacity: Floats  # [t], gas
    bids: Floats  # [g, t]
    up: Bytes  # [g, t]
    order: Integers  # [t, g]
    exits: Table
    owner_key: int  # of the draws of owners who react
