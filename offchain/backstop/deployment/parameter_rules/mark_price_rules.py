"""Rules of the margin market: margins, fees, band and times against possible errors of a mark price."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.parameter_dataclasses import MarginParameters, Parameters
from backstop.deployment.parameter_rules.margin_rules import iter_margin_market_collateral_triples
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
from backstop.deployment.parameter_rules.self_hedge_margin_formula import compute_self_hedge_initial_margin
from backstop.model.arithmetic import div_up

LONGEST_WINDOWS = 8
"""Windows that pass at most until what happens now is final: four in the open cycle, four pending."""


@define_parameter_rule(
    DOUBTFUL,
    "market.initial",
    "market.maintenance",
    "margin.mark_age",
    why="the sender of reports picks among the reports within the age of a mark: an account that was opened "
    "at one of them is not under its maintenance margin at another, at 10% in a bad hour",
)
def _iter_marked_margin_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin, market, _ in iter_margin_market_collateral_triples(parameters):
        least = market.maintenance + compute_price_move(margin.mark_age)
        if market.initial < least:
            values = (
                format_percent(market.initial),
                format_percent(market.maintenance),
                format_duration_in_one_unit(margin.mark_age),
            )
            yield RuleViolation(
                market.symbol, values, f"the initial margin to {format_percent(least)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "margin.taker_fee",
    "margin.mark_age",
    why="picking among the reports of the age of a mark costs more than an ordinary move of that time, a "
    "tenth of a bad one, brings",
)
def _iter_taker_fee_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin in _iter_margin_if_enabled(parameters):
        least = div_up(compute_price_move(margin.mark_age), 10)
        if margin.taker_fee < least:
            values = format_percent(margin.taker_fee), format_duration_in_one_unit(margin.mark_age)
            yield RuleViolation("", values, f"the fee to {format_percent(least)} or more")


@define_parameter_rule(
    REFUSED,
    "market.initial",
    "margin.mark_age",
    "margin.maker_fee",
    "margin.taker_fee",
    why="long against short of one owner, opened at the oldest mark, gains nothing by a jump of 18% in a "
    "minute before the next look, more by the root of time: other accounts pay the part of the loss that "
    "its margins do not cover",
)
def _iter_self_made_pair_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin, market, _ in iter_margin_market_collateral_triples(parameters):
        least = compute_self_hedge_initial_margin(margin.mark_age, min(margin.maker_fee, margin.taker_fee))
        if market.initial < least:
            fees = format_percent(margin.maker_fee), format_percent(margin.taker_fee)
            values = format_percent(market.initial), format_duration_in_one_unit(margin.mark_age), *fees
            yield RuleViolation(
                market.symbol, values, f"the initial margin to {format_percent(least)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "margin.maker_fee",
    "margin.taker_fee",
    why="backdating a signature brings no lower fee: the orders themselves state which of the two came first",
)
def _iter_fees_alike_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin in _iter_margin_if_enabled(parameters):
        if margin.maker_fee != margin.taker_fee:
            values = format_percent(margin.maker_fee), format_percent(margin.taker_fee)
            yield RuleViolation("", values, "both fees to the same")


@define_parameter_rule(
    DOUBTFUL,
    "margin.band",
    "market.maintenance",
    why="a trade is nearer to the mark than a turn of the price is, a quarter of the maintenance margin: a "
    "trade off the mark transfers less than a price move that counts",
)
def _iter_band_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin, market, _ in iter_margin_market_collateral_triples(parameters):
        if margin.band > market.maintenance // 4:
            values = format_percent(margin.band), format_percent(market.maintenance)
            yield RuleViolation(
                market.symbol, values, f"the band to {format_percent(market.maintenance // 4)} or less"
            )


@define_parameter_rule(
    DOUBTFUL,
    "margin.mark_age",
    "feed.max_age",
    why="no report is older than the feed takes it for: the shorter of the two ages counts",
)
def _iter_mark_age_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin, market, collateral in iter_margin_market_collateral_triples(parameters):
        if margin.mark_age > collateral.feed.max_age:
            values = (
                format_duration_in_one_unit(margin.mark_age),
                format_duration_in_one_unit(collateral.feed.max_age),
            )
            yield RuleViolation(
                market.symbol,
                values,
                f"the age of a mark to {format_duration_in_one_unit(collateral.feed.max_age)} or less",
            )


@define_parameter_rule(
    DOUBTFUL,
    "margin.quiet",
    "margin.mark_age",
    why="a booking raises what others lack: there is time to bring prices and to book that, too, with a "
    "second try",
)
def _iter_quiet_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin in _iter_margin_if_enabled(parameters):
        if margin.quiet < 2 * margin.mark_age:
            values = format_duration_in_one_unit(margin.quiet), format_duration_in_one_unit(margin.mark_age)
            yield RuleViolation(
                "", values, f"the quiet time to {format_duration_in_one_unit(2 * margin.mark_age)} or more"
            )


@define_parameter_rule(
    DOUBTFUL,
    "margin.third_bond",
    "market.dust",
    why="the accounts that seize, book or take over a dust position are paid for it, and all three together "
    "get no more than the position is worth",
)
def _iter_bond_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin, market, _ in iter_margin_market_collateral_triples(parameters):
        if not 0 < 3 * margin.third_bond <= market.dust:
            values = format_coins(margin.third_bond), format_coins(market.dust)
            yield RuleViolation(
                market.symbol, values, "a third to 1 coin or more, a third of the dust or less"
            )


@define_parameter_rule(
    REFUSED,
    "margin.bucket",
    "margin.buckets",
    "margin.window",
    why="profits that were withdrawn are there when a loss turns out late: they vest later than the open and "
    "the pending cycle may last, four windows each",
)
def _iter_vesting_and_cycles_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    for margin in _iter_margin_if_enabled(parameters):
        longest = LONGEST_WINDOWS * margin.window
        if margin.bucket * margin.buckets < longest:
            values = (
                format_duration_in_one_unit(margin.bucket),
                str(margin.buckets),
                format_duration_in_one_unit(margin.window),
            )
            least = div_up(longest, margin.buckets)
            yield RuleViolation("", values, f"the bucket to {format_duration_in_one_unit(least)} or more")


def _iter_margin_if_enabled(parameters: Parameters) -> Iterator[MarginParameters]:
    """Yield the margin parameters if the deployment has perpetual markets."""
    if parameters.margin is not None:
        yield parameters.margin


RULES = (
    _iter_marked_margin_violations,
    _iter_taker_fee_violations,
    _iter_self_made_pair_violations,
    _iter_fees_alike_violations,
    _iter_band_violations,
    _iter_mark_age_violations,
    _iter_quiet_violations,
    _iter_bond_violations,
    _iter_vesting_and_cycles_violations,
)
