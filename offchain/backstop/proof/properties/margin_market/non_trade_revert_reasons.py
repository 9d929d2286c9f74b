"""Revert reasons of calls beside trades: of the pool, the fund, rankings, terms and ends.

As with trades, each reason is true and none is missed. Bounds are those of the specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backstop.evm_crypto import keccak256
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.margin_policy import MarketTerms
from backstop.proof.properties.independent_arithmetic.batch_figures import MOST_SHARES, VOID, convert_shares
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    BASIS_POINTS,
    CASES,
    CLOCK,
    CLOSER,
    CLOSING,
    HELD,
    LATE,
    MARKET,
    POLICY,
    POOL,
    POSITIONS,
    TOTALS,
    compute_final_price_progress,
    divide_ceil,
    get_market_fund_name,
    has_ended,
    replace_closer_calls_by_wildcard,
)
from backstop.proof.properties.independent_arithmetic.price_figures import Read
from backstop.proof.properties.margin_market.market_call_replay import MarketReplay
from backstop.proof.properties.margin_market.trade_revert_reasons import (
    Calls,
    Reasons,
    check_no_reason,
    check_refusal_has_first_reason,
    iter_liquidation_reasons,
    iter_ownerless_lots_take_refusals,
)
from backstop.proof.properties.property_registry import history_property, refusal_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FUND = "MarginFund"
_DAY, _MOST_CEILING, _MOST_SUPPLY, _MOST_LOT = 86_400, 8 * 10**9, 10**9, 10**21
_MOST_OPEN_LOTS, _MOST_OPEN, _MOST_MARKETS, _LAST_FEED = 2**63 - 1, 10**28, 8, 224
_SHARES, _ASSETS, _LEAST, _WAD = 10**6, 1, 10**6, 10**18
_LEAST_RANKED = 24
_SCALE, _MOST_SCORE, _LAST_ADDRESS = 10**9, 2**96 - 1, 2**160 - 1


def _get_pre_call_reader(step: Transition) -> Read:
    """Return the read function for the state before the call."""
    return step.read_pre_state if step.outcome.ok else step.read_post_state


# ----------------------------------------------------------------------- the pool


class _BackstopPoolReplay(MarketReplay):
    """Replay of a margin market call that includes the backstop pool's account."""

    def __init__(self, step: Transition, *others: str) -> None:
        self.pool = step.get_contract(POOL)
        super().__init__(step, [self.pool.address, *others])

    def has_no_position_or_debt(self) -> bool:
        """Return whether the pool's account has no position, no unfinal gain or loss, and no debt."""
        account = self.get_account(self.pool.address)
        return not account.lots and account.cash >= 0

    def is_batch_due(self) -> bool:
        """Return whether due exits of members forbid the pool to take new risk."""
        first, late_by = self.read(POOL, "token.state").mark % 2**32, 0
        if not first or self.read(MARKET, LATE):
            return False
        late_by = self.now - (first + 2) * self.pool.notice
        return bool(late_by >= self.pool.notice or (late_by >= 0 and self.has_no_position_or_debt()))

    def compute_supply_and_cash(self) -> tuple[int, int]:
        """Return the pool's shares, after the divisions of an entry, and its cash [wei].

        The virtual shares and assets are included.
        """
        supply, cash = self.read(POOL, "token.state").supply, max(0, self.get_account(self.pool.address).cash)
        steps = 0
        while convert_shares(supply, 0, steps) + _SHARES > (cash + _ASSETS) * MOST_SHARES:
            steps += 1
        steps = VOID if supply and cash < _LEAST else steps
        return convert_shares(supply, 0, steps) + _SHARES, cash + _ASSETS


def _iter_deposit_reasons(step: Transition) -> Reasons:
    trial, assets = _BackstopPoolReplay(step), step.action.args[0]
    yield "liquidity_vault: not idle", not trial.has_no_position_or_debt()
    supply, cash = trial.compute_supply_and_cash()
    yield "liquidity_vault: no shares", assets * supply < cash


def _iter_mint_reasons(step: Transition) -> Reasons:
    yield "liquidity_vault: not idle", not _BackstopPoolReplay(step).has_no_position_or_debt()
    yield "liquidity_vault: no shares", step.action.args[0] == 0


def _iter_request_reasons(step: Transition) -> Reasons:
    yield "liquidity_vault: empty request", step.action.args[0] == 0


