"""The property of writes beside the books of accounts: each written figure follows from the old one.

The figures are filled orders, floors of nonces, rankings and shares, terms, limits, profits that vest,
insurance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backstop.evm_crypto import keccak256
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.margin_policy import MarketTerms
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    CASES,
    CLOCK,
    CLOSER,
    GAINED,
    LOTS,
    MARKET,
    ORDERS,
    POLICY,
    POOL,
    TOTALS,
    WORTHS,
    build_cycle_key,
    has_margin_market,
    list_deleveraged_positions,
    list_event_values,
    replace_closer_calls_by_wildcard,
)
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FUND = "MarginFund"
_SCALE, _MOST_SCORE, _MOST_SHARES = 10**9, 2**96 - 1, 2**32

Figures = dict[tuple[str, Any], tuple[Any, ...] | int | bytes]
"""Values that a call leaves in its contract, by path of a table and key."""
Events = list[tuple[Any, ...]]


def _build_expected_fill_changes(step: Transition) -> tuple[Figures, Events]:
    maker, _, taker, _, lots = step.action.args
    [event] = list_event_values(step, "Filled", contract=ORDERS)
    digests = event[5:7]
    figures: Figures = {
        ("filled", each): step.read_pre_state(ORDERS, "filled", each) + lots for each in digests
    }
    return figures, [(maker[0], taker[0], maker[1], lots, maker[3], *digests)]


def _predict_cancel_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    [(_, digest)] = list_event_values(step, "Cancelled", contract=ORDERS)
    return {("filled", digest): 2**256 - 1}, [(step.action.args[0][0], digest)]


def _build_expected_nonce_floor_changes(step: Transition) -> tuple[Figures, Events]:
    floor, *named = step.action.args
    account = named[0] if named else step.action.sender
    return {("nonce_floor", account): floor}, [(account, floor)]


# ------------------------------------------------------------------- who is closed


def _predict_ranking_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    m, side, accounts = step.action.args
    sender, cycle = step.action.sender, step.read_post_state(MARKET, CLOCK).cycle - 1
    key = m, side, sender
    run = step.read_pre_state(CLOSER, "runs", key)
    _, batches, gains = run if run.cycle == cycle else (cycle, 0, 0)
    gained = [
        step.read_post_state(MARKET, GAINED, build_cycle_key(owner, m, cycle))[side] for owner in accounts
    ]
    worth = step.read_post_state(MARKET, WORTHS, accounts[-1])
    score = gained[-1] * _SCALE // max(worth.value - worth.brought, 1)
    words = (32, len(accounts), *(int(each, 16) for each in accounts))
    gains += sum(gained)
    figures: Figures = {
        ("runs", key): (cycle, batches + 1, gains),
        ("lasts", key): (min(score, _MOST_SCORE), accounts[-1]),
        ("digests", (*key, cycle << 32 | batches)): keccak256(
            b"".join(word.to_bytes(32, "big") for word in words)
        ),
    }
    events: Events = [(*key, len(accounts), gains)]
    if gains == step.read_post_state(MARKET, TOTALS, (m, cycle))[side]:
        figures[CASES, (m, side)] = (cycle, 0, sender, batches + 1)
        events.append((*key, cycle))
    return figures, events


def _count_unassigned_lots(step: Transition, market_id: int, side: int) -> int:
    """Return by how many lots the given side of a market exceeds the other side, 0 at least.

    The missing lots on the other side belong to accounts that were seized as insolvent.
    """
    lots = step.read_post_state(MARKET, LOTS, market_id)
    return int(lots[side] - min(lots))


def _predict_ranking_execution_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    m, side, _ = step.action.args
    left, case = _count_unassigned_lots(step, m, side), step.read_pre_state(CLOSER, CASES, (m, side))
    figures: Figures = {
        (CASES, (m, side)): (case.cycle, case.executed + (left != 0), case.prover, case.batches)
    }
    return figures, [(m, side, case.executed, left)]


def _predict_closed_share_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    m, side, _ = step.action.args
    cycle, figures, some = step.read_post_state(MARKET, CLOCK).cycle - 1, Figures(), 0
    for owner, _, delta, _ in list_deleveraged_positions(step):
        part = step.read_pre_state(CLOSER, "parts", (m, side, owner))
        figures["parts", (m, side, owner)] = (cycle, part.lots * (part.cycle == cycle) + abs(delta))
        some += abs(delta)
    total = step.read_pre_state(CLOSER, "totals", (m, side))
    figures["totals", (m, side)] = (cycle, total.lots * (total.cycle == cycle) + some)
    return figures, [(m, side, some, _count_unassigned_lots(step, m, side))]


# ---------------------------------------------------------------------- parameters


def _build_expected_terms_storage(
    step: Transition, market_id: int, terms: Any, lot: int, feed: int, ends_at: int
) -> Figures:
    new = MarketTerms(*terms)
    brackets = [each for two in (new.of_accounts, new.of_market) for bracket in two for each in bracket]
    return {
        ("terms", market_id): (*new[:5], *brackets),
        ("underlyings", market_id): (new.open_limit, new.dust, lot, feed, ends_at, new.insured),
    }


def _predict_new_market_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    feed, lot, terms = step.action.args
    m = step.read_pre_state(POLICY, "markets")
    figures = _build_expected_terms_storage(step, m, terms, lot, feed, 0)
    return {("markets", ()): m + 1, **figures}, [(m, feed, lot), (m, terms)]


def _predict_terms_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    m, terms = step.action.args
    base = step.read_pre_state(POLICY, "underlyings", m)
    return _build_expected_terms_storage(step, m, terms, base.lot, base.feed, base.ends_at), [(m, terms)]


def _predict_delisting_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    m, at = step.action.args
    base = step.read_pre_state(POLICY, "underlyings", m)
    return {("underlyings", m): (*base[:4], at, base[5])}, [(m, at)]


def _predict_position_limit_writes_and_events(step: Transition) -> tuple[Figures, Events]:
    m, new = step.action.args
    return {("limit", m): new}, [(m, new)]


def _build_expected_fund_cap_changes(step: Transition) -> tuple[Figures, Events]:
    [new] = step.action.args
    return {("cap", ()): new}, [(new,)]


_CALLS: dict[str, Callable[[Transition], tuple[Figures, Events]]] = {
    f"{ORDERS}.fill": _build_expected_fill_changes,
    f"{ORDERS}.cancel": _predict_cancel_writes_and_events,
    f"{ORDERS}.raise_nonce": _build_expected_nonce_floor_changes,
    f"{CLOSER}.submit": _predict_ranking_writes_and_events,
    f"{CLOSER}.execute": _predict_ranking_execution_writes_and_events,
    f"{CLOSER}.share": _predict_closed_share_writes_and_events,
    f"{POLICY}.add_market": _predict_new_market_writes_and_events,
    f"{POLICY}.set_terms": _predict_terms_writes_and_events,
    f"{POLICY}.delist": _predict_delisting_writes_and_events,
    f"{POOL}.set_limit": _predict_position_limit_writes_and_events,
    f"{_FUND}.set_cap": _build_expected_fund_cap_changes,
}


_OCCASIONS = replace_closer_calls_by_wildcard(_CALLS)


@history_property(224, calls=_OCCASIONS)
class StorageFollowsFromCalls:
    """Checker that storage and events of a margin market call follow from its arguments (property 224).

    It covers orders, rankings, pro-rata shares, market terms, limits and caps. Nothing else of the called
    contract may change.
    """

    def __init__(self, model: ModelSystem) -> None:
        """Create the checker, which keeps no history."""

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Compare the stored values and events of a call with those expected from the old state.

        Raises PropertyViolationError if they differ.
        """
        _check_stored(step, changes)


