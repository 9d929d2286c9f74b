"""Properties of calls that are refused in the margin market, and that nothing may stand in the way of.

A wrong rule that refuses too much changes nothing, so no property of what is done can notice it.
"""

from __future__ import annotations

from itertools import pairwise

from backstop.model import bounds
from backstop.proof.properties.figures.cycles import (
    ACCOUNTS,
    CASES,
    CLOCK,
    CLOSER,
    FUNDINGS,
    GAINED,
    LOTS,
    MARKET,
    MEETINGS,
    PATHS,
    TOTALS,
    VALUES,
    WORTHS,
    better_within,
    fund_of,
    haircut_of,
    has_ended,
    in_cycle,
    index,
    median_within,
    met,
    share,
    sizes_of,
    there,
)
from backstop.proof.properties.registry import Violation, refusal_property
from backstop.proof.properties.transition import Transition

_LEAST_RANKED = 24


@refusal_property(140, calls=MEETINGS)
def who_owes_can_be_met(step: Transition) -> None:
    """Assert that whoever is refused to be met has no lots, or has at least its haircuts at marks of now.

    At the better ends of their ranges; a market without a price of now counts at its last mark.
    """
    if there(step):
        for owner in met(step):
            _check_refused(step, owner)


def _check_refused(step: Transition, owner: str) -> None:
    account = step.after(MARKET, ACCOUNTS, owner)
    if not account.cycle or account.cycle != step.after(MARKET, CLOCK).cycle:
        return
    sizes, own, is_fresh = sizes_of(step.after, owner), account.cash, False
    for m, size in sizes.items():
        mark, stored = median_within(step, m), step.after(MARKET, PATHS, m)
        if has_ended(step, step.after, m):
            return
        if 0 < mark <= bounds.MAX_LOT_PRICE:
            is_fresh = True
            own += better_within(step, m, size)
        else:
            mark = stored.price
        funded = index(step, m) - step.after(MARKET, FUNDINGS, m).level
        lots, values = step.after(MARKET, LOTS, m), step.after(MARKET, VALUES, m)
        moves = share(lots.long, lots.short, mark - stored.price - funded)
        own += size * (values[size < 0] + moves[size < 0])
    if is_fresh and own < (haircut := haircut_of(step, owner)):
        raise Violation(f"{owner} has {own}, bears {haircut}, and cannot be met: {step.outcome.reason}")


@refusal_property(141, calls=[f"{MARKET}.roll"])
def nothing_keeps_a_cycle_open(step: Transition) -> None:
    """Assert that a roll is refused only before its time: a window, and quiet, or four windows."""
    if not there(step):
        return
    clock, market, now = step.after(MARKET, CLOCK), step.contract(MARKET), step.model.timestamp
    open_for, quiet_for = now - clock.rolled_at, now - clock.booked_at
    if open_for >= 4 * market.window or (open_for >= market.window and quiet_for >= market.quiet):
        raise Violation(
            f"a cycle is open for {open_for} s, quiet for {quiet_for}, and goes on: {step.outcome.reason}"
        )


@refusal_property(142, calls=["MarginFund.claim"])
def vested_profits_can_be_claimed(step: Transition) -> None:
    """Assert that whoever is refused a profit has not a wei in that bucket, or it has not vested."""
    if not there(step):
        return
    owner, bucket = step.action.args
    fund = step.contract(fund_of(step))
    holding = step.after(fund.label, "holdings", (owner, bucket))
    state = step.after(fund.label, "buckets", bucket)
    mine = holding.shares if holding.generation == state.generation else 0
    worth = mine * state.assets // state.shares if mine else 0
    # Nothing can be sent to nobody: whoever withdrew to that address has lost it.
    if worth and int(owner, 16) and step.model.timestamp >= (bucket + fund.bucket_count) * fund.length:
        raise Violation(f"{owner} has {worth} of bucket {bucket}, and is refused: {step.outcome.reason}")


@refusal_property(145, calls=[f"{CLOSER}.submit"])
def a_right_ranking_is_taken(step: Transition) -> None:
    """Assert that whoever begins a ranking with accounts that gained, by their gain over their worth, may.

    Unless one is proven, or they are fewer than 24 and not all. By what each was worth at the end of the
    cycle, whatever it has brought since.
    """
    if not there(step):
        return
    m, side, accounts = step.action.args
    cycle, key = step.after(MARKET, CLOCK).cycle, (m, side, step.action.sender)
    begun = cycle - 1 in (step.after(CLOSER, CASES, (m, side)).cycle, step.after(CLOSER, "runs", key).cycle)
    if side > 1 or not accounts or begun:
        return
    ranks, gains = [], []
    for owner in accounts:
        gained, worth = (
            step.after(MARKET, GAINED, in_cycle(owner, m, cycle - 1))[side],
            step.after(MARKET, WORTHS, owner),
        )
        if step.after(MARKET, ACCOUNTS, owner).cycle != cycle or not gained:
            return
        gains.append(gained)
        score = gained * 10**9 // max(worth.value - worth.brought, 1)
        ranks.append((min(score, 2**96 - 1), int(owner, 16)))
    everybody = step.after(MARKET, TOTALS, (m, cycle - 1))[side]
    if len(accounts) < _LEAST_RANKED and sum(gains) != everybody:
        return
    if all(one > other for one, other in pairwise(ranks)):
        raise Violation(f"{accounts} rank by {ranks}, and are refused: {step.outcome.reason}")
