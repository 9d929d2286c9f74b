"""Charts of the live page: the last day's debt, ratio, stages and keepers' profit, and liquidation levels.

There is one of each, also before the first block, so that the page only has to draw new figures in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.report import amounts
from backstop.report.loss_charts import stage_color
from backstop.report.plotting import (
    Chart,
    Key,
    areas,
    color,
    from_zero,
    line,
    milliseconds,
    plotted,
    short_name,
    span,
    time_axis,
    titled,
    upright,
)

MOST_KEEPERS = 4
MOST_MARKS = 60  # upright lines in a chart: more would hide it
_MARKS = {"loss": "@loss", "mode": "@ink", "payment": "@third", "liquidation": "@second"}
"""Colours of events by their kind; of kinds at one place the first counts."""
_NAMES = {"loss": "losses", "mode": "modes", "payment": "losses paid", "liquidation": "liquidations"}


def charts(figures: Mapping[str, Any]) -> dict[str, Chart]:
    """Draw all charts of the live page, by their id; empty ones before the first block."""
    history = figures.get("history", {"points": (), "events": (), "acts": ()})
    points, acts = history["points"], history["acts"]
    times = [each.timestamp for each in (*points, *history["events"], *acts)]
    window = (min(times), max(max(times), min(times) + 60)) if times else (0, 60)
    marks, keys = marked(history["events"], window)
    x = milliseconds(each.timestamp for each in points)
    found = (
        _debt(points, x, history["events"]),
        _ratio(points, x),
        _stages(points, x),
        _profit(acts, window),
    )
    for chart in found:
        chart.figure["layout"] |= {"height": 250, "xaxis": time_axis(*window), "shapes": marks}
    timed = [chart._replace(legend=(*chart.legend, *keys)) for chart in found]
    return {chart.id: chart for chart in (*timed, _levels(figures.get("levels")))}


def marked(events: Sequence[Any], window: tuple[int, int]) -> tuple[list[dict[str, Any]], list[Key]]:
    """Return upright lines where something happened, and their keys; what is close together shares one."""
    width = max(1, (window[1] - window[0]) // MOST_MARKS)
    at: dict[int, tuple[int, Any]] = {}
    ranks = list(_MARKS)
    for each in events:
        rank, place = ranks.index(each.kind), (each.timestamp - window[0]) // width
        if place not in at or rank < at[place][0]:
            at[place] = rank, each
    kinds = [kind for kind in ranks if any(each.kind == kind for _, each in at.values())]
    lines = [upright(each.timestamp * 1000, "dot", _MARKS[each.kind]) for _, each in at.values()]
    return lines, [Key(_NAMES[kind], _MARKS[kind], "dash") for kind in kinds]


def _debt(points: Sequence[Any], x: list[int], events: Sequence[Any]) -> Chart:
    owed, sold = plotted((p.debt for p in points), RAD), plotted((p.in_auction for p in points), RAD)
    lost = plotted((p.lost for p in points), RAD)
    layers = [
        ("vaults' debt", owed, "@third"),
        ("in auctions", sold, "@second"),
        ("losses not paid", lost, "@loss"),
    ]
    figure = {
        "data": areas(x, [each for each in layers if any(each[1])]) if points else [],
        "layout": {
            "yaxis": {
                "tickformat": "~s",
                "title": titled("stablecoins"),
                "range": from_zero(
                    [sum(each or 0 for each in row) for row in zip(owed, sold, lost, strict=True)]
                ),
            }
        },
    }
    told = "No figures yet"
    if points:
        first, last = (amounts.compact(p.debt + p.in_auction, RAD) for p in (points[0], points[-1]))
        told = f"Debt in vaults and auctions went from {first} to {last}"
    if events:
        told += f"; marked: {'; '.join(f'{amounts.clock(e.timestamp)} {e.text}' for e in events[-5:])}"
    keys = (
        Key("vaults' debt", "@third:66", "area"),
        Key("in auctions", "@second:66", "area"),
        Key("losses not paid", "@loss:66", "area"),
    )
    return Chart("history-debt", "Debt", f"{told}.", figure, keys)


def _ratio(points: Sequence[Any], x: list[int]) -> Chart:
    values = plotted((p.collateral for p in points), BASIS_POINTS)
    data = [line("collateral", x, values, "@first", shown=":.1%")] if points else []
    layout = {"yaxis": {"tickformat": ".0%", "title": titled("% of the debt"), "range": span(values)}}
    known = [p.collateral for p in points if p.collateral is not None]
    low = amounts.percent(min(known), BASIS_POINTS) if known else "none yet"
    label = f"Collateral over all debt, at the feed's prices; lowest {low}."
    key = (Key("collateral over debt", "@first"),)
    return Chart("history-ratio", "Collateral ratio", label, {"data": data, "layout": layout}, key)


def _stages(points: Sequence[Any], x: list[int]) -> Chart:
    names = list(dict.fromkeys(name for p in points for name, _ in p.stages))
    rows = {name: plotted((dict(p.stages).get(name, 0) for p in points), RAD) for name in names}
    data = areas(x, [(_spoken(name), rows[name], stage_color(name)) for name in names]) if points else []
    sums = [sum(row[i] or 0 for row in rows.values()) for i in range(len(points))]
    layout = {"yaxis": {"tickformat": "~s", "title": titled("stablecoins"), "range": from_zero(sums)}}
    told = (
        "; ".join(f"{_spoken(name)} {amounts.compact(have, RAD)}" for name, have in points[-1].stages)
        if points
        else ""
    )
    label = f"What the stages of the waterfall have. {told or 'No figures yet'}."
    keys = tuple(Key(_spoken(name), f"{stage_color(name)}:66", "area") for name in names)
    return Chart("history-stages", "Buffers and other stages", label, {"data": data, "layout": layout}, keys)


def _spoken(stage: str) -> str:
    return stage.replace("_", " ")


def _profit(acts: Sequence[Any], window: tuple[int, int]) -> Chart:
    """Draw what keepers gained since the window's start: the largest by name, all others together."""
    totals: dict[str, int] = {}
    for each in acts:
        totals[each.who] = totals.get(each.who, 0) + each.gained
    order = sorted((who for who in totals if totals[who]), key=lambda who: (-abs(totals[who]), who))
    named = order[:MOST_KEEPERS]
    data, keys, told = [], [], []
    values: list[float | None] = [0.0]
    for i, who in enumerate([*named, *(["all others"] if order[MOST_KEEPERS:] else [])]):
        own = [e for e in acts if (e.who == who if i < len(named) else e.who not in named) and e.gained]
        sums = [0, *accumulate(each.gained for each in own)]
        x = milliseconds([window[0], *(each.timestamp for each in own), window[1]])
        y = plotted([*sums, sums[-1]], WAD)
        name, ink = short_name(_spoken(who)), color(i) if i < MOST_KEEPERS else "@muted"
        data.append(line(name, x, y, ink, step=True, shown=":,.2f"))
        keys.append(Key(name, ink))
        told.append(f"{name} {amounts.compact(sums[-1], WAD)}")
        values += y
    low = min(each for each in values if each is not None)
    layout = {
        "yaxis": {
            "tickformat": "~s",
            "title": titled("stablecoins"),
            "range": [1.08 * low, from_zero(values, least=1.0)[1]],
        }
    }
    label = f"What keepers earned before gas: {'; '.join(told) or 'nothing'}."
    return Chart("history-profit", "Keepers' profit", label, {"data": data, "layout": layout}, tuple(keys))


