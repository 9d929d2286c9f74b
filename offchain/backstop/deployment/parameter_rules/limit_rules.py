"""Rules of amounts: ceilings, limits, floors, and the value of one unit of a token."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    HIGH_PRICE,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_coins,
    format_percent,
)
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up

UNITS_IN_FLOOR = 100
"""So many units of a token are worth less than the smallest debt: a lot is rounded down by less than one."""


@define_parameter_rule(
    REFUSED,
    "decimals",
    "debt_floor",
    why="one unit of a token is worth less than a hundredth of the smallest debt, at the scenario's price "
    "or at 100,000 coins for a token: a target ends in whole units of the token, and the owner loses the "
    "excess of the last unit over the remaining debt",
)
def _iter_token_unit_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        price = prices.get(each.symbol, HIGH_PRICE)
        # Without a floor parts are of any size; less than a coin is worth nobody's gas.
        floor = max(1, each.debt_floor)
        unit = price * WAD // RAY // 10**each.decimals
        if unit * UNITS_IN_FLOOR > floor * WAD:
            values = str(each.decimals), format_coins(each.debt_floor)
            least = div_up(unit * UNITS_IN_FLOOR, WAD)
            at = f"at {format_coins(price // RAY)} a token"
            yield RuleViolation(
                each.symbol, values, f"the floor to {format_coins(least)} or more {at}, or wrap the token"
            )


def compute_auction_limit_in_strictest_mode(parameters: Parameters, type_limit: int) -> int:
    """Return the lower of a type's and the global auction limit in the strictest mode.

    All are in whole stablecoins.
    """
    least = min(type_limit, parameters.global_auction_limit)
    factor = BASIS_POINTS
    if parameters.guards is not None and parameters.guards.breaker is not None:
        factor = min(factor, parameters.guards.emergency_factor)
    return least * factor // BASIS_POINTS


@define_parameter_rule(
    REFUSED,
    "auction_limit",
    "global_auction_limit",
    "guards.emergency_factor",
    "debt_floor",
    why="the smallest part of a vault fits under the limits on auctions in every mode: otherwise a large "
    "vault is never liquidated",
)
def _iter_auction_limit_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        if (
            each.debt_ceiling
            and compute_auction_limit_in_strictest_mode(parameters, each.auction_limit) <= each.debt_floor
        ):
            factor = BASIS_POINTS if parameters.guards is None else parameters.guards.emergency_factor
            values = (
                format_coins(each.auction_limit),
                format_coins(parameters.global_auction_limit),
                format_percent(factor),
                format_coins(each.debt_floor),
            )
            least = div_up((each.debt_floor + 1) * BASIS_POINTS, min(factor, BASIS_POINTS))
            yield RuleViolation(
                each.symbol, values, f"both limits to {format_coins(least)} or more, or a lower floor"
            )


@define_parameter_rule(
    REFUSED,
    "debt_ceiling",
    "global_debt_ceiling",
    "debt_floor",
    why="a type that lends can open the smallest vault; one that does not has a ceiling of 0",
)
def _iter_ceiling_and_floor_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        if each.debt_ceiling and min(each.debt_ceiling, parameters.global_debt_ceiling) < each.debt_floor:
            values = tuple(
                map(format_coins, (each.debt_ceiling, parameters.global_debt_ceiling, each.debt_floor))
            )
            yield RuleViolation(
                each.symbol, values, f"the ceilings to 0, or to {format_coins(each.debt_floor)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "debt_ceiling",
    "global_debt_ceiling",
    why="a ceiling says how much may be lent: one above the global one says nothing",
)
def _iter_global_ceiling_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    most = parameters.global_debt_ceiling
    ceilings = [(each.symbol, each.debt_ceiling) for each in parameters.collateral_types]
    ceilings += [(facilitator.name, facilitator.line) for facilitator in parameters.facilitators]
    for place, ceiling in ceilings:
        if ceiling > most:
            yield RuleViolation(
                place,
                (format_coins(ceiling), format_coins(most)),
                f"the ceiling to {format_coins(most)} or less",
            )


@define_parameter_rule(
    DOUBTFUL,
    "debt_ceiling",
    "auction_limit",
    why="all that a type has lent is sold in at most a hundred rounds of auctions",
)
def _iter_auction_rounds_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        limit = compute_auction_limit_in_strictest_mode(parameters, each.auction_limit)
        if each.debt_ceiling > 100 * limit:
            least = div_up(each.debt_ceiling, 100)
            values = format_coins(each.debt_ceiling), format_coins(each.auction_limit)
            yield RuleViolation(
                each.symbol, values, f"the limit to {format_coins(least)} or more, in an emergency as well"
            )


RULES = (
    _iter_token_unit_violations,
    _iter_auction_limit_violations,
    _iter_ceiling_and_floor_violations,
    _iter_global_ceiling_violations,
    _iter_auction_rounds_violations,
)
