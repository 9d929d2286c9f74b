"""Property of setters: what a call is told to set is set, a deadline is its moment and a delay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backstop.proof.properties.conditions.call import ENGINE, FEED, POLICY, Call
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_YEAR, _SALES, _WATERFALL = 365 * 86_400, "CollateralAuction", "LossWaterfall"
Slot = tuple[str, str, Any, Any]
"""Contract, path, key, and what is there after the call."""

_FOLLOWS = {"closing", "planned", "settled", "suspect"}
"""Fields of a market's record that the feed itself moves in any call."""


def _record(call: Call, path: str, key: Any = (), contract: str = "", **fields: Any) -> Slot:
    """Return a slot that keeps all but these fields."""
    name = contract or call.name
    return name, path, key, call.read(name, path, key)._replace(**fields)


def _used(call: Call, c: int) -> int:
    """Return what has flowed out and counts still [millionths of a stablecoin]."""
    flow = call.own("flows", c)
    if not flow.used:
        return 0
    return int(max(0, flow.used - flow.cap * 10**6 * (call.now - flow.updated) // flow.window))


def _market(call: Call, c: int, reporters: Any, *rest: int) -> Iterable[Slot]:
    names = "quorum", "step", "max_age", "stale_after", "window"
    fields: dict[str, Any] = dict(zip(names, rest, strict=True))
    yield _record(call, "configs", c, reporters=len(reporters), **fields)
    for place, reporter in enumerate(reporters, 1):
        yield call.name, "reporters", (c, place), reporter
        yield call.name, "reporter_index", (c, reporter), place
    for place in range(1, max(len(reporters), call.own("configs", c).reporters) + 1):
        yield call.name, "reports", (c, place), type(call.own("reports", (c, place)))()


def _policy(call: Call, new: str) -> Iterable[Slot]:
    yield call.name, "terms.risk_policy", (), new
    replaced = new != call.step.contract(POLICY).address
    for c in call.types:
        yield _record(call, "terms.of_types", c, replaced=replaced)


def _brackets(call: Call, c: int, of_vaults: Any, of_type: Any) -> Iterable[Slot]:
    fields: dict[str, Any] = {}
    for name, brackets in (("vault", of_vaults), ("type", of_type)):
        for place, (above, rate) in enumerate(brackets, 1):
            fields |= {f"{name}_above_{place}": above, f"{name}_rate_{place}": rate}
    yield _record(call, "terms", c, **fields)


def _flow(call: Call, c: int, cap: int, window: int) -> Iterable[Slot]:
    used = min(_used(call, c), cap * 10**6)
    yield _record(call, "flows", c, cap=cap, window=window, used=used, updated=call.now)


def _curve(call: Call, c: int, curve: Any, line: int, speed: int) -> Iterable[Slot]:
    names = "base", "slope_1", "slope_2", "kink"
    yield _record(call, "terms", c, **dict(zip(names, curve, strict=True)))
    rate = -(-curve[0] * RAY // (BASIS_POINTS * _YEAR))
    begun = dict(used=_used(call, c), updated=call.now, rate_at_kink=rate)
    yield _record(call, "flows", c, line=line, speed=speed, **begun)


def _growth(call: Call, c: int, anchor: int, growth: int) -> Iterable[Slot]:
    yield _record(call, "growths", c, anchor=anchor, anchored_at=call.now, growth=growth)
    yield _record(call, "terms", c, grows=int(anchor > 0))


def _minimum(call: Call, c: int, floor: int, penalty: int) -> Iterable[Slot]:
    """Yield the terms of auctions whose least target follows floor and penalty, of another version."""
    terms = call.read(_SALES, "terms", c)
    if terms.buf:
        least = -(-floor * penalty // BASIS_POINTS)
        changed = dict(minimum=least, penalty=penalty, version=terms.version + 1)
        yield _record(call, "terms", c, _SALES, **changed)


def _reported(call: Call, c: int, price: int, low: int, high: int, since: int) -> Iterable[Slot]:
    """Yield a report, with the ends of its range in millionths of the price."""
    key, million = (c, call.own("reporter_index", (c, call.sender))), 10**6
    ends = low * million // price, -(-high * million // price)
    yield _record(
        call, "reports", key, price=price, low=ends[0], high=ends[1], since=since, reported_at=call.now
    )


def _floor(call: Call, c: int, new: int) -> Iterable[Slot]:
    yield _record(call, "terms.of_types", c, debt_floor=new)
    yield from _minimum(call, c, new, call.read(_SALES, "terms", c).penalty)


def _triggers(call: Call, *pairs: Any) -> Iterable[Slot]:
    yield call.name, "triggers", (), type(call.own("triggers"))(*(each for pair in pairs for each in pair))


def _workouts(call: Call, c: int, *terms: int) -> Iterable[Slot]:
    yield call.name, "terms", c, type(call.own("terms", c))(*terms)


def _announced(amount: int, call: Call) -> Slot:
    ready_at = call.now + call.contract.delay if amount else 0
    return call.name, "announced", (), type(call.own("announced"))(amount, ready_at)


_TOLD: dict[tuple[str, str], Callable[..., Iterable[Slot]]] = {
    (ENGINE, "set_fee_dynamic"): lambda x, c, new: [_record(x, "terms.of_types", c, dynamic=new)],
    (ENGINE, "set_risk_policy"): _policy,
    (ENGINE, "set_debt_floor"): _floor,
    (ENGINE, "set_debt_ceiling"): lambda x, c, new: [_record(x, "terms.of_types", c, debt_ceiling=new)],
    (ENGINE, "set_ratios"): lambda x, c, lower, upper: [
        _record(x, "terms.of_types", c, liquidation_ratio=lower, initial_ratio=upper)
    ],
    (ENGINE, "set_auction_limit"): lambda x, c, new: [_record(x, "ledger.auctions", c, limit=new)],
    (ENGINE, "set_global_auction_limit"): lambda x, new: [
        (ENGINE, "terms.global_auction_limit", (), new),
        *(_record(x, "ledger.auctions", c, of_all=new) for c in x.types),
    ],
    (ENGINE, "set_global_debt_ceiling"): lambda x, new: [
        _record(x, "ledger.system", global_debt_ceiling=new)
    ],
    (ENGINE, "approve_operator"): lambda x, who, new: [(ENGINE, "operators", (x.sender, who), new)],
    (_SALES, "set_penalty"): lambda x, c, new: _minimum(x, c, x.engine("terms.of_types", c).debt_floor, new),
    (_SALES, "set_stop"): lambda x, c, new: [_record(x, "terms", c, stop=new)],
    (FEED, "report"): lambda x, c, price: _reported(x, c, price, price, price, x.now),
    (FEED, "report_range"): lambda x, *args: _reported(x, *args),
    (FEED, "set_market"): _market,
    (FEED, "set_guards"): lambda x, c, *new: [
        _record(
            x,
            "configs",
            c,
            **dict(zip(("deviation", "confirmations", "grace", "dead_after"), new, strict=True)),
        )
    ],
    (POLICY, "set_brackets"): _brackets,
    (POLICY, "set_flow_limit"): _flow,
    (POLICY, "set_fee_curve"): _curve,
    (POLICY, "set_growth_cap"): _growth,
    (POLICY, "set_effects"): lambda x, margin, factor: [
        _record(x, "modes", caution_margin=margin, emergency_factor=factor)
    ],
    (POLICY, "set_call_terms"): lambda x, c, *new: [(POLICY, "calls", c, type(x.own("calls", c))(*new))],
    (POLICY, "adopt_mode"): lambda x, c: [_record(x, "terms", c, mode=x.own("modes").mode)],
    ("Treasury", "set_target"): lambda x, new: [_record(x, "plan", target=new)],
    ("Treasury", "set_shares"): lambda x, new: [(x.name, "shares", i, each) for i, each in enumerate(new)],
    ("Treasury", "set_insuring"): lambda x, share, target: [
        _record(x, "insuring", share=share, target=target)
    ],
    ("CircuitBreaker", "set_triggers"): _triggers,
    ("CircuitBreaker", "set_calm_period"): lambda x, new: [_record(x, "state", calm_period=new)],
    ("AutoCeiling", "set_terms"): lambda x, c, gap, line, ttl: [
        _record(x, "terms", c, gap=gap, max_line=line, ttl=ttl)
    ],
    ("Workouts", "set_terms"): _workouts,
    ("Settlement", "announce"): lambda x: [_record(x, "progress", announced_for=x.now + x.contract.delay)],
    ("Settlement", "retract"): lambda x: [_record(x, "progress", announced_for=0)],
    ("Domain", "announce_loss"): lambda x, amount: [_announced(amount, x)],
    ("Domain", "cancel_loss"): lambda x: [_announced(0, x)],
    ("Domain", "realise_loss"): lambda x: [_announced(0, x)],
    (_WATERFALL, "propose_stages"): lambda x, terms: [
        (x.name, "stages_ready_at", (), x.now + x.contract.cap_delay)
    ],
    (_WATERFALL, "apply_stages"): lambda x, terms: [(x.name, "proposed_hash", (), bytes(32))],
    **{
        (kind, "setOperator"): lambda x, who, new: [(x.name, "line.isOperator", (x.sender, who), new)]
        for kind in ("Pool", "EquityPool")
    },
    **{
        (kind, "approve"): lambda x, who, new: [(x.name, "token.permits.allowance", (x.sender, who), new)]
        for kind in ("Pool", "EquityPool", "RecoveryClaims")
    },
}


@transition_property(200, calls=sorted({f"*.{method}" for _, method in _TOLD}))
def setters_store_what_they_are_told(step: Transition, changes: Changes) -> None:
    """Check that a setter stores its arguments, keeps the rest of the record, and counts delays from now."""
    told = _TOLD.get((step.contract(step.action.contract).KIND, step.action.method))
    if told is None:
        return
    call = Call(step)
    for contract, path, key, expected in told(call, *call.args):
        found = step.after(contract, path, key)
        if path == "configs":
            expected = expected._replace(**{each: getattr(found, each) for each in _FOLLOWS})
        if found != expected:
            raise Violation(
                f"{call.name}.{call.method}{call.args} left {path}[{key}] as {found}, not {expected}"
            )
