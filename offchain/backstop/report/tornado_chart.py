"""Tornado charts: how far each driver alone moves a figure, the strongest on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_vertical_line,
    shorten_name,
    to_plot_values,
)
from backstop.report.named_bars import build_name_axis
from backstop.report.stress_console_output import MICRO
from backstop.report.sweep_console_output import get_recommended_or_first_setting, list_settings_along_axis


class TornadoBar(NamedTuple):
    """Bar of a tornado chart from one value to another [millionths of a stablecoin], and its cause."""

    start: int
    end: int
    told: str


class TornadoSeries(NamedTuple):
    """Bars of one colour in a tornado chart, one for each driver."""

    name: str
    color: str
    bars: Sequence[TornadoBar]


def build_sweep_tornado_chart(summary: Mapping[str, Any]) -> Chart | None:
    """Return the tornado chart of least and largest expected shortfall along each axis of a sweep.

    The other axes keep the values of the recommended setting, or of the first. None if no axis has two
    values.
    """
    centre, rows = (
        get_recommended_or_first_setting(summary)["shortfall"]["value_micro"],
        list_axis_shortfall_ranges(summary),
    )
    if not rows:
        return None
    series = [
        TornadoSeries("least", "@third", [TornadoBar(centre, *least) for _, least, _ in rows]),
        TornadoSeries("most", "@loss", [TornadoBar(centre, *most) for _, _, most in rows]),
    ]
    at = "the recommended setting" if summary["recommended"] is not None else "the first setting"
    level = amounts.format_percent(summary["level_bps"], 10_000, 0)
    return draw_tornado(
        [row[0] for row in rows],
        series,
        f"expected shortfall at {level}, stablecoins",
        centre,
        f"Expected shortfall along each axis, the others at {at}",
    )


def list_axis_shortfall_ranges(
    summary: Mapping[str, Any],
) -> list[tuple[str, tuple[int, str], tuple[int, str]]]:
    """Return title, least and largest expected shortfall of each axis with two values or more.

    Each shortfall [millionths of a stablecoin] comes with the axis value. The widest range is first.
    """
    rows = []
    for along in summary["axes"]:
        found = [
            (point["shortfall"]["value_micro"], value)
            for value, point in list_settings_along_axis(summary, along)
        ]
        if len(found) > 1:
            rows.append((along["title"], min(found), max(found)))
    return sorted(rows, key=lambda row: row[1][0] - row[2][0])


def build_proposal_assumption_tornado_chart(summary: Mapping[str, Any]) -> Chart | None:
    """Return the tornado chart of how each changed assumption moves the expected shortfall.

    It shows the present and the proposed setting; None without changed assumptions.
    """
    rows = list(summary["tables"]["sensitivity"])
    base = next(
        (row for row in summary["tables"]["figures"] if (row["figure"], row["of"]) == ("shortfall", "all")),
        None,
    )
    if base is None or not rows:
        return None
    rows.sort(key=lambda row: -abs(row["now_micro"] - base["now_micro"]))
    series = [
        TornadoSeries(
            name, color, [TornadoBar(0, row[f"{name}_micro"] - base[f"{name}_micro"], name) for row in rows]
        )
        for name, color in (("now", "@first"), ("proposed", "@second"))
    ]
    title = "Change of the expected shortfall by each assumption"
    return draw_tornado([row["world"] for row in rows], series, "change, stablecoins", 0, title)


def draw_tornado(
    names: Sequence[str], series: Sequence[TornadoSeries], says: str, centre: int, title: str
) -> Chart:
    """Return a tornado chart of two bars per row, from a centre [millionths of a stablecoin].

    If both bars of a row go the same way, all bars are drawn side by side. `says` is the title of the axis.
    """
    pairs = list(zip(*(each.bars for each in series), strict=True))
    apart = any((a.end - a.start) * (b.end - b.start) > 0 for a, b in pairs)
    width = 0.66 / (len(series) if apart else 1)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": each.name,
            "x": to_plot_values((bar.end - bar.start for bar in each.bars), MICRO),
            "base": to_plot_values((bar.start for bar in each.bars), MICRO),
            "y": list(range(len(names))),
            "width": width,
            "offset": -0.33 + (width * place if apart else 0),
            "marker": {"color": each.color},
            "customdata": [amounts.format_fixed(bar.end, MICRO) for bar in each.bars],
            "text": [bar.told for bar in each.bars],
            "textposition": "none" if apart else "auto",
            "insidetextfont": {"color": "@paper"},
            "hovertemplate": "%{text}: %{customdata}<extra></extra>",
        }
        for place, each in enumerate(series)
    ]
    figure = {
        "data": data,
        "layout": {
            "height": 100 + 44 * len(names),
            "barmode": "overlay",
            "hovermode": "closest",
            "xaxis": {"tickformat": "~s", "showgrid": True, "title": build_axis_title(says)},
            "yaxis": build_name_axis([shorten_name(name, 34) for name in names]),
            "shapes": [build_vertical_line(centre / MICRO, "solid", "@ink")],
        },
    }
    told = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{each.bars[i].told} {amounts.format_compact(each.bars[i].end, MICRO)}" for each in series
        )
        for i, name in enumerate(names)
    )
    legend = tuple(LegendKey(each.name, each.color, "area") for each in series)
    return Chart("drivers", title, f"{title}. {told}.", figure, legend)