def _iter_exit_reasons(step: Transition) -> Reasons:
    batch, controller = step.action.args
    trial = _BackstopPoolReplay(step)
    request = trial.read(POOL, "requests", (trial.read(POOL, "era"), batch, controller))
    yield "liquidity_vault: no request", not any(request)
    yield "liquidity_vault: notice runs", trial.now // trial.pool.notice < batch + 2
    yield "liquidity_vault: at work", not trial.has_no_position_or_debt()
    is_late = bool(trial.read(MARKET, LATE))
    yield "liquidity_vault: losses are late", is_late and step.action.sender != controller
    closing, state = trial.read(MARKET, CLOSING), trial.read(POOL, "token.state")
    shares = convert_shares(request.shares, request.generation, state.generation)
    cash = max(0, trial.get_account(trial.pool.address).cash)
    assets = shares * (cash + _ASSETS) // (state.supply + _SHARES)
    is_open = bool(closing) and trial.clock.cycle < closing + 2
    yield "perpetuals: losses are open", bool(assets) and is_open
    # All deposits go out before what is profit, and come back; fees may be more than is held.
    paid_in = min(trial.get_account(trial.pool.address).brought, cash)
    profit = divide_ceil(assets * (cash - paid_in), cash) if assets else 0
    free = max(0, trial.read(MARKET, HELD) - trial.fees)
    yield "perpetuals: not held", not is_late and (paid_in + profit if profit else assets) > free


def _iter_pool_lot_takeover_reasons(step: Transition) -> Reasons:
    m, lots = step.action.args
    trial = _BackstopPoolReplay(step)
    waits, was = trial.is_batch_due(), trial.read_position_size(trial.pool.address, m)
    yield from iter_ownerless_lots_take_refusals(trial, trial.pool.address, m, lots)
    yield from _iter_pool_risk_reasons(trial, m, was, waits)


def _iter_pool_liquidation_reasons(step: Transition) -> Reasons:
    owner, m, lots = step.action.args
    trial = _BackstopPoolReplay(step, owner)
    waits, was = trial.is_batch_due(), trial.read_position_size(trial.pool.address, m)
    yield "trading: own account", owner == trial.pool.address
    yield from iter_liquidation_reasons(trial, owner, trial.pool.address, m, lots)
    yield from _iter_pool_risk_reasons(trial, m, was, waits)


def _iter_pool_risk_reasons(trial: _BackstopPoolReplay, market_id: int, was: int, waits: bool) -> Reasons:
    """Yield the revert reasons for new risk of the backstop pool, and whether each holds."""
    name, pool = trial.pool.address, trial.pool
    size = trial.read_position_size(name, market_id)
    if was * size >= 0 and abs(size) <= abs(was):
        return
    yield "liquidity_vault: members are due", waits
    yield (
        "liquidity_vault: above its limit",
        abs(size) * trial.read_mark(market_id) > trial.read(POOL, "limit", market_id) * _WAD,
    )
    used = sum(abs(lots) * trial.read_mark(each) for each, lots in trial.read_position_sizes(name).items())
    free = trial.compute_equity_after_haircuts(name) - trial.compute_unfinal_gains(name)
    yield "liquidity_vault: too little cash", used * BASIS_POINTS > free * pool.leverage


def _iter_quote_creation_reasons(step: Transition) -> Reasons:
    read, m = _get_pre_call_reader(step), step.action.args[0]
    yield "liquidity_vault: quote runs", step.model.timestamp < read(POOL, "quotes", m).until
    size = read(MARKET, POSITIONS, (step.get_contract(POOL).address, m)).size
    yield "liquidity_vault: none to quote", size == 0


def _iter_set_pool_limit_reasons(step: Transition) -> Reasons:
    yield "liquidity_vault: limit bounds", step.action.args[1] > _MOST_CEILING


# ----------------------------------------------------------------------- the fund


def _iter_claim_reasons(step: Transition) -> Reasons:
    read, (owner, bucket) = _get_pre_call_reader(step), step.action.args
    fund = step.get_contract(get_market_fund_name(step))
    vests = (bucket + fund.bucket_count) * fund.length
    yield "margin_fund: not vested", step.model.timestamp < vests
    state, holding = read(_FUND, "buckets", bucket), read(_FUND, "holdings", (owner, bucket))
    is_void = not holding.shares or holding.generation != state.generation
    yield "margin_fund: nothing to claim", is_void or holding.shares * state.assets < state.shares


def _iter_set_insurance_cap_reasons(step: Transition) -> Reasons:
    yield "margin_fund: cap bounds", step.action.args[0] > _MOST_CEILING


# ----------------------------------------------------------------- who is closed


