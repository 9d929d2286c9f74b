"""Results of a calibration on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from backstop.report.frame_console_table import format_console_cell, print_frame
from backstop.studies.calibration.scenario_calibration import Calibration

if TYPE_CHECKING:
    import pandas as pd

_UNITS = {"share_a_year": "share", "logarithm": "share"}
_PLAIN = ("count",)
_NAMES = {
    "volatility": "volatility a year",
    "jumps_every": "jumps, one every",
    "jumps_mean": "  mean, logarithm",
    "jumps_deviation": "  deviation, logarithm",
    "correlation_in_crashes": "  in crashes",
    "depth": "depth, dollars",
    "depth_1_in_20": "  one snapshot in 20 is under",
    "depth_after_falls": "  left after falls of 3% in 1 h",
}


def print_calibration(
    calibration: Calibration, backtest: pd.DataFrame | None, missing_backtest_reason: str
) -> None:
    """Print a calibration's figures with their intervals to stdout, and its back-test.

    Without a back-test the reason is printed.
    """
    print(f"{calibration.name}: {calibration.moves_description}")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("of")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    for row in calibration.to_frame().to_dict("records"):
        unit = "" if row["unit"] in _PLAIN else _UNITS.get(row["unit"], row["unit"])
        value, low, high = (
            "?" if row[name] != row[name] else format_console_cell(float(row[name]), unit)
            for name in ("value", "low", "high")
        )
        interval = "none" if low == high == "?" else f"{low} to {high}"
        table.add_row(_NAMES.get(row["figure"], row["figure"]), row["of"], value, interval)
    Console(file=sys.stdout, highlight=False, width=120).print(table)
    if backtest is None:
        print(f"no back-test: {missing_backtest_reason}")
        return
    print()
    title = "Back-test: days of the second half whose fall exceeded the forecast"
    columns = ("rate_low_share", "rate_high_share", "rate_share")
    print_frame(backtest, title, columns)
