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
    """Compute the rate of debts at this block: the kernel's own is a block ahead, which a bonus may show."""
    return kind.rate / terms.growth


@njit(cache=True)
def get_fresh_price_or_zero(kind: Table, now: float) -> float:
    """Return the price that decides about liquidations; 0 if it is stale."""
    return kind.current if now <= kind.fresh_until else 0.0


@njit(cache=True)
def get_higher_current_or_next_price(kind: Table, now: float) -> float:
    """Return the price from which lots are sold: current or next, the higher; 0 if it is stale."""
    return max(kind.current, kind.next) if now <= kind.fresh_until else 0.0


@njit(cache=True)
def compute_time_weighted_price(kind: Table, now: float) -> float:
    """Return the average price over one to two windows."""
    if kind.since == now:
        return kind.current
    return (kind.cumulative + kind.current * (now - kind.stepped_at)) / (now - kind.since)


@njit(cache=True)
def initialise_feed_state(
    feed: Table, terms: Table, reports: Table, price: float, opened_at: float, stepped_at: float
) -> None:
    """Open the feed with two steps at one price: at the book's opening, and shortly before the start."""
    feed.current = feed.next = price
    feed.stepped_at = feed.since = feed.checkpoint_at = opened_at
    feed.cumulative = feed.checkpoint = 0.0
    feed.fresh_until = opened_at + terms.stale_after
    for r in range(len(reports)):
        reports[r].price, reports[r].at, reports[r].wished = price, stepped_at, 0
    poke_feed(feed, terms, reports, stepped_at)


@njit(cache=True)
def _compute_fresh_median_price(terms: Table, reports: Table, now: float) -> float:
    """Return the median of the fresh reports; of an even number, the lower of the two in the middle."""
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
    """Check whether enough reports are fresh, and the step is over or its next price to be renewed.

    That is early in the step, by a median that is off by a deviation, a share of the next price.
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
    """Make the next price current and the median the next; both at once after a gap.

    Early in a step the median only takes the place of the next price. Do nothing while poking would revert.
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
    """Raise a number to a whole power by squaring, as the result of `**` depends on the processor."""
    found, left = 1.0, int(times)
    while left > 0:
        if left & 1:
            found *= base
        base *= base
        left >>= 1
    return found


@njit(cache=True)
def auction_price(terms: Table, top: float, elapsed: float) -> float:
    """Compute an auction's price some seconds after its start."""
    if terms.curve == LINEAR:
        return top * max(0.0, terms.period - elapsed) / terms.period
    return top * compute_decay(terms, elapsed)


@njit(cache=True)
def compute_decay(terms: Table, elapsed: float) -> float:
    """Compute the share of its first price that an auction of a curve with a cut has left."""
    # A quotient of whole seconds is never rounded up to the next whole number.
    return raise_float_to_whole_power(
        terms.cut, floor(elapsed / terms.period) if terms.curve == STAIRSTEP else elapsed
    )


@njit(cache=True)
def needs_reset(terms: Table, top: float, price: float, elapsed: float) -> bool:
    """Return whether an auction is over."""
    return elapsed > terms.tail or price < top * terms.cusp or price == 0.0


@njit(cache=True)
def compute_fill(terms: Table, auction: Table, price: float, amount: float) -> tuple[float, float, float]:
    """Compute what a take buys, pays and leaves of the target; no purchase if the rest would be too small."""
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
    """Compute what a market pays for an amount of coins."""
    paid = amount * (1 - fee)
    return paid * money / (coins + paid)


@njit(cache=True)
def best_amount(coins: float, money: float, virtual: float, fee: float, price: float) -> float:
    """Compute the most that can be sold while the last coin still brings the price and the market can pay."""
    most = max(0.0, sqrt((1 - fee) * money * coins / price) - coins) / (1 - fee)
    if virtual > 0.0:
        most = min(most, max(0.0, money - virtual) * coins / (virtual * (1 - fee)))
    return most
