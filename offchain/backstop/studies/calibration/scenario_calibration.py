"""Calibration: volatility, jumps, tails, correlation and depth of a history, each with its interval.

`Calibration.measured` has the values that a scenario's file takes from it; docs/how-to/calibration.md gives
the estimator of each figure and the share of cases in which its interval holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log1p, sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from backstop.errors import BackstopError
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.deterministic_float import Floats
from backstop.simulation.scenario.scenario_records import TypeAssets
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.calibration_results import CalibratedValues
from backstop.simulation.sources.depth_reader import DepthQuotes
from backstop.simulation.sources.price_reader import PriceHistory
from backstop.studies.calibration.calibrated_scenario_values import build_calibrated_scenario_values
from backstop.studies.calibration.calibration_estimates import Calibration, PriceFigures
from backstop.studies.calibration.correlation import WORST, measure_correlation
from backstop.studies.calibration.jackknife import (
    Figure,
    compute_figure_with_jackknife_interval,
    cut_jackknife_stretches,
    drop_stretch,
)
from backstop.studies.calibration.log_returns import LEAST, LogReturns, build_log_returns
from backstop.studies.calibration.market_depth import measure_market
from backstop.studies.calibration.return_distributions import (
    LEAST_DEGREES,
    MOST_DEGREES,
    JumpDiffusion,
    StudentTails,
    compute_deviations_around_zero,
    compute_mean_standardised_moves,
    estimate_move_jump_probabilities,
    fit_jumps,
    fit_student_t,
)

if TYPE_CHECKING:
    pass

YEAR = 365 * 86_400
BLOCK = 60
LAWS = ("tails", "jumps")

COMPANY = 0.5
"""Correlation with the first of a group from which on a price has its extremes together with it."""


def calibrate(
    book: VaultBook,
    prices: PriceHistory,
    depth: DepthQuotes | None = None,
    *,
    law: str | None = None,
    block_time: str | None = None,
    cautious: bool = False,
) -> Calibration:
    """Measure volatility, tails or jumps, correlation and market depth from histories.

    docs/how-to/calibration.md explains each estimator.

    - `book`: vaults; their types with debt decide which assets are measured.
    - `prices`: history of prices.
    - `depth`: quotes of markets. Without it no depth is measured.
    - `law`: "tails" (Student's t, with the same degrees in each block) or "jumps" (Merton's). By default
      "jumps" if prices are further apart than blocks, as tails of long returns are not those of blocks.
    - `block_time`: length of a block, for example "12 s". By default the distance of prices, at most 60
      s.
    - `cautious`: whether scenario fields take the end of each interval that makes losses larger, the
      higher of the usual and the crash correlation, and low depths.

    The result has these fields:

    - `name`, `law`, `step`: name of the history, chosen law, and length of a return in seconds.
    - `moves`, `left_out`, `days`: numbers of returns, of returns left out at gaps, and of daily returns.
    - `first`, `last`: period in seconds since the Unix epoch. `window`: length in seconds of the returns
      that crash correlations use.
    - `prices`, `pairs`, `markets`: figures of each price, each pair of prices and each market, with 95%
      intervals. `to_frame()` returns all figures as one table.
    - `measured`: values of scenario fields, with their origin, for `write_scenario`.

    Raises BackstopError for an unknown law, and if the history is too short.
    """
    if law is not None and law not in LAWS:
        raise BackstopError(f"law: {law!r} is not one of: {', '.join(LAWS)}")
    chosen = prices.select_assets(find_priced_assets(book))
    symbols = chosen.symbols
    block = _parse_block_time(block_time, chosen.every)
    step = max(block, chosen.every)
    moves = build_log_returns(chosen, symbols, step)
    law = law or ("jumps" if block < step else "tails")
    days = moves.aggregate_days()
    if len(days.table) < LEAST:
        days = moves
    groups = _group_by_correlation(moves)
    found = {
        each.symbol: each for group in groups for each in _estimate_group_price_figures(moves, group, law)
    }
    calm = _flag_moves_without_jumps(moves, groups, law)
    pairs = {
        (one, other): measure_correlation(
            (moves.get_returns(one)[calm], moves.get_returns(other)[calm]),
            (days.get_returns(one), days.get_returns(other)),
        )
        for one, other in combinations(symbols, 2)
        if moves.get_returns(one).any() and moves.get_returns(other).any()
    }
    collaterals = {each.collateral for each in find_priced_assets(book)}
    markets = (
        {
            symbol: measure_market(depth, symbol, chosen.series[symbol])
            for symbol in symbols
            if symbol in collaterals
        }
        if depth is not None
        else {}
    )
    figures = tuple(found[symbol] for symbol in symbols)
    parts = Calibration(
        name=prices.name,
        law=law,
        step=step,
        moves=len(moves.table),
        left_out=moves.left_out,
        first=chosen.first_common_time,
        last=chosen.last_common_time,
        days=len(days.table),
        window=days.step,
        prices=figures,
        pairs=pairs,
        markets=markets,
        measured=CalibratedValues({}),
    )
    written = build_calibrated_scenario_values(parts, block, cautious, depth)
    return Calibration(**{**vars(parts), "measured": written})


def find_priced_assets(book: VaultBook) -> dict[TypeAssets, str]:
    """Return the assets of the collateral types with debt, largest debt first, each with its symbol.

    Raises BackstopError if no vault has debt.
    """
    found = {vault.symbol for _, vault in book.rows if vault.debt}
    if not found:
        raise BackstopError(f"{book.name}: no vault has debt; expected one with debt")
    types: dict[TypeAssets, str] = {}
    for symbol in book.symbols:
        if symbol in found:
            types.setdefault(book.assets.get(symbol, TypeAssets(symbol)), symbol)
    return types


def _parse_block_time(text: str | None, every: int) -> int:
    """Return the length of a block [seconds].

    Without a text it is `every`, the distance of prices, but at most 60 seconds.
    """
    if text is None:
        return min(every, BLOCK)
    try:
        return quantity_units.read_seconds(text)
    except ValueError as error:
        raise BackstopError(f"block_time: {error}") from None


def _group_by_correlation(moves: LogReturns) -> list[tuple[str, ...]]:
    """Group prices that have their extreme returns together.

    A price joins the first group with a correlation of COMPANY or more with the first price.
    """
    groups: list[list[str]] = []
    for symbol in moves.symbols:
        column = moves.get_returns(symbol)
        company = (
            each for each in groups if _compute_correlation(moves.get_returns(each[0]), column) >= COMPANY
        )
        found = next(company, None)
        if found is None:
            groups.append([symbol])
        else:
            found.append(symbol)
    return [tuple(group) for group in groups]


def _flag_moves_without_jumps(
    moves: LogReturns, groups: Sequence[Sequence[str]], law: str
) -> npt.NDArray[np.bool_]:
    """Return a flag for each step that says whether no group of prices jumps in it."""
    calm = np.ones(len(moves.table), dtype=bool)
    for group in groups if law == "jumps" else ():
        jumped = estimate_move_jump_probabilities(
            compute_mean_standardised_moves(moves.table[:, [moves.symbols.index(symbol) for symbol in group]])
        )
        if jumped is not None:
            calm &= jumped < 0.5
    return calm


def _compute_correlation(one: Floats, other: Floats) -> float:
    both = float((one * one).sum()) * float((other * other).sum())
    return float((one * other).sum()) / sqrt(both) if both else 0.0


def _estimate_group_price_figures(moves: LogReturns, group: Sequence[str], law: str) -> list[PriceFigures]:
    """Return the figures of the prices of one group.

    A price that never moves has a volatility of 0.
    """
    places = [moves.symbols.index(symbol) for symbol in group]
    table = moves.table[:, places]
    # Stretches are cut out of the table; the index keeps the units of the whole.
    index = compute_mean_standardised_moves(table)
    name = f"with {group[0]}" if len(group) > 1 else group[0]
    if not table.any():
        return [PriceFigures(group[0], name, Figure(0.0, 0.0, 0.0))]
    cuts = cut_jackknife_stretches(len(table))
    yearly = sqrt(YEAR / moves.step)
    if law == "jumps":
        whole = fit_jumps(table, index)
        if whole is not None:
            parts = [fit_jumps(drop_stretch(table, cut), drop_stretch(index, cut)) for cut in cuts]
            return _build_jump_price_figures(group, name, whole, parts, moves.step)
        # A move that is none of several jumps is still a move.
        spreads, others, degrees = (
            compute_deviations_around_zero(table),
            [compute_deviations_around_zero(drop_stretch(table, cut)) for cut in cuts],
            None,
        )
    else:
        tails = fit_student_t(table, index)
        samples = [fit_student_t(drop_stretch(table, cut), drop_stretch(index, cut)) for cut in cuts]
        degrees = _estimate_degrees(tails, samples)
        spreads, others = tails.deviations, [each.deviations for each in samples]
    return [
        PriceFigures(
            symbol,
            name,
            compute_figure_with_jackknife_interval(
                spreads[i] * yearly, [each[i] * yearly for each in others], "logarithm"
            ),
            degrees,
        )
        for i, symbol in enumerate(group)
    ]


def _estimate_degrees(whole: StudentTails, parts: Sequence[StudentTails]) -> Figure:
    """Return the degrees of freedom with an interval, which is computed on their reciprocal.

    An end at a bound of the allowed degrees is None.
    """
    inverse = compute_figure_with_jackknife_interval(
        1 / whole.degrees, [1 / each.degrees for each in parts], "as it is"
    )
    assert inverse.low is not None and inverse.high is not None
    low = None if inverse.high >= 1 / LEAST_DEGREES else 1 / inverse.high
    high = None if inverse.low <= 1.01 / MOST_DEGREES else 1 / inverse.low
    ends = (None if each is None else float(f"{each:.4g}") for each in (low, high))
    return Figure(float(f"{whole.degrees:.4g}"), *ends)


def _build_jump_price_figures(
    group: Sequence[str],
    name: str,
    whole_fit: JumpDiffusion,
    part_fits: Sequence[JumpDiffusion | None],
    step: int,
) -> list[PriceFigures]:
    found = [each for each in part_fits if each is not None]
    sure = len(found) == len(part_fits)

    def figure(value: float, others: list[float], scale: str) -> Figure:
        made = compute_figure_with_jackknife_interval(value, others, scale)
        return made if sure else Figure(made.value, None, None)

    yearly = sqrt(YEAR / step)
    every = figure(
        -step / log1p(-whole_fit.chance), [-step / log1p(-each.chance) for each in found], "logarithm"
    )
    return [
        PriceFigures(
            symbol,
            name,
            figure(
                whole_fit.deviations[i] * yearly, [each.deviations[i] * yearly for each in found], "logarithm"
            ),
            every=every,
            mean=figure(whole_fit.means[i], [each.means[i] for each in found], "as it is"),
            deviation=figure(whole_fit.spreads[i], [each.spreads[i] for each in found], "logarithm"),
        )
        for i, symbol in enumerate(group)
    ]


__all__ = ["LAWS", "WORST", "Calibration", "PriceFigures", "calibrate", "find_priced_assets"]
