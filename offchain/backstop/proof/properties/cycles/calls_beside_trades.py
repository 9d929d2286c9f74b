"""Properties of what stands in the way of calls beside trades: of the pool, the fund, rankings, terms, ends.

As with trades, each reason is true and none is missed. Bounds are those of the specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backstop.model.margin_policy import MarketTerms
from backstop.model.signatures import keccak256
from backstop.proof.properties.cycles.allowed_calls import (
    Calls,
    Reasons,
    check_refusal,
    check_success,
    liquidates,
    takes,
)
from backstop.proof.properties.cycles.market_trial import Trial
from backstop.proof.properties.figures.batches import MOST_SHARES, VOID, convert
from backstop.proof.properties.figures.cycles import (
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
    final_of,
    fund_of,
    has_ended,
    occasions_of,
    up,
)
from backstop.proof.properties.figures.prices import Read
from backstop.proof.properties.registry import history_property, refusal_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FUND = "MarginFund"
_DAY, _MOST_CEILING, _MOST_SUPPLY, _MOST_LOT = 86_400, 8 * 10**9, 10**9, 10**21
_MOST_OPEN_LOTS, _MOST_OPEN, _MOST_MARKETS, _LAST_FEED = 2**63 - 1, 10**28, 8, 224
_SHARES, _ASSETS, _LEAST, _WAD = 10**6, 1, 10**6, 10**18
_LEAST_RANKED = 24
_SCALE, _MOST_SCORE, _LAST_ADDRESS = 10**9, 2**96 - 1, 2**160 - 1


def _read_of(step: Transition) -> Read:
    """Return how the state from before a call is read."""
    return step.before if step.outcome.ok else step.after


# ----------------------------------------------------------------------- the pool


class _Pool(Trial):
    """The market as a call finds it, with the account of the backstop pool."""

    def __init__(self, step: Transition, *others: str) -> None:
        self.pool = step.contract(POOL)
        super().__init__(step, [self.pool.address, *others])

    def is_at_rest(self) -> bool:
        """Return whether the pool's account has no position, nothing that is not final, and no debt."""
        account = self.owner(self.pool.address)
        return not account.lots and account.cash >= 0

    def is_due(self) -> bool:
        """Return whether members who have waited go before new risk."""
        first, late_by = self.read(POOL, "token.state").mark % 2**32, 0
        if not first or self.read(MARKET, LATE):
            return False
        late_by = self.now - (first + 2) * self.pool.notice
        return bool(late_by >= self.pool.notice or (late_by >= 0 and self.is_at_rest()))

    def supply_and_cash(self) -> tuple[int, int]:
        """Return all shares as they are counted at an entry, and the cash, both with the virtual ones."""
        supply, cash = self.read(POOL, "token.state").supply, max(0, self.owner(self.pool.address).cash)
        steps = 0
        while convert(supply, 0, steps) + _SHARES > (cash + _ASSETS) * MOST_SHARES:
            steps += 1
        steps = VOID if supply and cash < _LEAST else steps
        return convert(supply, 0, steps) + _SHARES, cash + _ASSETS


def _deposit(step: Transition) -> Reasons:
    trial, assets = _Pool(step), step.action.args[0]
    yield "backstop: not at rest", not trial.is_at_rest()
    supply, cash = trial.supply_and_cash()
    yield "backstop: no shares", assets * supply < cash


def _mint(step: Transition) -> Reasons:
    yield "backstop: not at rest", not _Pool(step).is_at_rest()
    yield "backstop: no shares", step.action.args[0] == 0


def _request(step: Transition) -> Reasons:
    yield "backstop: empty request", step.action.args[0] == 0


def _leave(step: Transition) -> Reasons:
    batch, controller = step.action.args
    trial = _Pool(step)
    request = trial.read(POOL, "requests", (trial.read(POOL, "era"), batch, controller))
    yield "backstop: no request", not any(request)
    yield "backstop: notice runs", trial.now // trial.pool.notice < batch + 2
    yield "backstop: at work", not trial.is_at_rest()
    is_late = bool(trial.read(MARKET, LATE))
    yield "backstop: losses are late", is_late and step.action.sender != controller
    closing, state = trial.read(MARKET, CLOSING), trial.read(POOL, "token.state")
    shares = convert(request.shares, request.generation, state.generation)
    cash = max(0, trial.owner(trial.pool.address).cash)
    assets = shares * (cash + _ASSETS) // (state.supply + _SHARES)
    is_open = bool(closing) and trial.clock.cycle < closing + 2
    yield "perpetuals: losses are open", bool(assets) and is_open
    # All deposits go out before what is profit, and come back; fees may be more than is held.
    paid_in = min(trial.owner(trial.pool.address).brought, cash)
    profit = up(assets * (cash - paid_in), cash) if assets else 0
    free = max(0, trial.read(MARKET, HELD) - trial.fees)
    yield "perpetuals: not held", not is_late and (paid_in + profit if profit else assets) > free


