"""Conditions under which setters revert: bounds of the specification, and parameters that contradict."""

from __future__ import annotations

from typing import Any

from backstop.model.state import ZERO_ADDRESS
from backstop.proof.properties.conditions.call import (
    ENGINE,
    FEED,
    POLICY,
    Call,
    is_nobody,
    is_outside,
    refuses,
)
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS

_DAY, _WHOLE, _BILLION = 86_400, 10_000, 10**9
_MOST_PRICE, _ALL = 2**112 - 1, 8 * 10**9


def _outside(least: int, most: int, place: int = 1) -> Any:
    """Return the condition that an argument is beyond its bounds."""
    return lambda x, *args: is_outside(args[place], least, most)


# ------------------------------------------------------------------- vault engine

for _setter, _most in {
    "set_debt_ceiling": _BILLION,
    "set_debt_floor": 10**6,
    "set_stability_fee": 7 * 10**19,
    "set_buffer_share": _WHOLE,
    "set_auction_limit": _BILLION,
    "set_redistribution_cap": _WHOLE,
}.items():
    refuses(ENGINE, _setter, "terms: ", out_of_bounds=_outside(0, _most))
refuses(
    ENGINE,
    "set_global_debt_ceiling set_global_auction_limit",
    "terms: ",
    out_of_bounds=_outside(0, _ALL, 0),
)
refuses(
    ENGINE,
    "set_ratios add_collateral_type",
    "terms: ",
    ratio_bounds=lambda x, _, lower, upper: not _WHOLE <= lower <= upper <= 60_000,
)


def _is_penalty_high(call: Call, c: int, penalty: int, ratio: int) -> bool:
    return ratio <= penalty != _WHOLE


refuses(
    ENGINE,
    "set_ratios",
    "collateral_auction: ",
    high_penalty=lambda x, c, lower, upper: (
        x.read("CollateralAuction", "terms", c).buf > 0
        and _is_penalty_high(x, c, x.read("CollateralAuction", "terms", c).penalty, lower)
    ),
)
refuses(
    ENGINE,
    "set_fee_dynamic set_risk_policy",
    "terms: ",
    no_risk_policy=lambda x, *_: not x.has(POLICY),
)


# ----------------------------------------------------------------------- auctions

_SALES = "CollateralAuction"
_SETTERS = "set_curve set_buf set_penalty set_rewards set_stop"
refuses(
    _SALES, f"{_SETTERS} sell_salvage", "collateral_auction: ", no_terms=lambda x, c, *_: not _has_terms(x, c)
)
refuses(_SALES, "add_terms", "collateral_auction: ", has_terms=lambda x, c, *_: _has_terms(x, c))


def _has_terms(call: Call, c: int) -> bool:
    return bool(call.own("terms", c).buf)


refuses(
    _SALES,
    "set_curve add_terms",
    "collateral_auction: ",
    bad_curve=_outside(0, 2),
    bad_period=_outside(1, 30 * _DAY, 2),
    bad_cut=_outside(5 * 10**26, 10**27 - 1, 3),
    bad_tail=_outside(60, 30 * _DAY, 4),
    bad_cusp=_outside(1, _WHOLE, 5),
)
refuses(_SALES, "set_buf", "collateral_auction: ", bad_buf=_outside(_WHOLE, 60_000))
refuses(
    _SALES,
    "set_penalty",
    "collateral_auction: ",
    bad_penalty=_outside(_WHOLE, 20_000),
    high_penalty=lambda x, c, new: _is_penalty_high(
        x, c, new, x.engine("terms.of_types", c).liquidation_ratio
    ),
)
refuses(
    _SALES, "set_rewards", "collateral_auction: ", bad_tip=_outside(0, _WHOLE), bad_chip=_outside(0, 1_000, 2)
)
refuses(_SALES, "set_stop", "collateral_auction: ", bad_stop=_outside(0, 2))


# ----------------------------------------------------------------------- the feed


def _has_market(call: Call, c: int) -> bool:
    return bool(call.own("configs", c).reporters)


def _is_minority_half(call: Call, c: int, reporters: Any, quorum: int, *args: int) -> bool:
    return bool(reporters) and quorum <= (len(reporters) - 1) // 2 * 2


refuses(FEED, "poke set_guards set_halted", "price_feed: ", no_market=lambda x, c, *_: not _has_market(x, c))
refuses(
    FEED,
    "report",
    "price_feed: ",
    not_a_reporter=lambda x, c, price: not x.own("reporter_index", (c, x.sender)),
    price_bounds=_outside(1, _MOST_PRICE),
)
refuses(
    FEED,
    "set_market",
    "price_feed: ",
    has_an_issuer=lambda x, c, *_: not is_nobody(x.own("issuer_of", c)),
    quorum_bounds=lambda x, c, reporters, quorum, *_: not 3 <= quorum <= len(reporters),
    minority_is_half=_is_minority_half,
    step_bounds=_outside(1, _DAY, 3),
    age_bounds=_outside(1, 7 * _DAY, 4),
    stale_bounds=lambda x, *args: not args[3] <= args[5] <= 7 * _DAY,
    window_bounds=_outside(60, 7 * _DAY, 6),
    zero_reporter=lambda x, c, reporters, *_: ZERO_ADDRESS in reporters,
    reporter_twice=lambda x, c, reporters, *_: len(set(reporters)) != len(reporters),
)
refuses(
    FEED,
    "set_guards",
    "price_feed: ",
    deviation_bounds=_outside(0, _WHOLE),
    confirmation_bounds=_outside(1, 3, 2),
    grace_bounds=_outside(0, 7 * _DAY, 3),
    dead_bounds=_outside(0, 90 * _DAY, 4),
)
refuses(
    FEED,
    "set_halted",
    "price_feed: ",
    only_halt=lambda x, c, halted: not x.is_admin and not halted,
    halted_lately=lambda x, c, halted: not x.is_admin and x.now < x.own("halt_again_at", c),
)


