"""Parts that charts are made of: numbers to plot, traces, panels, legends.

Charts are plain plotly.js figures. A colour is a name with "@", which page.js replaces by the colour of the
reader's light or dark theme; "@loss:40" is that colour with an alpha of 40, in hex. Floats are for drawing
only: printed figures come from amounts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

SERIES = ("@first", "@second", "@third", "@fourth")
MOST_POINTS = 1500  # per line: a screen shows no more


class LegendKey(NamedTuple):
    """Entry of a chart's legend; `mark` is line, dash, dots, area or shade."""

    name: str
    color: str
    mark: str = "line"

    @property
    def css_color(self) -> str:
        """Colour of the entry as a CSS expression."""
        name, _, alpha = self.color.removeprefix("@").partition(":")
        percent = round(int(alpha, 16) / 2.55) if alpha else 100
        return f"color-mix(in srgb, var(--{name}) {percent}%, transparent)"


class Chart(NamedTuple):
    """Plotly figure with its id, title and legend, and a label that describes it in words."""

    id: str
    title: str
    label: str
    figure: dict[str, Any]
    legend: tuple[LegendKey, ...] = ()


def get_series_color(index: int) -> str:
    """Return the colour of the series at an index; colours repeat after the last."""
    return SERIES[index % len(SERIES)]


def to_milliseconds(timestamps: Iterable[Any]) -> list[int]:
    """Convert timestamps [seconds] to milliseconds, which plotly.js takes as dates."""
    return [int(at) * 1000 for at in timestamps]


def to_plot_values(values: Iterable[Any], unit: int = 1) -> list[float | None]:
    """Convert integers, or their text, to multiples of `unit` with six digits; empty cells give None."""
    return [None if is_missing(value) else float(f"{int(value) / unit:.6g}") for value in values]


def is_missing(value: Any) -> bool:
    """Return True if a table cell is empty: None, empty text or NaN."""
    return value is None or value == "" or (isinstance(value, float) and np.isnan(value))


def list_thinned_points_keeping_extremes(
    x: Sequence[int], *lines: Sequence[float | None], limit: int = MOST_POINTS
) -> list[list[Any]]:
    """Return x and the lines reduced to about `limit` points.

    In each stretch of x every line keeps its minimum and maximum; the first and last points stay.
    """
    count = len(x)
    stretch = -(-count * (2 * len(lines) + 1) // limit)
    if count <= limit or stretch < 2:
        return [list(x), *(list(line) for line in lines)]
    kept = {count - 1}
    for start in range(0, count, stretch):
        span = range(start, min(start + stretch, count))
        kept.add(start)
        for line in lines:
            seen = [(value, i) for i in span if (value := line[i]) is not None]
            if seen:
                kept.update((min(seen)[1], max(seen)[1]))
    order = sorted(kept)
    return [[line[i] for i in order] for line in (x, *lines)]


def drop_repeated_points(x: Sequence[int], y: Sequence[float | None]) -> tuple[list[int], list[float | None]]:
    """Drop the points of a step line with the y of the previous point, except the first and last."""
    kept = [i for i in range(len(x)) if i in (0, len(x) - 1) or y[i] != y[i - 1]]
    return [x[i] for i in kept], [y[i] for i in kept]


def build_line(
    name: str,
    x: Sequence[int],
    y: Sequence[float | None],
    color: str,
    *,
    axis: str = "y",
    width: float = 1.75,
    dash: str = "solid",
    step: bool = False,
    shown: str = ":,.6~g",
    whole: bool = False,
) -> dict[str, Any]:
    """Return a plotly line trace over time; `x` is in milliseconds.

    `shown` is the number format on hover. `step` draws a step line. `whole` keeps all points instead of
    thinning them.
    """
    if step:
        x, y = drop_repeated_points(x, y)
    if not whole:
        x, y = list_thinned_points_keeping_extremes(x, y)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "yaxis": axis,
        "line": {"color": color, "width": width, "dash": dash, "shape": "hv" if step else "linear"},
        "hovertemplate": f"%{{y{shown}}}",
    }


