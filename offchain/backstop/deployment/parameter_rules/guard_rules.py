"""Rules of the guards: margin calls, workouts, automatic ceilings, flow limits, fees, the circuit breaker."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import (
    AutoCeilingParameters,
    CollateralParameters,
    Parameters,
    WorkoutParameters,
)
from backstop.deployment.parameter_rules.limit_rules import compute_auction_limit_in_strictest_mode
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_coins,
    format_duration_in_one_unit,
    format_percent,
)


def iter_automatic_ceilings(
    parameters: Parameters,
) -> Iterator[tuple[CollateralParameters, AutoCeilingParameters]]:
    """Yield each collateral type with an automatic debt ceiling, and the ceiling's terms."""
    if parameters.guards is not None:
        for each, ceiling in zip(parameters.collateral_types, parameters.guards.ceilings, strict=False):
            if ceiling.max_line:
                yield each, ceiling


def iter_workouts(parameters: Parameters) -> Iterator[tuple[CollateralParameters, WorkoutParameters]]:
    """Yield each collateral type that offers workouts (repayment in instalments), with their terms."""
    if parameters.guards is not None:
        for each, terms in zip(parameters.collateral_types, parameters.guards.workouts, strict=False):
            if terms.cap:
                yield each, terms


def iter_guarded_types(parameters: Parameters) -> Iterator[CollateralParameters]:
    """Yield all collateral types if the deployment has a risk policy, otherwise none."""
    if parameters.guards is not None:
        yield from parameters.collateral_types


@define_parameter_rule(
    REFUSED,
    "ceiling.gap",
    "ceiling.max_line",
    "debt_floor",
    why="a ceiling that follows the debt leaves room for the smallest vault: otherwise a type that is "
    "repaid never lends again",
)
def _iter_automatic_ceiling_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, ceiling in iter_automatic_ceilings(parameters):
        if min(ceiling.gap, ceiling.max_line) < each.debt_floor:
            values = format_coins(ceiling.gap), format_coins(ceiling.max_line), format_coins(each.debt_floor)
            yield RuleViolation(
                each.symbol, values, f"gap and line to {format_coins(each.debt_floor)} or more"
            )


@define_parameter_rule(
    REFUSED,
    "policy.flow_cap",
    "debt_floor",
    why="the smallest vault fits under the cap on outflow at once: otherwise no owner can open one",
)
def _iter_flow_cap_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in iter_guarded_types(parameters):
        if each.policy.flow_cap and each.policy.flow_cap < each.debt_floor:
            values = format_coins(each.policy.flow_cap), format_coins(each.debt_floor)
            yield RuleViolation(
                each.symbol, values, f"the cap to 0, or to {format_coins(each.debt_floor)} or more"
            )


@define_parameter_rule(
    REFUSED,
    "workout.cap",
    "auction_limit",
    "guards.emergency_factor",
    "debt_floor",
    why="workouts leave room for liquidations: debt in a workout counts as under auction, so a cap as high "
    "as the limits lets owners stop all others' liquidations in an emergency",
)
def _iter_workout_cap_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, terms in iter_workouts(parameters):
        most = compute_auction_limit_in_strictest_mode(parameters, each.auction_limit) - each.debt_floor - 1
        if terms.cap > most:
            assert parameters.guards is not None
            values = (
                format_coins(terms.cap),
                format_coins(each.auction_limit),
                format_percent(parameters.guards.emergency_factor),
                format_coins(each.debt_floor),
            )
            yield RuleViolation(each.symbol, values, f"the cap to {format_coins(max(0, most))} or less")


@define_parameter_rule(
    DOUBTFUL,
    "policy.call_grace",
    "feed.step",
    why="a called owner has two steps of the feed, so that a call for a price that is about to be taken "
    "back is met by waiting",
)
def _iter_call_grace_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in iter_guarded_types(parameters):
        if each.policy.call_ratio and each.policy.call_grace < 2 * each.feed.step:
            values = (
                format_duration_in_one_unit(each.policy.call_grace),
                format_duration_in_one_unit(each.feed.step),
            )
            yield RuleViolation(
                each.symbol, values, f"the grace to {format_duration_in_one_unit(2 * each.feed.step)} or more"
            )


@define_parameter_rule(
    REFUSED,
    "policy.call_valid",
    "feed.step",
    "feed.grace",
    why="an overdue call does not lapse while nothing can be liquidated: a gap and the grace after it are "
    "shorter than the time in which it counts",
)
def _iter_call_valid_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in iter_guarded_types(parameters):
        least = each.feed.grace + each.feed.step
        if each.policy.call_ratio and each.policy.call_valid <= least:
            values = (
                format_duration_in_one_unit(each.policy.call_valid),
                format_duration_in_one_unit(each.feed.step),
                format_duration_in_one_unit(each.feed.grace),
            )
            yield RuleViolation(
                each.symbol, values, f"the call's time to more than {format_duration_in_one_unit(least)}"
            )


@define_parameter_rule(
    DOUBTFUL,
    "policy.line",
    "debt_ceiling",
    why="a type that has lent all it may pays the fee of full utilisation",
)
def _iter_fee_line_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in iter_guarded_types(parameters):
        if each.policy.curve[3] and each.policy.line > each.debt_ceiling:
            values = format_coins(each.policy.line), format_coins(each.debt_ceiling)
            yield RuleViolation(each.symbol, values, f"the line to {format_coins(each.debt_ceiling)} or less")


@define_parameter_rule(
    DOUBTFUL,
    "breaker.calm_period",
    "feed.step",
    why="a mode does not end before the price that raised it is followed by two others",
)
def _iter_calm_period_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    if parameters.guards is None or parameters.guards.breaker is None:
        return
    calm = parameters.guards.breaker.calm_period
    slowest = max(each.feed.step for each in parameters.collateral_types)
    if calm < 2 * slowest:
        yield RuleViolation(
            "",
            (format_duration_in_one_unit(calm), format_duration_in_one_unit(slowest)),
            f"the calm period to {format_duration_in_one_unit(2 * slowest)} or more",
        )


@define_parameter_rule(
    DOUBTFUL,
    "breaker.silence",
    "feed.dead_after",
    why="a feed's silence is an emergency before its last price counts again",
)
def _iter_silence_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    if parameters.guards is None or parameters.guards.breaker is None:
        return
    emergency = parameters.guards.breaker.silence[1]
    for each in parameters.collateral_types:
        dead = each.feed.dead_after
        if dead and not 0 < emergency <= dead:
            values = (
                format_duration_in_one_unit(emergency) if emergency else "off",
                format_duration_in_one_unit(dead),
            )
            yield RuleViolation(
                each.symbol,
                values,
                f"the silence of an emergency to {format_duration_in_one_unit(dead)} or less",
            )


RULES = (
    _iter_automatic_ceiling_violations,
    _iter_flow_cap_violations,
    _iter_workout_cap_violations,
    _iter_call_grace_violations,
    _iter_call_valid_violations,
    _iter_fee_line_violations,
    _iter_calm_period_violations,
    _iter_silence_violations,
)
