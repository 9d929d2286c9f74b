"""Charts of answered questions, each drawn from the rows of its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    SERIES,
    Chart,
    LegendKey,
    build_axis_title,
    build_line,
    build_time_axis,
    build_vertical_line,
    compute_panel_domains,
    get_series_color,
    shorten_name,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.named_bars import BarPart, build_name_axis, build_stacked_bars
from backstop.report.stress_console_output import MICRO
from backstop.simulation.loss_bearers import ALL_GROUPS

_DAY = 86_400
_MOST_FALLING_PRICES = 7  # lines that can be told apart beside that of all prices


def build_price_fall_debt_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of debt that may be liquidated by size of fall: of all prices, and of each alone.

    The lines of single prices do not add up, since an account with two collaterals may be unsafe by the fall
    of either. Of many prices only those with the most debt at the largest fall are drawn.
    """
    rows = summary["tables"]["falls"]
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["falling"], []).append(row)
    *alone, together = by_name  # where there is one price, its fall is that of all
    largest = sorted(alone, key=lambda name: -int(by_name[name][-1]["debt_wad"]))[:_MOST_FALLING_PRICES]
    drawn = [name for name in alone if name in largest]
    data, keys = [], []
    for i, name in enumerate((together, *drawn)):
        own = by_name[name]
        title = "all prices" if name == "all" else shorten_name(name)
        color = "@ink" if i == 0 else get_series_color(i - 1)
        mark = "line" if i <= len(SERIES) else "dash"
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": title,
                "x": [row["fall_bps"] / BASIS_POINTS for row in own],
                "y": to_plot_values((row["debt_wad"] for row in own), WAD),
                "line": {"color": color, "width": 1.5, "dash": "dot" if mark == "dash" else "solid"},
                "marker": {"color": color, "size": 5},
                "cliponaxis": False,
                "customdata": [amounts.format_fixed(int(row["debt_wad"]), WAD) for row in own],
                "hovertemplate": "%{customdata}",
            }
        )
        keys.append(LegendKey(title, color, mark))
    figure = {
        "data": data,
        "layout": {
            "height": 320,
            "xaxis": {"tickformat": ".0%", "rangemode": "tozero", "title": build_axis_title("fall, %")},
            "yaxis": {"tickformat": "~s", "rangemode": "tozero", "title": build_axis_title("stablecoins")},
        },
    }
    told = "; ".join(
        f"{amounts.format_percent(row['fall_bps'], BASIS_POINTS, 0)}: "
        f"{amounts.format_compact(int(row['debt_wad']), WAD)}"
        for row in by_name[together]
    )
    label = f"Debt that may be liquidated by a fall of all prices. {told}."
    return Chart("falls-chart", "Debt that may be liquidated", label, figure, tuple(keys))


def build_expected_shortfall_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of average and expected shortfall of bad debt, in total and by collateral type."""
    rows = summary["tables"]["at-risk"]
    names = list(dict.fromkeys(row["of"] for row in rows))
    levels = list(dict.fromkeys(row["level_bps"] for row in rows))
    series = [("average", "mean", [next(row for row in rows if row["of"] == name) for name in names])]
    for level in levels:
        title = f"shortfall at {amounts.format_percent(level, BASIS_POINTS, 0)}"
        own = [next(row for row in rows if (row["of"], row["level_bps"]) == (name, level)) for name in names]
        series.append((title, "shortfall", own))
    data = [
        # Rings within rings: where figures are the same, all of them are seen.
        _build_interval_points(title, own, figure, list(range(len(names))), get_series_color(i), 15 - 5 * i)
        for i, (title, figure, own) in enumerate(series)
    ]
    figure = _build_horizontal_figure(names, data, "bad debt, stablecoins")
    whole = "; ".join(
        f"{title} {amounts.format_compact(own[0][f'{name}_micro'], MICRO)}" for title, name, own in series
    )
    keys = tuple(LegendKey(title, get_series_color(i), "dots") for i, (title, _, _) in enumerate(series))
    return Chart("at-risk-chart", "Bad debt", f"Bad debt of all types: {whole}.", figure, keys)


def draw_payers(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of each payer's average payment, with a bar for each preset."""
    rows = summary["tables"]["payers"]
    presets = list(dict.fromkeys(row["preset"] for row in rows))
    groups = [name for name in ALL_GROUPS if any(row["payer"] == name for row in rows)]
    paid = {(row["preset"], row["payer"]): row["mean_micro"] for row in rows}
    parts = [
        BarPart(
            ALL_GROUPS[name].label.partition(":")[0],
            f"@{name}",
            [paid.get((preset, name), 0) for preset in presets],
        )
        for name in groups
    ]
    told = "; ".join(
        f"{preset}: {amounts.format_compact(sum(paid.get((preset, name), 0) for name in groups), MICRO)}"
        for preset in presets
    )
    keys = tuple(LegendKey(part.name, part.color, "area") for part in parts if any(part.values))
    figure = build_stacked_bars([shorten_name(preset) for preset in presets], parts, MICRO)
    return Chart("payers-chart", "Paid on average", f"Bad debt on average. {told}.", figure, keys)


