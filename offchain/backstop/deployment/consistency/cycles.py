"""Rules of the margin market: margins, fees, the band and times against what a mark may be off."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.consistency.margin import markets
from backstop.deployment.consistency.rule import (
    DOUBTFUL,
    REFUSED,
    Misfit,
    Prices,
    coins,
    percent,
    reached,
    rule,
    time,
)
from backstop.deployment.consistency.straddle import least_initial
from backstop.deployment.parameters import MarginParameters, Parameters
from backstop.model.arithmetic import div_up

LONGEST_WINDOWS = 8
"""Windows that pass at most until what happens now is final: four in the open cycle, four pending."""


@rule(
    DOUBTFUL,
    "market.initial",
    "market.maintenance",
    "margin.mark_age",
    why="whoever brings reports picks among those of the age of a mark: an account that was opened at the "
    "one is not under its maintenance margin at the other, at 10% in a bad hour",
)
def _marked_margin(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, _ in markets(parameters):
        least = market.maintenance + reached(margin.mark_age)
        if market.initial < least:
            values = percent(market.initial), percent(market.maintenance), time(margin.mark_age)
            yield Misfit(market.symbol, values, f"the initial margin to {percent(least)} or more")


@rule(
    DOUBTFUL,
    "margin.taker_fee",
    "margin.mark_age",
    why="picking among the reports of the age of a mark costs more than an ordinary move of that time, a "
    "tenth of a bad one, brings",
)
def _taker_fee(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin in _once(parameters):
        least = div_up(reached(margin.mark_age), 10)
        if margin.taker_fee < least:
            values = percent(margin.taker_fee), time(margin.mark_age)
            yield Misfit("", values, f"the fee to {percent(least)} or more")


@rule(
    REFUSED,
    "market.initial",
    "margin.mark_age",
    "margin.maker_fee",
    "margin.taker_fee",
    why="long against short of one owner, opened at the oldest mark, gains nothing by a jump of 18% in a "
    "minute before the next look, more by the root of time: what its margins do not hold, others pay",
)
def _self_made_pair(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, _ in markets(parameters):
        least = least_initial(margin.mark_age, min(margin.maker_fee, margin.taker_fee))
        if market.initial < least:
            fees = percent(margin.maker_fee), percent(margin.taker_fee)
            values = percent(market.initial), time(margin.mark_age), *fees
            yield Misfit(market.symbol, values, f"the initial margin to {percent(least)} or more")


@rule(
    DOUBTFUL,
    "margin.maker_fee",
    "margin.taker_fee",
    why="nobody signs with an earlier time than it is for a lower fee: which of two orders came first is "
    "what they say themselves",
)
def _fees_alike(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin in _once(parameters):
        if margin.maker_fee != margin.taker_fee:
            values = percent(margin.maker_fee), percent(margin.taker_fee)
            yield Misfit("", values, "both fees to the same")


@rule(
    DOUBTFUL,
    "margin.band",
    "market.maintenance",
    why="a trade is nearer to the mark than a turn of the price is, a quarter of the maintenance margin: "
    "what a price off the mark hands over is less than what counts as a move",
)
def _band(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, _ in markets(parameters):
        if margin.band > market.maintenance // 4:
            values = percent(margin.band), percent(market.maintenance)
            yield Misfit(market.symbol, values, f"the band to {percent(market.maintenance // 4)} or less")


@rule(
    DOUBTFUL,
    "margin.mark_age",
    "feed.max_age",
    why="no report is older than the feed takes it for: the shorter of the two ages counts",
)
def _mark_age(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, collateral in markets(parameters):
        if margin.mark_age > collateral.feed.max_age:
            values = time(margin.mark_age), time(collateral.feed.max_age)
            yield Misfit(
                market.symbol, values, f"the age of a mark to {time(collateral.feed.max_age)} or less"
            )


@rule(
    DOUBTFUL,
    "margin.quiet",
    "margin.mark_age",
    why="a booking raises what others lack: there is time to bring prices and to book that, too, with a "
    "second try",
)
def _quiet(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin in _once(parameters):
        if margin.quiet < 2 * margin.mark_age:
            values = time(margin.quiet), time(margin.mark_age)
            yield Misfit("", values, f"the quiet time to {time(2 * margin.mark_age)} or more")


@rule(
    DOUBTFUL,
    "margin.third_bond",
    "market.dust",
    why="whoever seizes, books or takes over a crumb is paid for it, and all three together get no more than "
    "the crumb is worth",
)
def _bond(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, _ in markets(parameters):
        if not 0 < 3 * margin.third_bond <= market.dust:
            values = coins(margin.third_bond), coins(market.dust)
            yield Misfit(market.symbol, values, "a third to 1 coin or more, a third of the dust or less")


@rule(
    REFUSED,
    "margin.bucket",
    "margin.buckets",
    "margin.window",
    why="profits that were withdrawn are there when a loss turns out late: they vest later than the open and "
    "the pending cycle may last, four windows each",
)
def _vesting_and_cycles(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin in _once(parameters):
        longest = LONGEST_WINDOWS * margin.window
        if margin.bucket * margin.buckets < longest:
            values = time(margin.bucket), str(margin.buckets), time(margin.window)
            least = div_up(longest, margin.buckets)
            yield Misfit("", values, f"the bucket to {time(least)} or more")


def _once(parameters: Parameters) -> Iterator[MarginParameters]:
    """Yield the terms of the margin market, if there is one."""
    if parameters.margin is not None:
        yield parameters.margin


RULES = (
    _marked_margin,
    _taker_fee,
    _self_made_pair,
    _fees_alike,
    _band,
    _mark_age,
    _quiet,
    _bond,
    _vesting_and_cycles,
)
