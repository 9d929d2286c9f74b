"""Properties of refused calls in the margin market: calls that no state may block.

A wrong rule that refuses too much changes nothing, so no property of successful calls can notice it.
"""

from __future__ import annotations

from itertools import pairwise

from backstop.lockstep.step_transition import Transition
from backstop.model import bounds
from backstop.proof.properties.independent_arithmetic.margin_figures import (
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
    build_cycle_key,
    compute_account_haircut,
    compute_best_range_value_gain,
    compute_funding_index,
    compute_lot_price_from_reports,
    get_market_fund_name,
    has_ended,
    has_margin_market,
    list_met_accounts,
    read_position_sizes,
    split_price_move_with_remainder,
)
from backstop.proof.properties.property_registry import PropertyViolationError, refusal_property

_LEAST_RANKED = 24


@refusal_property(140, calls=MEETINGS)
def insolvent_account_can_be_seized(step: Transition) -> None:
    """Check that seizing an insolvent account was not refused (property 140).

    An account is insolvent if it holds lots and its value is below its haircuts. Lots are valued at the
    better end of current marks, or at the last mark without a current one. Raises PropertyViolationError if
    the seizure of an insolvent account was refused.
    """
    if has_margin_market(step):
        for owner in list_met_accounts(step):
            _check_refused_seizure(step, owner)


def _check_refused_seizure(step: Transition, owner: str) -> None:
    account = step.read_post_state(MARKET, ACCOUNTS, owner)
    if not account.cycle or account.cycle != step.read_post_state(MARKET, CLOCK).cycle:
        return
    sizes, own, is_fresh = read_position_sizes(step.read_post_state, owner), account.cash, False
    for m, size in sizes.items():
        mark, stored = compute_lot_price_from_reports(step, m), step.read_post_state(MARKET, PATHS, m)
        if has_ended(step, step.read_post_state, m):
            return
        if 0 < mark <= bounds.MAX_LOT_PRICE:
            is_fresh = True
            own += compute_best_range_value_gain(step, m, size)
        else:
            mark = stored.price
        funded = compute_funding_index(step, m) - step.read_post_state(MARKET, FUNDINGS, m).level
        lots, values = step.read_post_state(MARKET, LOTS, m), step.read_post_state(MARKET, VALUES, m)
        moves = split_price_move_with_remainder(lots.long, lots.short, mark - stored.price - funded)
        own += size * (values[size < 0] + moves[size < 0])
    if is_fresh and own < (haircut := compute_account_haircut(step, owner)):
        raise PropertyViolationError(
            f"{owner} has {own}, bears {haircut}, and cannot be met: {step.outcome.reason}"
        )


@refusal_property(141, calls=[f"{MARKET}.advance_cycle"])
def due_roll_succeeds(step: Transition) -> None:
    """Check that ending a due cycle was not refused (property 141).

    A cycle is due after one window with a quiet time since the last booked loss, or after four windows.
    Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    clock, market, now = step.read_post_state(MARKET, CLOCK), step.get_contract(MARKET), step.model.timestamp
    open_for, quiet_for = now - clock.rolled_at, now - clock.booked_at
    if open_for >= 4 * market.window or (open_for >= market.window and quiet_for >= market.quiet):
        raise PropertyViolationError(
            f"a cycle is open for {open_for} s, quiet for {quiet_for}, and goes on: {step.outcome.reason}"
        )


@refusal_property(142, calls=["MarginFund.claim"])
def owner_can_claim_vested_profit(step: Transition) -> None:
    """Check that an owner's claim of a vested profit of at least 1 wei was not refused (property 142).

    Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    owner, bucket = step.action.args
    fund = step.get_contract(get_market_fund_name(step))
    holding = step.read_post_state(fund.label, "holdings", (owner, bucket))
    state = step.read_post_state(fund.label, "buckets", bucket)
    mine = holding.shares if holding.generation == state.generation else 0
    worth = mine * state.assets // state.shares if mine else 0
    # Nothing can be sent to nobody: whoever withdrew to that address has lost it.
    if worth and int(owner, 16) and step.model.timestamp >= (bucket + fund.bucket_count) * fund.length:
        raise PropertyViolationError(
            f"{owner} has {worth} of bucket {bucket}, and is refused: {step.outcome.reason}"
        )


@refusal_property(145, calls=[f"{CLOSER}.submit"])
def correct_ranking_is_accepted(step: Transition) -> None:
    """Check that a correct ranking for auto-deleveraging was not refused (property 145).

    It ranks accounts that gained by gain over account value at the cycle's end. A refusal is allowed if a
    ranking is already proven. It is also allowed for fewer than 24 accounts that are not all. Raises
    PropertyViolationError for any other refusal.
    """
    if not has_margin_market(step):
        return
    m, side, accounts = step.action.args
    cycle, key = step.read_post_state(MARKET, CLOCK).cycle, (m, side, step.action.sender)
    begun = cycle - 1 in (
        step.read_post_state(CLOSER, CASES, (m, side)).cycle,
        step.read_post_state(CLOSER, "runs", key).cycle,
    )
    if side > 1 or not accounts or begun:
        return
    ranks, gains = [], []
    for owner in accounts:
        gained, worth = (
            step.read_post_state(MARKET, GAINED, build_cycle_key(owner, m, cycle - 1))[side],
            step.read_post_state(MARKET, WORTHS, owner),
        )
        if step.read_post_state(MARKET, ACCOUNTS, owner).cycle != cycle or not gained:
            return
        gains.append(gained)
        score = gained * 10**9 // max(worth.value - worth.brought, 1)
        ranks.append((min(score, 2**96 - 1), int(owner, 16)))
    everybody = step.read_post_state(MARKET, TOTALS, (m, cycle - 1))[side]
    if len(accounts) < _LEAST_RANKED and sum(gains) != everybody:
        return
    if all(one > other for one, other in pairwise(ranks)):
        raise PropertyViolationError(f"{accounts} rank by {ranks}, and are refused: {step.outcome.reason}")
