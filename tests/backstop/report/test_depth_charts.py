"""Depth of the local markets against the lots of a run's auctions, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from backstop.model.arithmetic import RAY, WAD
from backstop.report.run_frames import list_records
from backstop.report.run_page import render_page
from backstop.report.slippage_by_sale_size_chart import (
    MarketLots,
    compute_slippage,
    draw_slippage_by_sale_size,
    list_largest_auction_lot_by_market,
)
from backstop.simulation.run_directory import Run
from tests.support import handmade_page_runs
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex
from tests.support.page_text_figures import read_page_figures


def run() -> Run:
    """ETH at 200 drops by 1 every ten minutes; its market has 60,000 of each side, and later half of it."""
    begun = handmade_page_runs.START
    events = [
        ("Market.ETH", begun, [str(300 * WAD), str(60_000 * WAD)]),
        ("Market.WBTC", begun, [str(WAD), str(WAD)]),
        ("Market.ETH", begun + 600, [str(150 * WAD), str(30_000 * WAD)]),
    ]
    made = handmade_page_runs.build_handmade_crash_run()
    auctions = [
        auction(7, begun - 99, 10),  # 200 a coin: 2,000
        auction(8, begun + 600, 100),  # 199: 19,900, the largest
        auction(9, begun + 1_199, 50),  # 199 still: 9,950
        auction(10, begun + 1_200, 0),
        auction(11, begun, 5) | {"collateral_type": 1, "symbol": "</script>"},
    ]
    frame = pd.DataFrame(events, columns=["contract", "timestamp", "values"])
    frame["values"] = frame["values"].map(json.dumps)
    frames = made.frames | {
        "events": frame.assign(event="LiquiditySet"),
        "auctions": pd.DataFrame(auctions),
    }
    return replace(made, frames=frames)


def auction(id: int, at: int, coins: int) -> dict[str, Any]:
    row = list_records(handmade_page_runs.build_handmade_crash_run().frames["auctions"])[0]
    return row | {"auction_id": id, "started_at": at, "lot_wad": str(coins * WAD)}


def test_lots_are_worth_what_they_were_when_their_auctions_began() -> None:
    assert list_largest_auction_lot_by_market(run()) == [
        MarketLots(0, "ETH", 60_000 * WAD, 8, 19_900 * WAD, 31_850 * WAD)
    ]


def test_what_is_worth_as_much_as_the_depth_brings_half() -> None:
    assert compute_slippage(60_000 * WAD, 60_000 * WAD) == 5_000
    assert compute_slippage(0, 1) == 0 and compute_slippage(20_000 * WAD, 60_000 * WAD) == 2_500
    # As the market itself would: 300 coins at 200, and 100 more come in.
    fetched = 60_000 * WAD - 60_000 * WAD * 300 * WAD // (400 * WAD)
    assert 10_000 - fetched * 10_000 // (100 * 200 * WAD) == compute_slippage(100 * 200 * RAY, 60_000 * RAY)


def test_the_chart_has_a_curve_with_the_lots_on_it() -> None:
    chart = draw_slippage_by_sale_size(run())
    assert chart is not None
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    curve, largest, together = chart.figure["data"]
    assert largest["x"] == [19_900.0] and largest["y"] == [0.249]
    assert together["x"] == [31_850.0] and together["y"] == [0.3467]
    assert curve["y"] == sorted(curve["y"]) and curve["x"][0] == 180.0 and curve["x"][-1] == 600_000.0
    assert "ETH: the largest lot, 19.9k against a depth of 60.0k, would fetch 24.9% less" in chart.label


def test_the_page_has_the_figures_and_the_way_to_the_auction() -> None:
    html = render_page(run())
    assert 'id="depth-of-markets"' in html and '<a href="#auction-8">8</a>' in html
    (row,) = [
        table["ETH"]
        for table in read_page_figures(html)[1]
        if "ETH" in table and 60_000 * WAD * 10**27 in table["ETH"]
    ]
    assert row[:3] == [60_000 * WAD * 10**27, 19_900 * WAD * 10**27, 31_850 * WAD * 10**27]


def test_without_a_market_or_an_auction_there_is_none() -> None:
    made = run()
    for name in ("events", "auctions", "state"):
        assert draw_slippage_by_sale_size(replace(made, frames=made.frames | {name: pd.DataFrame()})) is None
    assert draw_slippage_by_sale_size(
        handmade_page_runs.build_handmade_crash_run()
    ) is None and "depth-of-markets" not in render_page(handmade_page_runs.build_handmade_crash_run())
