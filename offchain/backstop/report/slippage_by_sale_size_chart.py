"""Chart of the local markets: the price impact of an immediate sale, and the sizes of auctions' lots."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    get_series_color,
    shorten_name,
    to_plot_values,
)
from backstop.report.run_frames import get_table, iter_rows_by_collateral_type, list_records
from backstop.simulation.run_directory import Run

STEPS = 60  # points of a curve
FROM, TO = 0.003, 10  # worth sold, in times of the depth, where a curve begins and ends


class MarketLots(NamedTuple):
    """Market of a collateral type as opened, with the worth of its auctions' lots at their start [wad]."""

    number: int
    symbol: str
    depth: int
    lot: int  # number of the auction with the largest lot
    largest: int
    together: int


def compute_slippage(worth: int, depth: int) -> int:
    """Return how much less than its price an immediate sale brings on average [basis points].

    The market has a constant product, so a sale worth its depth brings half of its value. The market's fee is
    ignored. Rounded down.
    """
    return worth * BASIS_POINTS // (worth + depth)


def list_largest_auction_lot_by_market(run: Run) -> list[MarketLots]:
    """Return each collateral market's depth with the largest and total lots of the run's auctions."""
    events, auctions = get_table(run, "events"), get_table(run, "auctions")
    if events.empty or auctions.empty:
        return []
    opened: dict[str, int] = {}
    set_ = events[events["event"].eq("LiquiditySet")].drop_duplicates("contract")
    for row in list_records(set_):
        opened[str(row["contract"])] = int(json.loads(row["values"])[1])
    found = []
    for number, symbol, rows in iter_rows_by_collateral_type(get_table(run, "state")):
        times, prices = list(rows["timestamp"]), [int(price) for price in rows["market_price_ray"]]
        lots = []
        for row in list_records(auctions[auctions["collateral_type"] == number]):
            # An auction that was open before the run is worth what it is at the first block.
            price = prices[max(0, bisect_right(times, int(row["started_at"])) - 1)]
            lots.append((int(row["lot_wad"]) * price // RAY, int(row["auction_id"])))
        depth = opened.get(f"Market.{symbol}", 0)
        if depth and lots:
            largest, auction = max(lots)
            found.append(MarketLots(number, symbol, depth, auction, largest, sum(worth for worth, _ in lots)))
    return found


def draw_slippage_by_sale_size(run: Run) -> Chart | None:
    """Return the chart of slippage by size of an immediate sale; None without a market or auction."""
    found = list_largest_auction_lot_by_market(run)
    if not found:
        return None
    data: list[dict[str, Any]] = []
    legend: list[LegendKey] = []
    for each in found:
        ink, symbol = get_series_color(each.number), shorten_name(each.symbol)
        worth = [int(each.depth * times) for times in np.geomspace(FROM, TO, STEPS).tolist()]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{symbol}, sold at once",
                "x": to_plot_values(worth, WAD),
                "y": [compute_slippage(one, each.depth) / BASIS_POINTS for one in worth],
                "line": {"color": ink, "width": 2},
                "hovertemplate": f"{symbol}: %{{x:.3s}} sold at once bring %{{y:.1%}} less<extra></extra>",
            }
        )
        for name, value, mark in (
            ("largest lot", each.largest, "diamond"),
            ("all lots together", each.together, "diamond-open"),
        ):
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"{symbol}, {name}",
                    "x": to_plot_values([value], WAD),
                    "y": [compute_slippage(value, each.depth) / BASIS_POINTS],
                    "marker": {"color": ink, "size": 12, "symbol": mark, "line": {"width": 2, "color": ink}},
                    "hovertemplate": f"{symbol}, {name}: %{{x:.3s}}, %{{y:.1%}} less<extra></extra>",
                }
            )
        legend.append(LegendKey(symbol, ink))
    figure = {
        "data": data,
        "layout": {
            "height": 360,
            "hovermode": "closest",
            "xaxis": {"type": "log", "tickformat": "~s", "dtick": 1}
            | {"title": build_axis_title("worth sold at once, stablecoins")},
            "yaxis": {
                "tickformat": ".0%",
                "rangemode": "tozero",
                "title": build_axis_title("fetched less, % of worth"),
            },
        },
    }
    told = "; ".join(
        f"{shorten_name(each.symbol)}: the largest lot, {amounts.format_compact(each.largest, WAD)} "
        "against a depth "
        f"of {amounts.format_compact(each.depth, WAD)}, would fetch "
        f"{amounts.format_percent(compute_slippage(each.largest, each.depth), BASIS_POINTS)} less"
        for each in found
    )
    label = f"Discount of an immediate sale from its worth. {told}."
    return Chart("depth", "Depth against the lots", label, figure, tuple(legend))
