"""Risk drivers of a sweep or a proposal, the certainty of a front, and grids that are too small."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import plotly.graph_objects as go
import pytest

from backstop.report.grid_edge import describe_grid_edge
from backstop.report.sweep_console_output import print_sweep
from backstop.report.sweep_page import draw_front
from backstop.report.tornado_chart import build_proposal_assumption_tornado_chart, build_sweep_tornado_chart
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex

RATIOS, STEPS = ("120%", "130%", "140%"), ("60 s", "90 s", "120 s")


def sweep(best: tuple[str, str] | None = ("130%", "90 s")) -> dict[str, Any]:
    """Shortfalls in whole stablecoins: 100 for each ratio under 140%, and 7 for each step under 120 s."""
    points = []
    for ratio, step in product(RATIOS, STEPS):
        value = 100 * (2 - RATIOS.index(ratio)) + 7 * (2 - STEPS.index(step)) + 10
        found = {"value_micro": value * 10**6, "low_micro": (value - 5) * 10**6, "high_micro": None}
        nothing = dict.fromkeys(("value_micro", "value_bps"), 0)
        rest = dict.fromkeys(("at_risk", "mean", "chance", "outstanding"), nothing)
        point = {"values": {"ratio": ratio, "step": step}, "gain": 8_000 - value, "shortfall": found} | rest
        points.append(point | {"front": step == "120 s"})
    axes = [
        {"name": "ratio", "title": "Ratio", "values": list(RATIOS)},
        {"name": "step", "title": "<b>Step</b>", "values": list(STEPS)},
    ]
    chosen = None
    if best is not None:
        place = list(product(RATIOS, STEPS)).index(best)
        chosen = {"point": place, "within_limit_bps": 9_000, "chosen_bps": 8_000}
    known = {"title": "A sweep", "gain": "efficiency", "level_bps": 9_500, "limit_micro": 10**9}
    known |= {"confidence_bps": 9_500, "paths": 100}
    return known | {"axes": axes, "points": points, "recommended": chosen}


def ends(trace: dict[str, Any]) -> list[float]:
    return [base + length for base, length in zip(trace["base"], trace["x"], strict=True)]


def test_bars_go_from_the_recommended_setting_to_both_ends_of_an_axis() -> None:
    chart = build_sweep_tornado_chart(sweep())
    assert chart is not None
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    least, most = chart.figure["data"]
    # 130% and 90 s have 117: the ratio takes it from 17 to 217, the step from 110 to 124.
    assert least["base"] == most["base"] == [117.0, 117.0]
    assert ends(least) == [17.0, 110.0] and ends(most) == [217.0, 124.0]
    assert least["text"] == ["140%", "120 s"] and most["text"] == ["120%", "60 s"]
    assert chart.figure["layout"]["yaxis"]["ticktext"] == ["Ratio", "‹b›Step‹/b›"]
    assert "Ratio: 140% 17, 120% 217" in chart.label
    # Both bars of a row lie on each other, as they go apart.
    assert least["offset"] == most["offset"]


def test_the_widest_axis_is_on_top_and_one_value_is_no_axis() -> None:
    turned = sweep(None)
    turned["axes"].reverse()
    chart = build_sweep_tornado_chart(turned)
    assert chart is not None and chart.figure["layout"]["yaxis"]["ticktext"][0] == "Ratio"
    assert chart.figure["data"][0]["base"] == [224.0, 224.0]  # the first setting's
    single = sweep()
    for axis in single["axes"]:
        axis["values"] = [single["points"][4]["values"][axis["name"]]]
    assert build_sweep_tornado_chart(single) is None


def proposal() -> dict[str, Any]:
    figures = [
        {"figure": "average", "of": "all", "now_micro": 1, "proposed_micro": 1},
        {"figure": "shortfall", "of": "all", "now_micro": 50 * 10**6, "proposed_micro": 40 * 10**6},
    ]
    worlds = [
        {"world": "a calm one", "now_micro": 45 * 10**6, "proposed_micro": 40 * 10**6},
        {"world": "a wild one", "now_micro": 90 * 10**6, "proposed_micro": 95 * 10**6},
    ]
    return {"tables": {"figures": figures, "sensitivity": worlds}}


def test_each_world_is_measured_against_its_own_setting() -> None:
    chart = build_proposal_assumption_tornado_chart(proposal())
    assert chart is not None
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    now, proposed = chart.figure["data"]
    assert chart.figure["layout"]["yaxis"]["ticktext"] == ["a wild one", "a calm one"]
    assert now["x"] == [40.0, -5.0] and proposed["x"] == [55.0, 0.0]
    # Both go the same way: side by side, and not over each other.
    assert now["offset"] + now["width"] == pytest.approx(proposed["offset"])
    without = proposal()
    without["tables"]["sensitivity"] = []
    assert build_proposal_assumption_tornado_chart(without) is None


def test_the_front_says_how_sure_it_is() -> None:
    chart = draw_front(sweep())
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    groups = {trace["name"]: trace["error_y"] for trace in chart.figure["data"] if "name" in trace}
    assert {name: bars["visible"] for name, bars in groups.items()} == {
        "the others": False,
        "not beaten by another": True,
        "recommended": False,
    }
    kept = groups["not beaten by another"]
    assert kept["array"] == [None] * 3 and kept["arrayminus"] == [5.0] * 3
    assert "110 (105 to ?)" in chart.label
    alone = sweep()
    for point in alone["points"]:
        point["shortfall"]["low_micro"] = None
    assert "110, no interval" in draw_front(alone).label


@pytest.mark.parametrize(
    ("best", "said"),
    (
        (("130%", "90 s"), ""),
        (("140%", "90 s"), "Ratio 140% is the last tried. "),
        (("120%", "120 s"), "Ratio 120% is the first tried; <b>Step</b> 120 s is the last tried. "),
        (None, ""),
    ),
)
def test_the_grids_edge_is_said(best: tuple[str, str] | None, said: str) -> None:
    found = describe_grid_edge(sweep(best))
    assert said in found and bool(said) == bool(found)


def test_words_have_no_edge_and_one_value_neither() -> None:
    words = sweep(("120%", "60 s"))
    words["axes"][0]["values"] = ["linear", "stepped"]
    words["points"][0]["values"]["ratio"] = "linear"
    assert describe_grid_edge(words).count("tried") == 1
    words["axes"][1]["values"] = ["60 s"]
    assert describe_grid_edge(words) == ""


def test_the_terminal_warns_too(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    for best in (("120%", "90 s"), ("130%", "90 s")):
        print_sweep(sweep(best), tmp_path, tmp_path / "report.html", as_json=False)
        assert ("on the grid's edge: Ratio 120%" in capsys.readouterr().out) == (best[0] == "120%")
        print_sweep(sweep(best), tmp_path, tmp_path / "report.html", as_json=True)
        assert json.loads(capsys.readouterr().out)["title"] == "A sweep"
