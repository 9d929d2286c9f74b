"""The sale of an unsafe vault to a stability pool, and the condition for an auction instead."""

from __future__ import annotations

from numba import njit

from backstop.studies.stress.fast.kernel_tables import Table
from backstop.studies.stress.fast.pricing import (
    ROUNDING,
    compute_charged_rate,
    get_higher_current_or_next_price,
)


@njit(cache=True)
def compute_offset_room(kind: Table) -> float:
    """Return the debt that a type's stability pool may repay: all its coins but one, at least 0."""
    return max(0.0, kind.pool - 1.0)


@njit(cache=True)
def plan_offset(
    terms: Table, vault: Table, rate: float, price: float, room: float
) -> tuple[float, float, float, float]:
    """Return the sale of a vault to the stability pool for a payment of at most `room`.

    The result is (collateral, salvage in it, principal, payment). Salvage is collateral of written-off debt,
    which the pool does not get. All are 0 if the pool buys nothing.
    """
    debt, kept = vault.debt * rate, (1 - terms.pool_reward) * price
    factor = 1 + terms.pool_penalty
    coins = min(vault.locked, debt * factor / price)
    due = min(debt, coins * kept)
    if due <= room and room > 0.0:
        return coins, 0.0, debt, due
    share = room / due
    if terms.writes_off:
        bought = coins * share
        return coins, coins - bought, debt, min(debt * share, bought * kept, room)
    part = min(debt * share, debt - min(terms.floor, debt))
    if part < terms.floor * (1 - ROUNDING):
        return 0.0, 0.0, 0.0, 0.0
    bought = min(part * factor / price, vault.locked * part / debt)
    return bought, 0.0, part, min(part, bought * kept, room)


@njit(cache=True)
def can_auction(terms: Table, kind: Table, vault: Table, now: float) -> bool:
    """Return whether a vault may go to an auction.

    It may if its type has no stability pool, if the price is stale, or if the pool buys no part of the vault.
    """
    price = get_higher_current_or_next_price(kind, now)
    if not terms.pooled or vault.debt <= 0.0 or price == 0.0:
        return True
    rate = compute_charged_rate(terms, kind)
    return plan_offset(terms, vault, rate, price, compute_offset_room(kind))[2] == 0.0
