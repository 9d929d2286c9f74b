"""Results of a calibration, as a document: each figure with its interval, and the unmeasured figures.

`calibration.json` has them; the page of the folder is drawn from it. Figures of four digits are integers
there, of billionths (shares), seconds or millionths (all others), as their names say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.sources.price_reader import format_utc_time
from backstop.studies.data_frames import list_records

if TYPE_CHECKING:
    import pandas as pd

    from backstop.simulation.scenario import Scenario
    from backstop.simulation.sources.depth_reader import DepthQuotes
    from backstop.studies.calibration.calibration_estimates import Calibration
    from backstop.studies.calibration.market_depth import MarketFigures

SCHEMA_VERSION = 1
FILE = "calibration.json"

_SCALES = {"billionths": 10**9, "seconds": 1, "micro": 10**6}
_UNITS = {
    "share_a_year": "billionths",
    "logarithm": "billionths",
    "share": "billionths",
    "seconds": "seconds",
}


def build_calibration_summary(
    calibration: Calibration,
    scenario: Scenario,
    falls: pd.DataFrame,
    backtest: pd.DataFrame | None,
    missing_backtest_reason: str,
    depth: DepthQuotes | None,
) -> dict[str, Any]:
    """Return the content of calibration.json.

    `falls` are the rows of `compare_fall_quantiles`. `missing_backtest_reason` says why there is no
    back-test.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "title": f"The laws of {calibration.name}",
        "scenario": scenario.name,
        "prices": calibration.name,
        "depth": "" if depth is None else depth.name,
        "law": calibration.law,
        "step_seconds": calibration.step,
        "moves": calibration.moves,
        "left_out": calibration.left_out,
        "first": format_utc_time(calibration.first),
        "last": format_utc_time(calibration.last),
        "assets": [{"of": each.symbol, "group": each.group} for each in calibration.prices],
        "figures": [_convert_figure(row) for row in list_records(calibration.to_frame())],
        "shared_days": [
            {"of": f"{one}/{other}", "shared": pair.shared, "worst": pair.worst}
            for (one, other), pair in calibration.pairs.items()
        ],
        "quotes": [
            {"of": symbol, "quotes": market.quotes, "venues": market.venues}
            for symbol, market in calibration.markets.items()
        ],
        "falls": [_convert_columns(row) for row in list_records(falls)],
        "backtest": [] if backtest is None else [_convert_columns(row) for row in list_records(backtest)],
        "unmeasured": list(_iter_unmeasured(calibration, missing_backtest_reason, depth)),
        "assumptions": list(scenario.assumptions),
    }


def _convert_figure(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the table of figures with integers in place of floats."""
    unit = _UNITS.get(row["unit"], "micro")
    ends = {f"{name}_{unit}": _scale_to_integer(row[name], unit) for name in ("value", "low", "high")}
    return {"figure": row["figure"], "of": row["of"], "unit": unit, **ends}


def _convert_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with integers in place of floats.

    Shares become billionths, other floats become millionths.
    """
    found = {}
    for name, value in row.items():
        if name.endswith("_share"):
            found[f"{name.removesuffix('_share')}_billionths"] = _scale_to_integer(value, "billionths")
        elif isinstance(value, float):
            found[f"{name}_micro"] = _scale_to_integer(value, "micro")
        else:
            found[name] = value
    return found


def _scale_to_integer(value: float | None, unit: str) -> int | None:
    """Return a figure in its integer unit, rounded to the nearest; None stays None."""
    return None if value is None else round(value * _SCALES[unit])


def _iter_unmeasured(
    calibration: Calibration, missing_backtest_reason: str, depth: DepthQuotes | None
) -> Iterator[str]:
    """Yield a sentence for each figure that was not measured, with the reason or the missing input."""
    for each in calibration.prices:
        if calibration.law == "jumps" and each.every is None:
            yield f"Jumps of {each.symbol}: too few were found; all its moves count as volatility."
        for name, figure in (("jumps", each.every), ("degrees", each.degrees)):
            if figure is not None and (figure.low is None or figure.high is None):
                yield f"An end of the interval of {each.symbol}'s {name}: the history does not bound it."
    if depth is None:
        yield "Depth of markets: no file of quotes was given (--depth)."
    for symbol, market in calibration.markets.items():
        yield from _iter_unmeasured_of_market(symbol, market)
    if calibration.left_out:
        yield (
            f"{calibration.left_out:,} moves of {format_duration_text(calibration.step)}: no fresh price at "
            "one of their ends."
        )
    if missing_backtest_reason:
        yield f"The back-test: {missing_backtest_reason}."
    yield "Drifts of prices: a history says nothing of them, and none are written."
    yield "Calm and wild spells: moves of different blocks have nothing to do with each other."
    yield "How depth falls with prices, and how a stablecoin comes back to its peg."


def _iter_unmeasured_of_market(symbol: str, market: MarketFigures) -> Iterator[str]:
    from backstop.studies.calibration.market_depth import SNAPSHOTS

    if market.depth is None:
        few = f"{market.quotes:,} quotes" if market.quotes else "no quotes"
        yield f"Depth of {symbol}: {few}; a venue needs two sizes whose impact rises with the size."
        return
    if market.depth.low is None:
        yield f"The interval of {symbol}'s depth: too few quotes, or a venue whose quotes make no line."
    if market.recovery is None:
        yield f"Recovery of {symbol}'s depth: it needs {SNAPSHOTS} times or more, at even distances."
