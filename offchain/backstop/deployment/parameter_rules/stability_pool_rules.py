"""Rules of stability pools: the penalty for members, the reward for keepers, delays and the remainder."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import (
    CollateralParameters,
    Parameters,
    StabilityPoolParameters,
)
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
from backstop.model.arithmetic import BASIS_POINTS, div_up


def _iter_types_with_pool(
    parameters: Parameters,
) -> Iterator[tuple[CollateralParameters, StabilityPoolParameters]]:
    for each in parameters.collateral_types:
        if each.stability_pool is not None:
            yield each, each.stability_pool


@define_parameter_rule(
    REFUSED,
    "stability_pool.penalty",
    "liquidation_ratio",
    why="a vault that has just become unsafe is worth its debt and the penalty, also one too small for its "
    "size's add-on: otherwise the pool takes a loss with the first vault",
)
def _iter_stability_pool_penalty_violations(
    parameters: Parameters, prices: Prices
) -> Iterator[RuleViolation]:
    for each, pool in _iter_types_with_pool(parameters):
        if BASIS_POINTS + pool.penalty >= each.liquidation_ratio:
            bound = each.liquidation_ratio - BASIS_POINTS
            yield RuleViolation(
                each.symbol,
                (format_percent(pool.penalty), format_percent(each.liquidation_ratio)),
                f"the penalty to less than {format_percent(bound)}, or the ratio to more than "
                f"{format_percent(BASIS_POINTS + pool.penalty)}",
            )


@define_parameter_rule(
    DOUBTFUL,
    "debt_floor",
    "auction.tip",
    "stability_pool.penalty",
    "stability_pool.reward",
    why="the reward of the smallest vault pays a liquidator's gas, as the tip says: otherwise no keeper "
    "liquidates the smallest vaults",
)
def _iter_pool_reward_of_the_smallest_violations(
    parameters: Parameters, prices: Prices
) -> Iterator[RuleViolation]:
    for each, pool in _iter_types_with_pool(parameters):
        kept, tip = (BASIS_POINTS + pool.penalty) * pool.reward, each.auction.tip
        if each.debt_floor * kept < tip * BASIS_POINTS**2:
            least = (
                f"the floor to {format_coins(div_up(tip * BASIS_POINTS**2, kept))} or more, or "
                if kept
                else ""
            )
            values = (
                format_coins(each.debt_floor),
                format_coins(tip),
                format_percent(pool.penalty),
                format_percent(pool.reward),
            )
            yield RuleViolation(each.symbol, values, f"{least}a larger reward")


@define_parameter_rule(
    REFUSED,
    "stability_pool.entry_delay",
    "feed.step",
    why="coins take part after the announced next price has become current: otherwise a deposit shares a "
    "gain that is certain already",
)
def _iter_pool_entry_delay_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, pool in _iter_types_with_pool(parameters):
        if pool.entry_delay < each.feed.step:
            values = (
                format_duration_in_one_unit(pool.entry_delay),
                format_duration_in_one_unit(each.feed.step),
            )
            yield RuleViolation(
                each.symbol, values, f"the delay to {format_duration_in_one_unit(each.feed.step)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "stability_pool.cooldown",
    "feed.step",
    why="a member that requests withdrawal at the sight of the next price is in the pool when it becomes "
    "current: otherwise members leave between two prices, and the pool is empty when vaults become unsafe",
)
def _iter_pool_cooldown_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, pool in _iter_types_with_pool(parameters):
        if pool.cooldown <= each.feed.step:
            values = format_duration_in_one_unit(pool.cooldown), format_duration_in_one_unit(each.feed.step)
            instead = f"the cooldown to more than {format_duration_in_one_unit(each.feed.step)}"
            yield RuleViolation(each.symbol, values, instead)


@define_parameter_rule(
    DOUBTFUL,
    "stability_pool.remainder",
    "stages",
    why="debt that a pool's coins do not cover is written off at once, and a stage has to pay it: an order "
    "of losses without a stage leaves it to holders of stablecoin",
)
def _iter_write_off_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    if parameters.stages:
        return
    for each, pool in _iter_types_with_pool(parameters):
        if pool.has_write_off:
            yield RuleViolation(
                each.symbol, ("write-off", "none"), "a stage that pays, or the remainder to auction"
            )


RULES = (
    _iter_stability_pool_penalty_violations,
    _iter_pool_reward_of_the_smallest_violations,
    _iter_pool_entry_delay_violations,
    _iter_pool_cooldown_violations,
    _iter_write_off_violations,
)
