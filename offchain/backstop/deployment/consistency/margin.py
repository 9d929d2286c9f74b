"""Rules of the margin market: margins and freezes against the feed, lots, dust, insurance, vesting."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.consistency.rule import (
    DOUBTFUL,
    LOW_PRICE,
    MOVE,
    MOVE_TIME,
    REFUSED,
    Misfit,
    Prices,
    percent,
    reached,
    rule,
    time,
)
from backstop.deployment.contracts import DELEVERAGERS
from backstop.deployment.parameters import (
    CollateralParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
)
from backstop.model.arithmetic import RAY, div_up

LEAST_LOT_PRICE = 10_000
"""Wei: a price is rounded down to whole wei a lot, which is a basis point at most then."""

Market = tuple[MarginParameters, PerpetualParameters, CollateralParameters]


def markets(parameters: Parameters) -> Iterator[Market]:
    """Yield the perpetual markets, with the type whose price counts."""
    if parameters.margin is not None:
        types = {each.symbol: each for each in parameters.collateral_types}
        for market in parameters.margin.markets:
            yield parameters.margin, market, types[market.symbol]


def deleveraged(parameters: Parameters) -> Iterator[Market]:
    """Yield the perpetual markets of a deployment that freezes them to deleverage."""
    return (each for each in markets(parameters) if each[0].policy in DELEVERAGERS)


@rule(
    DOUBTFUL,
    "market.maintenance",
    "feed.step",
    why="the maintenance margin covers what a price moves in the two steps until it counts, at 10% in a "
    "bad hour and with the square root of time: beyond it an account owes more than it has before "
    "anybody may act",
)
def _maintenance(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for _, market, collateral in deleveraged(parameters):
        step = collateral.feed.step
        if market.maintenance < reached(2 * step):
            values = percent(market.maintenance), time(step)
            most = market.maintenance**2 * MOVE_TIME // (MOVE * MOVE * 2)
            shorter = f", or the step to {time(most)} or less" if most else ""
            yield Misfit(
                market.symbol, values, f"the margin to {percent(reached(2 * step))} or more{shorter}"
            )


@rule(
    DOUBTFUL,
    "market.initial",
    "market.maintenance",
    "feed.step",
    why="an account that was opened a moment ago survives an ordinary step, a tenth of a bad one",
)
def _initial_margin(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for _, market, collateral in deleveraged(parameters):
        least = market.maintenance + div_up(reached(collateral.feed.step), 10)
        if market.initial < least:
            values = percent(market.initial), percent(market.maintenance), time(collateral.feed.step)
            yield Misfit(market.symbol, values, f"the initial margin to {percent(least)} or more")


@rule(
    DOUBTFUL,
    "market.max_funding",
    "market.maintenance",
    why="eight hours of the highest funding take less than the maintenance margin",
)
def _funding(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for _, market, _ in markets(parameters):
        if market.max_funding >= market.maintenance:
            values = percent(market.max_funding), percent(market.maintenance)
            yield Misfit(market.symbol, values, f"the funding to less than {percent(market.maintenance)}")


@rule(
    REFUSED,
    "market.lot",
    "price",
    why="a lot's price is whole wei, and rounding it is a basis point at most, at a hundredth of the "
    "scenario's price or at a hundredth of a coin for a token",
)
def _lot(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for _, market, _ in markets(parameters):
        low = prices[market.symbol] // 100 if market.symbol in prices else LOW_PRICE
        if market.lot * low < LEAST_LOT_PRICE * RAY:
            least = div_up(LEAST_LOT_PRICE * RAY, max(1, low))
            values = f"{market.lot} wei", f"{low / RAY:g}"
            yield Misfit(market.symbol, values, f"the lot to {least} wei or more")


@rule(
    DOUBTFUL,
    "market.dust",
    "margin.freeze_time",
    why="a crumb that nobody takes over does not freeze a market: a rest under the dust goes with the "
    "last lots",
)
def _dust(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, _ in deleveraged(parameters):
        if market.dust == 0:
            yield Misfit(market.symbol, ("0 coins", time(margin.freeze_time)), "the dust to 1 coin or more")


@rule(
    DOUBTFUL,
    "margin.freeze_time",
    "feed.stale_after",
    why="a freeze ends before the feed would call its price stale: nothing else is liquidated in the "
    "market until then",
)
def _freeze_time(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, collateral in deleveraged(parameters):
        if margin.freeze_time > collateral.feed.stale_after:
            values = time(margin.freeze_time), time(collateral.feed.stale_after)
            yield Misfit(market.symbol, values, f"the freeze to {time(collateral.feed.stale_after)} or less")


@rule(
    REFUSED,
    "margin.bucket",
    "margin.buckets",
    "feed.step",
    why="profits that were withdrawn are there when the loss is seen that they came from: they vest later "
    "than the two steps in which a price comes to count",
)
def _vesting_of_profits(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    for margin, market, collateral in deleveraged(parameters):
        if margin.bucket * margin.buckets < 2 * collateral.feed.step:
            values = time(margin.bucket), str(margin.buckets), time(collateral.feed.step)
            least = div_up(2 * collateral.feed.step, margin.buckets)
            yield Misfit(market.symbol, values, f"the bucket to {time(least)} or more")


@rule(
    DOUBTFUL,
    "margin.income_share",
    "margin.insurance_target",
    "margin.cap",
    "equity",
    why="a share of the surplus that insures the market has a treasury that pays it, a target to fill, "
    "and may be spent",
)
def _insurance(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    margin = parameters.margin
    if margin is None or not margin.income_share:
        return
    equity = parameters.equity
    if equity is None or not margin.insurance_target or not margin.cap:
        values = (
            percent(margin.income_share),
            str(margin.insurance_target),
            str(margin.cap),
            "none" if equity is None else "there",
        )
        yield Misfit("", values, "the share to 0, or target and cap above it, with equity")


RULES = (_maintenance, _initial_margin, _funding, _lot, _dust, _freeze_time, _vesting_of_profits, _insurance)
