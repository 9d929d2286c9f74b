"""Results of a sweep on stdout, and the texts that its page shares."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report.amounts import format_fixed, format_percent
from backstop.report.grid_edge import describe_grid_edge
from backstop.report.stress_console_output import format_value_and_interval, format_whole_coins


def print_sweep(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print a sweep's Pareto-optimal settings to stdout with the recommended one marked, or as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=2, sort_keys=True))
        return
    console = Console(file=sys.stdout, highlight=False)
    points, best = summary["points"], summary["recommended"]
    level = format_percent(summary["level_bps"], BASIS_POINTS, 0)
    table = Table(title=summary["title"], title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for axis in summary["axes"]:
        table.add_column(axis["name"], justify="right", no_wrap=True)
    columns = list_usage_columns(summary)
    if summary["gain"] not in ("debt", "revenue"):
        table.add_column(summary["gain"], justify="right", no_wrap=True)
    for title, _ in columns:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column(f"expected shortfall, {level}", justify="right", no_wrap=True)
    table.add_column(
        f"{format_percent(summary['confidence_bps'], BASIS_POINTS, 0)} interval",
        justify="right",
        no_wrap=True,
    )
    kept = [i for i, point in enumerate(points) if point["front"] or point.get("efficient")]
    for number in sorted(kept, key=lambda i: points[i]["gain"]):
        point = points[number]
        mark = "→" if best is not None and number == best["point"] else ""
        mark += "*" if point.get("efficient") else ""
        cells = [format_sweep_setting_gain(point["gain"], summary["gain"])]
        cells = cells[: summary["gain"] not in ("debt", "revenue")] + [write(point) for _, write in columns]
        table.add_row(
            mark,
            *list_setting_values_in_axis_order(summary, point),
            *cells,
            *format_value_and_interval(point["shortfall"]),
        )
    # As wide as its text: a reader's pager or file may be wider than this terminal.
    Console(file=sys.stdout, highlight=False, width=40 + 24 * len(table.columns)).print(table)
    unbeaten = sum(point["front"] for point in points)
    console.print(
        f"\n{unbeaten} of {len(points)} settings are not beaten by another, {summary['paths']:,} paths each"
    )
    if columns:
        console.print(f"* {describe_efficient(summary)}", soft_wrap=True)
    for line in list_remarks(summary):
        console.print(line, soft_wrap=True)
    limit = format_whole_coins(summary["limit_micro"])
    if withheld := summary.get("withheld"):
        console.print(withheld, soft_wrap=True)
    elif best is None:
        console.print(f"no setting keeps its expected shortfall to {limit}")
    else:
        within, chosen = (
            format_percent(best[name], BASIS_POINTS, 0) for name in ("within_limit_bps", "chosen_bps")
        )
        console.print(f"→ has the most {summary['gain']} with at most {limit}:")
        console.print(f"  within it in {within} of resamples of the paths, chosen in {chosen}")
    if warning := describe_grid_edge(summary):
        console.print(warning, soft_wrap=True)
    console.print(f"sweep      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def list_usage_columns(
    summary: Mapping[str, Any],
) -> list[tuple[str, Callable[[Mapping[str, Any]], str]]]:
    """Return titles and formatting functions of the columns on debt and income.

    Empty for older results without these figures.
    """
    if "measure" not in summary:
        return []
    columns: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
        ("debt", lambda point: format_fixed(int(point["debt_wad"]), WAD, 0)),
        ("of the ceiling", lambda point: format_percent(point["ceiling_share_bps"], BASIS_POINTS)),
    ]
    if summary["measure"] == "revenue":
        columns.append(("revenue a year", lambda point: format_fixed(int(point["revenue_wad"]), WAD, 0)))
    return columns


def describe_efficient(summary: Mapping[str, Any]) -> str:
    """Return a text with the number of efficient settings and the meaning of efficient."""
    points = summary["points"]
    if summary["withheld"]:
        return f"None is marked as efficient, as the book stands still. {summary['measure_says']}"
    kept = sum(point["efficient"] for point in points)
    return (
        f"{kept} of {len(points)} are efficient: no other has as much {summary['measure']} or more and as "
        f"little shortfall or less, and one of them better. {summary['measure_says']}"
    )


def list_remarks(summary: Mapping[str, Any]) -> list[str]:
    """Return texts on refused settings and remarks on the others."""
    refused = [
        f"refused: {', '.join(list_setting_values_in_axis_order(summary, each))}: {each['finding']}"
        for each in summary.get("refused", ())
    ]
    return [*refused, *summary.get("remarks", ())]


def list_setting_values_in_axis_order(
    summary: Mapping[str, Any], setting: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return a setting's values in the order of the sweep's axes."""
    return tuple(setting["values"][axis["name"]] for axis in summary["axes"])


def get_recommended_or_first_setting(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recommended setting of a sweep, or its first setting if none is recommended."""
    best = summary["recommended"]
    anchor: Mapping[str, Any] = summary["points"][0 if best is None else best["point"]]
    return anchor


def list_settings_along_axis(
    summary: Mapping[str, Any], axis: Mapping[str, Any]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Return pairs of value and setting along one axis, without refused settings.

    The other axes keep the values of the recommended setting, or of the first if none is recommended.
    """
    by_values = {list_setting_values_in_axis_order(summary, point): point for point in summary["points"]}
    anchor = get_recommended_or_first_setting(summary)["values"]
    names = [each["name"] for each in summary["axes"]]
    found = [
        (value, by_values.get(tuple(value if name == axis["name"] else anchor[name] for name in names)))
        for value in axis["values"]
    ]
    return [(value, point) for value, point in found if point is not None]


def format_sweep_setting_gain(gain: int, kind: str) -> str:
    """Format a setting's gain: efficiency as a percentage, debt and revenue in whole stablecoins."""
    return format_percent(gain, BASIS_POINTS) if kind == "efficiency" else f"{gain:,}"
