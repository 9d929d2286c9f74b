"""Moves of prices at even steps, in logarithms; steps without a fresh price at both ends are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario.deterministic_float import Floats, compute_natural_log
from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.sources.price_reader import DAY, PriceHistory

LEAST = 200
"""Moves that a calibration needs at least: with fewer nothing is bounded."""


@dataclass(frozen=True)
class LogReturns:
    """Log returns of several prices, with a row for each step that has fresh prices at both ends."""

    symbols: tuple[str, ...]
    step: int  # seconds
    table: Floats
    places: tuple[int, ...]  # which step of the grid each row is
    left_out: int

    def get_returns(self, symbol: str) -> Floats:
        """Return the log returns of one price."""
        moves: Floats = self.table[:, self.symbols.index(symbol)]
        return moves

    def aggregate_days(self) -> LogReturns:
        """Return the log returns of whole days; steps of a day or more stay unchanged."""
        return self.aggregate_steps(max(1, DAY // self.step))

    def aggregate_steps(self, count: int) -> LogReturns:
        """Return the log returns over `count` successive steps.

        Incomplete groups of steps are left out.
        """
        if count == 1:
            return self
        places = np.asarray(self.places)
        # A stretch begins at a multiple of its length and has all of its steps.
        numbers, begins, counts = np.unique(places // count, return_index=True, return_counts=True)
        whole = counts == count
        sums = np.add.reduceat(self.table, begins, axis=0)[whole] if len(begins) else self.table
        kept = tuple(int(number) for number in numbers[whole])
        return LogReturns(self.symbols, self.step * count, sums, kept, int(np.sum(~whole)))


def build_log_returns(prices: PriceHistory, symbols: Sequence[str], step: int) -> LogReturns:
    """Return the log returns of these prices over steps of `step` seconds.

    A step counts if each price was quoted within one step before both of its ends, as a gap in the data is no
    quiet time. Raises BackstopError if fewer than LEAST steps count.
    """
    chosen = prices.select_symbols(symbols)
    grid = np.arange(chosen.first_common_time, chosen.last_common_time + 1, step, dtype=np.int64)
    columns, fresh = [], np.ones(len(grid), dtype=bool)
    for series in chosen.series.values():
        times = np.asarray(series.times, dtype=np.int64)
        held = np.searchsorted(times, grid, side="right") - 1
        logs = compute_natural_log(np.array([value / RAY for value in series.values]))
        columns.append(logs[held])
        fresh &= grid - times[held] < step
    counted = fresh[1:] & fresh[:-1]
    table = np.diff(np.stack(columns, axis=1), axis=0)[counted]
    if len(table) < LEAST:
        raise BackstopError(
            f"{prices.name}: has {len(table):,} moves of {format_duration_text(step)} without a gap, and a "
            "calibration "
            f"needs {LEAST}: give a longer history"
        )
    places = tuple(int(place) for place in np.flatnonzero(counted))
    return LogReturns(tuple(symbols), step, table, places, int(np.sum(~counted)))
