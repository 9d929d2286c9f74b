"""Charts of a search: the worst path against chance, how the search went, where the loss went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import RAY, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_line,
    build_shaded_span,
    build_time_axis,
    compute_range,
    compute_range_from_zero,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.loss_charts import get_stage_color
from backstop.report.named_bars import BarPart, build_stacked_bars


def build_attack_charts(summary: Mapping[str, Any]) -> list[Chart]:
    """Return the charts of an attack search: prices, progress by generation, and bearers of the loss."""
    return [
        *(build_worst_path_fan_chart(summary, each) for each in summary["prices"]),
        draw_search_generations(summary),
        draw_loss_bearers(summary),
    ]


def build_worst_path_fan_chart(summary: Mapping[str, Any], price: Mapping[str, Any]) -> Chart:
    """Return the chart of a price on the worst path within percentile bands of random paths."""
    x = to_milliseconds(summary["started_at"] + at for at in price["times"])
    bands = [("1", "99", "20"), ("5", "95", "30"), ("25", "75", "40")]
    data: list[dict[str, Any]] = []
    for low, high, alpha in bands:
        edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
        data += [
            edge | {"y": price["fan"][low]},
            edge | {"y": price["fan"][high], "fill": "tonexty", "fillcolor": f"@first:{alpha}"},
        ]
    data.append(build_line("median", x, price["fan"]["50"], "@first", width=1, dash="dot"))
    legend = [LegendKey("worst found", "@loss"), LegendKey("98, 90 and 50% of paths", "@first:40", "area")]
    if price["source"] is not None:
        data.append(build_line("price by its source", x, price["source"], "@second", width=1))
        legend.append(LegendKey("price by its source", "@second"))
    data.append(build_line("worst found", x, price["worst"], "@loss", width=2))
    start = summary["started_at"]
    seen = [*price["worst"], *price["fan"]["1"], *price["fan"]["99"]]
    figure = {
        "data": data,
        "layout": {
            "height": 320,
            "xaxis": build_time_axis(start, summary["ended_at"]),
            "yaxis": {"range": compute_range(seen), "title": build_axis_title("price, stablecoins")},
            "shapes": [
                build_shaded_span(start + event["at"], start + event["until"])
                for event in summary["events"]
                if event["until"] is not None
            ],
        },
    }
    symbol, low, middle = price["symbol"], min(price["worst"]), price["fan"]["50"][-1]
    label = f"{symbol} on the worst path falls to {low:,g}; the middle of all paths ends at {middle:,g}."
    return Chart(f"fan-{symbol}", f"{symbol}, stablecoins", label, figure, tuple(legend))


def draw_search_generations(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of the search's score by generation: median, best, and best so far."""
    rows = summary["history"]
    x = list(range(1, len(rows) + 1))
    shown = (
        ("middle of the generation", "middle_wad", "@faint"),
        ("best of the generation", "best_wad", "@first"),
        ("best so far", "so_far_wad", "@loss"),
    )
    values = {name: to_plot_values((row[field] for row in rows), WAD) for name, field, _ in shown}
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": x,
                "y": values[name],
                "line": {"color": color, "width": 2},
                "hovertemplate": f"{name} %{{y:,.0f}}<extra></extra>",
            }
            for name, _, color in shown
        ],
        "layout": {
            "height": 280,
            "xaxis": {"title": build_axis_title("generation")},
            "yaxis": {"tickformat": "~s", "range": compute_range_from_zero(values["best so far"])}
            | {"title": build_axis_title("stablecoins")},
        },
    }
    last = amounts.format_compact(int(rows[-1]["so_far_wad"]), WAD)
    label = f"Score of the search, by generation: {last} after {len(rows)}."
    return Chart(
        "converging", "How the search went", label, figure, tuple(LegendKey(name, c) for name, _, c in shown)
    )


def draw_loss_bearers(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of the bad debt by payer, with the outstanding and unrecognised parts."""
    found = summary["found"]
    rows = [("worst found", found)]
    if "without" in found:
        rows.append(("without hostile moves", found["without"]))
    parts = [
        BarPart(
            each["stage"],
            get_stage_color(each["stage"]),
            [int(row["covered"][i]["wad"]) * RAY for _, row in rows],
        )
        for i, each in enumerate(found["covered"])
    ]
    parts.append(
        BarPart("outstanding", "@outstanding", [int(row["outstanding_wad"]) * RAY for _, row in rows])
    )
    parts.append(BarPart("under water", "@faint", [int(row["underwater_wad"]) * RAY for _, row in rows]))
    names = [name for name, _ in rows]
    told = "; ".join(f"{part.name} {amounts.format_compact(part.values[0], RAY * WAD)}" for part in parts)
    legend = tuple(LegendKey(part.name, part.color, "area") for part in parts)
    return Chart(
        "where",
        "Payers of the loss",
        f"Payers of the loss: {told}.",
        build_stacked_bars(names, parts),
        legend,
    )
