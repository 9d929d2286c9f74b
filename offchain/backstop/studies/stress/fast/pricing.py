"""Prices: the feed, the price curve of an auction, the amount of a take, the price of a market."""

from __future__ import annotations

from math import floor, sqrt

from numba import njit

from backstop.deployment.parameter_dataclasses import LINEAR, STAIRSTEP
from backstop.model.bounds import MAX_SIGNED_AGE
from backstop.studies.stress.fast.kernel_tables import Table

ROUNDING = 1e-12
"""Share of an amount below which a rest counts as rounding."""


@njit(cache=True)
def compute_charged_rate(terms: Table, kind: Table) -> float:
    """Return the debt rate at this block.

    The rate in `kind` is already one block ahead, which would change a bonus.
    """
    return kind.rate / terms.growth


@njit(cache=True)
def get_fresh_price_or_zero(kind: Table, now: float) -> float:
    """Return the feed's current price, which decides about liquidations.

    0 if the price is stale.
    """
    return kind.current if now <= kind.fresh_until else 0.0


@njit(cache=True)
def get_higher_current_or_next_price(kind: Table, now: float) -> float:
    """Return the higher of the feed's current and next price, at which lots are sold.

    0 if stale.
    """
    return max(kind.current, kind.next) if now <= kind.fresh_until else 0.0


@njit(cache=True)
def compute_time_weighted_price(kind: Table, now: float) -> float:
    """Return the time-weighted average price over one to two windows."""
    if kind.since == now:
        return kind.current
    return (kind.cumulative + kind.current * (now - kind.stepped_at)) / (now - kind.since)


@njit(cache=True)
def initialise_feed_state(
    feed: Table, terms: Table, reports: Table, price: float, opened_at: float, stepped_at: float
) -> None:
    """Initialise the feed with two steps at the same price.

    The first step is at the opening of the vaults, the second shortly before the scenario's start.
    """
    feed.current = feed.next = price
    feed.stepped_at = feed.since = feed.checkpoint_at = opened_at
    feed.cumulative = feed.checkpoint = 0.0
    feed.fresh_until = opened_at + terms.stale_after
    for r in range(len(reports)):
        reports[r].price, reports[r].at, reports[r].wished = price, stepped_at, 0
    poke_feed(feed, terms, reports, stepped_at)


@njit(cache=True)
def _compute_fresh_median_price(terms: Table, reports: Table, now: float) -> float:
    """Return the median of the fresh reports, the lower middle one for an even number.

    0 if none is fresh.
    """
    for r in range(len(reports)):
        if now > reports[r].at + terms.max_age:
            continue
        fresh = lower = 0
        for other in range(len(reports)):
            if now > reports[other].at + terms.max_age:
                continue
            fresh += 1
            less = reports[other].price < reports[r].price
            lower += less or (reports[other].price == reports[r].price and other < r)
        if lower == (fresh - 1) // 2:
            return reports[r].price
    return 0.0


