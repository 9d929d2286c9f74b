"""Liquidations: unsafe vaults, the largest debt first, and the effects of liquidating them."""

from __future__ import annotations

import numpy as np
from numba import njit

from backstop.studies.stress.fast.kernel_tables import LISTED, QUIET, SOLD, Bytes, Integers, Table
from backstop.studies.stress.fast.loss_kernel import charge_fees, pay_reward_or_recognise_loss
from backstop.studies.stress.fast.offset_plan import can_auction, compute_offset_room
from backstop.studies.stress.fast.pricing import get_higher_current_or_next_price


@njit(cache=True)
def _is_ahead(vault: Table, other: Table) -> bool:
    """Return whether `vault` is liquidated before `other`.

    The larger debt comes first; of equal debts, the lower rank.
    """
    if vault.weight == other.weight:
        return vault.rank < other.rank
    return vault.weight > other.weight


@njit(cache=True)
def _push_vault_by_debt(vaults: Table, heap: Integers, size: int, vault_index: int) -> None:
    """Push a vault into a heap of `size` vaults, with the largest debt on top."""
    at, vault = size, vaults[vault_index]
    vault.weight = vault.debt
    while at > 0:
        parent = (at - 1) // 2
        if not _is_ahead(vault, vaults[heap[parent]]):
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = vault_index


@njit(cache=True)
def _pop_largest_debt_vault(vaults: Table, heap: Integers, size: int) -> int:
    """Pop the vault with the largest debt from a heap of `size` vaults, and return its index."""
    top, last = heap[0], heap[size - 1]
    at, vault = 0, vaults[last]
    while True:
        child = 2 * at + 1
        if child >= size - 1:
            break
        if child + 1 < size - 1 and _is_ahead(vaults[heap[child + 1]], vaults[heap[child]]):
            child += 1
        if not _is_ahead(vaults[heap[child]], vault):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = last
    return top


@njit(cache=True)
def _compute_auction_room(terms: Table, setting: Table, system: Table, kind: Table) -> float:
    """Return the principal that may still go under auction [stablecoins].

    The limits of the type and of all types apply.
    """
    return max(0.0, min(terms.limit - kind.in_auction, setting.limit - system.in_auction))


@njit(cache=True)
def find_unsafe_vaults(
    terms: Table,
    setting: Table,
    kind: Table,
    system: Table,
    vaults: Table,
    heap: Integers,
    touched: Integers,
    price: float,
    found: Integers,
    are_vaults_unordered: bool,
) -> int:
    """Write the indices of a type's unsafe vaults to `found`, and return their number.

    The largest debt comes first. The number is limited by the length of `found`. The result is 0 while the
    auction limits are reached, as no keeper could liquidate a vault then. That rule does not apply to types
    with discount sales or with a stability pool that can pay. `are_vaults_unordered` is True if owners may
    draw more; then each vault is checked.
    """
    is_sold = terms.discounted or terms.writes_off or compute_offset_room(kind) > 0
    room = terms.limit if is_sold else _compute_auction_room(terms, setting, system, kind)
    if room <= 0:
        return 0
    v, passed_over = kind.reached, terms.last
    while v < terms.last and (are_vaults_unordered or vaults[v].opening_trigger * kind.rate > price):
        if vaults[v].state == QUIET and vaults[v].trigger * kind.rate > price:
            vaults[v].state = LISTED
            _push_vault_by_debt(vaults, heap, kind.listed, v)
            kind.listed += 1
            if not vaults[v].touched:
                vaults[v].touched = 1
                touched[system.touched] = v
                system.touched += 1
        elif vaults[v].state == QUIET:
            # A sale or a returned lot has made it safer than it was: it may be unsafe at a lower price.
            passed_over = min(passed_over, v)
        v += 1
    kind.reached = terms.first if are_vaults_unordered else min(v, passed_over)

    count = 0
    while kind.listed > 0 and count < len(found):
        v = _pop_largest_debt_vault(vaults, heap, kind.listed)
        kind.listed -= 1
        if vaults[v].state == SOLD:
            continue
        if vaults[v].debt < vaults[v].weight:
            # A part of it was sold since: its place is further down.
            _push_vault_by_debt(vaults, heap, kind.listed, v)
            kind.listed += 1
            continue
        if vaults[v].trigger * kind.rate > price:
            found[count] = v
            count += 1
        else:
            # Safe again: the scan starts over from here.
            vaults[v].state = QUIET
            kind.reached = min(kind.reached, v)
    for i in range(count):
        _push_vault_by_debt(vaults, heap, kind.listed, found[i])
        kind.listed += 1
    return count


