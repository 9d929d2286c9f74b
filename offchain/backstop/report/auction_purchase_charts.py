"""Chart of the auctions: each purchase against the market's price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import RAY, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_level_line,
    build_line,
    build_panel_title,
    build_time_axis,
    get_series_color,
    to_milliseconds,
)
from backstop.report.keeper_outage_shading import build_keeper_outage_legend, build_outage_shapes
from backstop.report.run_frames import (
    find_cheapest_take_and_market_price,
    find_dearest_take_and_market_price,
    get_table,
    list_records,
)
from backstop.simulation.run_directory import Run

MOST_DOTS = 1_500  # of a larger book's, the largest purchases: more only hide each other
NEAR_ZERO = 0.1  # share of the market price below which a bid counts as close to zero


def build_auction_purchase_chart(run: Run) -> Chart | None:
    """Return the chart of auction purchases by price relative to the market; None without purchases.

    If there are very many, only the largest are drawn; averages, range and label include all.
    """
    rows = get_table(run, "takes")
    if rows.empty:
        return None
    start, end = run.summary["started_at"], run.summary["ended_at"]
    symbols = [entry["symbol"] for entry in run.summary["collateral_types"]]
    found: list[tuple[float, tuple[str, bool], int, float, dict[str, Any]]] = []
    hours: dict[int, list[float]] = {}
    for row in list_records(rows):
        market, at = int(row["market_price_ray"]), int(row["timestamp"])
        if market == 0:
            continue
        paid, worth = int(row["paid_wad"]), int(row["slice_wad"]) * market // RAY
        ratio = int(row["price_ray"]) / market
        kind = str(row["symbol"]), ratio < NEAR_ZERO
        found.append((worth / WAD, kind, at, float(f"{ratio:.6g}"), row))
        sums = hours.setdefault(at // 3600 * 3600, [0.0, 0.0])
        sums[0] += paid / WAD
        sums[1] += worth / WAD
    if not found:
        return None
    largest = max(worth for worth, *_ in found) or 1.0
    dots: dict[tuple[str, bool], list[tuple[int, float, float, list[str]]]] = {}
    drawn = sorted(range(len(found)), key=lambda i: -found[i][0])[:MOST_DOTS]
    for size, kind, at, ratio, take in (found[i] for i in sorted(drawn)):
        dots.setdefault(kind, []).append((at, ratio, size, _list_take_hover_texts(take)))
    traces = []
    for (symbol, near_zero), group in sorted(dots.items(), key=lambda entry: entry[0][1]):
        shade = get_series_color(symbols.index(symbol) if symbol in symbols else 0)
        ring = {"color": "@loss" if near_zero else "@paper", "width": 1.5 if near_zero else 0.75}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": symbol,
                "x": to_milliseconds(at for at, *_ in group),
                "y": [ratio for _, ratio, _, _ in group],
                "customdata": [text for *_, text in group],
                "cliponaxis": False,
                "marker": {
                    "size": [float(f"{worth:.4g}") for _, _, worth, _ in group],
                    "sizemode": "area",
                    "sizeref": float(f"{2 * largest / 26**2:.4g}"),
                    "sizemin": 3.5,
                    "color": "@loss:b3" if near_zero else f"{shade}:b3",
                    "line": ring,
                },
                "hovertemplate": (
                    "<b>%{y:.1%} of the market price</b><br>%{x|%H:%M} UTC, auction %{customdata[0]}<br>"
                    f"%{{customdata[2]}} {symbol} worth %{{customdata[4]}}<br>"
                    "for %{customdata[3]} paid by %{customdata[1]}<extra></extra>"
                ),
            }
        )
    mean = [(hour, paid / worth) for hour, (paid, worth) in sorted(hours.items()) if worth]
    x, y = [], []
    for hour, share in mean:  # one flat piece per hour with fills, nothing between
        x += [hour * 1000, (hour + 3600) * 1000, (hour + 3600) * 1000]
        y += [float(f"{share:.6g}"), float(f"{share:.6g}"), None]
    average = build_line("hour's average", [], [], "@ink", width=2) | {"x": x, "y": y, "hoverinfo": "skip"}
    average.pop("hovertemplate")
    ratios = [ratio for _, _, _, ratio, _ in found]
    figure = {
        "data": [*traces, average],
        "layout": {
            "height": 420,
            "hovermode": "closest",
            "xaxis": build_time_axis(start, end),
            "yaxis": {
                "range": [-0.05, max(1.15, max(ratios) * 1.08)],
                "tickformat": ".0%",
                "zeroline": True,
                "tickvals": [0, 0.25, 0.5, 0.75, 1, 1.25],
            },
            "shapes": [build_level_line(1, "@ink"), *build_outage_shapes(run)],
            "annotations": [
                build_panel_title("price paid, as a share of the market price", [0, 1]),
            ],
        },
    }
    near = sum(ratio < NEAR_ZERO for ratio in ratios)
    low, high = (
        amounts.format_percent(*find_cheapest_take_and_market_price(rows)),
        amounts.format_percent(*find_dearest_take_and_market_price(rows)),
    )
    label = (
        f"{len(ratios)} fills, priced between {low} and {high} of the market price; "
        f"{near} of them under {NEAR_ZERO:.0%}."
    )
    if len(found) > MOST_DOTS:
        label += f" Drawn are the {MOST_DOTS} largest."
    legend = [
        LegendKey(s, f"{get_series_color(i)}:b3", "dots") for i, s in enumerate(symbols) if (s, False) in dots
    ]
    if any(near_zero for _, near_zero in dots):
        legend.append(LegendKey(f"under {NEAR_ZERO:.0%}: close to a zero bid", "@loss:b3", "dots"))
    legend += [LegendKey("average of the hour, by value", "@ink"), *build_keeper_outage_legend(run)]
    return Chart("fills", "Auction price against the market", label, figure, tuple(legend))


def _list_take_hover_texts(take: Mapping[str, Any]) -> list[str]:
    """Return the hover texts of a purchase: auction, buyer, amount bought, amount paid, market value."""
    bought = int(take["slice_wad"])
    return [
        str(take["auction_id"]),
        str(take["taker_name"] or take["taker"]),
        *(amounts.format_compact(each, WAD) for each in (bought, int(take["paid_wad"]))),
        amounts.format_compact(bought * int(take["market_price_ray"]) // RAY, WAD),
    ]
