"""Conditions under which setters revert: bounds of the specification, and parameters that contradict."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS
from backstop.proof.properties.revert_conditions.call_context import (
    ENGINE,
    FEED,
    POLICY,
    CallContext,
    is_out_of_bounds,
    is_zero_address,
    register_conditions,
)

_DAY, _WHOLE, _BILLION = 86_400, 10_000, 10**9
_MOST_PRICE, _ALL = 2**112 - 1, 8 * 10**9


def _build_out_of_bounds_condition(lowest: int, highest: int, argument_index: int = 1) -> Any:
    """Return a revert condition that holds if the chosen argument is out of bounds."""
    return lambda x, *args: is_out_of_bounds(args[argument_index], lowest, highest)


# ------------------------------------------------------------------- vault engine

for _setter, _most in {
    "set_debt_ceiling": _BILLION,
    "set_debt_floor": 10**6,
    "set_stability_fee": 7 * 10**19,
    "set_buffer_share": _WHOLE,
    "set_auction_limit": _BILLION,
    "set_redistribution_cap": _WHOLE,
}.items():
    register_conditions(ENGINE, _setter, "terms: ", out_of_bounds=_build_out_of_bounds_condition(0, _most))
register_conditions(
    ENGINE,
    "set_global_debt_ceiling set_global_auction_limit",
    "terms: ",
    out_of_bounds=_build_out_of_bounds_condition(0, _ALL, 0),
)
register_conditions(
    ENGINE,
    "set_ratios add_collateral_type",
    "terms: ",
    ratio_bounds=lambda x, _, lower, upper: not _WHOLE <= lower <= upper <= 60_000,
)


def _is_penalty_high(call: CallContext, collateral_type: int, penalty: int, ratio: int) -> bool:
    return ratio <= penalty != _WHOLE


register_conditions(
    ENGINE,
    "set_ratios",
    "collateral_auction: ",
    high_penalty=lambda x, c, lower, upper: (
        x.read("CollateralAuction", "terms", c).buf > 0
        and _is_penalty_high(x, c, x.read("CollateralAuction", "terms", c).penalty, lower)
    ),
)
register_conditions(
    ENGINE,
    "set_fee_dynamic set_risk_policy",
    "terms: ",
    no_risk_policy=lambda x, *_: not x.has_contract(POLICY),
)


# ----------------------------------------------------------------------- auctions

_SALES = "CollateralAuction"
_SETTERS = "set_curve set_buf set_penalty set_rewards set_stop"
register_conditions(
    _SALES, f"{_SETTERS} sell_salvage", "collateral_auction: ", no_terms=lambda x, c, *_: not _has_terms(x, c)
)
register_conditions(_SALES, "add_terms", "collateral_auction: ", has_terms=lambda x, c, *_: _has_terms(x, c))


def _has_terms(call: CallContext, collateral_type: int) -> bool:
    return bool(call.read_own_slot("terms", collateral_type).buf)


register_conditions(
    _SALES,
    "set_curve add_terms",
    "collateral_auction: ",
    bad_curve=_build_out_of_bounds_condition(0, 2),
    bad_period=_build_out_of_bounds_condition(1, 30 * _DAY, 2),
    bad_cut=_build_out_of_bounds_condition(5 * 10**26, 10**27 - 1, 3),
    bad_tail=_build_out_of_bounds_condition(60, 30 * _DAY, 4),
    bad_cusp=_build_out_of_bounds_condition(1, _WHOLE, 5),
)
register_conditions(
    _SALES, "set_buf", "collateral_auction: ", bad_buf=_build_out_of_bounds_condition(_WHOLE, 60_000)
)
register_conditions(
    _SALES,
    "set_penalty",
    "collateral_auction: ",
    bad_penalty=_build_out_of_bounds_condition(_WHOLE, 20_000),
    high_penalty=lambda x, c, new: _is_penalty_high(
        x, c, new, x.read_engine_slot("terms.of_types", c).liquidation_ratio
    ),
)
register_conditions(
    _SALES,
    "set_rewards",
    "collateral_auction: ",
    bad_tip=_build_out_of_bounds_condition(0, _WHOLE),
    bad_chip=_build_out_of_bounds_condition(0, 1_000, 2),
)
register_conditions(_SALES, "set_stop", "collateral_auction: ", bad_stop=_build_out_of_bounds_condition(0, 2))


# ----------------------------------------------------------------------- the feed


def _is_market_listed_in_price_feed(call: CallContext, collateral_type: int) -> bool:
    return bool(call.read_own_slot("configs", collateral_type).reporters)


def _is_quorum_too_small(
    call: CallContext, collateral_type: int, reporters: Any, quorum: int, *args: int
) -> bool:
    return bool(reporters) and quorum <= (len(reporters) - 1) // 2 * 2


register_conditions(
    FEED,
    "poke set_guards set_halted",
    "price_feed: ",
    no_market=lambda x, c, *_: not _is_market_listed_in_price_feed(x, c),
)
register_conditions(
    FEED,
    "report",
    "price_feed: ",
    not_a_reporter=lambda x, c, price: not x.read_own_slot("reporter_index", (c, x.sender)),
    price_bounds=_build_out_of_bounds_condition(1, _MOST_PRICE),
)
register_conditions(
    FEED,
    "set_market",
    "price_feed: ",
    has_an_issuer=lambda x, c, *_: not is_zero_address(x.read_own_slot("issuer_of", c)),
    quorum_bounds=lambda x, c, reporters, quorum, *_: not 3 <= quorum <= len(reporters),
    minority_is_half=_is_quorum_too_small,
    step_bounds=_build_out_of_bounds_condition(1, _DAY, 3),
    age_bounds=_build_out_of_bounds_condition(1, 7 * _DAY, 4),
    stale_bounds=lambda x, *args: not args[3] <= args[5] <= 7 * _DAY,
    window_bounds=_build_out_of_bounds_condition(60, 7 * _DAY, 6),
    zero_reporter=lambda x, c, reporters, *_: ZERO_ADDRESS in reporters,
    reporter_twice=lambda x, c, reporters, *_: len(set(reporters)) != len(reporters),
)
register_conditions(
    FEED,
    "set_guards",
    "price_feed: ",
    deviation_bounds=_build_out_of_bounds_condition(0, _WHOLE),
    confirmation_bounds=_build_out_of_bounds_condition(1, 3, 2),
    grace_bounds=_build_out_of_bounds_condition(0, 7 * _DAY, 3),
    dead_bounds=_build_out_of_bounds_condition(0, 90 * _DAY, 4),
)
register_conditions(
    FEED,
    "set_halted",
    "price_feed: ",
    only_halt=lambda x, c, halted: not x.is_admin and not halted,
    halted_lately=lambda x, c, halted: not x.is_admin and x.now < x.read_own_slot("halt_again_at", c),
)


# ------------------------------------------------- the mode, ceilings and workouts


def _build_invalid_thresholds_condition(argument_index: int, highest_threshold: int) -> Any:
    """Return a revert condition for a pair of thresholds at `argument_index`.

    It holds if one is above the highest value, or if a second one is set below the first.
    """

    def condition(call: CallContext, *args: Any) -> bool:
        first, second = args[argument_index]
        return max(first, second) > highest_threshold or 0 < second < first

    return condition


register_conditions(
    "CircuitBreaker",
    "set_triggers",
    "circuit_breaker: ",
    loss_bounds=_build_invalid_thresholds_condition(0, _ALL),
    fall_bounds=_build_invalid_thresholds_condition(1, _WHOLE),
    silence_bounds=_build_invalid_thresholds_condition(2, 30 * _DAY),
    auction_bounds=_build_invalid_thresholds_condition(3, _WHOLE),
)
register_conditions(
    "CircuitBreaker",
    "set_calm_period",
    "circuit_breaker: ",
    short_calm=lambda x, new: new < 600,
    long_calm=lambda x, new: new > 7 * _DAY,
)
register_conditions(
    "AutoCeiling",
    "set_terms",
    "auto_ceiling: ",
    unknown_type=lambda x, c, *_: c >= x.read_engine_slot("terms.collateral_types"),
    gap_bounds=_build_out_of_bounds_condition(1, _BILLION),
    line_bounds=_build_out_of_bounds_condition(0, _BILLION, 2),
    ttl_bounds=_build_out_of_bounds_condition(600, 30 * _DAY, 3),
)
register_conditions(
    "FixedDiscount PartialSaleDiscount",
    "set_terms",
    "fixed_discount: ",
    bonus_bounds=lambda x, c, terms: not terms[0] <= terms[1] <= 3_333,
    discount_bounds=lambda x, c, terms: terms[3] > 3_333,
    cursor_bounds=lambda x, c, terms: terms[4] >= _WHOLE,
    two_bonuses=lambda x, c, terms: bool(
        (terms[3] and (terms[1] or terms[2] or terms[4])) or (terms[4] and (terms[0] or terms[2]))
    ),
    target_bounds=lambda x, c, terms: bool(terms[5]) and not _WHOLE < terms[5] <= 20_000,
    two_amounts=lambda x, c, terms: bool(terms[5]) and any(terms[6:9]),
    factor_bounds=lambda x, c, terms: not terms[5] and not 500 <= terms[6] <= _WHOLE,
    health_bounds=lambda x, c, terms: terms[2] >= _WHOLE,
    close_bounds=lambda x, c, terms: not terms[5] and terms[7] > _WHOLE,
    small_bounds=lambda x, c, terms: not terms[5] and terms[8] > 10**7,
    fee_bounds=lambda x, c, terms: terms[9] > _WHOLE,
)
register_conditions(
    "Workouts",
    "set_terms",
    "workouts: ",
    unknown_type=lambda x, c, *_: c >= x.read_engine_slot("terms.collateral_types"),
    discount_bounds=_build_out_of_bounds_condition(0, 5_000),
    ratio_too_low=lambda x, *args: args[2] < _WHOLE,
    ratio_too_high=lambda x, *args: args[1] < _WHOLE and args[2] > _WHOLE * _WHOLE // (_WHOLE - args[1]),
    premium_bounds=_build_out_of_bounds_condition(0, 5_000, 3),
    instalment_bounds=_build_out_of_bounds_condition(1, 60, 4),
    interval_bounds=_build_out_of_bounds_condition(600, 90 * _DAY, 5),
    period_bounds=_build_out_of_bounds_condition(0, 365 * _DAY, 6),
    cap_bounds=_build_out_of_bounds_condition(0, _BILLION, 7),
)


# -------------------------------------------------------------------- risk policy


def _is_bracket_edge_too_high(call: CallContext, collateral_type: int, *both: Any) -> bool:
    return any(above > _BILLION for brackets in both for above, _ in brackets)


def _is_bracket_sum_too_high(call: CallContext, collateral_type: int, *both: Any) -> bool:
    return any(sum(rate for _, rate in brackets) > _WHOLE for brackets in both)


def _is_call_ratio_outside_vault_ratios(
    call: CallContext, collateral_type: int, ratio: int, grace: int, valid: int
) -> bool:
    terms = call.read_engine_slot("terms.of_types", collateral_type)
    return bool(ratio and not terms.liquidation_ratio <= ratio <= terms.initial_ratio)


register_conditions(
    POLICY,
    "set_brackets",
    "risk_policy: ",
    bracket_bounds=_is_bracket_edge_too_high,
    **{"add-on_bounds": _is_bracket_sum_too_high},
)
register_conditions(
    POLICY,
    "set_effects",
    "risk_policy: ",
    margin_bounds=_build_out_of_bounds_condition(0, _WHOLE, 0),
    factor_bounds=_build_out_of_bounds_condition(100, 50_000),
)
register_conditions(
    POLICY,
    "set_flow_limit",
    "risk_policy: ",
    cap_bounds=_build_out_of_bounds_condition(0, _BILLION),
    window_bounds=_build_out_of_bounds_condition(60, 90 * _DAY, 2),
)
register_conditions(
    POLICY,
    "set_growth_cap",
    "risk_policy: ",
    anchor_bounds=_build_out_of_bounds_condition(0, _MOST_PRICE),
    growth_bounds=_build_out_of_bounds_condition(0, 50_000, 2),
)
register_conditions(
    POLICY,
    "set_fee_curve",
    "risk_policy: ",
    curve_bounds=lambda x, c, curve, *_: sum(curve[:3]) > BASIS_POINTS,
    kink_bounds=lambda x, c, curve, *_: curve[3] >= _WHOLE,
    line_bounds=_build_out_of_bounds_condition(1, _BILLION, 2),
    speed_bounds=_build_out_of_bounds_condition(0, 1_000, 3),
    no_base_to_move=lambda x, c, curve, line, speed: speed > 0 and curve[0] == 0,
)
register_conditions(
    POLICY,
    "set_call_terms",
    "risk_policy: ",
    call_ratio=_is_call_ratio_outside_vault_ratios,
    grace_bounds=_build_out_of_bounds_condition(60, 90 * _DAY, 2),
    valid_bounds=_build_out_of_bounds_condition(60, 90 * _DAY, 3),
)


# ----------------------------------------------------------------------- treasury

register_conditions(
    "Treasury", "set_target", "treasury: ", target_bounds=_build_out_of_bounds_condition(0, _ALL, 0)
)
register_conditions(
    "Treasury",
    "set_shares",
    "treasury: ",
    a_share_for_each_pool=lambda x, shares: len(shares) != len(x.contract.pool_addresses),
    shares_above_the_whole=lambda x, shares: sum(shares) > _WHOLE,
)
register_conditions(
    "Treasury",
    "set_insurance",
    "treasury: ",
    insured_share_bounds=_build_out_of_bounds_condition(0, _WHOLE, 0),
    insurance_bounds=_build_out_of_bounds_condition(0, _ALL),
)