@njit(cache=True)
def restore_vaults(vaults: Table, touched: Integers, count: int) -> None:
    """Restore the first `count` vaults of `touched` to their state at the start."""
    for i in range(count):
        vault = vaults[touched[i]]
        vault.debt = vault.opening_debt
        vault.locked = vault.opening_locked
        vault.trigger = vault.opening_trigger
        vault.refused_at = -np.inf
        vault.state = QUIET
        vault.touched = 0


@njit(cache=True)
def _compute_reward(terms: Table, principal: float) -> float:
    """Return the reward of a liquidator [stablecoins], at most the penalty on `principal`."""
    penalty = principal * terms.penalty
    return min(terms.tip + terms.chip * (principal + penalty), penalty)


@njit(cache=True)
def add_wish(wish: Table, key: int, group: Table, keeper: Table, old: Table, block: int) -> None:
    """Add the prepared transaction to the keeper's list of planned transactions.

    A transaction with the same `key` in the keeper's last list keeps the block since which it is wanted.
    """
    wish.key, wish.since, wish.buys = key, block, 0
    if group.delay > 1:
        for n in range(keeper.before):
            if old[n].key == key:
                wish.since = old[n].since
    keeper.wishes += 1


@njit(cache=True)
def choose_vaults(
    terms: Table,
    setting: Table,
    group: Table,
    mine: Bytes,
    type_index: int,
    cost: float,
    kind: Table,
    system: Table,
    vaults: Table,
    found: Integers,
    count: int,
    keepers: Table,
    wishes: Table,
    old: Table,
    block: int,
    now: float,
) -> None:
    """Plan the auctions that each keeper of a group starts, among the unsafe vaults assigned to it.

    A vault is chosen if the reward pays `cost` and the group's least profit, and the auction limit allows it.
    """
    for j in range(group.number):
        room, i = _compute_auction_room(terms, setting, system, kind), group.first + j
        for place in range(count):
            if room <= 0 or keepers[i].wishes == group.most:
                break
            v = found[place]
            if mine[v] != j:
                continue
            debt = vaults[v].debt * kind.rate
            principal = debt if debt - room < terms.floor else room
            if principal < min(terms.floor, debt) or not can_auction(terms, kind, vaults[v], now):
                continue
            if _compute_reward(terms, principal) >= cost + group.profit:
                room -= principal
                wish = wishes[i, keepers[i].wishes]
                wish.what, wish.amount = v, float(type_index)
                add_wish(wish, v, group, keepers[i], old[i], block)


@njit(cache=True)
def liquidate_vault(
    terms: Table,
    setting: Table,
    kind: Table,
    system: Table,
    vault: Table,
    auctions: Table,
    vault_index: int,
    type_index: int,
    price: float,
    now: float,
) -> bool:
    """Send an unsafe vault to auction; return False if the auction table is full.

    Return True without a change if the contract would revert. With little room under the auction limit, only
    a part of the debt goes under auction.
    """
    if vault.state == SOLD or price == 0.0 or vault.trigger * kind.rate <= price:
        return True
    room = _compute_auction_room(terms, setting, system, kind)
    if room <= 0 or not can_auction(terms, kind, vault, now):
        return True
    debt = vault.debt * kind.rate
    principal, lot = min(debt, room), vault.locked
    whole = principal == debt or debt - principal < terms.floor
    if not whole and principal < terms.floor:
        return True
    if system.auctions == len(auctions):
        return False
    charge_fees(terms, kind, system, now)
    if whole:
        principal = debt
        vault.state = SOLD
        vault.debt = vault.locked = 0.0
    else:
        lot *= principal / debt
        vault.debt -= principal / kind.rate
        vault.locked -= lot
    auction = auctions[system.auctions]
    system.auctions += 1
    system.last_id += 1
    auction.id, auction.type, auction.vault = system.last_id, type_index, vault_index
    auction.penalty = principal * terms.penalty
    auction.lot, auction.target = lot, principal + auction.penalty
    auction.top, auction.since = get_higher_current_or_next_price(kind, now) * terms.buf, now
    reward = _compute_reward(terms, principal)
    auction.budget = auction.penalty - reward
    kind.art -= principal / kind.rate
    kind.locked -= lot
    kind.lots += lot
    kind.in_auction += principal
    system.in_auction += principal
    system.liquidations += 1
    system.liquidated += principal
    pay_reward_or_recognise_loss(kind, system, reward, now)
    return True


@njit(cache=True)
def return_lot(terms: Table, kind: Table, vault: Table, amount: float) -> None:
    """Return unsold collateral of an ended auction to its vault, which becomes safer.

    If the vault was liquidated whole, only the type's totals change.
    """
    kind.locked += amount
    kind.lots -= amount
    if vault.state != SOLD:
        vault.locked += amount
        vault.trigger = terms.ratio * vault.debt / vault.locked
