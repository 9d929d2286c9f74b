"""Tables on stdout of a fit of owners: each parameter with its interval, and forecasts beside events."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from backstop.report.frame_console_table import format_console_cell, print_frame
from backstop.studies.calibration.owner_fit import OwnerFit

_NAMES = {
    "idle": "idle",
    "defend.chances": "chance of a defence in an hour",
    "defend.factors": "  times, after a",
    "defend.large": "  times, of debts of",
    "defend.ways": "ways of defences",
    "defend.sizes": "size of a defence",
    "defend.least": "least distance after a defence",
    "release.chances": "chance of a release in an hour",
    "release.ways": "ways of releases",
    "release.sizes": "size of a release",
    "release.least": "least distance after a release",
}
_SHOWN_QUANTILES = ("quantile 10%", "quantile 50%", "quantile 90%")


def print_owner_fit(fit: OwnerFit) -> None:
    """Print a fit of vault owners' behaviour to stdout: data, parameters with intervals, quality."""
    for history in fit.histories:
        under = sum(each.distance < 0 for each in history.hours)
        print(
            f"{history.name}: {history.vaults:,} vaults of {len(history.owners):,} owners, "
            f"{len(history.hours):,} hours of vaults, {under:,} of them under the liquidation price; "
            f"{history.liquidated:,} vaults liquidated"
        )
        for line in history.told:
            print(line)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "of"):
        table.add_column(heading, no_wrap=True)
    for heading in ("measured", "95% interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("measured on", "acts"):
        table.add_column(heading, justify="right")
    for each in fit.parameters:
        if each.of.startswith("quantile") and each.of not in _SHOWN_QUANTILES:
            continue
        ends = (each.figure.low, each.figure.high)
        table.add_row(
            _NAMES[each.name],
            each.of,
            _format_figure(each.figure.value, each.unit),
            " to ".join(_format_figure(end, each.unit) for end in ends) if each.is_measured else "default",
            f"{each.count:,}",
            f"{each.acts:,}",
        )
    Console(file=sys.stdout, highlight=False, width=130).print(table)
    print()
    print_frame(fit.distances, "Defences, observed and expected, by distance")
    print()
    print_frame(fit.days, "Defences, observed and expected, by day")
    print()
    print_frame(fit.falls, "Defences, by the fall of a day: under the liquidation price, and above it")
    print()
    print(_describe_quality(fit))
    if fit.unmeasured:
        print(f"Not measured, and the default: {_list_names(fit.unmeasured)}.")


def _format_figure(value: float | None, unit: str) -> str:
    if value is None:
        return "?"
    return f"{value:,.4g} x" if unit == "x" else format_console_cell(float(value), unit)


def _describe_quality(fit: OwnerFit) -> str:
    quality = fit.quality
    return (
        f"Logarithm of the likelihood: {quality.law:,.1f}; of one chance in every hour "
        f"({100 * quality.constant_chance:.4g}%) {quality.constant:,.1f}; of the default law "
        f"{quality.default:,.1f}."
    )


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names)
