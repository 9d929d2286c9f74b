"""One path of a scenario's random elements: drawn from a seed and a number, the same in every engine.

A path depends on nothing but the study's seed and its number: the process that draws it, the number of other
paths and their order do not matter. Each random element has a stream of its own: changing one leaves the
others as they were. Floats are used to draw, integers come out. Operations on floats are the same on every
processor, and prices have nine digits. The last bit of a normal number far out, which is numpy's and the C
library's, hardly ever shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from math import sqrt

import numpy as np
import numpy.typing as npt

from backstop.keepers.keeper_group_settings import Outage, RandomOutages, StepSeries
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.model.bounds import MAX_PRICE
from backstop.randomness import derive_path_seed
from backstop.simulation.scenario.deterministic_float import (
    Floats,
    compute_natural_log,
    decompose_cholesky,
    exp,
    sum_weighted_rows,
)
from backstop.simulation.scenario.price_refinement import (
    draw_bridge_noise,
    get_price_interval,
    insert_moves,
)
from backstop.simulation.scenario.scenario_random_processes import (
    BILLIONTH,
    FeedFault,
    PriceCrash,
    PriceModel,
    build_correlation_matrix,
)
from backstop.simulation.scenario.scenario_records import PricePath, Scenario, TypeAssets
from backstop.simulation.scenario.vault_books import build_vault_book

EQUITY = "equity"
"""The name of the price of equity, among collateral types named by their symbols."""

YEAR = 365 * 86_400
HOUR = 3_600
DIGITS = 9
# A crash leaves something.
_DEEPEST = 0.999

Ticks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TickPrices:
    """Price at each block as a number of ticks, and the size of a tick [ray]."""

    ticks: Ticks
    tick: int


@dataclass(frozen=True)
class PathDraw:
    """Random outcomes of one path of a study; times are seconds from the scenario's start."""

    prices: Mapping[str, TickPrices]
    sources: Mapping[str, TickPrices]  # what reporters see, where that is not the market
    equity: TickPrices | None
    outages: Mapping[str, tuple[Outage, ...]]  # by keepers' group, those of the file as well
    runs: Mapping[str, int]  # by group of members
    gas_prices: StepSeries
    gas_share: StepSeries
    owner_key: int = 0  # of the owners' draws


def draw_scenario(scenario: Scenario, seed: int, path: int | None = None) -> Scenario:
    """Return the scenario of one path of a study, with all random elements replaced by fixed outcomes.

    The seed still decides the vault book and reporters' errors. Without a path number, a scenario without
    random elements is returned unchanged, and any other gives path 0.
    """
    if path is None and not scenario.has_random_draws:
        return scenario
    return apply_draw(scenario, draw_path_outcomes(scenario, seed, path or 0), seed)


def apply_draw(scenario: Scenario, chosen: PathDraw, seed: int) -> Scenario:
    """Return the scenario with its random elements replaced by the outcomes of a path."""
    times = range(0, scenario.duration + 1, scenario.block_time)

    def build_fixed_path(found: TickPrices) -> PricePath:
        return PricePath(dict(zip(times, convert_ticks_to_rays(found), strict=True)), frozenset(), 0)

    prices = {symbol: build_fixed_path(found) for symbol, found in chosen.prices.items()}
    keepers = tuple(
        replace(
            group,
            fails=None,
            runs=0,
            outages=chosen.outages[group.name],
            leaves_from=scenario.start + chosen.runs[group.name] if group.name in chosen.runs else None,
        )
        for group in scenario.keepers
    )
    return replace(
        set_depths_from_debts(scenario, seed),
        prices=prices,
        feed_prices={symbol: build_fixed_path(found) for symbol, found in chosen.sources.items()},
        equity_price=None if chosen.equity is None else build_fixed_path(chosen.equity),
        keepers=keepers,
        gas_prices=chosen.gas_prices,
        gas_share=chosen.gas_share,
        spike=None,
        faults={},
        shifts={},
        correlation={},
        asset_prices={},
        price_interval=0,
        owner_key=chosen.owner_key,
    )