@njit(cache=True)
def can_poke(kind: Table, terms: Table, reports: Table, now: float, deviation: float) -> bool:
    """Return whether a poke would change the feed: enough reports are fresh, and a change is due.

    A change is due when the step is over. Early in a step it is due if the median differs from the next price
    by at least the share `deviation`.
    """
    fresh = 0
    for r in range(len(reports)):
        fresh += now <= reports[r].at + terms.max_age
    if fresh < terms.quorum:
        return False
    if now >= kind.stepped_at + terms.step:
        return True
    if now > kind.stepped_at + max(terms.step // 6, min(terms.step // 2, MAX_SIGNED_AGE)):
        return False
    median = _compute_fresh_median_price(terms, reports, now)
    return median != kind.next and abs(median - kind.next) >= kind.next * deviation


@njit(cache=True)
def poke_feed(kind: Table, terms: Table, reports: Table, now: float) -> None:
    """Make the next price current and the median of reports the next price.

    After a gap, the median becomes both. Early in a step the median replaces only the next price. Do nothing
    if the contract would revert.
    """
    if not can_poke(kind, terms, reports, now, 0.0):
        return
    median = _compute_fresh_median_price(terms, reports, now)
    if now < kind.stepped_at + terms.step:
        kind.next = median
        return
    cumulative = kind.cumulative + kind.current * (now - kind.stepped_at)
    kind.current = median if now > kind.fresh_until else kind.next
    kind.next = median
    kind.stepped_at = now
    kind.fresh_until = now + terms.stale_after
    if now >= kind.checkpoint_at + terms.window:
        cumulative -= kind.checkpoint
        kind.since = kind.checkpoint_at
        kind.checkpoint_at = now
        kind.checkpoint = cumulative
    kind.cumulative = cumulative


@njit(cache=True)
def raise_float_to_whole_power(base: float, times: float) -> float:
    """Return `base` to the whole power `times` by repeated squaring.

    The result is equal on all processors, which that of `**` is not.
    """
    found, left = 1.0, int(times)
    while left > 0:
        if left & 1:
            found *= base
        base *= base
        left >>= 1
    return found


@njit(cache=True)
def auction_price(terms: Table, top: float, elapsed: float) -> float:
    """Return the price of an auction with the first price `top`, `elapsed` seconds after its start."""
    if terms.curve == LINEAR:
        return top * max(0.0, terms.period - elapsed) / terms.period
    return top * compute_decay(terms, elapsed)


@njit(cache=True)
def compute_decay(terms: Table, elapsed: float) -> float:
    """Return the ratio of an auction's price to its first price, `elapsed` seconds after the start.

    The auction has the exponential or the stairstep curve.
    """
    # A quotient of whole seconds is never rounded up to the next whole number.
    return raise_float_to_whole_power(
        terms.cut, floor(elapsed / terms.period) if terms.curve == STAIRSTEP else elapsed
    )


@njit(cache=True)
def needs_reset(terms: Table, top: float, price: float, elapsed: float) -> bool:
    """Return whether an auction's price is too old or too low, so that a reset must restart it."""
    return elapsed > terms.tail or price < top * terms.cusp or price == 0.0


@njit(cache=True)
def compute_fill(terms: Table, auction: Table, price: float, amount: float) -> tuple[float, float, float]:
    """Return (bought, paid, rest of the target) of a purchase of `amount` from an auction.

    The purchase is reduced if it would leave too small a target. It is (0, 0, target) if it cannot be
    reduced.
    """
    lot, target = auction.lot, auction.target
    bought = min(lot, amount)
    paid = bought * price
    if paid > target:
        paid, bought = target, target / price
    rest = target - paid
    if rest <= ROUNDING * target:
        rest = 0.0
    if rest > 0.0 and bought < lot:
        if rest < terms.minimum:
            if target <= terms.minimum:
                return 0.0, 0.0, target
            rest, paid = terms.minimum, target - terms.minimum
            bought = paid / price
        if (lot - bought) * auction.top / terms.buf < terms.minimum * (1 - ROUNDING):
            return 0.0, 0.0, target
    return bought, paid, rest


@njit(cache=True)
def compute_proceeds(coins: float, money: float, fee: float, amount: float) -> float:
    """Return the stablecoins that a constant product market pays for `amount` coins, after its fee."""
    paid = amount * (1 - fee)
    return paid * money / (coins + paid)


@njit(cache=True)
def best_amount(coins: float, money: float, virtual: float, fee: float, price: float) -> float:
    """Return the largest amount of coins of which the last unit still sells for at least `price` [coins].

    `virtual` is the part of `money` that the market cannot pay out.
    """
    most = max(0.0, sqrt((1 - fee) * money * coins / price) - coins) / (1 - fee)
    if virtual > 0.0:
        most = min(most, max(0.0, money - virtual) * coins / (virtual * (1 - fee)))
    return most
