"""The parts of the page, without a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from backstop.errors import BackstopError
from backstop.report.auction_purchase_charts import MOST_DOTS
from backstop.report.chart_parts import (
    MOST_POINTS,
    compute_panel_domains,
    drop_repeated_points,
    list_thinned_points_keeping_extremes,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.rendering import as_script
from backstop.report.run_charts import build_charts
from backstop.report.run_page import compute_unexplained_loss, render_page, write_page
from tests.support import handmade_page_runs
from tests.support.chart_color_placeholder_filling import COLOR, replace_colors_with_fixed_hex

BRIEF = "tests/backstop/report/test_page.py::test_the_largest_purchases_are_drawn_and_all_are_counted"

RUNS = {"crash": handmade_page_runs.build_handmade_crash_run(), "calm": handmade_page_runs.build_calm_run()}


@pytest.mark.parametrize("name", RUNS)
def test_figures_are_valid_plotly(name: str) -> None:
    """plotly's own schema accepts every trace and layout once the colours are filled in."""
    for chart in build_charts(RUNS[name]):
        go.Figure(replace_colors_with_fixed_hex(chart.figure))


def test_every_colour_is_defined_for_both_schemes() -> None:
    html = render_page(RUNS["crash"])
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", html, re.DOTALL)[:2]
    used = {
        match.group()[1:].split(":")[0] for match in COLOR.finditer(json.dumps(build_charts(RUNS["crash"])))
    }
    assert used
    for scheme in (light, dark):
        assert used <= set(re.findall(r"--([a-z_]+):", scheme))


def test_the_page_asks_for_nothing() -> None:
    html = render_page(RUNS["crash"])
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"(?!data:)", html)
    assert html.count("plotly.js (cartesian") <= 1


def test_script_text_cannot_end_its_element() -> None:
    hostile = {"name": "</script><script>alert(1)</script><!--\u2028"}
    text = str(as_script(hostile))
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == hostile


def test_a_loss_that_does_not_add_up_is_said() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    assert compute_unexplained_loss(run.summary) == 0
    run.summary["losses"]["outstanding_rad"] = str(int(run.summary["losses"]["outstanding_rad"]) + 1)
    assert compute_unexplained_loss(run.summary) == -1
    assert "The parts miss the whole by" in render_page(run)


def test_a_difference_is_said_first_thing_in_the_verdict() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    run.summary["differences"] = 2
    assert "Model and chain differ in" in render_page(run)


@pytest.mark.deep(brief=BRIEF)
def test_a_large_book_makes_a_page_that_can_still_be_mailed() -> None:
    """Marks and rows have a limit each, and the page says how many are left out."""
    run = handmade_page_runs.build_handmade_crash_run()
    takes, losses = run.frames["takes"], run.frames["waterfall"]
    many = 5 * MOST_DOTS // len(takes)
    frames = run.frames | {
        "takes": pd.concat([takes] * many, ignore_index=True),
        "waterfall": pd.concat([losses] * many, ignore_index=True),
        "auctions": pd.concat([run.frames["auctions"]] * many, ignore_index=True),
    }
    guards = {
        "calls": dict.fromkeys(("made", "met", "liquidated", "restructured", "lapsed"), 0),
        "workouts": {"entered": 0},
        "ceilings": [],
        "open_calls": [dict.fromkeys(("owner", "symbol", "called_at", "due_at", "expires_at"), 0)] * 5_000,
        "modes": [{"at": 0, "mode": 1, "trigger": "losses", "symbol": None}] * 3_000,
    }
    large = replace(run, frames=frames, summary=run.summary | {"guards": guards})
    for chart in build_charts(large):
        for trace in chart.figure["data"]:
            assert len(trace["x"]) <= MOST_POINTS, (chart.id, trace.get("name"))
    html = re.sub("<[^>]+>", "", render_page(large))
    assert f"the {len(takes) * many - MOST_DOTS:,} smallest are left out" in html
    assert f"of {len(run.frames['auctions']) * many:,} auctions" in html
    assert "The first 12 of 5,000 open calls" in html
    assert "The first 12 of 3,000 changes of the mode" in html
    assert "leaves out 4,000 entries of guards.open_calls" in html
    assert "leaves out 2,000 entries of guards.modes" in html
    assert len(render_page(large).encode()) < 4_000_000
    assert len(render_page(large)) - len(render_page(run)) < 1_000_000
    assert "are left out" not in render_page(run)


def test_the_largest_purchases_are_drawn_and_all_are_counted() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    takes = run.frames["takes"]
    small = pd.concat([takes.assign(slice_wad="1", paid_wad="1")] * (2 * MOST_DOTS // len(takes)))
    whole = next(chart for chart in build_charts(run) if chart.id == "fills")
    large = replace(run, frames=run.frames | {"takes": pd.concat([small, takes], ignore_index=True)})
    cut = next(chart for chart in build_charts(large) if chart.id == "fills")
    assert f"{len(small) + len(takes)} fills, " in cut.label
    drawn = {
        (at, y) for trace in cut.figure["data"][:-1] for at, y in zip(trace["x"], trace["y"], strict=True)
    }
    for trace in whole.figure["data"][:-1]:
        assert drawn.issuperset(zip(trace["x"], trace["y"], strict=True))


def test_thin_keeps_ends_and_extremes() -> None:
    x = list(range(10_000))
    y: list[float | None] = [0.0] * 10_000
    y[4321], y[777] = 9.0, None
    at, values = list_thinned_points_keeping_extremes(x, y)
    assert len(at) <= MOST_POINTS
    assert at[0] == 0 and at[-1] == 9999 and 4321 in at
    assert values[at.index(4321)] == 9.0


def test_changes_keep_a_staircase() -> None:
    assert drop_repeated_points([0, 1, 2, 3], [5, 5, 6, 6]) == ([0, 2, 3], [5, 6, 6])


def test_plotted_takes_strings_and_gaps() -> None:
    assert to_plot_values(["1500000000000000000", None, ""], 10**18) == [1.5, None, None]
    assert to_milliseconds([1, "2"]) == [1000, 2000]


def test_panels_fill_the_height() -> None:
    upper, lower = compute_panel_domains((3, 1))
    assert upper[1] == 1 and lower[0] == 0 and upper[0] > lower[1]


def test_a_run_that_broke_off_says_so() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    run.summary["completed"] = False
    run.meta["error"] = "the node is gone"
    assert re.search(r"This run broke off; .* the node is gone", render_page(run))


def test_a_run_of_the_model_alone_claims_no_comparison() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    run.summary["fields_compared"] = 0
    assert "nothing compared with a chain" in render_page(run)
    assert "Model and chain agreed" not in render_page(run)


def test_tables_without_rows_make_a_page() -> None:
    """A run that was stopped at once has every table, but nothing in them."""
    run = handmade_page_runs.build_handmade_crash_run()
    empty = {name: frame.iloc[:0] for name, frame in run.frames.items()}
    assert [chart.id for chart in build_charts(replace(run, frames=empty))] == [
        "waterfall",
        "margin-waterfall",
    ]
    assert "</html>" in render_page(replace(run, frames=empty))


def test_a_page_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(BackstopError, match=r"report\.html cannot be written: "):
        write_page(handmade_page_runs.build_handmade_crash_run(), tmp_path / "report.html")


def test_equal_runs_have_equal_pages() -> None:
    """When and where a run was made is in meta.json and nowhere else."""
    run = RUNS["crash"]
    later = replace(
        run, meta={**run.meta, "created": "2031-01-01T00:00:00+00:00", "seconds": "9", "run_dir": "/x"}
    )
    assert render_page(later) == render_page(run)