def _levels(levels: Mapping[str, Any] | None) -> Chart:
    """Draw, by a fall of all prices at once, the debt that is unsafe after it, a layer for each type."""
    types = [] if levels is None else levels["types"]
    falls = [] if levels is None else [row["fall_bps"] / BASIS_POINTS for row in levels["all"]]
    data, keys = [], []
    for i, each in enumerate(types):
        if not any(map(int, each["debt_rad"])):
            continue
        name = short_name(each["symbol"])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": falls,
                "y": plotted(each["debt_rad"], RAD),
                "stackgroup": "y",
                "line": {"color": color(i), "width": 0.75},
                "fillcolor": f"{color(i)}:66",
                "customdata": [amounts.fixed(int(debt), RAD) for debt in each["debt_rad"]],
                "hovertemplate": "%{customdata}",
            }
        )
        keys.append(Key(name, f"{color(i)}:66", "area"))
    figure = {
        "data": data,
        "layout": {
            "height": 300,
            "xaxis": {
                "tickformat": ".0%",
                "range": [0, 0.6],
                "title": titled("fall of all prices at once, %"),
            },
            "yaxis": {"tickformat": "~s", "rangemode": "tozero", "title": titled("unsafe debt, stablecoins")},
        },
    }
    shown = () if levels is None else (levels["all"][i] for i in range(0, len(levels["all"]), 10))
    told = "; ".join(
        f"{amounts.percent(row['fall_bps'], BASIS_POINTS, 0)}: {amounts.compact(int(row['debt_rad']), RAD)}"
        for row in shown
    )
    label = f"Debt that is unsafe after a fall of all prices. {told or 'No figures yet'}."
    return Chart("levels-chart", "Debt unsafe by price fall", label, figure, tuple(keys))