def _iter_submit_reasons(step: Transition) -> Reasons:
    m, side, accounts = step.action.args
    trial = MarketReplay(step, accounts)
    cycle, key = trial.clock.cycle - 1, (m, side, step.action.sender)
    yield "deleveraging: proven", trial.read(CLOSER, CASES, (m, side)).cycle == cycle
    yield "deleveraging: nobody", not accounts
    before, gains = (_MOST_SCORE, _LAST_ADDRESS), 0
    if trial.read(CLOSER, "runs", key).cycle == cycle:
        last, gains = trial.read(CLOSER, "lasts", key), trial.read(CLOSER, "runs", key).gains
        before = (last.score, int(last.last, 16))
    for name in accounts:
        owner = trial.get_account(name)
        yield "deleveraging: no such side", side > 1
        gained = _read_pending_gain(trial, name, m, side)
        gains += gained
        yield "deleveraging: has not gained", gained == 0
        score = gained * _SCALE // max(owner.worth - owner.since_roll, 1)
        rank = (min(score, _MOST_SCORE), int(name, 16))
        yield "deleveraging: out of rank", rank >= before
        before = rank
    is_short = len(accounts) < _LEAST_RANKED
    yield "deleveraging: too few", is_short and gains != trial.read(MARKET, TOTALS, (m, cycle))[side]


def _read_pending_gain(trial: MarketReplay, name: str, market_id: int, side: int) -> int:
    """Return an account's gain on one side of a market in the last ended cycle [wei]."""
    lots = trial.get_account(name).lots.get(market_id)
    return lots.pending_gained[side] if lots else 0


def _iter_deleveraging_execution_refusals(step: Transition) -> Reasons:
    m, side, accounts = step.action.args
    trial = MarketReplay(step, accounts)
    case, cycle = trial.read(CLOSER, CASES, (m, side)), trial.clock.cycle - 1
    yield "deleveraging: not proven", not 0 < case.cycle >= cycle - 1
    words = (32, len(accounts), *(int(each, 16) for each in accounts))
    digest = keccak256(b"".join(word.to_bytes(32, "big") for word in words))
    is_over = case.executed >= case.batches
    kept = trial.read(CLOSER, "digests", (m, side, case.prover, case.cycle << 32 | case.executed))
    yield "deleveraging: not the next", is_over or digest != kept
    yield "trading: no price to close at", not trial.update_mark_to_now(m)
    left = trial.lots[m][side] - min(trial.lots[m])
    # With lots of nobody but none of these accounts the call's turn is over all the same.
    yield "deleveraging: no lots to close", left == 0


def _count_side_lots(size: int, side: int) -> int:
    """Return the size of a position [lots] if it is on the given side (0 long, 1 short), else 0."""
    return abs(size) if int(size < 0) == side else 0


def _iter_pro_rata_deleveraging_reasons(step: Transition) -> Reasons:
    m, side, accounts = step.action.args
    yield "deleveraging: no such side", side > 1
    trial = MarketReplay(step, accounts)
    cycle = trial.clock.cycle - 1
    everything = trial.read(MARKET, TOTALS, (m, cycle))[side]
    yield "deleveraging: nobody gained", everything == 0
    total = trial.read(CLOSER, "totals", (m, side))
    left = trial.lots[m][side] - min(trial.lots[m])
    whole = left + (total.lots if total.cycle == cycle else 0)
    last, most = 0, []
    for name in accounts:
        yield "deleveraging: out of order", int(name, 16) <= last
        last = int(name, 16)
        done = trial.read(CLOSER, "parts", (m, side, name))
        part = whole * _read_pending_gain(trial, name, m, side) // everything
        most.append(part - (done.lots if done.cycle == cycle else 0))
    yield "trading: no price to close at", not trial.update_mark_to_now(m)
    parts = [
        min(_count_side_lots(trial.read_position_size(n, m), side), limit)
        for n, limit in zip(accounts, most, strict=True)
    ]
    yield "deleveraging: no lots to close", not left or all(part <= 0 for part in parts)


# -------------------------------------------------------------------- the policy


def _iter_terms_reasons(terms: Sequence[Any], lot: int) -> Reasons:
    """Yield the revert reason of each bound on a market's terms, and whether it holds."""
    new = MarketTerms(*terms)
    yield "margin_policy: initial bounds", new.initial > BASIS_POINTS
    yield "margin_policy: upkeep bounds", not 10 <= new.maintenance < new.initial
    yield "margin_policy: discount bounds", new.discount > 50_000
    yield "margin_policy: haircut bounds", not 100 <= new.haircut <= BASIS_POINTS
    yield "margin_policy: funding bounds", new.max_funding > 1_000
    is_open = new.open_limit <= _MOST_OPEN_LOTS and new.open_limit * lot <= _MOST_OPEN
    yield "margin_policy: open bounds", not is_open
    yield "margin_policy: dust bounds", new.dust > 10**6
    yield "margin_policy: insured bounds", new.insured > BASIS_POINTS
    for brackets in (new.of_accounts, new.of_market):
        for above, _ in brackets:
            yield "margin_policy: bracket bounds", above > _MOST_SUPPLY
        yield "margin_policy: bracket rates", sum(rate for _, rate in brackets) > BASIS_POINTS