def build_stacked_area_traces(
    x: Sequence[int], layers: Sequence[tuple[str, Sequence[float | None], str]], *, axis: str = "y"
) -> list[dict[str, Any]]:
    """Return plotly area traces over time, stacked in order; a layer is (name, y, colour)."""
    x, *heights = list_thinned_points_keeping_extremes(x, *(y for _, y, _ in layers))
    return [
        build_line(name, x, y, color, axis=axis, width=0.75, shown=":,.0f", whole=True)
        | {"stackgroup": axis, "fillcolor": f"{color}:66"}
        for (name, _, color), y in zip(layers, heights, strict=True)
    ]


def build_bars(
    name: str, x: Sequence[int], y: Sequence[float | None], color: str, width: int, *, axis: str = "y"
) -> dict[str, Any]:
    """Return a plotly bar trace; each bar covers `width` milliseconds from its x on."""
    return {
        "type": "bar",
        "name": name,
        "x": list(x),
        "y": list(y),
        "offset": 0,
        "width": width,
        "yaxis": axis,
        "marker": {"color": f"{color}:b3"},
        "hovertemplate": "%{y:,.0f}",
    }


def build_time_axis(start: int, end: int) -> dict[str, Any]:
    """Return a plotly time axis in UTC, from `start` to `end` [timestamp]."""
    clock = {"tickformat": "%H:%M\n%-d %b", "title": build_axis_title("UTC")}
    return {"type": "date", "range": [start * 1000, end * 1000], **clock}


def build_axis_title(text: str) -> dict[str, Any]:
    """Return a plotly axis title; the text gives the quantity and then the unit."""
    return {"text": text, "font": {"size": 11.5, "color": "@muted"}, "standoff": 6}


def compute_panel_domains(heights: Sequence[float], gap: float = 0.09) -> list[list[float]]:
    """Return the vertical domains of stacked panels, the top one first.

    `heights` are relative heights, `gap` is the space between panels as a share of the whole.
    """
    scale = (1 - gap * (len(heights) - 1)) / sum(heights)
    domains, top = [], 1.0
    for height in heights:
        bottom = max(0.0, top - height * scale)
        domains.append([round(bottom, 4), round(top, 4)])
        top = bottom - gap
    return domains


def build_panel_title(text: str, domain: Sequence[float]) -> dict[str, Any]:
    """Return a plotly annotation as a heading above a panel's left end."""
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": domain[1],
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "align": "left",
        "font": {"size": 11.5, "color": "@muted"},
    }


def build_shaded_span(start: int, end: int) -> dict[str, Any]:
    """Return a plotly shape that shades a time span [timestamp] behind the data."""
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": start * 1000,
        "x1": end * 1000,
        "y0": 0,
        "y1": 1,
        "fillcolor": "@shade",
        "line": {"width": 0},
        "layer": "below",
    }


def build_level_line(y: float, color: str = "@muted", axis: str = "y", dash: str = "dot") -> dict[str, Any]:
    """Return a plotly shape of a horizontal line across a panel at `y`."""
    return {
        "type": "line",
        "xref": "paper",
        "yref": axis,
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": color, "width": 1, "dash": dash},
        "layer": "between",  # above the grid, whose lines would hide it
    }


def build_vertical_line(x: float, dash: str = "dot", color: str = "@muted") -> dict[str, Any]:
    """Return a plotly shape of a vertical line through all panels at `x`."""
    line = {"color": color, "width": 1, "dash": dash}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}


def shorten_name(name: str, most: int = 20) -> str:
    """Return a name cut to `most` characters, with characters replaced that plotly.js would interpret."""
    plain = "".join({"<": "‹", ">": "›", "&": "+"}.get(each, each) for each in name if each.isprintable())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def compute_range_from_zero(values: Iterable[float | None], least: float = 10.0) -> list[float]:
    """Return a y range from 0 to just above the largest value, at least up to `least`.

    The minimum keeps tiny values flat.
    """
    top = max((value for value in values if value is not None), default=0.0)
    return [0, max(1.08 * top, least)]


def compute_range(values: Iterable[float | None], least: float = 0.1) -> list[float]:
    """Return a y range around the values, at least `least` times their middle to each side.

    The minimum keeps noise from filling the chart.
    """
    seen = [value for value in values if value is not None]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    middle = (low + high) / 2
    half = max((high - low) * 0.54, abs(middle) * least, 1e-9)
    return [middle - half, middle + half]
