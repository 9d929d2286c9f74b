"""Kernel: one path, block by block: outside prices, included transactions, then decisions."""

from __future__ import annotations

import numpy as np
from numba import njit

from backstop.studies.stress.fast.auction_kernel import (
    add_bidder_take_wishes,
    add_resale_take_wishes,
    book_take,
    choose_ends,
    close_auction_and_book_loss,
    forget_ended,
    quote_take,
    reset_auction,
    update_prices,
)
from backstop.studies.stress.fast.discount_kernel import add_purchase_wishes, book_purchase, quote_purchase
from backstop.studies.stress.fast.kernel_tables import (
    ACCRUER,
    BIDDER,
    BUYING,
    CLOSE,
    COVERER,
    CRANK,
    LIQUIDATOR,
    OFFSETTING,
    OFFSETTING_MORE,
    POKER,
    REPORTER,
    RESELLING,
    RESETTING,
    TAKER,
    Bytes,
    Floats,
    Integers,
    PathConditions,
    Table,
)
from backstop.studies.stress.fast.liquidations import (
    choose_vaults,
    find_unsafe_vaults,
    liquidate_vault,
    restore_vaults,
)
from backstop.studies.stress.fast.loss_kernel import (
    LEAST_COVER,
    charge_fees,
    compute_buffer_and_reserve_payment,
    pay_deficit_from_stages,
    turn_epoch,
)
from backstop.studies.stress.fast.owner_kernel import DAY, LIQUIDATED, OwnerTables, run_owner_reactions
from backstop.studies.stress.fast.pool_kernel import choose_paid_offsets, choose_write_offs, offset_vault
from backstop.studies.stress.fast.pricing import (
    ROUNDING,
    can_poke,
    compute_proceeds,
    get_fresh_price_or_zero,
    initialise_feed_state,
    poke_feed,
)

SENT = -1
"""Key of a wish that was included; when it is wanted again, it is a new one."""

NOBODY = np.inf
"""Lowest ratio of a path without any debt."""