def _iter_add_market_reasons(step: Transition) -> Reasons:
    feed, lot, terms = step.action.args
    yield "margin_policy: too many markets", _get_pre_call_reader(step)(POLICY, "markets") >= _MOST_MARKETS
    yield "margin_policy: lot bounds", not 0 < lot <= _MOST_LOT
    yield "margin_policy: feed bounds", feed > _LAST_FEED
    yield from _iter_terms_reasons(terms, lot)


def _iter_set_terms_reasons(step: Transition) -> Reasons:
    read, (m, terms) = _get_pre_call_reader(step), step.action.args
    yield "margin_policy: unknown market", m >= read(POLICY, "markets")
    yield from _iter_terms_reasons(terms, read(POLICY, "underlyings", m).lot)


def _iter_delist_market_reasons(step: Transition) -> Reasons:
    read, (m, at), now = _get_pre_call_reader(step), step.action.args, step.model.timestamp
    yield "margin_policy: unknown market", m >= read(POLICY, "markets")
    yield "margin_policy: is delisted", read(POLICY, "underlyings", m).ends_at != 0
    yield "margin_policy: notice bounds", not 3 * _DAY <= at - now <= 90 * _DAY


# ---------------------------------------------------------------------- the clock


def _iter_end_market_reasons(step: Transition) -> Reasons:
    read, m = _get_pre_call_reader(step), step.action.args[0]
    yield "perpetuals: ends once", has_ended(step, read, m)
    base, made = read(POLICY, "underlyings", m), compute_final_price_progress(step, m)
    # A market that an issuer has the word of knows no beginning.
    said = step.read_post_state("PriceFeed", "settlement_price.final_prices", base.feed).is_final
    yield "perpetuals: no final price", not base.lot or not (made.is_final if made else said)


def _iter_roll_cycle_reasons(step: Transition) -> Reasons:
    clock, market, now = (
        _get_pre_call_reader(step)(MARKET, CLOCK),
        step.get_contract(MARKET),
        step.model.timestamp,
    )
    open_for, quiet_for = now - clock.rolled_at, now - clock.booked_at
    is_early = open_for < market.window or quiet_for < market.quiet
    yield "cycle_losses: too early", open_for < 4 * market.window and is_early


_CALLS: Calls = {
    f"{POOL}.deposit": _iter_deposit_reasons,
    f"{POOL}.mint": _iter_mint_reasons,
    f"{POOL}.requestRedeem": _iter_request_reasons,
    f"{POOL}.leave": _iter_exit_reasons,
    f"{POOL}.take": _iter_pool_lot_takeover_reasons,
    f"{POOL}.liquidate": _iter_pool_liquidation_reasons,
    f"{POOL}.quote": _iter_quote_creation_reasons,
    f"{POOL}.set_limit": _iter_set_pool_limit_reasons,
    f"{_FUND}.claim": _iter_claim_reasons,
    f"{_FUND}.set_cap": _iter_set_insurance_cap_reasons,
    f"{CLOSER}.submit": _iter_submit_reasons,
    f"{CLOSER}.execute": _iter_deleveraging_execution_refusals,
    f"{CLOSER}.share": _iter_pro_rata_deleveraging_reasons,
    f"{POLICY}.add_market": _iter_add_market_reasons,
    f"{POLICY}.set_terms": _iter_set_terms_reasons,
    f"{POLICY}.delist": _iter_delist_market_reasons,
    f"{MARKET}.end_market": _iter_end_market_reasons,
    f"{MARKET}.advance_cycle": _iter_roll_cycle_reasons,
}


_OCCASIONS = replace_closer_calls_by_wildcard(_CALLS)


@refusal_property(222, calls=_OCCASIONS)
def non_trade_revert_reasons_are_true(step: Transition) -> None:
    """Check the revert reason of a refused margin market call other than a trade (property 222).

    It must be the first reason that holds, in the order of the contract's checks. Calls of the backstop pool,
    the fund, rankings, market terms and cycle ends are covered. Raises PropertyViolationError otherwise.
    """
    check_refusal_has_first_reason(step, _CALLS)


@history_property(223, calls=_OCCASIONS)
class SuccessfulOtherCallHadNoRevertReason:
    """Checker that no revert reason held for a successful call other than a trade (property 223).

    It covers the backstop pool, the fund, rankings, market terms and cycle ends.
    """

    def __init__(self, model: ModelSystem) -> None:
        """Create the checker, which keeps no history."""

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Check a successful call against its list of revert reasons.

        Raises PropertyViolationError if one of them held before the call.
        """
        check_no_reason(step, _CALLS)
