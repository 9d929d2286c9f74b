"""Property of setters: a setter stores its arguments, and a deadline is its moment and a delay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.revert_conditions.call_context import ENGINE, FEED, POLICY, CallContext

_YEAR, _SALES, _WATERFALL = 365 * 86_400, "CollateralAuction", "LossWaterfall"
Slot = tuple[str, str, Any, Any]
"""Contract, path, key, and the stored value after the call."""

_FOLLOWS = {"closing", "planned", "settled", "suspect"}
"""Fields of a market's record that the feed itself moves in any call."""


def _build_changed_slot(
    call: CallContext, path: str, key: Any = (), contract: str = "", **fields: Any
) -> Slot:
    """Return a storage slot's expected value: the old record with the given fields replaced."""
    name = contract or call.name
    return name, path, key, call.read(name, path, key)._replace(**fields)


def _compute_used_flow(call: CallContext, collateral_type: int) -> int:
    """Return the outflow that still counts toward a type's flow limit [millionths of a stablecoin]."""
    flow = call.read_own_slot("flows", collateral_type)
    if not flow.used:
        return 0
    return int(max(0, flow.used - flow.cap * 10**6 * (call.now - flow.updated) // flow.window))


def _iter_expected_feed_market_setup_writes(
    call: CallContext, collateral_type: int, reporters: Any, *rest: int
) -> Iterable[Slot]:
    names = "quorum", "step", "max_age", "stale_after", "window"
    fields: dict[str, Any] = dict(zip(names, rest, strict=True))
    yield _build_changed_slot(call, "configs", collateral_type, reporters=len(reporters), **fields)
    for place, reporter in enumerate(reporters, 1):
        yield call.name, "reporters", (collateral_type, place), reporter
        yield call.name, "reporter_index", (collateral_type, reporter), place
    for place in range(1, max(len(reporters), call.read_own_slot("configs", collateral_type).reporters) + 1):
        yield (
            call.name,
            "reports",
            (collateral_type, place),
            type(call.read_own_slot("reports", (collateral_type, place)))(),
        )


def _iter_expected_policy_writes(call: CallContext, new: str) -> Iterable[Slot]:
    yield call.name, "terms.risk_policy", (), new
    replaced = new != call.step.get_contract(POLICY).address
    for c in call.collateral_types:
        yield _build_changed_slot(call, "terms.of_types", c, replaced=replaced)


def _iter_expected_bracket_writes(
    call: CallContext, collateral_type: int, of_vaults: Any, of_type: Any
) -> Iterable[Slot]:
    fields: dict[str, Any] = {}
    for name, brackets in (("vault", of_vaults), ("type", of_type)):
        for place, (above, rate) in enumerate(brackets, 1):
            fields |= {f"{name}_above_{place}": above, f"{name}_rate_{place}": rate}
    yield _build_changed_slot(call, "terms", collateral_type, **fields)


def _iter_expected_flow_writes(
    call: CallContext, collateral_type: int, cap: int, window: int
) -> Iterable[Slot]:
    used = min(_compute_used_flow(call, collateral_type), cap * 10**6)
    yield _build_changed_slot(
        call, "flows", collateral_type, cap=cap, window=window, used=used, updated=call.now
    )


def _iter_expected_fee_curve_writes(
    call: CallContext, collateral_type: int, curve: Any, line: int, speed: int
) -> Iterable[Slot]:
    names = "base", "slope_1", "slope_2", "kink"
    yield _build_changed_slot(call, "terms", collateral_type, **dict(zip(names, curve, strict=True)))
    rate = -(-curve[0] * RAY // (BASIS_POINTS * _YEAR))
    begun = dict(used=_compute_used_flow(call, collateral_type), updated=call.now, rate_at_kink=rate)
    yield _build_changed_slot(call, "flows", collateral_type, line=line, speed=speed, **begun)


def _iter_expected_growth_writes(
    call: CallContext, collateral_type: int, anchor: int, growth: int
) -> Iterable[Slot]:
    yield _build_changed_slot(
        call, "growths", collateral_type, anchor=anchor, anchored_at=call.now, growth=growth
    )
    yield _build_changed_slot(call, "terms", collateral_type, grows=int(anchor > 0))


def _iter_expected_auction_target_writes(
    call: CallContext, collateral_type: int, floor: int, penalty: int
) -> Iterable[Slot]:
    """Yield the auction terms expected after a change of debt floor or penalty.

    The minimum auction size is the floor plus the penalty, rounded up, and the version rises by one.
    """
    terms = call.read(_SALES, "terms", collateral_type)
    if terms.buf:
        least = -(-floor * penalty // BASIS_POINTS)
        changed = dict(minimum=least, penalty=penalty, version=terms.version + 1)
        yield _build_changed_slot(call, "terms", collateral_type, _SALES, **changed)


def _iter_expected_report_writes(
    call: CallContext, collateral_type: int, price: int, low: int, high: int, since: int
) -> Iterable[Slot]:
    """Yield the expected record of a price report, with its range in millionths of the price."""
    key, million = (
        (collateral_type, call.read_own_slot("reporter_index", (collateral_type, call.sender))),
        10**6,
    )
    ends = low * million // price, -(-high * million // price)
    yield _build_changed_slot(
        call, "reports", key, price=price, low=ends[0], high=ends[1], since=since, reported_at=call.now
    )


def _iter_expected_floor_writes(call: CallContext, collateral_type: int, new: int) -> Iterable[Slot]:
    yield _build_changed_slot(call, "terms.of_types", collateral_type, debt_floor=new)
    yield from _iter_expected_auction_target_writes(
        call, collateral_type, new, call.read(_SALES, "terms", collateral_type).penalty
    )


def _iter_expected_trigger_writes(call: CallContext, *pairs: Any) -> Iterable[Slot]:
    yield (
        call.name,
        "triggers",
        (),
        type(call.read_own_slot("triggers"))(*(each for pair in pairs for each in pair)),
    )


def _iter_expected_workout_terms_writes(
    call: CallContext, collateral_type: int, *terms: int
) -> Iterable[Slot]:
    yield call.name, "terms", collateral_type, type(call.read_own_slot("terms", collateral_type))(*terms)


def _build_expected_announcement_write(amount: int, call: CallContext) -> Slot:
    ready_at = call.now + call.contract.delay if amount else 0
    return call.name, "announced", (), type(call.read_own_slot("announced"))(amount, ready_at)


_TOLD: dict[tuple[str, str], Callable[..., Iterable[Slot]]] = {
    (ENGINE, "set_fee_dynamic"): lambda x, c, new: [_build_changed_slot(x, "terms.of_types", c, dynamic=new)],
    (ENGINE, "set_risk_policy"): _iter_expected_policy_writes,
    (ENGINE, "set_debt_floor"): _iter_expected_floor_writes,
    (ENGINE, "set_debt_ceiling"): lambda x, c, new: [
        _build_changed_slot(x, "terms.of_types", c, debt_ceiling=new)
    ],
    (ENGINE, "set_ratios"): lambda x, c, lower, upper: [
        _build_changed_slot(x, "terms.of_types", c, liquidation_ratio=lower, initial_ratio=upper)
    ],
    (ENGINE, "set_auction_limit"): lambda x, c, new: [
        _build_changed_slot(x, "ledger.auctions", c, limit=new)
    ],
    (ENGINE, "set_global_auction_limit"): lambda x, new: [
        (ENGINE, "terms.global_auction_limit", (), new),
        *(_build_changed_slot(x, "ledger.auctions", c, of_all=new) for c in x.collateral_types),
    ],
    (ENGINE, "set_global_debt_ceiling"): lambda x, new: [
        _build_changed_slot(x, "ledger.system", global_debt_ceiling=new)
    ],
    (ENGINE, "approve_operator"): lambda x, who, new: [(ENGINE, "operators", (x.sender, who), new)],
    (_SALES, "set_penalty"): lambda x, c, new: _iter_expected_auction_target_writes(
        x, c, x.read_engine_slot("terms.of_types", c).debt_floor, new
    ),
    (_SALES, "set_stop"): lambda x, c, new: [_build_changed_slot(x, "terms", c, stop=new)],
    (FEED, "report"): lambda x, c, price: _iter_expected_report_writes(x, c, price, price, price, x.now),
    (FEED, "report_range"): lambda x, *args: _iter_expected_report_writes(x, *args),
    (FEED, "set_market"): _iter_expected_feed_market_setup_writes,
    (FEED, "set_guards"): lambda x, c, *new: [
        _build_changed_slot(
            x,
            "configs",
            c,
            **dict(zip(("deviation", "confirmations", "grace", "dead_after"), new, strict=True)),
        )
    ],
    (POLICY, "set_brackets"): _iter_expected_bracket_writes,
    (POLICY, "set_flow_limit"): _iter_expected_flow_writes,
    (POLICY, "set_fee_curve"): _iter_expected_fee_curve_writes,
    (POLICY, "set_growth_cap"): _iter_expected_growth_writes,
    (POLICY, "set_effects"): lambda x, margin, factor: [
        _build_changed_slot(x, "modes", caution_margin=margin, emergency_factor=factor)
    ],
    (POLICY, "set_call_terms"): lambda x, c, *new: [
        (POLICY, "calls", c, type(x.read_own_slot("calls", c))(*new))
    ],
    (POLICY, "sync_mode"): lambda x, c: [
        _build_changed_slot(x, "terms", c, mode=x.read_own_slot("modes").mode)
    ],
    ("Treasury", "set_target"): lambda x, new: [_build_changed_slot(x, "plan", target=new)],
    ("Treasury", "set_shares"): lambda x, new: [(x.name, "shares", i, each) for i, each in enumerate(new)],
    ("Treasury", "set_insurance"): lambda x, share, target: [
        _build_changed_slot(x, "insuring", share=share, target=target)
    ],
    ("CircuitBreaker", "set_triggers"): _iter_expected_trigger_writes,
    ("CircuitBreaker", "set_calm_period"): lambda x, new: [_build_changed_slot(x, "state", calm_period=new)],
    ("AutoCeiling", "set_terms"): lambda x, c, gap, line, ttl: [
        _build_changed_slot(x, "terms", c, gap=gap, max_line=line, ttl=ttl)
    ],
    **{
        (kind, "set_terms"): lambda x, c, terms: [
            (x.name, "terms", c, type(x.read_own_slot("terms", c))(*terms))
        ]
        for kind in ("FixedDiscount", "PartialSaleDiscount")
    },
    ("LiquidationEngine", "set_mechanism"): lambda x, c, new: [(x.name, "mechanism_of", c, new)],
    ("Workouts", "set_terms"): _iter_expected_workout_terms_writes,
    ("Settlement", "announce"): lambda x: [
        _build_changed_slot(x, "progress", announced_for=x.now + x.contract.delay)
    ],
    ("Settlement", "cancel_announcement"): lambda x: [_build_changed_slot(x, "progress", announced_for=0)],
    ("BridgeFacilitator", "announce_loss"): lambda x, amount: [_build_expected_announcement_write(amount, x)],
    ("BridgeFacilitator", "cancel_loss"): lambda x: [_build_expected_announcement_write(0, x)],
    ("BridgeFacilitator", "realise_loss"): lambda x: [_build_expected_announcement_write(0, x)],
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
def setter_stores_its_arguments(step: Transition, changes: Changes) -> None:
    """Check that a setter stores its arguments and keeps the record's other fields (property 200).

    A delay counts from the time of the call. Raises PropertyViolationError otherwise.
    """
    told = _TOLD.get((step.get_contract(step.action.contract).KIND, step.action.method))
    if told is None:
        return
    call = CallContext(step)
    for contract, path, key, expected in told(call, *call.args):
        found = step.read_post_state(contract, path, key)
        if path == "configs":
            expected = expected._replace(**{each: getattr(found, each) for each in _FOLLOWS})
        if found != expected:
            raise PropertyViolationError(
                f"{call.name}.{call.method}{call.args} left {path}[{key}] as {found}, not {expected}"
            )