def _check_stored(step: Transition, changes: Changes) -> None:
    name = f"{step.action.contract}.{step.action.method}"
    if not has_margin_market(step) or name not in _CALLS:
        return
    contract = step.action.contract
    figures, events = _CALLS[name](step)
    for (path, key), expected in figures.items():
        found = step.read_post_state(contract, path, key)
        if found != expected:
            raise PropertyViolationError(f"{name} leaves {found!r} in {path} of {key}, not {expected!r}")
    others = {
        (path, each.key) for path, all_of in changes.items() for each in all_of if each.contract == contract
    }
    if others - figures.keys():
        raise PropertyViolationError(f"{name} also wrote {others - figures.keys()}")
    said = [log.values for log in step.outcome.logs if log.contract == contract]
    if said != events:
        raise PropertyViolationError(f"{name} says {said}, not {events}")


# ------------------------------------------------------------------------ the fund


@history_property(225, writes=["insurance", "buckets", "holdings"], events=[f"{_FUND}.*"])
class FundBalancesFollowFromEvents:
    """Checker that the fund's insurance and vesting profits follow from events (property 225).

    Balances must match to the wei. Shares and claims of profits are rounded down. Losses are split over the
    buckets by rounded running sums, the latest bucket first. A bucket with too many shares per wei starts
    again. Spent insurance counts in buckets of time.
    """

    def __init__(self, model: ModelSystem) -> None:
        """Create the checker, which keeps no history."""

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Recompute the fund's balances from the step's events, and compare them with storage.

        Raises PropertyViolationError if they differ.
        """
        _check_fund(step, changes)


def _check_fund(step: Transition, changes: Changes) -> None:
    logs = [log for log in step.outcome.logs if log.contract == _FUND]
    mine = [each for path in ("buckets", "holdings", "insurance") for each in changes.get(path, ())]
    if not has_margin_market(step) or not (logs or any(each.contract == _FUND for each in mine)):
        return
    fund = step.get_contract(_FUND)
    today = step.model.timestamp // fund.length
    amount, spent, since = step.read_pre_state(_FUND, "insurance")
    spent = spent if since == today else 0
    buckets: dict[int, tuple[int, int, int]] = {}
    holdings: dict[tuple[str, int], tuple[int, int]] = {}

    def read_bucket(bucket: int) -> tuple[int, int, int]:
        return buckets.get(bucket) or step.read_pre_state(_FUND, "buckets", bucket)

    def read_holding(key: tuple[str, int]) -> tuple[int, int]:
        return holdings.get(key) or step.read_pre_state(_FUND, "holdings", key)

    taken = _split_loss_by_bucket(step, fund.bucket_count, today)
    gone: list[tuple[int, int]] = []
    for log in logs:
        if log.event == "InsuranceAdded":
            amount += log.values[1]
        elif log.event == "LossAbsorbed":
            amount, spent = amount - log.values[2], spent + log.values[2]
        elif log.event == "ProfitLocked":
            owner, bucket, brought, shares = log.values
            assets, all_shares, generation = read_bucket(bucket)
            made = brought * all_shares // assets if assets else brought
            held, of = read_holding((owner, bucket))
            holdings[owner, bucket] = ((held if of == generation else 0) + made, generation)
            buckets[bucket] = (assets + brought, all_shares + made, generation)
            if (bucket, shares) != (today, made):
                raise PropertyViolationError(
                    f"{shares} shares of bucket {bucket} were made for {brought}, not {made}"
                )
        elif log.event == "ProfitClaimed":
            owner, bucket, paid = log.values
            assets, all_shares, generation = read_bucket(bucket)
            held, _ = read_holding((owner, bucket))
            if paid != held * assets // all_shares:
                raise PropertyViolationError(
                    f"{paid} were claimed for {held} of {all_shares} shares of {assets}"
                )
            holdings[owner, bucket] = 0, 0
            buckets[bucket] = assets - paid, all_shares - held, generation
        elif log.event == "ClawedBack":
            bucket, lost, dust = log.values
            assets, all_shares, generation = read_bucket(bucket)
            left = assets - lost
            begins = all_shares > left * _MOST_SHARES
            buckets[bucket] = (0, 0, generation + 1) if begins else (left, all_shares, generation)
            gone.append((bucket, lost))
            if dust != left * begins:
                raise PropertyViolationError(f"bucket {bucket} gave {lost} and {dust}, of {assets}")
    if taken is not None and gone != taken:
        raise PropertyViolationError(f"losses took {gone} of buckets, not {taken}")
    for path, found in (("buckets", buckets), ("holdings", holdings)):
        for key, expected in found.items():
            if step.read_post_state(_FUND, path, key) != expected:
                raise PropertyViolationError(
                    f"{path} of {key} are {step.read_post_state(_FUND, path, key)}, not {expected}"
                )
        written = {each.key for each in changes.get(path, ()) if each.contract == _FUND}
        if written - found.keys():
            raise PropertyViolationError(f"{path} of {written - found.keys()} changed, and no event says so")
    insurance = step.read_post_state(_FUND, "insurance")
    is_moved = any(log.event in ("InsuranceAdded", "LossAbsorbed") for log in logs)
    if insurance != ((amount, spent, today) if is_moved else step.read_pre_state(_FUND, "insurance")):
        raise PropertyViolationError(f"insurance is {insurance}, not {amount, spent, today}")


def _split_loss_by_bucket(step: Transition, count: int, today: int) -> list[tuple[int, int]] | None:
    """Return (bucket, amount) for each part of the losses that buckets of vesting profits bear.

    The latest bucket comes first. Returns None if the same call also locked a profit.
    """
    if list_event_values(step, "ProfitLocked", contract=_FUND):
        return None
    held = {
        bucket: step.read_pre_state(_FUND, "buckets", bucket).assets
        for bucket in range(today, today - count, -1)
    }
    losses: list[list[tuple[int, int, int]]] = []
    for values in list_event_values(step, "ClawedBack", contract=_FUND):
        if not losses or losses[-1][-1][0] <= values[0]:
            losses.append([])
        losses[-1].append(values)
    parts: list[tuple[int, int]] = []
    for loss in losses:
        lost, everything, passed, given = sum(part for _, part, _ in loss), sum(held.values()), 0, 0
        for bucket, assets in held.items():
            if assets and everything:
                passed += assets
                part = lost * passed // everything - given
                given += part
                parts.append((bucket, part))
        for bucket, part, dust in loss:
            held[bucket] -= part + dust
    return parts
