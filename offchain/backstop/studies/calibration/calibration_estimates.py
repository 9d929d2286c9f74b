"""Figures of a calibration: of each price, of pairs of prices and of markets, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.simulation.scenario import quantity_units
from backstop.simulation.sources.calibration_results import CalibratedValues
from backstop.simulation.sources.price_reader import format_utc_time
from backstop.studies.calibration.correlation import PairCorrelation
from backstop.studies.calibration.jackknife import Figure
from backstop.studies.calibration.market_depth import MarketFigures

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PriceFigures:
    """Measured figures of one price, each with its interval.

    Figures of the distribution that was not chosen (Student's t or jumps) are None.
    """

    symbol: str
    group: str  # prices of one group have their extremes together
    volatility: Figure  # share a year, without jumps
    degrees: Figure | None = None
    every: Figure | None = None  # seconds from jump to jump
    mean: Figure | None = None  # of a jump, in logarithms
    deviation: Figure | None = None


@dataclass(frozen=True)
class Calibration:
    """Result of a calibration: figures of prices, of pairs of prices and of markets.

    The fields also say which data were measured.
    """

    name: str
    law: str
    step: int  # seconds of a move
    moves: int
    left_out: int
    first: int
    last: int
    days: int
    window: int  # seconds: over how long the worst days are
    prices: tuple[PriceFigures, ...]
    pairs: Mapping[tuple[str, str], PairCorrelation]
    markets: Mapping[str, MarketFigures]
    measured: CalibratedValues

    @property
    def moves_description(self) -> str:
        """Text on the number, length and period of the measured returns, and on those left out at gaps."""
        return (
            f"{self.moves:,} moves of {quantity_units.format_duration_text(self.step)} from "
            f"{format_utc_time(self.first)} to "
            f"{format_utc_time(self.last)}, {self.left_out:,} left out at gaps"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row for each measured figure.

        The columns are `figure`, `of` (asset or pair), `unit`, `value`, and the ends `low` and `high` of the
        95% interval.
        """
        import pandas as pd

        columns = ["figure", "of", "unit", "value", "low", "high"]
        return pd.DataFrame(list(self._list_figure_rows()), columns=columns).astype(
            dict.fromkeys(("value", "low", "high"), float)
        )

    def _list_figure_rows(self) -> list[tuple[str, str, str, float | None, float | None, float | None]]:
        named = [
            row
            for each in self.prices
            for row in (
                ("volatility", each.symbol, "share_a_year", each.volatility),
                ("degrees", each.symbol, "count", each.degrees),
                ("jumps_every", each.symbol, "seconds", each.every),
                ("jumps_mean", each.symbol, "logarithm", each.mean),
                ("jumps_deviation", each.symbol, "logarithm", each.deviation),
            )
        ]
        for (one, other), pair in self.pairs.items():
            named.append(("correlation", f"{one}/{other}", "share", pair.usual))
            named.append(("correlation_in_crashes", f"{one}/{other}", "share", pair.crash))
        for symbol, market in self.markets.items():
            named.append(("depth", symbol, "dollars", market.depth))
            if market.lowest is not None:
                named.append(("depth_1_in_20", symbol, "dollars", Figure(market.lowest, None, None)))
            named.append(("fee", symbol, "share", market.fee))
            named.append(("depth_after_falls", symbol, "share", market.left_after_falls))
            named.append(("recovery", symbol, "seconds", market.recovery))
        return [(what, of, unit, *figure) for what, of, unit, figure in named if figure is not None]
