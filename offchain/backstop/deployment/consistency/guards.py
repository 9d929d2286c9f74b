"""Rules of the guards: margin calls, workouts, automatic ceilings, flow limits, fees, the circuit breaker."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.consistency.limits import room
from backstop.deployment.consistency.rule import DOUBTFUL, REFUSED, Misfit, Prices, coins, percent, rule, time
from backstop.deployment.parameters import (
    AutoCeilingParameters,
    CollateralParameters,
    Parameters,
    WorkoutParameters,
)


def ceilings(parameters: Parameters) -> Iterator[tuple[CollateralParameters, AutoCeilingParameters]]:
    """Yield the types whose ceilings are automatic, and how."""
    if parameters.guards is not None:
        for each, ceiling in zip(parameters.collateral_types, parameters.guards.ceilings, strict=False):
            if ceiling.max_line:
                yield each, ceiling


def workouts(parameters: Parameters) -> Iterator[tuple[CollateralParameters, WorkoutParameters]]:
    """Yield the types that offer workouts, and on which terms."""
    if parameters.guards is not None:
        for each, terms in zip(parameters.collateral_types, parameters.guards.workouts, strict=False):
            if terms.cap:
                yield each, terms


def guarded(parameters: Parameters) -> Iterator[CollateralParameters]:
    """Yield the types whose policy counts."""
    if parameters.guards is not None:
        yield from parameters.collateral_types


@rule(
    REFUSED,
    "ceiling.gap",
    "ceiling.max_line",
    "debt_floor",
    why="a ceiling that follows the debt leaves room for the smallest vault: otherwise a type that is "
    "repaid never lends again",
)
def _automatic_ceiling(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for each, ceiling in ceilings(parameters):
        if min(ceiling.gap, ceiling.max_line) < each.debt_floor:
            values = coins(ceiling.gap), coins(ceiling.max_line), coins(each.debt_floor)
            yield Misfit(each.symbol, values, f"gap and line to {coins(each.debt_floor)} or more")


@rule(
    REFUSED,
    "policy.flow_cap",
    "debt_floor",
    why="the smallest vault fits into what may flow out at once: otherwise nobody opens one",
)
def _flow_cap(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for each in guarded(parameters):
        if each.policy.flow_cap and each.policy.flow_cap < each.debt_floor:
            values = coins(each.policy.flow_cap), coins(each.debt_floor)
            yield Misfit(each.symbol, values, f"the cap to 0, or to {coins(each.debt_floor)} or more")


@rule(
    REFUSED,
    "workout.cap",
    "auction_limit",
    "guards.emergency_factor",
    "debt_floor",
    why="workouts leave room for liquidations: what is in one counts as under auction, so a cap as high "
    "as the limits lets owners stop all others' liquidations in an emergency",
)
def _workout_cap(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for each, terms in workouts(parameters):
        most = room(parameters, each.auction_limit) - each.debt_floor - 1
        if terms.cap > most:
            assert parameters.guards is not None
            values = (
                coins(terms.cap),
                coins(each.auction_limit),
                percent(parameters.guards.emergency_factor),
                coins(each.debt_floor),
            )
            yield Misfit(each.symbol, values, f"the cap to {coins(max(0, most))} or less")


@rule(
    DOUBTFUL,
    "policy.call_grace",
    "feed.step",
    why="a called owner has two steps of the feed, so that a call for a price that is about to be taken "
    "back is met by waiting",
)
def _call_grace(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for each in guarded(parameters):
        if each.policy.call_ratio and each.policy.call_grace < 2 * each.feed.step:
            values = time(each.policy.call_grace), time(each.feed.step)
            yield Misfit(each.symbol, values, f"the grace to {time(2 * each.feed.step)} or more")


@rule(
    REFUSED,
    "policy.call_valid",
    "feed.step",
    "feed.grace",
    why="an overdue call does not lapse while nothing can be liquidated: a gap and the grace after it are "
    "shorter than the time in which it counts",
)
def _call_valid(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for each in guarded(parameters):
        least = each.feed.grace + each.feed.step
        if each.policy.call_ratio and each.policy.call_valid <= least:
            values = time(each.policy.call_valid), time(each.feed.step), time(each.feed.grace)
            yield Misfit(each.symbol, values, f"the call's time to more than {time(least)}")


@rule(
    DOUBTFUL,
    "policy.line",
    "debt_ceiling",
    why="a type that has lent all it may pays the fee of full utilisation",
)
def _fee_line(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for each in guarded(parameters):
        if each.policy.curve[3] and each.policy.line > each.debt_ceiling:
            values = coins(each.policy.line), coins(each.debt_ceiling)
            yield Misfit(each.symbol, values, f"the line to {coins(each.debt_ceiling)} or less")


@rule(
    DOUBTFUL,
    "breaker.calm_period",
    "feed.step",
    why="a mode does not end before the price that raised it is followed by two others",
)
def _calm_period(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    if parameters.guards is None or parameters.guards.breaker is None:
        return
    calm = parameters.guards.breaker.calm_period
    slowest = max(each.feed.step for each in parameters.collateral_types)
    if calm < 2 * slowest:
        yield Misfit("", (time(calm), time(slowest)), f"the calm period to {time(2 * slowest)} or more")


@rule(
    DOUBTFUL,
    "breaker.silence",
    "feed.dead_after",
    why="a feed's silence is an emergency before its last price counts again",
)
def _silence(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    if parameters.guards is None or parameters.guards.breaker is None:
        return
    emergency = parameters.guards.breaker.silence[1]
    for each in parameters.collateral_types:
        dead = each.feed.dead_after
        if dead and not 0 < emergency <= dead:
            values = time(emergency) if emergency else "off", time(dead)
            yield Misfit(each.symbol, values, f"the silence of an emergency to {time(dead)} or less")


RULES = (
    _automatic_ceiling,
    _flow_cap,
    _workout_cap,
    _call_grace,
    _call_valid,
    _fee_line,
    _calm_period,
    _silence,
)
