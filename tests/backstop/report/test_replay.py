"""The values that the slider of a run shows at a moment, by hand and against the run's tables."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from backstop.model.arithmetic import RAD, WAD
from backstop.report.replay_slider import (
    MOST_MOMENTS,
    MOST_SHOWN,
    build_replay_slider_chart,
    choose_moments,
    collect_replay,
)
from backstop.report.run_page import render_page
from backstop.simulation.run_directory import Run
from tests.support import handmade_page_runs
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex

START = handmade_page_runs.START


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    found = collect_replay(handmade_page_runs.build_handmade_crash_run())
    assert found is not None and json.loads(json.dumps(found)) == found
    return found


def test_moments_are_even_with_both_ends() -> None:
    assert choose_moments([1, 2, 3]) == [1, 2, 3]
    assert choose_moments(list(range(0, 101, 10)), 3) == [0, 50, 100]
    chosen = choose_moments(list(range(10_000)))
    assert len(chosen) == len(set(chosen)) == MOST_MOMENTS and (chosen[0], chosen[-1]) == (0, 9_999)


def test_prices_are_those_of_the_block(told: dict[str, Any]) -> None:
    """In the sample the market falls by one a row, the feed by six every six."""
    eth = told["types"][0]
    assert told["times"][7] == (START + 7 * 600) * 1000
    assert (eth["market"][7], eth["feed"][7], eth["change"][7]) == ("193", "194", "\u22123.5%")
    assert (eth["unsafe"][7], eth["debt"][7], eth["change"][0]) == (7, "7", "0.0%")
    assert [each["symbol"] for each in told["types"]] == ["ETH", "</script>"]


def test_it_begins_where_most_debt_is_in_auctions(told: dict[str, Any]) -> None:
    """In the sample the debt of both types grows by a stablecoin a row, up to the end."""
    assert told["peak"] == len(told["times"]) - 1
    assert int(told["peak_rad"]) == 2 * told["peak"] * RAD
    flat = handmade_page_runs.build_handmade_crash_run()
    frames = dict(flat.frames)
    frames["state"] = frames["state"].assign(in_auction_rad=0)
    calm = collect_replay(replace(flat, frames=frames))
    assert calm is not None and (calm["peak"], calm["peak_rad"]) == (0, "0")
    chart = build_replay_slider_chart(replace(flat, frames=frames))
    assert chart is not None and chart.figure["layout"]["yaxis2"]["range"] == [
        0,
        10.0,
    ]  # no "500m" for a half


def test_stages_are_so_far_and_of_one_whole(told: dict[str, Any]) -> None:
    """Two hours in, 5,672,123 are lost, and all is paid of it that ever is."""
    assert told["lost"]["text"][11:13] == ["0", "5.67M"] and told["lost"]["part"][11:13] == [0, 1_000]
    stages = {each["stage"]: (each["text"][12], each["part"][12]) for each in told["stages"]}
    assert stages["buffer"] == ("450k", 79) and stages["savings"] == ("900k", 158)
    assert all(each["part"][11] == 0 and each["text"][11] == "0" for each in told["stages"])
    # Both types have a deficit of a thousand for each row.
    assert told["outstanding"][7] == "14.0k"


def test_open_auctions_are_there_from_start_to_end_the_largest_first(told: dict[str, Any]) -> None:
    """One begins every five minutes and is open for a quarter of an hour; the last never ends."""
    frame = handmade_page_runs.build_handmade_crash_run().frames["auctions"]
    for i, at in enumerate(each // 1000 for each in told["times"]):
        open_ = frame[(frame["started_at"] <= at) & ~(frame["ended_at"] <= at)]
        assert told["open"][i]["count"] == len(open_)
        ids = open_.sort_values("auction_id", ascending=False)["auction_id"].tolist()
        assert told["open"][i]["largest"] == ids[:MOST_SHOWN]  # later ones are larger in the sample
    assert told["open"][0] == {"count": 1, "largest": [1]} and told["open"][-1]["largest"] == [30]
    assert told["auctions"]["3"] == {"symbol": "ETH", "since": (START + 600) * 1000, "debt": "10.0k"}


def acting() -> Run:
    """Besides the purchases: a keeper liquidates and fails to, a stranger does, a report is not told."""
    rows = [
        ("idle", "liquidate", True, START + 600),
        ("idle", "cover", False, START + 600),
        ("idle", "report", True, START + 600),
        ("stranger", "liquidate", True, START + 600),
    ]
    frame = pd.DataFrame(rows, columns=["sender_name", "method", "ok", "timestamp"])
    made = handmade_page_runs.build_handmade_crash_run()
    return replace(made, frames=made.frames | {"actions": frame.assign(step=range(900, 904))})


def test_keepers_acts_are_in_words_the_newest_first() -> None:
    found = collect_replay(acting())
    assert found is not None
    texts = [[found["acts"][place]["text"] for place in places] for places in found["done"]]
    bought = f"{handmade_page_runs.NAME} took 2 </script> at 90, auction 2"
    assert texts[1][0] == "idle liquidated a vault" and bought in texts[1]
    assert not any(word in " ".join(texts[-1] + texts[1]) for word in ("stranger", "covered", "report"))
    assert all(len(each) <= MOST_SHOWN for each in texts) and len(texts[-1]) == MOST_SHOWN
    for i, places in enumerate(found["done"]):
        at = [found["acts"][place]["at"] for place in places]
        assert at == sorted(at, reverse=True) and all(each <= found["times"][i] for each in at)


def test_the_chart_is_of_prices_against_their_first() -> None:
    chart = build_replay_slider_chart(handmade_page_runs.build_handmade_crash_run())
    assert chart is not None
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    price, debt = chart.figure["data"][:2]
    assert price["y"][0] == 1 and price["y"][-1] == 0.825 and debt["yaxis"] == "y2"
    assert "ETH falls to 83%" in chart.label


def test_a_page_has_it_where_there_are_blocks() -> None:
    html = render_page(handmade_page_runs.build_handmade_crash_run())
    assert '<input type="range" id="replay-at" min="0" max="35"' in html and 'id="replay-data"' in html
    assert collect_replay(handmade_page_runs.build_calm_run()) is None and 'id="replay"' not in render_page(
        handmade_page_runs.build_calm_run()
    )


def test_a_large_run_has_a_small_replay() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    times = [START + 60 * i for i in range(5_000)]
    state, auctions, takes = run.frames["state"], run.frames["auctions"], run.frames["takes"]
    row = state[state["collateral_type"] == 0].iloc[0].to_dict()
    frames = run.frames | {
        "state": pd.DataFrame([row | {"timestamp": at} for at in times]),
        "auctions": pd.concat([auctions] * 500, ignore_index=True),
        "takes": pd.concat([takes] * 500, ignore_index=True),
    }
    found = collect_replay(replace(run, frames=frames))
    assert found is not None and len(found["times"]) == MOST_MOMENTS
    assert len(json.dumps(found)) < 300_000


def test_amounts_are_exact_integers_rounded_once() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    state = run.frames["state"].assign(in_auction_rad=str(10**9 * RAD + WAD))
    found = collect_replay(replace(run, frames=run.frames | {"state": state}))
    assert found is not None and found["types"][0]["debt"][0] == "1.00B"
