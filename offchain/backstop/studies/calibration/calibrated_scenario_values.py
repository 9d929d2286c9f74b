"""Scenario fields that a calibration writes: rounded figures, and the origin of each."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from backstop.simulation.scenario.deterministic_float import decompose_cholesky
from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.sources.calibration_results import CalibratedValues, MarketEstimate, PriceLaw
from backstop.simulation.sources.depth_reader import DepthQuotes
from backstop.simulation.sources.price_reader import format_utc_time
from backstop.studies.calibration.calibration_estimates import Calibration, PriceFigures
from backstop.studies.calibration.correlation import WORST
from backstop.studies.calibration.jackknife import Figure, round_figure
from backstop.studies.calibration.market_depth import (
    FALL_WINDOW,
    FALLS,
    LEAST_FALL,
    SNAPSHOTS,
    MarketFigures,
)
from backstop.studies.calibration.return_distributions import LEAST_DEGREES, MOST_DEGREES

_STEP = 0.02
_DAY = 86_400
_FEE = 5_000  # basis points that a scenario's fee has to stay under
_WEEK = 7 * _DAY


def build_calibrated_scenario_values(
    calibration: Calibration, block_seconds: int, is_cautious: bool, depth: DepthQuotes | None
) -> CalibratedValues:
    """Return the texts of scenario fields for a calibration, with the origin of each figure.

    `is_cautious` takes the end of each interval that makes losses larger.
    """
    laws = {each.symbol: _build_price_law(each, is_cautious) for each in calibration.prices}
    correlation, shrunk = _build_feasible_correlations_and_shrunk_flag(calibration, is_cautious)
    markets = {
        symbol: market
        for symbol, each in calibration.markets.items()
        if (market := _build_market(each, is_cautious, block_seconds)) is not None
    }
    facts = [
        (f"{symbol}: {line}", f"{calibration.name}: {calibration.moves_description}")
        for symbol, law in laws.items()
        for line in law.told
    ]
    for (one, other), pair in calibration.pairs.items():
        worst = f"worst twentieth of {calibration.days:,} moves of {format_duration_text(calibration.window)}"
        facts.append(
            (
                f"{one}/{other}: correlation {format_percent_interval(pair.usual)} by Kendall's tau; "
                f"{format_percent_interval(pair.crash)} in crashes: "
                f"{pair.shared} of {pair.worst} of the {worst} are both's",
                f"{calibration.name}: {calibration.moves_description}",
            )
        )
    file = "" if depth is None else depth.name
    facts += [(f"{symbol}: {line}", file) for symbol, market in markets.items() for line in market.told]
    assumptions = [
        *(() if depth is None else depth.told),
        "No price has a drift: a history says nothing of it.",
        "Moves of different blocks have nothing to do with each other: calm and wild spells are not drawn.",
        "Figures are the worse ends of their intervals of 95%."
        if is_cautious
        else "Figures are the most likely ones; their intervals are of 95%.",
    ]
    if shrunk:
        assumptions.append("Correlations are smaller than those of pairs, which fit no matrix together.")
    if calibration.law == "jumps" and any(each.every for each in calibration.prices):
        assumptions.append(
            f"Jumps are faster than {format_duration_text(calibration.step)}, and come in one block of "
            f"{format_duration_text(block_seconds)}."
        )
    elif calibration.law == "jumps":
        assumptions.append("Too few jumps were found to say how large they are: none are drawn.")
    return CalibratedValues(laws, correlation, markets, tuple(facts), tuple(assumptions))


def format_percent_interval(figure: Figure) -> str:
    """Return a share and its interval as text, for example `68.42% (61.2% to 76.5%)`."""
    return _format_interval(figure, lambda value: f"{100 * value:.4g}%")


def _format_interval(figure: Figure, text: object) -> str:
    assert callable(text)
    low, high = ("?" if end is None else text(end) for end in (figure.low, figure.high))
    return f"{text(figure.value)} ({low} to {high})"


def _choose_end(figure: Figure, end: str, cautious: bool) -> float:
    """Return the figure's value, or the named end (`low` or `high`) of its interval if `cautious`.

    The value is returned if that end is None.
    """
    found = getattr(figure, end) if cautious else None
    return figure.value if found is None else float(found)


def _build_price_law(price_figures: PriceFigures, cautious: bool) -> PriceLaw:
    by = "all moves, as too few jump"
    if price_figures.every or price_figures.degrees:
        by = f"{'normal moves and jumps' if price_figures.every else 'a t law'}, by maximum likelihood"
    told = [f"volatility {format_percent_interval(price_figures.volatility)} a year: {by}"]
    degrees, jumps = 0, ""
    if price_figures.degrees is not None:
        told.append(
            f"degrees {_format_interval(price_figures.degrees, '{:.4g}'.format)}: tails of a "
            "move, rounded down"
        )
        worse = _choose_end(price_figures.degrees, "low", cautious)
        degrees = max(LEAST_DEGREES, floor(worse))
        if worse >= 0.9 * MOST_DEGREES:
            degrees = 0  # normal
    if price_figures.every is not None:
        assert price_figures.mean is not None and price_figures.deviation is not None
        told.append(
            f"jumps every {_format_interval(price_figures.every, _format_time)}, "
            f"mean {format_percent_interval(price_figures.mean)}, deviation "
            f"{format_percent_interval(price_figures.deviation)}, in logarithms"
        )
        every = max(60, round(_choose_end(price_figures.every, "low", cautious)) // 60 * 60)
        mean, spread = (
            _choose_end(price_figures.mean, "low", cautious),
            _choose_end(price_figures.deviation, "high", cautious),
        )
        cause = f", cause: {price_figures.group}" if price_figures.group != price_figures.symbol else ""
        shape = f"mean: {_format_share(mean)}%, deviation: {_format_share(spread)}%"
        jumps = f"{{every: {format_duration_text(every)}, {shape}{cause}}}"
    return PriceLaw(
        f"{_format_share(_choose_end(price_figures.volatility, 'high', cautious))}% a year",
        degrees,
        jumps,
        tuple(told),
    )


def _format_time(seconds: float) -> str:
    """Return a number of seconds as text in the largest unit of which it has at least one."""
    for unit, length in (("d", _DAY), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:.4g} s"


def _format_share(share: float) -> str:
    """Return a share as per cent, with four significant digits and at most seven decimals."""
    return f"{round(100 * round_figure(share), 7):.7f}".rstrip("0").rstrip(".") or "0"


def _build_feasible_correlations_and_shrunk_flag(
    calibration: Calibration, cautious: bool
) -> tuple[Mapping[str, str], bool]:
    """Return the correlations as texts by pair, and whether they were reduced to fit one matrix.

    Cautious correlations go from the usual ones towards the worse ones as far as a matrix allows. Usual
    correlations are scaled down if they fit no matrix.
    """
    symbols = [each.symbol for each in calibration.prices]
    usual = {pair: each.usual.value for pair, each in calibration.pairs.items()}
    worse = {
        pair: max(_choose_end(each.usual, "high", True), each.crash.value) if cautious else each.usual.value
        for pair, each in calibration.pairs.items()
    }
    values, part = worse, 1.0
    while part > 0 and not _is_positive_definite(symbols, values):
        part -= _STEP
        values = {pair: value + max(0.0, part) * (worse[pair] - value) for pair, value in usual.items()}
    while not _is_positive_definite(symbols, values):
        values = {pair: (1 - _STEP) * value for pair, value in values.items()}
    texts = {f"{one}/{other}": f"{_format_share(value)}%" for (one, other), value in values.items()}
    return texts, values != worse


def _is_positive_definite(symbols: list[str], values: Mapping[tuple[str, str], float]) -> bool:
    """Return whether the correlations form a positive definite matrix.

    A small allowance is made for rounding.
    """
    rows = [[float(one == other) for other in symbols] for one in symbols]
    for (one, other), value in values.items():
        i, j = symbols.index(one), symbols.index(other)
        rows[i][j] = rows[j][i] = value * 1.0001
    try:
        decompose_cholesky(rows)
    except ValueError:
        return False
    return True


def _build_market(found: MarketFigures, cautious: bool, block_seconds: int) -> MarketEstimate | None:
    if found.depth is None:
        return None
    told = [
        f"depth {_format_interval(found.depth, _format_whole_dollars)}: "
        f"markets that lose as much as {found.quotes:,} quotes of "
        f"{found.venues} venues say"
    ]
    depth = _choose_end(found.depth, "low", cautious)
    if found.lowest is not None:
        told.append(f"one snapshot in {WORST} has a depth under {_format_whole_dollars(found.lowest)}")
        depth = min(depth, found.lowest) if cautious else depth
    fee = ""
    if found.fee is not None:
        fee = f"{min(_FEE, round(10_000 * _choose_end(found.fee, 'high', cautious)))} bps"
    recovery = 0
    if found.recovery is not None:
        told.append(f"a hole shrinks to 37% in {_format_interval(found.recovery, _format_time)}")
        recovery = min(_WEEK, max(1, round(_choose_end(found.recovery, "high", cautious))))
    told.append(_describe_depth_after_falls(found))
    left = found.left_after_falls
    after_fall = ""
    if left is not None and left.high is not None and left.high < 1 and block_seconds <= FALL_WINDOW:
        fall = f"{_format_share(floor(10_000 * found.mean_fall) / 10_000)}%"
        part = max(1, floor(10_000 * _choose_end(left, "low", cautious)))
        after_fall = f"{{within: 1 h, fall: {fall}, depth: {_format_share(part / 10_000)}%}}"
    return MarketEstimate(max(1, round(round_figure(depth))), fee, recovery, after_fall, tuple(told))


def _describe_depth_after_falls(found: MarketFigures) -> str:
    """Return a sentence on the share of depth that a market keeps after price drops.

    If that share is unknown, the sentence says why.
    """
    of = f"{found.fall_snapshots:,} snapshots after falls of {100 * LEAST_FALL:.4g}% or more within 1 h"
    left = found.left_after_falls
    if left is None:
        return f"what falls leave of the depth cannot be measured: {of}, and {SNAPSHOTS} are needed"
    if left.low is None:
        return f"what falls leave of the depth has no interval: {of} are of fewer than {FALLS} falls"
    change = "" if left.high is not None and left.high < 1 else ", which may be no change: not written"
    return f"{format_percent_interval(left)} of the depth is left in {of}{change}"


def _format_whole_dollars(value: float) -> str:
    return f"{value:,.0f}"


__all__ = ["build_calibrated_scenario_values", "format_percent_interval", "format_utc_time"]