# ------------------------------------------------- the mode, ceilings and workouts


def _are_unordered(place: int, most: int) -> Any:
    """Return the condition that two thresholds are too high, or the first is over one that is set."""

    def condition(call: Call, *args: Any) -> bool:
        first, second = args[place]
        return max(first, second) > most or 0 < second < first

    return condition


refuses(
    "CircuitBreaker",
    "set_triggers",
    "circuit_breaker: ",
    loss_bounds=_are_unordered(0, _ALL),
    fall_bounds=_are_unordered(1, _WHOLE),
    silence_bounds=_are_unordered(2, 30 * _DAY),
    auction_bounds=_are_unordered(3, _WHOLE),
)
refuses(
    "CircuitBreaker",
    "set_calm_period",
    "circuit_breaker: ",
    short_calm=lambda x, new: new < 600,
    long_calm=lambda x, new: new > 7 * _DAY,
)
refuses(
    "AutoCeiling",
    "set_terms",
    "auto_ceiling: ",
    unknown_type=lambda x, c, *_: c >= x.engine("terms.collateral_types"),
    gap_bounds=_outside(1, _BILLION),
    line_bounds=_outside(0, _BILLION, 2),
    ttl_bounds=_outside(600, 30 * _DAY, 3),
)
refuses(
    "Workouts",
    "set_terms",
    "workouts: ",
    unknown_type=lambda x, c, *_: c >= x.engine("terms.collateral_types"),
    discount_bounds=_outside(0, 5_000),
    ratio_too_low=lambda x, *args: args[2] < _WHOLE,
    ratio_too_high=lambda x, *args: args[1] < _WHOLE and args[2] > _WHOLE * _WHOLE // (_WHOLE - args[1]),
    premium_bounds=_outside(0, 5_000, 3),
    instalment_bounds=_outside(1, 60, 4),
    interval_bounds=_outside(600, 90 * _DAY, 5),
    period_bounds=_outside(0, 365 * _DAY, 6),
    cap_bounds=_outside(0, _BILLION, 7),
)


# -------------------------------------------------------------------- risk policy


def _is_above(call: Call, c: int, *both: Any) -> bool:
    return any(above > _BILLION for brackets in both for above, _ in brackets)


def _adds_too_much(call: Call, c: int, *both: Any) -> bool:
    return any(sum(rate for _, rate in brackets) > _WHOLE for brackets in both)


def _is_no_call_ratio(call: Call, c: int, ratio: int, grace: int, valid: int) -> bool:
    terms = call.engine("terms.of_types", c)
    return bool(ratio and not terms.liquidation_ratio <= ratio <= terms.initial_ratio)


refuses(
    POLICY, "set_brackets", "risk_policy: ", bracket_bounds=_is_above, **{"add-on_bounds": _adds_too_much}
)
refuses(
    POLICY,
    "set_effects",
    "risk_policy: ",
    margin_bounds=_outside(0, _WHOLE, 0),
    factor_bounds=_outside(100, 50_000),
)
refuses(
    POLICY,
    "set_flow_limit",
    "risk_policy: ",
    cap_bounds=_outside(0, _BILLION),
    window_bounds=_outside(60, 90 * _DAY, 2),
)
refuses(
    POLICY,
    "set_growth_cap",
    "risk_policy: ",
    anchor_bounds=_outside(0, _MOST_PRICE),
    growth_bounds=_outside(0, 50_000, 2),
)
refuses(
    POLICY,
    "set_fee_curve",
    "risk_policy: ",
    curve_bounds=lambda x, c, curve, *_: sum(curve[:3]) > BASIS_POINTS,
    kink_bounds=lambda x, c, curve, *_: curve[3] >= _WHOLE,
    line_bounds=_outside(1, _BILLION, 2),
    speed_bounds=_outside(0, 1_000, 3),
    no_base_to_move=lambda x, c, curve, line, speed: speed > 0 and curve[0] == 0,
)
refuses(
    POLICY,
    "set_call_terms",
    "risk_policy: ",
    call_ratio=_is_no_call_ratio,
    grace_bounds=_outside(60, 90 * _DAY, 2),
    valid_bounds=_outside(60, 90 * _DAY, 3),
)


# ----------------------------------------------------------------------- treasury

refuses("Treasury", "set_target", "treasury: ", target_bounds=_outside(0, _ALL, 0))
refuses(
    "Treasury",
    "set_shares",
    "treasury: ",
    a_share_for_each_pool=lambda x, shares: len(shares) != len(x.contract.pool_addresses),
    shares_above_the_whole=lambda x, shares: sum(shares) > _WHOLE,
)
refuses(
    "Treasury",
    "set_insuring",
    "treasury: ",
    insured_share_bounds=_outside(0, _WHOLE, 0),
    insurance_bounds=_outside(0, _ALL),
)
