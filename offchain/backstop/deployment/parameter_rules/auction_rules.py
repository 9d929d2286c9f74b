"""Rules of collateral auctions, and of the ratios at which they begin."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import AuctionParameters, Parameters
from backstop.deployment.parameter_rules.parameter_rule import (
    DOUBTFUL,
    REFUSED,
    Prices,
    RuleViolation,
    compute_price_move,
    define_parameter_rule,
    format_coins,
    format_duration_in_one_unit,
    format_percent,
)
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.model.dutch_auction import Terms


def compute_time_to_price(auction: AuctionParameters, part: int) -> int | None:
    """Return when an auction's price has fallen to a share of the feed price [seconds].

    `part` is this share in basis points. Return None if the auction needs a reset before.
    """
    terms = Terms(**dataclasses.asdict(auction))
    top = terms.top(RAY)
    target = RAY * part // BASIS_POINTS
    low, high = 0, auction.tail
    if terms.price(top, high)[0] > target:
        return None
    while low < high:
        middle = (low + high) // 2
        if terms.price(top, middle)[0] <= target:
            high = middle
        else:
            low = middle + 1
    return None if terms.price(top, low)[1] else low


def _list_auction_parameter_texts(auction_parameters: AuctionParameters) -> tuple[str, ...]:
    fall = ("linear", "in steps", "by the second")[auction_parameters.curve]
    if auction_parameters.curve:
        fall += f" to {auction_parameters.cut * 10_000 // RAY / 100:g}%"
    if auction_parameters.curve < 2:
        fall += f" in {format_duration_in_one_unit(auction_parameters.period)}"
    return (
        format_percent(auction_parameters.buf),
        fall,
        format_duration_in_one_unit(auction_parameters.tail),
        format_percent(auction_parameters.cusp),
    )


def _suggest_auction_change(auction: AuctionParameters, part: int) -> str:
    """Return a text that suggests changes by which the price falls far enough."""
    deepest = auction.cusp * auction.buf // BASIS_POINTS
    if deepest > part:
        most = part * BASIS_POINTS // auction.buf
        buf = part * BASIS_POINTS // auction.cusp
        return f"the cusp to {format_percent(most)} or less, or the buf to {format_percent(buf)} or less"
    longer = dataclasses.replace(auction, tail=2**24 - 1, cusp=1)
    needed = compute_time_to_price(longer, part)
    if needed is None:
        return "a larger fall of each step"
    if needed > auction.tail:
        return f"the tail to {format_duration_in_one_unit(needed)} or more, or a faster fall"
    return "smaller steps: this one goes from above the market's price to under the cusp"


@define_parameter_rule(
    REFUSED,
    "auction.buf",
    "auction.curve",
    "auction.tail",
    "auction.cusp",
    why="an auction's price falls to the feed's before a reset is due: otherwise no keeper ever buys, and "
    "each reset begins above the market again",
)
def _iter_auction_reaches_market_violations(
    parameters: Parameters, prices: Prices
) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        if compute_time_to_price(each.auction, BASIS_POINTS) is None:
            yield RuleViolation(
                each.symbol,
                _list_auction_parameter_texts(each.auction),
                _suggest_auction_change(each.auction, BASIS_POINTS),
            )


@define_parameter_rule(
    REFUSED,
    "block_time",
    "auction.curve",
    "auction.tail",
    "auction.cusp",
    why="where auctions count blocks, a price that has reached the feed's stands at a block before a reset "
    "is due: otherwise it falls past the cusp, or the tail ends, between two blocks, and no keeper can buy",
)
def _iter_block_time_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    slot = parameters.block_time
    for each in parameters.collateral_types:
        reaches = compute_time_to_price(each.auction, BASIS_POINTS)
        if not slot or reaches is None:
            continue
        terms = Terms(**dataclasses.asdict(each.auction))
        if terms.price(terms.top(RAY), -(-reaches // slot) * slot)[1]:
            values = format_duration_in_one_unit(slot), *_list_auction_parameter_texts(each.auction)[1:]
            yield RuleViolation(each.symbol, values, "a slower fall, a longer tail, or a lower cusp")


@define_parameter_rule(
    REFUSED,
    "auction.penalty",
    "liquidation_ratio",
    why="a vault that has just become unsafe is worth its debt and the penalty: rewards are paid ahead of "
    "a penalty, and one that cannot come in pays people for liquidating themselves",
)
def _iter_penalty_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        auction = each.auction
        if auction.penalty >= each.liquidation_ratio and auction.penalty != BASIS_POINTS:
            values = format_percent(auction.penalty), format_percent(each.liquidation_ratio)
            yield RuleViolation(
                each.symbol,
                values,
                f"the penalty to less than {format_percent(each.liquidation_ratio)}, or the ratio to more "
                f"than {format_percent(auction.penalty)}",
            )


@define_parameter_rule(
    DOUBTFUL,
    "liquidation_ratio",
    "feed.step",
    why="the ratio has room for the move of a price in the two steps until it counts, at 10% in a bad hour "
    "and with the square root of time: otherwise each fast price drop is a loss before a keeper may "
    "liquidate",
)
def _iter_liquidation_ratio_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        move = compute_price_move(2 * each.feed.step)
        least = div_up(BASIS_POINTS * BASIS_POINTS, BASIS_POINTS - move) if move < BASIS_POINTS else 0
        if each.liquidation_ratio < least or not least:
            values = format_percent(each.liquidation_ratio), format_duration_in_one_unit(each.feed.step)
            instead = (
                f"the ratio to {format_percent(least)} or more, or a shorter step"
                if least
                else "a shorter step"
            )
            yield RuleViolation(each.symbol, values, instead)


@define_parameter_rule(
    DOUBTFUL,
    "initial_ratio",
    "liquidation_ratio",
    why="a vault that was opened a moment ago is not liquidated for the fee of the next one",
)
def _iter_initial_ratio_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        if each.initial_ratio == each.liquidation_ratio:
            values = format_percent(each.initial_ratio), format_percent(each.liquidation_ratio)
            yield RuleViolation(
                each.symbol, values, f"the initial ratio above {format_percent(each.liquidation_ratio)}"
            )


@define_parameter_rule(
    DOUBTFUL,
    "redistribution_cap",
    "initial_ratio",
    "liquidation_ratio",
    why="one epoch's redistribution does not make a vault unsafe that was opened a moment ago",
)
def _iter_redistribution_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    if not parameters.has_stage("redistribution"):
        return
    for each in parameters.collateral_types:
        grown = each.liquidation_ratio * (BASIS_POINTS + each.redistribution_cap)
        if each.initial_ratio * BASIS_POINTS < grown:
            values = tuple(
                format_percent(bps)
                for bps in (each.redistribution_cap, each.initial_ratio, each.liquidation_ratio)
            )
            most = each.initial_ratio * BASIS_POINTS // each.liquidation_ratio - BASIS_POINTS
            yield RuleViolation(each.symbol, values, f"the cap to {format_percent(most)} or less")


@define_parameter_rule(
    DOUBTFUL,
    "debt_floor",
    "auction.tip",
    why="the smallest vault's penalty covers its liquidator's gas, for which the tip stands: rewards never "
    "exceed the penalty, so no keeper liquidates smaller vaults",
)
def _iter_reward_of_the_smallest_violations(
    parameters: Parameters, prices: Prices
) -> Iterator[RuleViolation]:
    for each in parameters.collateral_types:
        tip, rate = each.auction.tip, each.auction.penalty - BASIS_POINTS
        # With a mechanism hardly anybody starts an auction for the reward.
        if tip and not each.has_mechanism and each.debt_floor * rate < tip * BASIS_POINTS:
            values = format_coins(each.debt_floor), format_coins(tip)
            most = each.debt_floor * rate // BASIS_POINTS
            yield RuleViolation(
                each.symbol, values, f"the tip to {format_coins(most)} or less, or a higher floor or penalty"
            )


RULES = (
    _iter_auction_reaches_market_violations,
    _iter_block_time_violations,
    _iter_penalty_violations,
    _iter_liquidation_ratio_violations,
    _iter_initial_ratio_violations,
    _iter_redistribution_violations,
    _iter_reward_of_the_smallest_violations,
)
