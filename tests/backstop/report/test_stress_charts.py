"""Losses of a study as a histogram, and its prices as a fan with the worst path."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from backstop.model.arithmetic import RAY
from backstop.report.loss_histogram import (
    LEAST_BINS,
    MOST_BINS,
    build_log_axis,
    build_loss_histogram_chart,
    compute_log_loss_bins,
)
from backstop.report.price_fans import build_price_fans
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.draw_scenario import convert_ticks_to_rays, draw_path_outcomes
from backstop.studies.stress.engines import Task
from backstop.studies.stress.price_quantiles import FAN_PATHS, LEVELS, MOST_TIMES, compute_price_quantiles
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex
from tests.support.checkout_paths import DATA

COIN = 10**6


def summary(largest: int = 5) -> dict[str, Any]:
    level = {"level_bps": 9_500, "at_risk": {"value_micro": 0}, "shortfall": {"value_micro": 100 * COIN}}
    return {"bad_debt": {"levels": [level], "largest_micro": largest}, "worst": {"path": 3}}


@pytest.mark.parametrize("count", (1, 2, 50, 3_000))
def test_every_loss_is_in_one_bin(count: int) -> None:
    losses = np.random.default_rng(1).lognormal(20, 3, count).astype(np.int64) + 1
    edges, counts = compute_log_loss_bins(losses)
    assert sum(counts) == count and edges == sorted(set(edges))
    assert edges[0] == losses.min() and edges[-1] == losses.max() + 1
    assert len(counts) <= MOST_BINS
    for low, high, found in zip(edges[:-1], edges[1:], counts, strict=True):
        assert found == np.count_nonzero((losses >= low) & (losses < high))
    if count == 3_000:
        widths = np.diff(np.log(edges))
        assert len(counts) == MOST_BINS and widths.max() < 1.01 * widths.min()
    if count == 50:
        assert len(counts) == LEAST_BINS


def test_equal_losses_are_one_step() -> None:
    assert compute_log_loss_bins(np.array([7, 7, 7])) == ([7, 8], [3])


def test_the_histogram_says_how_many_lose_nothing() -> None:
    losses = np.array([0] * 90 + [2 * COIN] * 3 + [1_000 * COIN] * 7)
    chart = build_loss_histogram_chart(summary(), {"bad_debt": losses})
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    assert chart.label.startswith("90 of 100 paths lose nothing; most of the others: 7 paths lose ")
    (trace,) = chart.figure["data"]
    assert sum(trace["y"][:-1]) == 10 and trace["y"][-1] == 7 and trace["x"][0] == 2
    assert len(trace["text"]) == len(trace["x"]) == len(trace["y"])
    # The same marks as the survival curve's, at 100 stablecoins; a value at risk of 0 has no place here.
    (line,), (note,) = chart.figure["layout"]["shapes"], chart.figure["layout"]["annotations"]
    assert line["x0"] == 100 and note["x"] == 2 and note["text"] == "ES 95%"


def test_an_axis_of_many_powers_of_ten_names_these_alone() -> None:
    assert build_log_axis(5, 500)["dtick"] == "D2" and build_log_axis(5, 501)["dtick"] == 1
    # Within a fivefold there may be neither a two nor a five.
    assert build_log_axis(5, 26)["dtick"] == "D2" and "dtick" not in build_log_axis(5, 25)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(load_scenario(DATA / "stress" / "small.yaml"), 7, "fast")


def test_a_fan_is_made_of_the_paths_of_the_study(task: Task) -> None:
    found = compute_price_quantiles(task, 9, 4)
    assert [each["symbol"] for each in found] == list(task.scenario.symbols)
    assert json.loads(json.dumps(found)) == found
    for each in found:
        first = int(each["first_ray"])
        paths = np.array(
            [
                convert_ticks_to_rays(draw_path_outcomes(task.scenario, 7, path).prices[each["symbol"]])
                for path in range(9)
            ]
        )
        places = [second // task.scenario.block_time for second in each["seconds"]]
        assert places[0] == 0 and places[-1] == paths.shape[1] - 1 and len(places) <= MOST_TIMES + 2
        # Nine paths: the fifth is the middle, the worst one is number 4.
        halves = [round(sorted(paths[:, place])[4] / first * 10**6) for place in places]
        by_level = {level["level_bps"]: level["millionths"] for level in each["fan"]}
        assert list(by_level) == list(LEVELS) and by_level[5_000] == halves
        assert all(low <= high for low, high in zip(by_level[100], by_level[9_900], strict=True))
        own = [round(paths[4][place] / first * 10**6) for place in places]
        assert each["worst_millionths"] == own and min(own) == round(min(paths[4]) / first * 10**6)


def test_long_studies_have_a_fan_of_some_paths(task: Task) -> None:
    assert (
        compute_price_quantiles(task, FAN_PATHS + 50, 4)
        == compute_price_quantiles(task, FAN_PATHS, 4)
        != compute_price_quantiles(task, 20, 4)
    )


def prices() -> list[dict[str, Any]]:
    """One type at 200 that halves on the worst path, and stays within a tenth on nearly all."""
    fans = [{"level_bps": level, "millionths": [10**6, 10**6 + level * 20 - 100_000]} for level in LEVELS]
    price = {"symbol": "<b>", "first_ray": str(200 * RAY), "seconds": [0, 5_400]}
    return [price | {"worst_millionths": [10**6, 500_000], "fan": fans}]


def test_the_worst_path_is_drawn_within_the_fan() -> None:
    (chart,) = build_price_fans(summary() | {"prices": prices()})
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    assert chart.id == "fan-0" and chart.title == "‹b›"
    *bands, middle, worst = chart.figure["data"]
    assert [line["y"] for line in bands[:2]] == [[200.0, 180.4], [200.0, 219.6]]
    assert [line.get("fill") for line in bands] == [None, "tonexty"] * 3
    assert middle["y"] == [200.0, 200.0] and worst["y"] == [200.0, 100.0] and worst["x"] == [0, 1.5]
    assert chart.label == "‹b›: the middle of all paths ends at 200; the worst path falls by 50% to 100."
    low, high = chart.figure["layout"]["yaxis"]["range"]
    assert low < 100 and high > 219.6
    assert any("number 3" in key.name for key in chart.legend)


def test_without_a_loss_no_path_is_the_worst() -> None:
    (chart,) = build_price_fans(summary(largest=0) | {"prices": prices()})
    assert "worst" not in chart.label and len(chart.figure["data"]) == 7
    assert build_price_fans(summary()) == []
