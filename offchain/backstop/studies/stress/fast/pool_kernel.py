"""Stability pools: the choice of vaults for a keeper's call, and the effect of the call on each vault."""

from __future__ import annotations

from numba import njit

from backstop.studies.stress.fast.discount_kernel import book_purchase
from backstop.studies.stress.fast.kernel_tables import SOLD, Bytes, Integers, Table
from backstop.studies.stress.fast.liquidations import add_wish
from backstop.studies.stress.fast.offset_plan import compute_offset_room, plan_offset
from backstop.studies.stress.fast.pricing import (
    ROUNDING,
    compute_charged_rate,
    get_fresh_price_or_zero,
    get_higher_current_or_next_price,
)


@njit(cache=True)
def choose_paid_offsets(
    terms: Table,
    group: Table,
    mine: Bytes,
    type_index: int,
    cost: float,
    cost_of_more: float,
    outside_price: float,
    kind: Table,
    vaults: Table,
    unsafe: Integers,
    count: int,
    keepers: Table,
    wishes: Table,
    old: Table,
    batches: Integers,
    block: int,
    now: float,
) -> None:
    """Plan a stability pool call for each keeper of a group, if its rewards pay for the gas.

    The largest debts come first, as long as the pool has coins. Rewards are collateral, valued at
    `outside_price`. `cost` is the gas cost of a call for one vault, `cost_of_more` that of each further
    vault.
    """
    price, rate = get_higher_current_or_next_price(kind, now), compute_charged_rate(terms, kind)
    room = compute_offset_room(kind)
    if price == 0.0 or (room == 0.0 and not terms.writes_off):
        return
    most_reward = (1 + terms.pool_penalty) * terms.pool_reward * outside_price / price
    for j in range(group.number):
        i, chosen, gained, coins = group.first + j, 0, 0.0, room
        for place in range(count):
            v = unsafe[place]
            # Smaller debts bring less.
            if vaults[v].debt * kind.rate * most_reward * (1 + ROUNDING) < cost_of_more:
                break
            if mine[v] != j:
                continue
            taken, salvage, _, paid = plan_offset(terms, vaults[v], rate, price, coins)
            reward = (taken - salvage) * terms.pool_reward * outside_price
            if taken == 0.0 or reward < cost_of_more:
                continue
            batches[i, type_index, chosen] = v
            chosen, gained, coins = chosen + 1, gained + reward, coins - paid
            if chosen == batches.shape[2]:
                break
        if chosen > 0 and gained >= cost + (chosen - 1) * cost_of_more + group.profit:
            _add_offset_wish(group, type_index, chosen, keepers[i], wishes[i], old[i], block)


@njit(cache=True)
def choose_write_offs(
    terms: Table,
    group: Table,
    type_index: int,
    kind: Table,
    vaults: Table,
    unsafe: Integers,
    count: int,
    keepers: Table,
    wishes: Table,
    old: Table,
    batches: Integers,
    block: int,
    now: float,
) -> None:
    """Plan a stability pool call with the vaults that the pool cannot repay in full.

    The largest debt comes first. The unpaid debt becomes a loss. The keeper sends the call even if it earns
    nothing.
    """
    price, rate = get_higher_current_or_next_price(kind, now), compute_charged_rate(terms, kind)
    i, chosen, room = group.first, 0, compute_offset_room(kind)
    for place in range(count):
        v = unsafe[place]
        if price > 0.0 and plan_offset(terms, vaults[v], rate, price, room)[1] > 0.0:
            batches[i, type_index, chosen] = v
            chosen += 1
            if chosen == batches.shape[2]:
                break
    if chosen > 0:
        _add_offset_wish(group, type_index, chosen, keepers[i], wishes[i], old[i], block)


@njit(cache=True)
def _add_offset_wish(
    group: Table, type_index: int, chosen: int, keeper: Table, wishes: Table, old: Table, block: int
) -> None:
    if keeper.wishes == group.most:
        return
    wish = wishes[keeper.wishes]
    wish.type, wish.amount = type_index, float(chosen)
    # These keys differ from those of vaults, auctions and sent calls.
    add_wish(wish, -2 - type_index, group, keeper, old, block)
    wish.buys = 1


@njit(cache=True)
def offset_vault(terms: Table, kind: Table, system: Table, vault: Table, now: float) -> float:
    """Sell an unsafe vault to the stability pool, and return the sold collateral [coins].

    Return 0 for no sale. The pool's depositors keep the collateral, so that none of it is sold on the market.
    """
    price = get_fresh_price_or_zero(kind, now)
    if vault.state == SOLD or price == 0.0 or vault.trigger * kind.rate <= price:
        return 0.0
    highest, rate = get_higher_current_or_next_price(kind, now), compute_charged_rate(terms, kind)
    coins, _, principal, paid = plan_offset(terms, vault, rate, highest, compute_offset_room(kind))
    if principal > 0.0:
        kind.pool -= paid
        book_purchase(terms, kind, system, vault, coins, principal, paid, now)
    return coins
