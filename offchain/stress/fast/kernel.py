"""One path, block by block: the outside world, the transactions that get in, then everybody decides."""

from __future__ import annotations

import numpy as np
from numba import njit

from offchain.stress.fast.auctions import (
    choose_bids,
    choose_ends,
    choose_takes,
    close,
    forget_ended,
    look,
    reset,
    settle,
    take,
)
from offchain.stress.fast.liquidations import choose, liquidate, put_back, unsafe_now
from offchain.stress.fast.losses import LEAST_COVER, cover, payable_at_once, turn_epoch
from offchain.stress.fast.pricing import open_feed, poke, proceeds, valid_price
from offchain.stress.fast.tables import (
    BIDDER,
    CLOSE,
    COVERER,
    CRANK,
    LIQUIDATOR,
    POKER,
    REPORTER,
    RESETTING,
    TAKER,
    Bytes,
    Floats,
    Integers,
    Table,
    World,
)

NOBODY = np.inf
"""The ratio of a path on which nobody ever owed anything."""


@njit(cache=True, nogil=True)
def run_path(
    settings: Table,
    gas: Floats,
    terms: Table,
    groups: Table,
    mine: Bytes,
    world: World,
    kinds: Table,
    systems: Table,
    vaults: Table,
    heap: Integers,
    touched: Integers,
    auctions: Table,
    stages: Table,
    events: Table,
    keepers: Table,
    wishes: Table,
    valid: Floats,
    found: Integers,
    keys: Floats,
    places: Integers,
) -> bool:
    """Play a path; False if the tables have no room for all its auctions.

    What it comes to is in `systems`, `kinds` and `stages`; the vaults are put back as they were. `valid` has
    the prices that liquidators saw; the last three are room to work in.
    """
    setting, system = settings[0], systems[0]
    types, fits = len(terms), True
    prices, markets, budgets = np.empty(types), np.empty((types, 2)), np.empty(len(keepers))
    _begin(setting, terms, groups, world.sources, kinds, system, stages, keepers)
    for t in range(setting.blocks + 1):
        now = float(t * setting.block_time)
        gone = max(0.0, setting.supply - system.supply)
        system.scarce = 1 + gone * setting.scarcity / max(1.0, system.supply)
        for c in range(types):
            prices[c] = world.prices[c, t] / system.scarce
            _grow(terms[c], kinds[c], system)
            turn_epoch(setting, kinds[c], events[c], now)
            _move_market(terms[c], kinds[c], system, prices[c], t * setting.block_time)
        for i in range(len(world.exits)):
            leaving = world.exits[i]
            if now - setting.block_time < leaving.at <= now:
                stages[leaving.stage].assets *= 1 - leaving.share

        if t > 0:
            fits = _include(
                setting, gas, terms, groups, world, kinds, system, vaults, auctions, stages, events,
                keepers, wishes, valid, t, now,
            )  # fmt: skip
            if not fits:
                break
            forget_ended(system, auctions)
            _note_covered(kinds, system, now)

        look(terms, system, auctions, now)
        for i in range(len(keepers)):
            keepers[i].wishes = 0
        for c in range(types):
            kind = kinds[c]
            kind.report = kind.poke = kind.cover = 0
            valid[c, t] = valid_price(kind, now)
            if valid[c, t] == 0.0:
                continue
            here = terms[c]
            count = unsafe_now(here, kind, system, vaults, heap[here.first :], touched, valid[c, t], found)
            for g in range(len(groups)):
                if count and groups[g].role == LIQUIDATOR and world.up[g, t]:
                    cost = gas[LIQUIDATOR] * world.bids[g, t] * prices[setting.gas_type]
                    choose(
                        here, setting, groups[g], mine[groups[g].row], c, cost, kind, system, vaults, found,
                        count, keepers, wishes,
                    )  # fmt: skip
        for g in range(len(groups)):
            group = groups[g]
            if not world.up[g, t]:
                continue
            cost = gas[group.role] * world.bids[g, t] * prices[setting.gas_type]
            if group.role == REPORTER or group.role == POKER or group.role == COVERER:
                for c in range(types):
                    _serve(terms[c], group, world.sources[c, t], kinds[c], system, stages, events[c], now)
            elif system.auctions == 0:
                continue
            elif group.role == TAKER:
                i = group.first
                choose_takes(
                    terms, group, cost, prices, kinds, system, auctions, keepers[i], wishes[i], keys, places,
                    markets,
                )  # fmt: skip
            elif group.role == BIDDER:
                choose_bids(terms, group, cost, prices, system, auctions, keepers, wishes, budgets)
            elif group.role == CRANK:
                i = group.first
                choose_ends(terms, group, now, kinds, system, auctions, keepers[i], wishes[i])
        _note_ratio(kinds, system, prices)
    put_back(vaults, touched, system.touched)
    return fits