@njit(cache=True, nogil=True)
def try_run_path(
    settings: Table,
    gas: Floats,
    terms: Table,
    groups: Table,
    mine: Bytes,
    owners: OwnerTables,
    world: PathConditions,
    kinds: Table,
    systems: Table,
    vaults: Table,
    activity: Table,
    daily: Floats,
    heap: Integers,
    touched: Integers,
    auctions: Table,
    stages: Table,
    events: Table,
    reports: Table,
    noise: Floats,
    keepers: Table,
    wishes: Table,
    old: Table,
    found: Integers,
    unsafe: Integers,
    batches: Integers,
    keys: Floats,
    places: Integers,
) -> bool:
    """Run one path; return False if the auction table has no room for all its auctions.

    The outcome is left in `systems`, `kinds` and `stages`, owners' actions and liquidations in `activity`.
    The vaults are restored to their state at the start. The last six arguments are scratch space.
    """
    setting, system = settings[0], systems[0]
    types, fits = len(terms), True
    prices, markets, budgets = np.empty(types), np.empty((types, 2)), np.empty(len(keepers))
    counts, is_discounted, has_write_off = np.zeros(types, dtype=np.int64), False, False
    for c in range(types):
        is_discounted = is_discounted or terms[c].discounted != 0
        has_write_off = has_write_off or terms[c].writes_off != 0
    _reset_kernel_state(setting, terms, groups, world.sources, kinds, reports, system, stages, keepers)
    for t in range(setting.blocks + setting.more + 1):
        at = min(t, setting.blocks)  # prices stand still after the end
        now = float(t * setting.block_time)
        gone = max(0.0, setting.supply - system.supply)
        system.scarce = 1 + gone * setting.scarcity / max(1.0, system.supply)
        depths = world.depths[:, min(t, world.depths.shape[1] - 1)]
        backing = _compute_backing(depths, kinds, system)
        for c in range(types):
            prices[c] = world.prices[c, at] / system.scarce
            _add_block_fees(terms[c], kinds[c])
            turn_epoch(setting, kinds[c], stages, events[c], now)
            _narrow_gap_to_outside_price(
                terms[c], kinds[c], system, prices[c], depths[c], backing, t * setting.block_time
            )
        for i in range(len(world.exits)):
            leaving = world.exits[i]
            if now - setting.block_time < leaving.at <= now:
                stages[leaving.stage].assets *= 1 - leaving.share

        if 0 < t <= setting.blocks and owners.every > 0 and t * setting.block_time % owners.every == 0:
            run_owner_reactions(
                owners, setting, terms, world, kinds, system, vaults, touched, activity, daily, prices, t
            )
        if t > 0:
            fits = _run_included_calls(
                setting, gas, terms, groups, world, kinds, system, vaults, activity, daily, auctions, stages,
                events,
                reports, keepers, wishes, batches, t, now,
            )  # fmt: skip
            if not fits:
                break
            forget_ended(system, auctions)
            _note_losses_covered_time(kinds, system, now)

        update_prices(terms, system, auctions, now)
        _start_new_wish_lists(groups, keepers, wishes, old)
        for c in range(types):
            kind = kinds[c]
            kind.poke = kind.cover = kind.accrue = 0
            for r in range(reports.shape[1]):
                reports[c, r].wished = 0
            price = get_fresh_price_or_zero(kind, now)
            counts[c] = 0
            if price == 0.0:
                continue
            here = terms[c]
            if here.discounted or here.pooled:
                counts[c] = find_unsafe_vaults(
                    here, setting, kind, system, vaults, heap[here.first :], touched, price,
                    unsafe[here.first : here.last], owners.every > 0,
                )  # fmt: skip
            if here.pooled:
                for g in range(len(groups)):
                    if counts[c] and groups[g].role == LIQUIDATOR and world.up[g, t]:
                        gas_price = world.bids[g, t] * prices[setting.gas_type]
                        choose_paid_offsets(
                            here, groups[g], mine[groups[g].row], c, gas[OFFSETTING] * gas_price,
                            gas[OFFSETTING_MORE] * gas_price, prices[c], kind, vaults,
                            unsafe[here.first :], counts[c], keepers, wishes, old, batches, t, now,
                        )  # fmt: skip
        # Liquidators call the pools of all types first.
        for c in range(types):
            kind, here = kinds[c], terms[c]
            price = get_fresh_price_or_zero(kind, now)
            if price == 0.0 or here.discounted or here.writes_off:
                continue
            listed, count = unsafe[here.first :], counts[c]
            if not here.pooled:
                listed, count = found, find_unsafe_vaults(
                    here, setting, kind, system, vaults, heap[here.first :], touched, price, found,
                    owners.every > 0,
                )  # fmt: skip
            for g in range(len(groups)):
                if count and groups[g].role == LIQUIDATOR and world.up[g, t]:
                    cost = gas[LIQUIDATOR] * world.bids[g, t] * prices[setting.gas_type]
                    choose_vaults(
                        here, setting, groups[g], mine[groups[g].row], c, cost, kind, system, vaults, listed,
                        count, keepers, wishes, old, t, now,
                    )  # fmt: skip
        for g in range(len(groups)):
            group = groups[g]
            if not world.up[g, t]:
                continue
            cost = gas[group.role] * world.bids[g, t] * prices[setting.gas_type]
            if group.role == REPORTER:
                for c in range(types):
                    _mark_due_reports(group, world.sources[c, at], noise[c], reports[c], t, now)
            elif group.role == POKER:
                for c in range(types):
                    kinds[c].poke = can_poke(kinds[c], terms[c], reports[c], now, group.deviation)
            elif group.role == ACCRUER:
                for c in range(types):
                    kinds[c].accrue = now >= kinds[c].accrued_at + group.heartbeat
            elif group.role == COVERER:
                for c in range(types):
                    _plan_cover_call(terms[c], group, kinds[c], system, stages, events[c], now)
            elif system.auctions == 0 and not is_discounted and not has_write_off:
                continue
            elif group.role == TAKER:
                i = group.first
                for c in range(types):
                    markets[c, 0], markets[c, 1] = kinds[c].coins, kinds[c].money
                add_resale_take_wishes(
                    terms, group, cost, prices, kinds, system, auctions, keepers[i], wishes[i], old[i], t,
                    keys, places, markets,
                )  # fmt: skip
            elif group.role == BIDDER:
                add_bidder_take_wishes(
                    terms, group, cost, prices, system, auctions, keepers, wishes, old, t, budgets
                )  # fmt: skip
            elif group.role == CRANK:
                i = group.first
                for c in range(types):
                    if terms[c].writes_off and counts[c] > 0:
                        choose_write_offs(
                            terms[c], group, c, kinds[c], vaults, unsafe[terms[c].first :], counts[c],
                            keepers, wishes, old, batches, t, now,
                        )  # fmt: skip
                choose_ends(
                    terms, group, now, kinds, system, auctions, keepers[i], wishes[i], old[i], t
                )  # fmt: skip
            if is_discounted and (group.role == TAKER or group.role == BIDDER):
                resells = group.role == TAKER
                cost = gas[RESELLING if resells else BUYING] * world.bids[g, t] * prices[setting.gas_type]
                for c in range(types):
                    if counts[c] > 0 and terms[c].discounted:
                        add_purchase_wishes(
                            terms[c], group, mine[group.row], c, cost, prices[c], kinds[c], vaults,
                            unsafe[terms[c].first :], counts[c], keepers, wishes, old, t, now, budgets,
                            markets[c], resells,
                        )  # fmt: skip
        _note_ratio(kinds, system, prices)
        is_last = t == setting.blocks + setting.more
        if t < setting.blocks or (not is_last and _has_open_principal(system, auctions)):
            continue
        if not _has_unsold_debt(
            terms, kinds, system, vaults, auctions, prices, world.sources[:, at], now, owners.every > 0
        ):
            break
    restore_vaults(vaults, touched, system.touched)
    return fits