def set_depths_from_debts(scenario: Scenario, seed: int) -> Scenario:
    """Return the scenario with market depths that are defined by debt computed from the vault book."""
    if not any(market.debt_to_depth for market in scenario.markets.values()):
        return scenario
    opening = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    debts = dict.fromkeys(scenario.symbols, 0)
    for vault in build_vault_book(scenario, seed, opening):
        debts[vault.symbol] += vault.debt
    return scale_market_depths(scenario, debts)


def scale_market_depths(scenario: Scenario, debts: Mapping[str, int]) -> Scenario:
    """Return the scenario with the depth of each market defined by debt set from these debts [wad].

    Depths given as amounts stay unchanged.
    """
    markets = {
        symbol: replace(
            market, depth=max(1, debts[symbol] * BASIS_POINTS // market.debt_to_depth), debt_to_depth=0
        )
        if market.debt_to_depth
        else market
        for symbol, market in scenario.markets.items()
    }
    return replace(scenario, markets=markets)


def draw_path_outcomes(scenario: Scenario, seed: int, path: int) -> PathDraw:
    """Draw the random outcomes of path number `path` of a study."""
    return draw_outcomes_from_streams(scenario, RandomStreams(derive_path_seed(seed, path)))


def draw_outcomes_from_streams(scenario: Scenario, streams: RandomStreams) -> PathDraw:
    """Draw the random outcomes of one path from named random streams."""
    prices = _draw_prices(scenario, streams)
    equity = prices.pop(EQUITY, None)
    duration = scenario.duration
    sources = {
        symbol: _draw_brownian_bridge_prices(
            path, scenario, streams.get_labelled_stream("bridge of the feed", symbol)
        )
        for symbol, path in scenario.feed_prices.items()
    }
    for symbol, faults in scenario.faults.items():
        seen = sources.get(symbol, prices[symbol])
        for fault in faults:
            seen = _apply_fault(
                seen, fault, scenario, streams.get_labelled_stream("fault", symbol, fault.kind)
            )
        # Faults end with the scenario's time: prices stand still from there on.
        seen.ticks[-1] = sources.get(symbol, prices[symbol]).ticks[-1]
        sources[symbol] = seen
    outages, runs = {}, {}
    for group in scenario.keepers:
        outages[group.name] = group.outages
        if group.fails is not None:
            stream = streams.get_labelled_stream("outages", group.fails.cause or group.name)
            outages[group.name] += _draw_random_outages(group.fails, duration, stream)
        if group.runs:
            at = int(streams.get_labelled_stream("run", group.name).exponential(group.runs))
            if at <= duration:
                runs[group.name] = at
    gas_prices, gas_share = scenario.gas_prices, scenario.gas_share
    if scenario.spike is not None:
        spans = _draw_random_outages(
            scenario.spike.spells, duration, streams.get_labelled_stream("gas", scenario.spike.spells.cause)
        )
        gas_prices = scale_step_series(gas_prices, scenario.spike.factor, spans)
        gas_share = scale_step_series(gas_share, scenario.spike.share, spans)
    key = 0 if scenario.owners is None else int(streams.get_labelled_stream("owners").integers(1, 2**63))
    return PathDraw(prices, sources, equity, outages, runs, gas_prices, gas_share, key)


def convert_ticks_to_rays(tick_prices: TickPrices) -> list[int]:
    """Return the price at each block [ray]."""
    return [ticks * tick_prices.tick for ticks in tick_prices.ticks.tolist()]


class RandomStreams:
    """Independent random streams by label: a Philox generator keyed by the hash of seed and labels.

    All streams share one generator, so a stream must be used up before the next is requested.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._bits = np.random.Philox(key=0)
        self._numbers = np.random.Generator(self._bits)
        self._state = self._bits.state

    def get_labelled_stream(self, *labels: str | int) -> np.random.Generator:
        """Return the stream with these labels, reset to its beginning."""
        name = "/".join(str(part) for part in (self._seed, *labels)).encode()
        self._state["state"]["key"] = np.frombuffer(sha256(name).digest()[:16], dtype="<u8")
        self._bits.state = self._state
        return self._numbers


# ----------------------------------------------------------------------- prices


def _draw_prices(scenario: Scenario, streams: RandomStreams) -> dict[str, TickPrices]:
    """Draw all market prices with their correlation, including equity's if equity is deployed."""
    paths = dict(scenario.asset_prices or scenario.prices)
    if scenario.equity_price is not None and scenario.parameters.equity is not None:
        paths[EQUITY] = scenario.equity_price
    modelled = {symbol: path.model for symbol, path in paths.items() if path.model is not None}
    moves = _draw_log_moves_by_block(modelled, scenario, streams) if modelled else {}
    found: dict[str, TickPrices] = {}
    for symbol, path in paths.items():
        if symbol in moves:
            found[symbol] = _round_prices_to_ticks(path.points[0] / RAY * exp(moves[symbol]), path.points[0])
        else:
            found[symbol] = _draw_brownian_bridge_prices(
                path, scenario, streams.get_labelled_stream("bridge", symbol)
            )
    for name, shift in scenario.shifts.items():
        found[name] = _shift_prices_after_first(found[name], shift)
    if not scenario.asset_prices:
        return found
    types = {symbol: _draw_type_price(assets, found) for symbol, assets in scenario.assets.items()}
    return types | ({EQUITY: found[EQUITY]} if EQUITY in found else {})


def _draw_type_price(assets: TypeAssets, found: Mapping[str, TickPrices]) -> TickPrices:
    """Return a type's price: its collateral's, divided by the relative rise of its debt asset."""
    one = found[assets.collateral]
    if not assets.debt:
        return one
    other = found[assets.debt]
    rise = other.ticks / other.ticks[0]
    return TickPrices(np.maximum(1, np.rint(one.ticks / rise)).astype(np.int64), one.tick)


def _shift_prices_after_first(prices: TickPrices, basis_points: int) -> TickPrices:
    """Shift all prices by basis points except the first, at which the book is opened."""
    ticks = prices.ticks.copy()
    whole, rest = np.divmod(ticks[1:], BASIS_POINTS)  # a product of the whole might not fit
    factor = BASIS_POINTS + basis_points
    ticks[1:] = np.maximum(1, whole * factor + rest * factor // BASIS_POINTS)
    return TickPrices(ticks, prices.tick)


def _round_prices_to_ticks(prices: Floats, first_price: int) -> TickPrices:
    """Round float prices to ticks so that the first price has nine digits, within the feed's bounds."""
    tick = 10 ** max(0, len(str(first_price)) - DIGITS)
    most = min(MAX_PRICE // tick, 2**62)
    return TickPrices(np.clip(np.rint(prices * (RAY / tick)), 1, most).astype(np.int64), tick)


def _draw_log_moves_by_block(
    models: Mapping[str, PriceModel], scenario: Scenario, streams: RandomStreams
) -> dict[str, Floats]:
    """Return the logarithmic price change since the start at each block, by symbol.

    If the model's interval is longer than a block, prices in between are drawn separately, so that prices at
    the interval stay the same.
    """
    interval, parts = get_price_interval(scenario)
    blocks, years = scenario.duration // interval, interval / YEAR
    symbols = list(models)
    independent = [streams.get_labelled_stream("price", symbol).standard_normal(blocks) for symbol in symbols]
    factor = _compute_cholesky_factor(tuple(symbols), tuple(scenario.correlation.items()))
    # Coins with the same tails have their bad moments together, as in a multivariate t.
    tails = {
        degrees: _draw_tail_factors(degrees, blocks, streams)
        for degrees in {each.degrees for each in models.values()}
    }
    crash_at, crash_depth = (
        streams.get_labelled_stream("crash").random(),
        streams.get_labelled_stream("depth").standard_normal(),
    )
    between = [
        draw_bridge_noise(blocks, parts, streams.get_labelled_stream("between", each)) for each in symbols
    ]
    found = {}
    for i, (symbol, model) in enumerate(models.items()):
        # Added one after the other: a product of matrices adds in an order of its processor's.
        shocks = sum_weighted_rows(factor[i], independent[: i + 1]) * tails[model.degrees]
        moved, jumps = np.zeros(blocks + 1), np.zeros(blocks)
        volatility = model.volatility / BILLIONTH
        drift = (model.drift / BILLIONTH - volatility * volatility / 2) * years
        deviations: Floats | float = volatility * sqrt(years)
        if model.kind == "bootstrap":
            steps = _resample_past_moves(
                model, blocks, streams.get_labelled_stream("rows", model.source, model.run)
            )
        elif model.kind == "garch":
            deviations = _compute_garch_deviations(model, shocks, volatility * volatility * years)
            steps = deviations * shocks + drift
        else:
            steps = drift + deviations * shocks
        if model.jumps is not None:
            cause = model.jumps.cause
            stream = (
                streams.get_labelled_stream("jumps of", cause)
                if cause
                else streams.get_labelled_stream("jumps", symbol)
            )
            count = stream.poisson(interval / model.jumps.every, blocks)
            spread = model.jumps.deviation * np.sqrt(count) * stream.standard_normal(blocks)
            jumps = (model.jumps.mean * count + spread) / BILLIONTH
            steps = steps + jumps
        if model.kind == "peg":
            _accumulate_mean_reverting_moves(
                steps, exp(compute_natural_log(0.5) * (interval / model.reversion)), moved
            )
        else:
            np.cumsum(steps, out=moved[1:])
        if parts > 1 and model.kind == "bootstrap":  # a price of the past holds till the next
            places = np.zeros(blocks, dtype=np.int64)
            moved = insert_moves(moved, np.diff(moved), places, np.zeros((blocks, parts)))
        elif parts > 1:
            of = symbol if model.jumps is None else model.jumps.cause or symbol
            places = streams.get_labelled_stream("place of jumps", of).integers(0, parts, blocks)
            noise = sum_weighted_rows(factor[i], between[: i + 1])
            scale = np.broadcast_to(deviations * tails[model.degrees], blocks)[:, None]
            moved = insert_moves(moved, jumps, places, scale * noise)
        if model.crash is not None:
            moved += _compute_crash_moves(model.crash, crash_at, crash_depth, scenario)
        found[symbol] = moved
    return found


def _draw_tail_factors(degrees: int, blocks: int, streams: RandomStreams) -> Floats | float:
    """Draw factors that turn normal numbers into Student t numbers with variance 1.

    With 0 degrees of freedom the factor is 1.
    """
    if degrees == 0:
        return 1.0
    mixing: Floats = streams.get_labelled_stream("tails", degrees).standard_gamma(degrees / 2, blocks)
    return np.sqrt((degrees - 2) / (2 * mixing))


@cache
def _compute_cholesky_factor(
    symbols: tuple[str, ...], pairs: tuple[tuple[tuple[str, str], int], ...]
) -> list[list[float]]:
    """Return the rows of the Cholesky factor of the symbols' correlation matrix."""
    return decompose_cholesky(build_correlation_matrix(symbols, dict(pairs)))


def _compute_garch_deviations(model: PriceModel, shocks: Floats, long_run: float) -> Floats:
    """Return the standard deviation of each move in a GARCH(1,1) model.

    The variance starts at its long-run value.
    """
    alpha, beta = model.alpha / BILLIONTH, model.beta / BILLIONTH
    base, variance = (1 - alpha - beta) * long_run, long_run
    found = np.empty(len(shocks))
    for i, shock in enumerate(shocks.tolist()):
        found[i] = sqrt(variance)
        move = found[i] * shock
        variance = base + alpha * move * move + beta * variance
    return found


def _accumulate_mean_reverting_moves(steps: Floats, kept_share: float, moves: Floats) -> None:
    """Sum steps into `moves`, where only `kept_share` of the sum is kept at each step."""
    at = 0.0
    for i, step in enumerate(steps.tolist()):
        at = at * kept_share + step
        moves[i + 1] = at


def _resample_past_moves(model: PriceModel, blocks: int, stream: np.random.Generator) -> Floats:
    """Draw historical moves by block bootstrap: runs that start anywhere and wrap around at the end."""
    count = len(model.returns)
    begins = stream.integers(0, count, -(-blocks // model.run))
    rows = (begins[:, None] + np.arange(model.run)[None, :]).ravel()[:blocks] % count
    moves: Floats = model.return_array[rows]
    return moves


def _compute_crash_moves(crash: PriceCrash, at: float, depth: float, scenario: Scenario) -> Floats:
    """Return the logarithmic moves that a crash adds at each block: a sudden fall and its recovery."""
    first = 1 + int(at * scenario.blocks)
    fall = min(max((crash.fall + crash.deviation * depth) / BILLIONTH, 0.0), _DEEPEST)
    left = np.zeros(scenario.blocks + 1)
    left[first:] = 1
    if crash.recovery:
        since = np.arange(scenario.blocks + 1 - first) * scenario.block_time
        left[first:] = np.maximum(0, 1 - since / crash.recovery)
    return left * compute_natural_log(1 - fall)


# ---------------------------------------------------------------------- bridges


def _draw_brownian_bridge_prices(
    path: PricePath, scenario: Scenario, stream: np.random.Generator
) -> TickPrices:
    """Draw prices as a Brownian bridge between a path's given points, as `price_path` does.

    Prices stay within the range of the points, and local lows and highs stay.
    """
    interval, parts = get_price_interval(scenario)
    points = tuple(sorted((at // interval, value) for at, value in path.points.items()))
    levels, lowest, highest = _build_brownian_bridge_midpoints(points, interval)
    prices = np.zeros(points[-1][0] + 1)
    for at, given in points:
        prices[at] = given / RAY
    volatility = path.volatility / BASIS_POINTS
    for left, middle, right, weight, spread in levels:
        mean = prices[left] * weight + prices[right] * (1 - weight)
        value = mean * (1 + volatility * spread * stream.standard_normal(len(middle)))
        value = np.where(value < lowest[middle], 2 * lowest[middle] - value, value)
        value = np.where(value > highest[middle], 2 * highest[middle] - value, value)
        prices[middle] = np.clip(value, lowest[middle], highest[middle])
    if parts > 1:
        noise = draw_bridge_noise(len(prices) - 1, parts, stream) * (volatility * sqrt(interval / HOUR))
        nothing = np.zeros(len(prices) - 1)
        finer = insert_moves(prices, nothing, nothing.astype(np.int64), noise * prices[:-1, None])
        points = tuple((at * parts, value) for at, value in points)
        _, lowest, highest = _build_brownian_bridge_midpoints(points, scenario.block_time)
        finer = np.clip(finer, lowest, highest)
        finer[::parts] = prices
        prices = finer
    return _round_prices_to_ticks(prices[: scenario.blocks + 1], points[0][1])


_Level = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, Floats]


@cache
def _build_brownian_bridge_midpoints(
    points: tuple[tuple[int, int], ...], block_time: int
) -> tuple[list[_Level], Floats, Floats]:
    """Return the midpoints of all spans by level of subdivision, and the price bounds of each block."""
    blocks, values = [at for at, _ in points], [value / RAY for _, value in points]
    lowest, highest = np.full(blocks[-1] + 1, min(values)), np.full(blocks[-1] + 1, max(values))
    spans = []
    for i in range(len(points) - 1):
        for turn in (i, i + 1):
            around = values[max(0, turn - 1) : turn] + values[turn + 1 : turn + 2]
            inside = slice(blocks[i] + 1, blocks[i + 1])
            if values[turn] <= min(around):
                lowest[inside] = np.maximum(lowest[inside], values[turn])
            if values[turn] >= max(around):
                highest[inside] = np.minimum(highest[inside], values[turn])
        spans.append((blocks[i], blocks[i + 1]))
    levels = []
    while spans := [(left, right) for left, right in spans if right - left > 1]:
        begins, ends = np.array(spans, dtype=np.int64).T
        middles = (begins + ends) // 2
        weight = (ends - middles) / (ends - begins)
        spread = np.sqrt((middles - begins) * weight * block_time / HOUR)
        levels.append((begins, middles, ends, weight, spread))
        halves = zip(begins.tolist(), middles.tolist(), ends.tolist(), strict=True)
        spans = [span for a, b, c in halves for span in ((a, b), (b, c))]
    return levels, lowest, highest


# ----------------------------------------------------------------------- spells


def _draw_random_outages(
    outage_model: RandomOutages, duration: int, stream: np.random.Generator
) -> tuple[Outage, ...]:
    """Draw outages that start as a Poisson process with exponential lengths, in whole seconds."""
    found, at = [], 0.0
    while (at := at + stream.exponential(outage_model.every)) <= duration:
        found.append(Outage(int(at), int(at + stream.exponential(outage_model.lasts)) + 1))
    return tuple(found)


def scale_step_series(series: StepSeries, factor: int, spans: tuple[Outage, ...]) -> StepSeries:
    """Return the series with its values multiplied by `factor` [basis points] within the spans."""
    times = {*series.times, *(span.start for span in spans), *(span.end for span in spans)}
    values = {}
    for time in sorted(times):
        within = any(span.start <= time < span.end for span in spans)
        values[time] = series.get_value(time) * (factor if within else BASIS_POINTS) // BASIS_POINTS
    return StepSeries(tuple(values), tuple(values.values()))


def _apply_fault(
    prices: TickPrices, fault: FeedFault, scenario: Scenario, stream: np.random.Generator
) -> TickPrices:
    """Return prices with a feed fault applied in random spans: stuck, delayed or wrong prices."""
    found, block_time = prices, scenario.block_time
    for span in _draw_random_outages(fault.spells, scenario.duration, stream):
        if fault.kind == "stuck":
            found = repeat_last_price(found, prices, span, block_time)
            continue
        ticks, (first, last) = found.ticks.copy(), get_block_range(span, block_time, len(found.ticks))
        if fault.kind == "delayed":
            ticks[first:last] = prices.ticks[np.maximum(0, np.arange(first, last) - fault.by // block_time)]
        else:
            off = fault.by if stream.random() < 0.5 else -fault.by
            ticks[first:last] = np.maximum(1, prices.ticks[first:last] * (BASIS_POINTS + off) // BASIS_POINTS)
        found = TickPrices(ticks, prices.tick)
    return found


def repeat_last_price(seen: TickPrices, prices: TickPrices, span: Outage, block_time: int) -> TickPrices:
    """Return `seen` with the last price before a span repeated throughout the span."""
    ticks, (first, last) = seen.ticks.copy(), get_block_range(span, block_time, len(seen.ticks))
    ticks[first:last] = prices.ticks[max(0, first - 1)]
    return TickPrices(ticks, prices.tick)


def get_block_range(span: Outage, block_time: int, blocks: int) -> tuple[int, int]:
    """Return the half-open range of blocks inside a span, without the first block of the run."""
    return max(1, -(-span.start // block_time)), min(-(-span.end // block_time), blocks)