def _pool_takes(step: Transition) -> Reasons:
    m, lots = step.action.args
    trial = _Pool(step)
    waits, was = trial.is_due(), trial.size(trial.pool.address, m)
    yield from takes(trial, trial.pool.address, m, lots)
    yield from _risk(trial, m, was, waits)


def _pool_liquidates(step: Transition) -> Reasons:
    owner, m, lots = step.action.args
    trial = _Pool(step, owner)
    waits, was = trial.is_due(), trial.size(trial.pool.address, m)
    yield "desk: own account", owner == trial.pool.address
    yield from liquidates(trial, owner, trial.pool.address, m, lots)
    yield from _risk(trial, m, was, waits)


def _risk(trial: _Pool, m: int, was: int, waits: bool) -> Reasons:
    """Yield what stands in the way of a pool that has taken lots over."""
    name, pool = trial.pool.address, trial.pool
    size = trial.size(name, m)
    if was * size >= 0 and abs(size) <= abs(was):
        return
    yield "backstop: members are due", waits
    yield "backstop: above its limit", abs(size) * trial.price(m) > trial.read(POOL, "limit", m) * _WAD
    used = sum(abs(lots) * trial.price(each) for each, lots in trial.sizes(name).items())
    free = trial.equity(name) - trial.unfinal(name)
    yield "backstop: too little money", used * BASIS_POINTS > free * pool.leverage


def _quote(step: Transition) -> Reasons:
    read, m = _read_of(step), step.action.args[0]
    yield "backstop: quote runs", step.model.timestamp < read(POOL, "quotes", m).until
    size = read(MARKET, POSITIONS, (step.contract(POOL).address, m)).size
    yield "backstop: nothing to quote", size == 0


def _limit(step: Transition) -> Reasons:
    yield "backstop: limit bounds", step.action.args[1] > _MOST_CEILING


# ----------------------------------------------------------------------- the fund


def _claim(step: Transition) -> Reasons:
    read, (owner, bucket) = _read_of(step), step.action.args
    fund = step.contract(fund_of(step))
    vests = (bucket + fund.bucket_count) * fund.length
    yield "margin_fund: not vested", step.model.timestamp < vests
    state, holding = read(_FUND, "buckets", bucket), read(_FUND, "holdings", (owner, bucket))
    is_void = not holding.shares or holding.generation != state.generation
    yield "margin_fund: nothing to claim", is_void or holding.shares * state.assets < state.shares


def _cap(step: Transition) -> Reasons:
    yield "margin_fund: cap bounds", step.action.args[0] > _MOST_CEILING


# ----------------------------------------------------------------- who is closed


def _submit(step: Transition) -> Reasons:
    m, side, accounts = step.action.args
    trial = Trial(step, accounts)
    cycle, key = trial.clock.cycle - 1, (m, side, step.action.sender)
    yield "ranking: proven", trial.read(CLOSER, CASES, (m, side)).cycle == cycle
    yield "ranking: nobody", not accounts
    before, gains = (_MOST_SCORE, _LAST_ADDRESS), 0
    if trial.read(CLOSER, "runs", key).cycle == cycle:
        last, gains = trial.read(CLOSER, "lasts", key), trial.read(CLOSER, "runs", key).gains
        before = (last.score, int(last.last, 16))
    for name in accounts:
        owner = trial.owner(name)
        yield "ranking: no such side", side > 1
        gained = _gain(trial, name, m, side)
        gains += gained
        yield "ranking: has not gained", gained == 0
        score = gained * _SCALE // max(owner.worth - owner.since_roll, 1)
        rank = (min(score, _MOST_SCORE), int(name, 16))
        yield "ranking: out of rank", rank >= before
        before = rank
    is_short = len(accounts) < _LEAST_RANKED
    yield "ranking: too few", is_short and gains != trial.read(MARKET, TOTALS, (m, cycle))[side]


def _gain(trial: Trial, name: str, m: int, side: int) -> int:
    """Return what an account gained on a side of a market in the pending cycle [wei]."""
    lots = trial.owner(name).lots.get(m)
    return lots.pending_gained[side] if lots else 0


def _execute(step: Transition) -> Reasons:
    m, side, accounts = step.action.args
    trial = Trial(step, accounts)
    case, cycle = trial.read(CLOSER, CASES, (m, side)), trial.clock.cycle - 1
    yield "ranking: not proven", not 0 < case.cycle >= cycle - 1
    words = (32, len(accounts), *(int(each, 16) for each in accounts))
    digest = keccak256(b"".join(word.to_bytes(32, "big") for word in words))
    is_over = case.executed >= case.batches
    kept = trial.read(CLOSER, "digests", (m, side, case.prover, case.cycle << 32 | case.executed))
    yield "ranking: not the next", is_over or digest != kept
    yield "desk: no price to close at", not trial.accrue(m)
    left = trial.lots[m][side] - min(trial.lots[m])
    # With lots of nobody but none of these accounts the call's turn is over all the same.
    yield "ranking: no lots to close", left == 0