@njit(cache=True)
def _begin(
    setting: Table,
    terms: Table,
    groups: Table,
    sources: Floats,
    kinds: Table,
    system: Table,
    stages: Table,
    keepers: Table,
) -> None:
    """The state at the start."""
    for c in range(len(terms)):
        kind = kinds[c]
        open_feed(kind, terms[c], sources[c, 0], -setting.opened_before, -setting.first_step)
        kind.rate, kind.buffer, kind.art, kind.locked = 1.0, terms[c].buffer, terms[c].art, terms[c].locked
        kind.lots = kind.in_auction = kind.deficit = kind.bad_debt = kind.added = 0.0
        kind.coins = kind.money = 0.0
        kind.covered_at = -np.inf
        kind.epoch, kind.reached, kind.listed = -1, terms[c].first, 0
    system.reserve, system.supply, system.maker = setting.reserve, setting.supply, setting.money
    system.in_auction = system.liquidated = 0.0
    system.first_loss_at = system.covered_at = -1.0
    system.lowest_ratio = NOBODY
    system.auctions = system.last_id = system.liquidations = system.touched = 0
    for k in range(len(stages)):
        stages[k].assets, stages[k].covered = stages[k].opening, 0.0
    for g in range(len(groups)):
        for i in range(groups[g].first, groups[g].first + groups[g].number):
            keepers[i].budget, keepers[i].wishes = groups[g].capital, 0


@njit(cache=True)
def _grow(terms: Table, kind: Table, system: Table) -> None:
    """The fees of one block."""
    fees = kind.art * kind.rate * (terms.growth - 1)
    kind.rate *= terms.growth
    kind.buffer += fees * terms.buffer_share
    system.reserve += fees * (1 - terms.buffer_share)


@njit(cache=True)
def _move_market(terms: Table, kind: Table, system: Table, outside: float, now: int) -> None:
    """The world outside closes a part of the gap and refills the market as far as its money goes."""
    if now % terms.every != 0:
        return
    target = outside
    if kind.coins > 0.0:
        inside = kind.money / kind.coins
        gap = outside - inside
        if abs(gap) <= outside * terms.tolerance:
            return
        target = inside + gap * terms.every / terms.recovery
    depth = min(terms.depth, kind.money + system.maker)
    system.maker -= depth - kind.money
    kind.money, kind.coins = depth, depth / target