@njit(cache=True)
def _reset_kernel_state(
    setting: Table,
    terms: Table,
    groups: Table,
    sources: Floats,
    kinds: Table,
    reports: Table,
    system: Table,
    stages: Table,
    keepers: Table,
) -> None:
    """Reset types, feeds, stages, keepers and system to their state at the scenario's start."""
    for c in range(len(terms)):
        kind = kinds[c]
        opened, stepped = -setting.opened_before, -setting.first_step
        initialise_feed_state(kind, terms[c], reports[c], sources[c, 0], opened, stepped)
        kind.rate, kind.buffer, kind.art, kind.locked = 1.0, terms[c].buffer, terms[c].art, terms[c].locked
        kind.lots = kind.in_auction = kind.deficit = kind.bad_debt = kind.added = kind.added_before = 0.0
        kind.coins = kind.money = kind.virtual = 0.0
        kind.pool = terms[c].pool_deposits
        kind.covered_at, kind.accrued_at, kind.fees = -np.inf, stepped, terms[c].fees
        kind.epoch, kind.reached, kind.listed = -1, terms[c].first, 0
    system.reserve, system.supply, system.maker = setting.reserve, setting.supply, setting.money
    system.in_auction = system.liquidated = 0.0
    system.first_loss_at = system.covered_at = -1.0
    system.lowest_ratio = NOBODY
    system.auctions = system.last_id = system.liquidations = system.touched = 0
    for k in range(len(stages)):
        stages[k].assets, stages[k].covered = stages[k].opening, 0.0
        stages[k].epoch = -1
    for g in range(len(groups)):
        for i in range(groups[g].first, groups[g].first + groups[g].number):
            keepers[i].budget, keepers[i].wishes, keepers[i].before = groups[g].capital, 0, 0


@njit(cache=True)
def _start_new_wish_lists(groups: Table, keepers: Table, wishes: Table, old: Table) -> None:
    """Start an empty list of transactions for each keeper.

    Keep the last list of groups with a latency: their transactions are included later.
    """
    for g in range(len(groups)):
        for i in range(groups[g].first, groups[g].first + groups[g].number):
            keepers[i].before = keepers[i].wishes
            keepers[i].wishes = 0
            if groups[g].delay > 1:
                for n in range(keepers[i].before):
                    old[i, n] = wishes[i, n]