def build_owner_share_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of each owner's share of the debt and of the losses."""
    rows = summary["tables"]["owners"]
    names = [shorten_name(row["owner"]) for row in rows]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": title,
            "x": [row[column] / BASIS_POINTS for row in rows],
            "y": list(range(len(rows))),
            "marker": {"color": ink},
            "customdata": [amounts.format_percent(row[column], BASIS_POINTS) for row in rows],
            "hovertemplate": f"{title}: %{{customdata}}<extra></extra>",
        }
        for title, column, ink in (
            ("of the debt", "debt_share_bps", "@first"),
            ("of the losses", "lost_share_bps", "@loss"),
        )
    ]
    figure = _build_horizontal_figure(names, data, "share, %")
    figure["layout"] |= {"barmode": "group", "bargap": 0.3}
    figure["layout"]["xaxis"]["tickformat"] = ".0%"
    told = "; ".join(
        f"{name} {amounts.format_percent(row['debt_share_bps'], BASIS_POINTS)} of the debt, "
        f"{amounts.format_percent(row['lost_share_bps'], BASIS_POINTS)} of the losses"
        for name, row in zip(names, rows, strict=True)
    )
    keys = (LegendKey("of the debt", "@first", "area"), LegendKey("of the losses", "@loss", "area"))
    return Chart("owners-chart", "Shares of the largest owners", f"{told}.", figure, keys)


_CEILINGS = (
    ("surely within the limit up to here", "@third", "dash", "sure"),
    ("most likely up to here", "@ink", "line", "likely"),
    ("surely beyond it from here", "@loss", "dash", "over"),
)
"""Ends of a ceiling as lines: name, colour, mark of the legend, key in the summary."""


