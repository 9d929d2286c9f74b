"""Charts of a search: the worst path against chance, how the search went, where the loss went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import RAY, WAD
from backstop.report import amounts
from backstop.report.loss_charts import stage_color
from backstop.report.named_bars import Part, stacked
from backstop.report.plotting import (
    Chart,
    Key,
    from_zero,
    line,
    milliseconds,
    plotted,
    shaded,
    span,
    time_axis,
    titled,
)


def charts(summary: Mapping[str, Any]) -> list[Chart]:
    """Build every chart of a search: each price, its progress, and the bearers of the loss."""
    return [*(fan(summary, each) for each in summary["prices"]), converging(summary), where(summary)]


def fan(summary: Mapping[str, Any], price: Mapping[str, Any]) -> Chart:
    """Draw a price on the worst path within the fan of paths that chance draws."""
    x = milliseconds(summary["started_at"] + at for at in price["times"])
    bands = [("1", "99", "20"), ("5", "95", "30"), ("25", "75", "40")]
    data: list[dict[str, Any]] = []
    for low, high, alpha in bands:
        edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
        data += [
            edge | {"y": price["fan"][low]},
            edge | {"y": price["fan"][high], "fill": "tonexty", "fillcolor": f"@first:{alpha}"},
        ]
    data.append(line("median", x, price["fan"]["50"], "@first", width=1, dash="dot"))
    legend = [Key("worst found", "@loss"), Key("98, 90 and 50% of paths", "@first:40", "area")]
    if price["source"] is not None:
        data.append(line("what its source says", x, price["source"], "@second", width=1))
        legend.append(Key("what its source says", "@second"))
    data.append(line("worst found", x, price["worst"], "@loss", width=2))
    start = summary["started_at"]
    seen = [*price["worst"], *price["fan"]["1"], *price["fan"]["99"]]
    figure = {
        "data": data,
        "layout": {
            "height": 320,
            "xaxis": time_axis(start, summary["ended_at"]),
            "yaxis": {"range": span(seen), "title": titled("price, stablecoins")},
            "shapes": [
                shaded(start + event["at"], start + event["until"])
                for event in summary["events"]
                if event["until"] is not None
            ],
        },
    }
    symbol, low, middle = price["symbol"], min(price["worst"]), price["fan"]["50"][-1]
    label = f"{symbol} on the worst path falls to {low:,g}; the middle of all paths ends at {middle:,g}."
    return Chart(f"fan-{symbol}", f"{symbol}, stablecoins", label, figure, tuple(legend))


def converging(summary: Mapping[str, Any]) -> Chart:
    """Draw the goal's figure by generation: the middle and best of each, and the best so far."""
    rows = summary["history"]
    x = list(range(1, len(rows) + 1))
    shown = (
        ("middle of the generation", "middle_wad", "@faint"),
        ("best of the generation", "best_wad", "@first"),
        ("best so far", "so_far_wad", "@loss"),
    )
    values = {name: plotted((row[field] for row in rows), WAD) for name, field, _ in shown}
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
            "xaxis": {"title": titled("generation")},
            "yaxis": {"tickformat": "~s", "range": from_zero(values["best so far"])}
            | {"title": titled("stablecoins")},
        },
    }
    last = amounts.compact(int(rows[-1]["so_far_wad"]), WAD)
    label = f"What the search wanted, by generation: {last} after {len(rows)}."
    return Chart(
        "converging", "How the search went", label, figure, tuple(Key(name, c) for name, _, c in shown)
    )


def where(summary: Mapping[str, Any]) -> Chart:
    """Draw who paid the bad debt, what nobody paid, and what is not recognised yet."""
    found = summary["found"]
    rows = [("worst found", found)]
    if "without" in found:
        rows.append(("without hostile moves", found["without"]))
    parts = [
        Part(
            each["stage"],
            stage_color(each["stage"]),
            [int(row["covered"][i]["wad"]) * RAY for _, row in rows],
        )
        for i, each in enumerate(found["covered"])
    ]
    parts.append(Part("outstanding", "@outstanding", [int(row["outstanding_wad"]) * RAY for _, row in rows]))
    parts.append(Part("under water", "@faint", [int(row["underwater_wad"]) * RAY for _, row in rows]))
    names = [name for name, _ in rows]
    told = "; ".join(f"{part.name} {amounts.compact(part.values[0], RAY * WAD)}" for part in parts)
    legend = tuple(Key(part.name, part.color, "area") for part in parts)
    return Chart(
        "where", "Where the loss went", f"Where the loss went: {told}.", stacked(names, parts), legend
    )
