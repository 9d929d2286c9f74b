"""Charts of the live page: the last day's debt, ratio, stages and keepers' profit, and liquidation levels.

There is one of each, also before the first block, so that the page only has to draw new figures in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_line,
    build_stacked_area_traces,
    build_time_axis,
    build_vertical_line,
    compute_range,
    compute_range_from_zero,
    get_series_color,
    shorten_name,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.loss_charts import get_stage_color

MOST_KEEPERS = 4
MOST_MARKS = 60  # upright lines in a chart: more would hide it
_MARKS = {"loss": "@loss", "mode": "@ink", "payment": "@third", "liquidation": "@second"}
"""Colours of events by their kind; of kinds at one place the first counts."""
_NAMES = {"loss": "losses", "mode": "modes", "payment": "losses paid", "liquidation": "liquidations"}


def draw_live_charts_by_id(figures: Mapping[str, Any]) -> dict[str, Chart]:
    """Return the charts of the live page by id; before the first block they are empty."""
    history = figures.get("history", {"points": (), "events": (), "acts": ()})
    points, acts = history["points"], history["acts"]
    times = [each.timestamp for each in (*points, *history["events"], *acts)]
    window = (min(times), max(max(times), min(times) + 60)) if times else (0, 60)
    marks, keys = build_event_marks(history["events"], window)
    x = to_milliseconds(each.timestamp for each in points)
    found = (
        _build_debt_area_chart(points, x, history["events"]),
        _build_collateral_ratio_chart(points, x),
        _draw_stages(points, x),
        _build_keeper_profit_chart(acts, window),
    )
    for chart in found:
        chart.figure["layout"] |= {"height": 250, "xaxis": build_time_axis(*window), "shapes": marks}
    timed = [chart._replace(legend=(*chart.legend, *keys)) for chart in found]
    return {chart.id: chart for chart in (*timed, _build_unsafe_debt_chart(figures.get("levels")))}


def build_event_marks(
    events: Sequence[Any], window: tuple[int, int]
) -> tuple[list[dict[str, Any]], list[LegendKey]]:
    """Return vertical lines at events, and their legend entries.

    Of events close to each other only the most important gets a line.
    """
    width = max(1, (window[1] - window[0]) // MOST_MARKS)
    at: dict[int, tuple[int, Any]] = {}
    ranks = list(_MARKS)
    for each in events:
        rank, place = ranks.index(each.kind), (each.timestamp - window[0]) // width
        if place not in at or rank < at[place][0]:
            at[place] = rank, each
    kinds = [kind for kind in ranks if any(each.kind == kind for _, each in at.values())]
    lines = [build_vertical_line(each.timestamp * 1000, "dot", _MARKS[each.kind]) for _, each in at.values()]
    return lines, [LegendKey(_NAMES[kind], _MARKS[kind], "dash") for kind in kinds]


def _build_debt_area_chart(points: Sequence[Any], x: list[int], events: Sequence[Any]) -> Chart:
    owed, sold = (
        to_plot_values((p.debt for p in points), RAD),
        to_plot_values((p.in_auction for p in points), RAD),
    )
    lost = to_plot_values((p.lost for p in points), RAD)
    layers = [
        ("vaults' debt", owed, "@third"),
        ("in auctions", sold, "@second"),
        ("losses not paid", lost, "@loss"),
    ]
    figure = {
        "data": build_stacked_area_traces(x, [each for each in layers if any(each[1])]) if points else [],
        "layout": {
            "yaxis": {
                "tickformat": "~s",
                "title": build_axis_title("stablecoins"),
                "range": compute_range_from_zero(
                    [sum(each or 0 for each in row) for row in zip(owed, sold, lost, strict=True)]
                ),
            }
        },
    }
    told = "No figures yet"
    if points:
        first, last = (amounts.format_compact(p.debt + p.in_auction, RAD) for p in (points[0], points[-1]))
        told = f"Debt in vaults and auctions went from {first} to {last}"
    if events:
        told += (
            "; marked: "
            f"{'; '.join(f'{amounts.format_day_and_time(e.timestamp)} {e.text}' for e in events[-5:])}"
        )
    keys = (
        LegendKey("vaults' debt", "@third:66", "area"),
        LegendKey("in auctions", "@second:66", "area"),
        LegendKey("losses not paid", "@loss:66", "area"),
    )
    return Chart("history-debt", "Debt", f"{told}.", figure, keys)


def _build_collateral_ratio_chart(history_points: Sequence[Any], times: list[int]) -> Chart:
    values = to_plot_values((p.collateral for p in history_points), BASIS_POINTS)
    data = [build_line("collateral", times, values, "@first", shown=":.1%")] if history_points else []
    layout = {
        "yaxis": {
            "tickformat": ".0%",
            "title": build_axis_title("% of the debt"),
            "range": compute_range(values),
        }
    }
    known = [p.collateral for p in history_points if p.collateral is not None]
    low = amounts.format_percent(min(known), BASIS_POINTS) if known else "none yet"
    label = f"Collateral over all debt, at the feed's prices; lowest {low}."
    key = (LegendKey("collateral over debt", "@first"),)
    return Chart("history-ratio", "Collateral ratio", label, {"data": data, "layout": layout}, key)


def _draw_stages(points: Sequence[Any], x: list[int]) -> Chart:
    names = list(dict.fromkeys(name for p in points for name, _ in p.stages))
    rows = {name: to_plot_values((dict(p.stages).get(name, 0) for p in points), RAD) for name in names}
    data = (
        build_stacked_area_traces(
            x, [(_format_stage_name(name), rows[name], get_stage_color(name)) for name in names]
        )
        if points
        else []
    )
    sums = [sum(row[i] or 0 for row in rows.values()) for i in range(len(points))]
    layout = {
        "yaxis": {
            "tickformat": "~s",
            "title": build_axis_title("stablecoins"),
            "range": compute_range_from_zero(sums),
        }
    }
    told = (
        "; ".join(
            f"{_format_stage_name(name)} {amounts.format_compact(have, RAD)}"
            for name, have in points[-1].stages
        )
        if points
        else ""
    )
    label = f"What the stages of the waterfall have. {told or 'No figures yet'}."
    keys = tuple(LegendKey(_format_stage_name(name), f"{get_stage_color(name)}:66", "area") for name in names)
    return Chart("history-stages", "Buffers and other stages", label, {"data": data, "layout": layout}, keys)


def _format_stage_name(stage: str) -> str:
    return stage.replace("_", " ")


def _build_keeper_profit_chart(keeper_acts: Sequence[Any], window: tuple[int, int]) -> Chart:
    """Return the chart of keepers' income since the window's start; small earners are summed."""
    totals: dict[str, int] = {}
    for each in keeper_acts:
        totals[each.who] = totals.get(each.who, 0) + each.gained
    order = sorted((who for who in totals if totals[who]), key=lambda who: (-abs(totals[who]), who))
    named = order[:MOST_KEEPERS]
    data, keys, told = [], [], []
    values: list[float | None] = [0.0]
    for i, who in enumerate([*named, *(["all others"] if order[MOST_KEEPERS:] else [])]):
        own = [
            e for e in keeper_acts if (e.who == who if i < len(named) else e.who not in named) and e.gained
        ]
        sums = [0, *accumulate(each.gained for each in own)]
        x = to_milliseconds([window[0], *(each.timestamp for each in own), window[1]])
        y = to_plot_values([*sums, sums[-1]], WAD)
        name, ink = (
            shorten_name(_format_stage_name(who)),
            get_series_color(i) if i < MOST_KEEPERS else "@muted",
        )
        data.append(build_line(name, x, y, ink, step=True, shown=":,.2f"))
        keys.append(LegendKey(name, ink))
        told.append(f"{name} {amounts.format_compact(sums[-1], WAD)}")
        values += y
    low = min(each for each in values if each is not None)
    layout = {
        "yaxis": {
            "tickformat": "~s",
            "title": build_axis_title("stablecoins"),
            "range": [1.08 * low, compute_range_from_zero(values, least=1.0)[1]],
        }
    }
    label = f"Income of keepers before gas: {'; '.join(told) or 'nothing'}."
    return Chart("history-profit", "Keepers' profit", label, {"data": data, "layout": layout}, tuple(keys))


def _build_unsafe_debt_chart(price_fall_levels: Mapping[str, Any] | None) -> Chart:
    """Return the chart of unsafe debt by fall of all prices, stacked by collateral type."""
    types = [] if price_fall_levels is None else price_fall_levels["types"]
    falls = (
        []
        if price_fall_levels is None
        else [row["fall_bps"] / BASIS_POINTS for row in price_fall_levels["all"]]
    )
    data, keys = [], []
    for i, each in enumerate(types):
        if not any(map(int, each["debt_rad"])):
            continue
        name = shorten_name(each["symbol"])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": falls,
                "y": to_plot_values(each["debt_rad"], RAD),
                "stackgroup": "y",
                "line": {"color": get_series_color(i), "width": 0.75},
                "fillcolor": f"{get_series_color(i)}:66",
                "customdata": [amounts.format_fixed(int(debt), RAD) for debt in each["debt_rad"]],
                "hovertemplate": "%{customdata}",
            }
        )
        keys.append(LegendKey(name, f"{get_series_color(i)}:66", "area"))
    figure = {
        "data": data,
        "layout": {
            "height": 300,
            "xaxis": {
                "tickformat": ".0%",
                "range": [0, 0.6],
                "title": build_axis_title("fall of all prices at once, %"),
            },
            "yaxis": {
                "tickformat": "~s",
                "rangemode": "tozero",
                "title": build_axis_title("unsafe debt, stablecoins"),
            },
        },
    }
    shown = (
        ()
        if price_fall_levels is None
        else (price_fall_levels["all"][i] for i in range(0, len(price_fall_levels["all"]), 10))
    )
    told = "; ".join(
        f"{amounts.format_percent(row['fall_bps'], BASIS_POINTS, 0)}: "
        f"{amounts.format_compact(int(row['debt_rad']), RAD)}"
        for row in shown
    )
    label = f"Debt that is unsafe after a fall of all prices. {told or 'No figures yet'}."
    return Chart("levels-chart", "Debt unsafe by price fall", label, figure, tuple(keys))