@njit(cache=True)
def _add_block_fees(terms: Table, kind: Table) -> None:
    """Add the stability fees of one block to the type's rate and to its uncharged fees.

    Fees reach the buffer and the reserve only when a call charges them.
    """
    kind.fees += kind.art * kind.rate * (terms.growth - 1)
    kind.rate *= terms.growth


@njit(cache=True)
def _compute_backing(depths: Floats, kinds: Table, system: Table) -> float:
    """Return the share of the markets' depth that real stablecoins cover, at most 1.

    Real stablecoins are those of the market maker and of the markets themselves.
    """
    needed, circulating = 0.0, system.maker
    for c in range(len(depths)):
        needed += depths[c]
        circulating += kinds[c].money - kinds[c].virtual
    return min(1.0, circulating / needed)


@njit(cache=True)
def _narrow_gap_to_outside_price(
    terms: Table,
    kind: Table,
    system: Table,
    outside_price: float,
    depth: float,
    backing: float,
    now: int,
) -> None:
    """Move the local market's price a step towards the outside price, every `terms.every` seconds.

    Stablecoins that the market maker lacks are virtual: they count for prices, but cannot be paid out. A
    market with a depth that falls with the price is refilled when its depth is off beyond the tolerance.
    """
    if now % terms.every != 0:
        return
    target = outside_price
    if kind.coins > 0.0:
        inside = kind.money / kind.coins
        gap = outside_price - inside
        is_deep_enough = not terms.thins or abs(depth - kind.money) <= depth * terms.tolerance
        if abs(gap) <= outside_price * terms.tolerance and is_deep_enough:
            return
        target = inside + gap * terms.every / terms.recovery
    held = kind.money - kind.virtual
    paid_in = min(depth * backing - held, system.maker)
    system.maker -= paid_in
    kind.money, kind.coins = depth, depth / target
    kind.virtual = depth - held - paid_in


@njit(cache=True)
def _run_included_calls(
    setting: Table,
    gas: Floats,
    terms: Table,
    groups: Table,
    world: PathConditions,
    kinds: Table,
    system: Table,
    vaults: Table,
    activity: Table,
    daily: Floats,
    auctions: Table,
    stages: Table,
    events: Table,
    reports: Table,
    keepers: Table,
    wishes: Table,
    batches: Integers,
    block: int,
    now: float,
) -> bool:
    """Run the transactions of the last block's decisions that are included, highest bid first.

    Return False if the auction table is full.
    """
    room = world.capacity[block]
    for place in range(len(groups)):
        g = world.order[block, place]
        group = groups[g]
        if world.bids[g, block - 1] < world.clearing[block]:
            break
        if group.role == REPORTER:
            room = _run_reports(reports, gas[REPORTER], room, now)
            continue
        if group.role == POKER or group.role == COVERER or group.role == ACCRUER:
            for c in range(len(terms)):
                kind, needed = kinds[c], gas[group.role]
                if needed > room:
                    break
                if group.role == POKER and kind.poke:
                    poke_feed(kind, terms[c], reports[c], now)
                elif group.role == COVERER and kind.cover and kind.deficit > 0.0:
                    pay_deficit_from_stages(terms[c], kind, system, stages, events[c], now)
                    kind.covered_at = now
                elif group.role == ACCRUER and kind.accrue:
                    charge_fees(terms[c], kind, system, now)
                else:
                    continue
                room -= needed
            continue
        for i in range(group.first, group.first + group.number):
            for n in range(keepers[i].wishes):
                wish = wishes[i, n]
                if block - wish.since < group.delay:
                    continue
                is_offset = wish.buys != 0 and (group.role == LIQUIDATOR or group.role == CRANK)
                resets = group.role == CRANK and not is_offset and wish.amount != CLOSE
                needed = gas[RESETTING] if resets else gas[group.role]
                if is_offset:
                    needed = gas[OFFSETTING] + (wish.amount - 1) * gas[OFFSETTING_MORE]
                elif wish.buys:
                    needed = gas[RESELLING] if group.role == TAKER else gas[BUYING]
                if needed > room:
                    break
                room -= needed
                wish.key = SENT
                if is_offset:
                    c = wish.type
                    price = get_fresh_price_or_zero(kinds[c], now)
                    for place_in_batch in range(int(wish.amount)):
                        v, before = batches[i, c, place_in_batch], system.liquidated
                        coins = offset_vault(terms[c], kinds[c], system, vaults[v], now)
                        _note_liquidation(activity[v], daily, system.liquidated - before, coins, price, now)
                    continue
                if group.role == LIQUIDATOR:
                    c, v = int(wish.amount), wish.what
                    price, before = get_fresh_price_or_zero(kinds[c], now), system.liquidated
                    lot = vaults[v].locked
                    if not liquidate_vault(
                        terms[c], setting, kinds[c], system, vaults[v], auctions, v, c, price, now
                    ):  # fmt: skip
                        return False
                    _note_liquidation(
                        activity[v], daily, system.liquidated - before, lot - vaults[v].locked, price, now
                    )
                    continue
                if wish.buys:
                    c, v = wish.type, wish.what
                    price, before = get_fresh_price_or_zero(kinds[c], now), system.liquidated
                    coins = _apply_purchase_wish(
                        terms[c], group, kinds[c], system, vaults[v], keepers[i], wish, now
                    )
                    if coins == 0.0:
                        vaults[v].refused, vaults[v].refused_at = i, now
                    _note_liquidation(activity[v], daily, system.liquidated - before, coins, price, now)
                    continue
                auction = auctions[wish.what]
                here, kind = terms[auction.type], kinds[auction.type]
                if resets:
                    reset_auction(here, kind, system, auction, now)
                elif group.role == CRANK:
                    close_auction_and_book_loss(here, kind, system, auction, now)
                else:
                    _apply_take_wish(here, group, kind, system, auction, vaults, keepers[i], wish, now)
    return True