def _on(size: int, side: int) -> int:
    """Return the lots of a position that are on a side."""
    return abs(size) if int(size < 0) == side else 0


def _share(step: Transition) -> Reasons:
    m, side, accounts = step.action.args
    yield "sharer: no such side", side > 1
    trial = Trial(step, accounts)
    cycle = trial.clock.cycle - 1
    everything = trial.read(MARKET, TOTALS, (m, cycle))[side]
    yield "sharer: nobody gained", everything == 0
    total = trial.read(CLOSER, "totals", (m, side))
    left = trial.lots[m][side] - min(trial.lots[m])
    whole = left + (total.lots if total.cycle == cycle else 0)
    last, most = 0, []
    for name in accounts:
        yield "sharer: out of order", int(name, 16) <= last
        last = int(name, 16)
        done = trial.read(CLOSER, "parts", (m, side, name))
        part = whole * _gain(trial, name, m, side) // everything
        most.append(part - (done.lots if done.cycle == cycle else 0))
    yield "desk: no price to close at", not trial.accrue(m)
    parts = [min(_on(trial.size(n, m), side), limit) for n, limit in zip(accounts, most, strict=True)]
    yield "sharer: no lots to close", not left or all(part <= 0 for part in parts)


# -------------------------------------------------------------------- the policy


def _terms(terms: Sequence[Any], lot: int) -> Reasons:
    """Yield which bounds a market's terms are not in."""
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


def _add_market(step: Transition) -> Reasons:
    feed, lot, terms = step.action.args
    yield "margin_policy: too many markets", _read_of(step)(POLICY, "markets") >= _MOST_MARKETS
    yield "margin_policy: lot bounds", not 0 < lot <= _MOST_LOT
    yield "margin_policy: feed bounds", feed > _LAST_FEED
    yield from _terms(terms, lot)


def _set_terms(step: Transition) -> Reasons:
    read, (m, terms) = _read_of(step), step.action.args
    yield "margin_policy: unknown market", m >= read(POLICY, "markets")
    yield from _terms(terms, read(POLICY, "underlyings", m).lot)


def _delist(step: Transition) -> Reasons:
    read, (m, at), now = _read_of(step), step.action.args, step.model.timestamp
    yield "margin_policy: unknown market", m >= read(POLICY, "markets")
    yield "margin_policy: is delisted", read(POLICY, "underlyings", m).ends_at != 0
    yield "margin_policy: notice bounds", not 3 * _DAY <= at - now <= 90 * _DAY


# ---------------------------------------------------------------------- the clock


def _end_market(step: Transition) -> Reasons:
    read, m = _read_of(step), step.action.args[0]
    yield "perpetuals: ends once", has_ended(step, read, m)
    base, made = read(POLICY, "underlyings", m), final_of(step, m)
    # A market that an issuer has the word of knows no beginning.
    said = step.after("PriceFeed", "settlement_price.final_prices", base.feed).is_final
    yield "perpetuals: no final price", not base.lot or not (made.is_final if made else said)


def _roll(step: Transition) -> Reasons:
    clock, market, now = _read_of(step)(MARKET, CLOCK), step.contract(MARKET), step.model.timestamp
    open_for, quiet_for = now - clock.rolled_at, now - clock.booked_at
    is_early = open_for < market.window or quiet_for < market.quiet
    yield "cycle_losses: too early", open_for < 4 * market.window and is_early


_CALLS: Calls = {
    f"{POOL}.deposit": _deposit,
    f"{POOL}.mint": _mint,
    f"{POOL}.requestRedeem": _request,
    f"{POOL}.leave": _leave,
    f"{POOL}.take": _pool_takes,
    f"{POOL}.liquidate": _pool_liquidates,
    f"{POOL}.quote": _quote,
    f"{POOL}.set_limit": _limit,
    f"{_FUND}.claim": _claim,
    f"{_FUND}.set_cap": _cap,
    f"{CLOSER}.submit": _submit,
    f"{CLOSER}.execute": _execute,
    f"{CLOSER}.share": _share,
    f"{POLICY}.add_market": _add_market,
    f"{POLICY}.set_terms": _set_terms,
    f"{POLICY}.delist": _delist,
    f"{MARKET}.end_market": _end_market,
    f"{MARKET}.roll": _roll,
}


_OCCASIONS = occasions_of(_CALLS)


@refusal_property(222, calls=_OCCASIONS)
def refusals_beside_trades_are_true(step: Transition) -> None:
    """Check that pool, fund, closer, terms and clock refuse for the first reason that stands in the way."""
    check_refusal(step, _CALLS)


@history_property(223, calls=_OCCASIONS)
class NothingStoodInTheWayBesideTrades:
    """Check that no reason stood in the way of what pool, fund, closer, terms and clock have done."""

    def __init__(self, model: ModelSystem) -> None:
        """Begin with nothing: a step is judged by itself, after the properties of narrower rules."""

    def see(self, step: Transition, changes: Changes) -> None:
        """Judge a call of theirs."""
        check_success(step, _CALLS)