def draw_ceiling(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of expected shortfall by size of the debt, with confidence intervals."""
    rows = sorted(summary["tables"]["ceiling"], key=lambda row: int(row["debt_wad"]))
    points = _build_interval_points("expected shortfall", rows, "shortfall", [], "@first")
    points |= {
        "x": to_plot_values((row["debt_wad"] for row in rows), WAD),
        "y": points["x"],
        "mode": "lines+markers",
    }
    points["error_y"] = points.pop("error_x")
    ends = [
        (name, color, mark, summary["stablecoins"][key])
        for name, color, mark, key in _CEILINGS
        if summary["stablecoins"][key] is not None
    ]
    figure = {
        "data": [points | {"line": {"color": "@first", "width": 1.5}}],
        "layout": {
            "height": 320,
            "hovermode": "closest",
            "xaxis": {"tickformat": "~s", "title": build_axis_title("debt of the type, stablecoins")},
            "yaxis": {
                "tickformat": "~s",
                "rangemode": "tozero",
                "title": build_axis_title("expected shortfall, stablecoins"),
            },
            "shapes": [
                build_vertical_line(debt, "solid" if mark == "line" else "dot", color)
                for _, color, mark, debt in ends
            ],
        },
    }
    told = "; ".join(
        f"{amounts.format_compact(int(row['debt_wad']), WAD)}: "
        f"{amounts.format_compact(row['shortfall_micro'], MICRO)}"
        for row in rows
    )
    label = f"Expected shortfall by the size of the debt. {told}."
    keys = tuple(LegendKey(name, color, mark) for name, color, mark, _ in ends)
    return Chart("ceiling-chart", "Expected shortfall by debt", label, figure, keys)


def draw_history(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of liquidated and repaid debt by day: historical, and on simulated paths.

    Simulated paths are without and with owners' reactions.
    """
    rows = summary["tables"]["days"]
    begin = int(datetime.fromisoformat(f"{rows[0]['day']}T00:00Z").timestamp())
    end = begin + len(rows) * _DAY
    x = to_milliseconds(range(begin, end + 1, _DAY))
    data: list[dict[str, Any]] = []
    panels = dict(zip(("liquidated", "repaid"), compute_panel_domains((1, 1), gap=0.14), strict=True))
    for name, axis in zip(panels, ("y", "y2"), strict=True):
        lines = {
            column: [0.0, *to_plot_values((row[f"{name}_{column}micro"] for row in rows), MICRO)]
            for column in ("low_", "high_", "", "still_", "history_")
        }
        band = {"fill": "tonexty", "fillcolor": "@first:33"}
        data += [
            build_line(f"{name}, 95% of paths from", x, lines["low_"], "@first", axis=axis, width=0.5),
            build_line(f"{name}, to", x, lines["high_"], "@first", axis=axis, width=0.5) | band,
            build_line(f"{name}, owners who react", x, lines[""], "@first", axis=axis),
            build_line(f"{name}, still book", x, lines["still_"], "@second", axis=axis, dash="dot"),
            build_line(f"{name}, history", x, lines["history_"], "@ink", axis=axis),
        ]
    figure = {
        "data": data,
        "layout": {
            "height": 520,
            "xaxis": build_time_axis(begin, end) | {"tickformat": "%-d %b", "anchor": "y2"},
            **{
                f"yaxis{number}": {
                    "domain": domain,
                    "tickformat": "~s",
                    "rangemode": "tozero",
                    "title": build_axis_title(f"{name}, stablecoins"),
                }
                for number, (name, domain) in zip(("", "2"), panels.items(), strict=True)
            },
        },
    }
    last = rows[-1]
    told = "; ".join(
        f"{name}: history {amounts.format_compact(last[f'{name}_history_micro'], MICRO)}, owners who react "
        f"{amounts.format_compact(last[f'{name}_micro'], MICRO)}, still book "
        f"{amounts.format_compact(last[f'{name}_still_micro'], MICRO)}"
        for name in panels
    )
    keys = (
        LegendKey("history", "@ink", "line"),
        LegendKey("owners that react, and 95% of their paths", "@first", "line"),
        LegendKey("book that stands still", "@second", "dash"),
    )
    title = "Liquidated and repaid since the start"
    return Chart("history-chart", title, f"{title}. {told}.", figure, keys)


def draw_episodes(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of average bad debt by historic episode, with a point for each case."""
    rows = summary["tables"]["episodes"]
    names = list(dict.fromkeys(row["episode"] for row in rows))
    cases = list(dict.fromkeys(row["case"] for row in rows))
    data, keys = [], []
    for i, case in enumerate(cases):
        own = [row for row in rows if row["case"] == case]
        positions = [names.index(row["episode"]) for row in own]
        color = get_series_color(i)
        # Rings within rings: where figures are the same, all of them are seen.
        data.append(_build_interval_points(case, own, "bad_debt", positions, color, 17 - 4 * i))
        keys.append(LegendKey(case, color, "dots"))
    first = [row for row in rows if row["case"] == cases[0]]
    told = "; ".join(
        f"{row['episode']} {amounts.format_compact(row['bad_debt_micro'], MICRO)}" for row in first
    )
    figure = _build_horizontal_figure(names, data, "bad debt on average, stablecoins")
    return Chart("episodes-chart", "Bad debt", f"Bad debt, {cases[0]}: {told}.", figure, tuple(keys))


def _build_interval_points(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    figure_name: str,
    positions: Sequence[int],
    color: str,
    size: int = 9,
) -> dict[str, Any]:
    """Return plotly points of estimates with their confidence intervals; an end may be missing."""
    values = [row[f"{figure_name}_micro"] for row in rows]
    ends = [(row[f"{figure_name}_low_micro"], row[f"{figure_name}_high_micro"]) for row in rows]
    below = [None if low is None else value - low for value, (low, _) in zip(values, ends, strict=True)]
    above = [None if high is None else high - value for value, (_, high) in zip(values, ends, strict=True)]
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "name": title,
        "x": to_plot_values(values, MICRO),
        "y": list(positions),
        "marker": {"color": color, "size": max(5, size)},
        "cliponaxis": False,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": to_plot_values(above, MICRO),
            "arrayminus": to_plot_values(below, MICRO),
            "color": color,
            "thickness": 1.5,
        },
        "text": [amounts.format_fixed(value, MICRO) for value in values],
        "hovertemplate": f"{title}: %{{text}}<extra></extra>",
    }


def _build_horizontal_figure(names: Sequence[str], data: list[dict[str, Any]], title: str) -> dict[str, Any]:
    """Return a plotly figure with named rows, the first on top."""
    return {
        "data": data,
        "layout": {
            "height": 100 + 40 * len(names),
            "hovermode": "closest",
            "xaxis": {
                "tickformat": "~s",
                "showgrid": True,
                "rangemode": "tozero",
                "title": build_axis_title(title),
            },
            "yaxis": build_name_axis([shorten_name(name) for name in names])
            | {"ticklabelstandoff": 10},  # points at zero reach over the axis
        },
    }
