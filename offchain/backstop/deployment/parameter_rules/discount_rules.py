"""Rules of sales at a fixed discount: how large the bonus is, and how much one sale repays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import CollateralParameters, DiscountParameters, Parameters
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_coins,
    format_percent,
)
from backstop.model.arithmetic import BASIS_POINTS, WAD, div_up
from backstop.model.fixed_discount import Terms, compute_threshold

LEAST_SHARE = 4
"""One sale of a vault that has just become unsafe repays at least one part in so many of its debt."""


def compute_bonus_factor(discount: DiscountParameters, liquidation_ratio: int, health: int) -> int:
    """Return the collateral value that a buyer gets per repaid value [basis points], rounded up.

    `health` is the vault's health factor [wad].
    """
    terms = Terms(*dataclasses.astuple(discount))
    numerator, denominator = terms.compute_bonus(liquidation_ratio, health)
    return div_up(numerator * BASIS_POINTS, denominator)


def _iter_types_with_discount(
    parameters: Parameters,
) -> Iterator[tuple[CollateralParameters, DiscountParameters]]:
    for each in parameters.collateral_types:
        if each.discount is not None:
            yield each, each.discount


@define_parameter_rule(
    REFUSED,
    "discount.max_bonus",
    "liquidation_ratio",
    why="a vault that has just become unsafe is worth its debt and the largest bonus: otherwise its sale is "
    "a loss, and people are paid for liquidating themselves",
)
def _iter_discount_bonus_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, discount in _iter_types_with_discount(parameters):
        # A discount by the distance from health is none there.
        health = WAD if discount.max_discount else 0
        most = compute_bonus_factor(discount, each.liquidation_ratio, health)
        if most >= each.liquidation_ratio:
            values = format_percent(most - BASIS_POINTS), format_percent(each.liquidation_ratio)
            bound = each.liquidation_ratio - BASIS_POINTS
            yield RuleViolation(
                each.symbol,
                values,
                f"the bonus to less than {format_percent(bound)}, or the ratio to more than "
                f"{format_percent(most)}",
            )


@define_parameter_rule(
    REFUSED,
    "discount.target_health",
    "liquidation_ratio",
    "policy.call_ratio",
    "policy.of_vaults",
    why="a sale up to the target leaves a vault that may not be sold again at the same price: it is above "
    "its liquidation ratio, and with guards above the ratio of its calls and the add-on for its size",
)
def _iter_discount_target_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, discount in _iter_types_with_discount(parameters):
        call_ratio = 0 if parameters.guards is None else each.policy.call_ratio
        brackets = () if parameters.guards is None else each.policy.of_vaults
        add_on = sum(rate for _, rate in brackets)
        needed = max(each.liquidation_ratio, call_ratio) + add_on
        least = max(BASIS_POINTS + 1, div_up(needed * BASIS_POINTS, each.liquidation_ratio))
        if discount.target_health and discount.target_health < least:
            values = tuple(
                map(format_percent, (discount.target_health, each.liquidation_ratio, call_ratio, add_on))
            )
            yield RuleViolation(each.symbol, values, f"the target to {format_percent(least)} or more")


@define_parameter_rule(
    DOUBTFUL,
    "debt_floor",
    "auction.tip",
    "discount.max_bonus",
    "discount.fee",
    why="the largest bonus of the smallest vault, without the protocol's part, pays a liquidator's gas, as "
    "the tip says: otherwise no keeper buys the smallest vaults",
)
def _iter_discount_of_the_smallest_violations(
    parameters: Parameters, prices: Prices
) -> Iterator[RuleViolation]:
    for each, discount in _iter_types_with_discount(parameters):
        bonus = compute_bonus_factor(discount, each.liquidation_ratio, 0) - BASIS_POINTS
        kept, tip = bonus * (BASIS_POINTS - discount.fee), each.auction.tip
        if each.debt_floor * kept < tip * BASIS_POINTS * BASIS_POINTS:
            values = (
                format_coins(each.debt_floor),
                format_coins(tip),
                format_percent(bonus),
                format_percent(discount.fee),
            )
            least = (
                f"the floor to {format_coins(div_up(tip * BASIS_POINTS**2, kept))} or more, or "
                if kept
                else ""
            )
            yield RuleViolation(each.symbol, values, f"{least}a larger bonus")


@define_parameter_rule(
    DOUBTFUL,
    "discount.small_position",
    "debt_floor",
    "discount.close_factor",
    why="all of a vault with a debt under twice the floor may be repaid: a part would leave less than the "
    "floor, so buyers that use the close factor alone are refused",
)
def _iter_small_position_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, discount in _iter_types_with_discount(parameters):
        is_partial = 0 < discount.close_factor < BASIS_POINTS
        if is_partial and discount.small_position < 2 * each.debt_floor:
            values = (
                format_coins(discount.small_position),
                format_coins(each.debt_floor),
                format_percent(discount.close_factor),
            )
            instead = f"the small position to {format_coins(2 * each.debt_floor)} or more"
            yield RuleViolation(each.symbol, values, instead)


@define_parameter_rule(
    DOUBTFUL,
    "discount.target_health",
    "discount.base_bonus",
    "liquidation_ratio",
    why="one sale of a vault that has just become unsafe repays a quarter of its debt or more: smaller ones "
    "cost as much gas, and a price that goes on falling is ahead of them",
)
def _iter_share_sold_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each, discount in _iter_types_with_discount(parameters):
        target, bonus = (
            discount.target_health,
            compute_bonus_factor(discount, each.liquidation_ratio, WAD),
        )
        # What a unit repaid takes out of the collateral that counts, as basis points squared.
        taken = bonus * compute_threshold(each.liquidation_ratio)
        unit = BASIS_POINTS * BASIS_POINTS
        if target and LEAST_SHARE * (target * BASIS_POINTS - unit) < target * BASIS_POINTS - taken:
            least = div_up(LEAST_SHARE * unit - taken, (LEAST_SHARE - 1) * BASIS_POINTS)
            values = (
                format_percent(target),
                format_percent(bonus - BASIS_POINTS),
                format_percent(each.liquidation_ratio),
            )
            yield RuleViolation(each.symbol, values, f"the target to {format_percent(least)} or more")


RULES = (
    _iter_discount_bonus_violations,
    _iter_discount_target_violations,
    _iter_discount_of_the_smallest_violations,
    _iter_small_position_violations,
    _iter_share_sold_violations,
)