@njit(cache=True)
def _include(
    setting: Table,
    gas: Floats,
    terms: Table,
    groups: Table,
    world: World,
    kinds: Table,
    system: Table,
    vaults: Table,
    auctions: Table,
    stages: Table,
    events: Table,
    keepers: Table,
    wishes: Table,
    valid: Floats,
    t: int,
    now: float,
) -> bool:
    """What was decided in the last block and gets in, the highest bid first; False if there is no room."""
    room = world.capacity[t]
    for place in range(len(groups)):
        g = world.order[t, place]
        group = groups[g]
        if world.bids[g, t - 1] < world.clearing[t]:
            break
        if group.role == REPORTER or group.role == POKER or group.role == COVERER:
            for c in range(len(terms)):
                kind, needed = kinds[c], gas[group.role] * group.number
                if needed > room:
                    break
                if group.role == REPORTER and kind.report:
                    kind.reported, kind.reported_at = kind.report_price, now
                elif group.role == POKER and kind.poke:
                    poke(kind, terms[c], now)
                elif group.role == COVERER and kind.cover and kind.deficit > 0.0:
                    cover(terms[c], kind, system, stages, events[c])
                    kind.covered_at = now
                else:
                    continue
                room -= needed
            continue
        for i in range(group.first, group.first + group.number):
            for n in range(keepers[i].wishes):
                wish = wishes[i, n]
                resets = group.role == CRANK and wish.amount != CLOSE
                needed = gas[RESETTING] if resets else gas[group.role]
                if needed > room:
                    break
                room -= needed
                if group.role == LIQUIDATOR:
                    c, seen = int(wish.amount), t - group.delay
                    earlier, price = valid[c, seen] if seen >= 0 else 0.0, valid_price(kinds[c], now)
                    if not liquidate(
                        terms[c], setting, kinds[c], system, vaults[wish.what], auctions, wish.what, c, price,
                        earlier, now,
                    ):  # fmt: skip
                        return False
                    continue
                auction = auctions[wish.what]
                here, kind = terms[auction.type], kinds[auction.type]
                if resets:
                    reset(here, kind, system, auction, now)
                elif group.role == CRANK:
                    close(here, kind, system, auction, now)
                else:
                    _buy(here, group, kind, system, auction, vaults, keepers[i], wish, now)
    return True


@njit(cache=True)
def _buy(
    terms: Table,
    group: Table,
    kind: Table,
    system: Table,
    auction: Table,
    vaults: Table,
    keeper: Table,
    wish: Table,
    now: float,
) -> None:
    """A bidder pays with what it has, a taker with what the market pays; neither below its least profit."""
    bought, paid = take(terms, auction, wish.amount, now)
    if bought == 0.0:
        return
    if group.role == BIDDER:
        if paid > keeper.budget:
            return
        keeper.budget -= paid
    else:
        sold = proceeds(kind.coins, kind.money, terms.fee, bought)
        if sold - paid < wish.profit:
            return
        kind.coins += bought
        kind.money -= sold
    settle(terms, kind, system, auction, vaults[auction.vault], bought, paid)


@njit(cache=True)
def _serve(
    terms: Table,
    group: Table,
    source: float,
    kind: Table,
    system: Table,
    stages: Table,
    events: Table,
    now: float,
) -> None:
    """What those want who serve the public: reports, steps of the price, cover for deficits."""
    if group.role == REPORTER:
        moved = abs(source - kind.reported) >= kind.reported * group.deviation
        due = moved or now >= kind.reported_at + group.heartbeat
        kind.report, kind.report_price = due and source > group.refuses_at, source
    elif group.role == POKER:
        fresh = now <= kind.reported_at + terms.max_age
        kind.poke = fresh and now >= kind.stepped_at + terms.step
    elif kind.deficit > 0.0:
        at_once = min(kind.deficit, payable_at_once(terms, kind, system, stages, events))
        waited = now - kind.covered_at >= group.heartbeat
        kind.cover = waited or at_once >= min(kind.deficit, LEAST_COVER)


@njit(cache=True)
def _note_covered(kinds: Table, system: Table, now: float) -> None:
    """Since when nothing has been outstanding."""
    if system.first_loss_at < 0 or system.covered_at >= 0:
        return
    for c in range(len(kinds)):
        if kinds[c].deficit > 0.0:
            return
    system.covered_at = now


@njit(cache=True)
def _note_ratio(kinds: Table, system: Table, prices: Floats) -> None:
    """Collateral of vaults and auctions over their debt and what is outstanding."""
    worth = owed = 0.0
    for c in range(len(prices)):
        kind = kinds[c]
        worth += (kind.locked + kind.lots) * prices[c]
        owed += kind.art * kind.rate + kind.in_auction + kind.deficit
    if owed > 1e-6:
        system.lowest_ratio = min(system.lowest_ratio, worth / owed)
