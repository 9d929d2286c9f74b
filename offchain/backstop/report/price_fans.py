"""Charts of a study's prices: the fan that its paths make, and the worst path within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backstop.model.arithmetic import RAY
from backstop.report import amounts
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title, compute_range, shorten_name

MILLION = 10**6
BANDS = ((100, 9_900, "20"), (500, 9_500, "30"), (2_500, 7_500, "40"))
"""Percentiles [bps] at both edges of each band, and how dense it is drawn."""


def build_price_fans(summary: Mapping[str, Any]) -> list[Chart]:
    """Return a fan chart for each price of a study; empty if its summary has no prices."""
    return [draw_fan(summary, place, each) for place, each in enumerate(summary.get("prices", ()))]


def draw_fan(summary: Mapping[str, Any], place: int, price: Mapping[str, Any]) -> Chart:
    """Return the chart of a price's percentile bands over all paths, the median, and the worst path.

    The bands contain 98, 90 and 50% of the paths.
    """
    first = int(price["first_ray"])
    x = [float(f"{second / 3_600:.6g}") for second in price["seconds"]]
    levels = {
        each["level_bps"]: _scale_millionths_to_prices(each["millionths"], first) for each in price["fan"]
    }
    data: list[dict[str, Any]] = []
    for low, high, alpha in BANDS:
        for level, more in ((low, {}), (high, {"fill": "tonexty", "fillcolor": f"@first:{alpha}"})):
            data.append(
                _build_silent_line(f"{level // 100}% of paths are lower", x, levels[level], "@first", 0)
                | more
            )
    data.append(
        _build_silent_line("middle of all paths", x, levels[5_000], "@first", 1)
        | {"hovertemplate": "%{y:,.6~g}"}
    )
    legend = [
        LegendKey("98, 90 and 50% of paths", "@first:40", "area"),
        LegendKey("middle of all paths", "@first", "dash"),
    ]
    seen, lost = [*levels[100], *levels[9_900]], summary["bad_debt"]["largest_micro"]
    symbol = shorten_name(price["symbol"])
    end = amounts.format_compact(price["fan"][3]["millionths"][-1] * first // MILLION, RAY)
    label = f"{symbol}: the middle of all paths ends at {end}"
    if lost:
        worst = _scale_millionths_to_prices(price["worst_millionths"], first)
        data.append(_build_silent_line("worst path", x, worst, "@loss", 2) | {"hovertemplate": "%{y:,.6~g}"})
        legend.append(LegendKey(f"worst path, number {summary['worst']['path']}", "@loss"))
        seen += worst
        low = min(price["worst_millionths"])
        fall = amounts.format_percent(MILLION - low, MILLION, 0)
        label += f"; the worst path falls by {fall} to {amounts.format_compact(low * first // MILLION, RAY)}"
    figure = {
        "data": data,
        "layout": {
            "height": 320,
            "xaxis": {"title": build_axis_title("hours from the start"), "range": [0, x[-1]]},
            "yaxis": {
                "range": compute_range(seen),
                "tickformat": "~s",
                "title": build_axis_title("price, stablecoins"),
            },
        },
    }
    return Chart(f"fan-{place}", symbol, f"{label}.", figure, tuple(legend))


def _scale_millionths_to_prices(millionths: Sequence[int], first_price_ray: int) -> list[float]:
    return [float(f"{part * first_price_ray / MILLION / RAY:.6g}") for part in millionths]


def _build_silent_line(name: str, x: list[float], y: list[float], color: str, width: float) -> dict[str, Any]:
    """Return a plotly line trace without hover text."""
    line = {"color": color, "width": width, "dash": "dot" if width == 1 else "solid"}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": line,
        "hoverinfo": "skip",
    }