@njit(cache=True)
def _note_liquidation(
    activity: Table, daily: Floats, principal: float, seized: float, price: float, now: float
) -> None:
    """Add the debt and collateral of a liquidation to the vault's activity and the daily sums.

    Do nothing if `principal` is 0, as the vault was safe again.
    """
    if principal <= 0.0:
        return
    if activity.liquidated == 0.0:
        activity.liquidated_at = now
    activity.liquidated += principal
    activity.seized += seized
    activity.price += price * principal
    daily[int(now) // DAY, LIQUIDATED] += principal


@njit(cache=True)
def _apply_take_wish(
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
    """Run a purchase from an auction.

    Do nothing if the bidder lacks the money, or if a flash taker would earn less than its least profit.
    """
    bought, paid = quote_take(terms, auction, wish.amount, now)
    if bought == 0.0:
        return
    if group.role == BIDDER:
        if paid > keeper.budget:
            return
        keeper.budget -= paid
    else:
        sold = compute_proceeds(kind.coins, kind.money, terms.fee, bought)
        if sold - paid < wish.profit or sold > (kind.money - kind.virtual) * (1 + ROUNDING):
            return
        kind.coins += bought
        kind.money -= sold
    book_take(terms, kind, system, auction, vaults[auction.vault], bought, paid)


@njit(cache=True)
def _apply_purchase_wish(
    terms: Table,
    group: Table,
    kind: Table,
    system: Table,
    vault: Table,
    keeper: Table,
    wish: Table,
    now: float,
) -> float:
    """Run a discount purchase from a vault, and return the collateral that left the vault [coins].

    Return 0 if the call reverts.
    """
    coins, fee, principal, paid = quote_purchase(terms, kind, vault, wish, now)
    if coins == 0.0:
        return 0.0
    if group.role == BIDDER:
        if paid > keeper.budget * (1 + ROUNDING):
            return 0.0
        keeper.budget = max(0.0, keeper.budget - paid)
    else:
        sold = compute_proceeds(kind.coins, kind.money, terms.fee, coins - fee)
        if sold - paid < wish.profit or sold > (kind.money - kind.virtual) * (1 + ROUNDING):
            return 0.0
        kind.coins += coins - fee
        kind.money -= sold
    book_purchase(terms, kind, system, vault, coins, principal, paid, now)
    return coins


@njit(cache=True)
def _mark_due_reports(
    group: Table, source: float, noise: Floats, reports: Table, block: int, now: float
) -> None:
    """Plan a report of each reporter with a sufficient price move or with a heartbeat that is due."""
    for r in range(len(reports)):
        report, seen = reports[r], source * noise[r, block]
        moved = abs(seen - report.price) >= report.price * group.deviation
        due = moved or now >= report.at + group.heartbeat
        report.wished, report.wish = due and source > group.refuses_at, seen


@njit(cache=True)
def _run_reports(reports: Table, gas: float, room: float, now: float) -> float:
    """Run the planned reports that fit into the block, and return the gas that is left."""
    for r in range(reports.shape[1]):
        for c in range(reports.shape[0]):
            report = reports[c, r]
            if report.wished and gas <= room:
                report.price, report.at = report.wish, now
                room -= gas
    return room


@njit(cache=True)
def _plan_cover_call(
    terms: Table, group: Table, kind: Table, system: Table, stages: Table, events: Table, now: float
) -> None:
    """Plan a call that pays the type's deficit from the stages.

    The call is planned if buffer and reserve can pay enough of the deficit at once, and at every heartbeat.
    """
    if kind.deficit > 0.0:
        at_once = min(kind.deficit, compute_buffer_and_reserve_payment(terms, kind, system, stages, events))
        waited = now - kind.covered_at >= group.heartbeat
        kind.cover = waited or at_once >= min(kind.deficit, LEAST_COVER)


@njit(cache=True)
def _note_losses_covered_time(kinds: Table, system: Table, now: float) -> None:
    """Record the current time as `covered_at` if all recognised losses have just been paid."""
    if system.first_loss_at < 0 or system.covered_at >= 0:
        return
    for c in range(len(kinds)):
        if kinds[c].deficit > 0.0:
            return
    system.covered_at = now


@njit(cache=True)
def _note_ratio(kinds: Table, system: Table, prices: Floats) -> None:
    """Update the lowest ratio of collateral to debt.

    Collateral is that in vaults and auctions at outside prices; debt is theirs and the outstanding loss.
    """
    worth = owed = 0.0
    for c in range(len(prices)):
        kind = kinds[c]
        worth += (kind.locked + kind.lots) * prices[c]
        owed += kind.art * kind.rate + kind.in_auction + kind.deficit
    if owed > 1e-6:
        system.lowest_ratio = min(system.lowest_ratio, worth / owed)


@njit(cache=True)
def _has_open_principal(system: Table, auctions: Table) -> bool:
    """Return whether an open auction still has principal to repay.

    This check is cheap, as it does not scan the vaults.
    """
    a = 0
    while a < system.auctions and auctions[a].target <= auctions[a].penalty:
        a += 1
    return a < system.auctions


@njit(cache=True)
def _has_unsold_debt(
    terms: Table,
    kinds: Table,
    system: Table,
    vaults: Table,
    auctions: Table,
    prices: Floats,
    sources: Floats,
    now: float,
    are_vaults_unordered: bool,
) -> bool:
    """Return whether there is debt with unsold collateral, and record it by type with its lost part.

    Principal in auctions counts as unsold and lost. Vaults count as unsold if they are unsafe by the feed or
    by the reporters' sources. Of a vault's debt, the part beyond its collateral's worth on the market is
    lost.
    """
    left = 0.0
    for c in range(len(kinds)):
        kind, v = kinds[c], terms[c].first
        kind.unsold = kind.besides = 0.0
        seen, price = get_fresh_price_or_zero(kind, now), sources[c]
        if 0.0 < seen < price:
            price = seen
        while v < terms[c].last and (
            are_vaults_unordered or vaults[v].opening_trigger * kind.rate > min(price, prices[c])
        ):
            owed = vaults[v].debt * kind.rate
            kind.besides += max(0.0, owed - vaults[v].locked * prices[c])
            if vaults[v].trigger * kind.rate > price:
                kind.unsold += owed
            v += 1
        left += kind.unsold
    for a in range(system.auctions):
        auction = auctions[a]
        principal = max(0.0, auction.target - auction.penalty)
        kinds[auction.type].unsold += principal
        kinds[auction.type].besides += principal
        left += principal
    return left > 0.0
