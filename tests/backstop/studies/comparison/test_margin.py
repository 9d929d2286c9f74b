"""A comparison of margin presets: its lines agree with the runs; none closes beyond unassigned lots."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, cast

import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.report.amounts import format_duration_text
from backstop.report.compare_margin_charts import draw_closed_positions, draw_margin_payers
from backstop.report.preset_comparison_page import render_page_text
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.run_directory import TABLES, load_run
from backstop.simulation.simulator import RunResult
from backstop.studies.comparison.preset_comparison import (
    collect_margin_figures,
    compare,
    list_all_runs,
    list_comparison_line_specs,
    list_margin_figure_line_specs,
)
from backstop.studies.comparison.presets import load_presets
from tests.support.checkout_paths import DATA

BRIEF = "tests/backstop/studies/comparison/test_command.py::test_the_table"

SCENARIO = str(DATA / "compare" / "crowded.yaml")
PRESETS = "dydx,bitmex,okex-clawback,ccp,hyperliquid"
FORCED = ("dydx", "bitmex", "ccp", "hyperliquid")


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("margin")


@pytest.fixture(scope="module")
def compared(out):
    """Return a comparison on the model alone: tests of runs and the browser's page compare the contracts."""
    return compare(SCENARIO, load_presets(PRESETS), "model", 1, out, aftermath=0)


@pytest.fixture(scope="module")
def by_name(compared):
    return {row["preset"]: row["margin"] for row in compared["presets"]}


@pytest.mark.deep(brief=BRIEF)
def test_the_loss_is_paid_exactly(compared, out):
    """Worked out again from the tables of each run."""
    for row in compared["presets"]:
        run = load_run(out / row["preset"])
        margin, paid = row["margin"], run.frames["margin_payments"]
        for kind in PAYERS:
            assert int(margin[f"{kind}_wad"]) == sum(map(int, paid[paid["kind"] == kind]["paid_wad"]))
        parts = sum(int(margin[f"{kind}_wad"]) for kind in PAYERS)
        assert int(margin["loss_wad"]) == parts + int(margin["not_paid_wad"]) > 100 * WAD
        closings = run.frames["margin_closings"]
        assert margin["closed"] == closings["owner"].nunique()
        closed = sum(
            int(lots) * int(price) for lots, price in closings[["lots", "price_wei"]].itertuples(False)
        )
        assert int(margin["closed_wad"]) == closed


@pytest.mark.deep(brief=BRIEF)
def test_no_more_is_closed_than_was_nobodys(by_name):
    for name, margin in by_name.items():
        assert margin["excess_wad"] == "0"
        assert (margin["closed"] > 0) == (name in FORCED)
        assert (int(margin["closed_wad"]) > 1_000 * WAD) == (name in FORCED)
    # By rank the last of them keeps lots, of which whole positions leave nothing.
    assert int(by_name["bitmex"]["greedy_excess_wad"]) > 0


@pytest.mark.deep(brief=BRIEF)
def test_who_pays_is_what_the_preset_says(by_name):
    for margin in by_name.values():
        assert margin["posted_wad"] == "0"
        assert 0 < margin["most_taken_bps"] <= 10_000
    for name in ("okex-clawback", "hyperliquid"):
        assert by_name[name]["insured_wad"] == "0"
    assert int(by_name["dydx"]["insured_wad"]) > 0 and int(by_name["bitmex"]["insured_wad"]) > 0
    # By rank fewer keep a part of their positions.
    assert int(by_name["bitmex"]["greedy_excess_wad"]) < int(by_name["dydx"]["greedy_excess_wad"])
    assert by_name["dydx"]["gas"] > by_name["okex-clawback"]["gas"] > 1_000_000


@pytest.mark.deep(brief=BRIEF)
def test_the_lines(compared, out):
    found = list_margin_figure_line_specs(compared)
    assert [line for line in list_comparison_line_specs(compared) if line in found] == found
    with (out / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, exact in zip(rows, compared["presets"], strict=True):
        whole, _, digits = row["paid by insurance"].partition(".")
        assert int(whole) * WAD + int(digits.ljust(18, "0")) == int(exact["margin"]["insured_wad"])
    chart, bars = draw_closed_positions(compared), draw_margin_payers(compared)
    assert chart is not None and bars is not None
    assert [key.name for key in chart.legend] == ["closed", "beyond it, by whole positions"]
    assert "not paid" in {key.name for key in bars.legend} or "gains of the cycle" in bars.label


@pytest.mark.deep(brief=BRIEF)
def test_the_page_has_every_line(compared, out):
    """How long losses took to be final with them, in words."""
    text = " ".join(render_page_text(compared, out).split())
    for line in list_margin_figure_line_specs(compared):
        assert line.title.strip() in text.replace("&#39;", "'")
    for row in compared["presets"]:
        seconds = row["margin"]["final_after_seconds"]
        assert seconds is None or format_duration_text(seconds) in text
    assert any(row["margin"]["final_after_seconds"] for row in compared["presets"])


@pytest.mark.deep(brief=BRIEF)
def test_winners_who_dodge_bear_the_same(tmp_path: Path) -> None:
    """Equal but for a wei that is rounded up for each of their accounts; and they have less by the fees."""
    found = compare(
        SCENARIO, load_presets("by-cycle,ranked"), "model", 1, tmp_path, aftermath=0, dodgers=2_000
    )
    for row in found["presets"]:
        dodging = row["margin"]["dodging"]
        assert dodging["dodgers"] > 0 and 0 < dodging["went"] < dodging["tried"]
        assert int(dodging["fees_wad"]) > 0 and int(dodging["won_wad"]) < 0
        if row["preset"] == "by-cycle":
            more = int(dodging["borne_wad"]) - int(dodging["idle_borne_wad"])
            assert 0 <= more <= 4 * dodging["dodgers"] and int(dodging["borne_wad"]) > 0
    assert list_all_runs(found)[-1]["differences"] == 0 and len(list_all_runs(found)) == 4
    titles = [line.title for line in list_margin_figure_line_specs(found)]
    assert "winners that evade" in titles and "have more by evading, fees paid" in titles
    assert "winners that evade" in render_page_text(found, tmp_path)


def test_where_there_is_no_margin_market_nobody_can_dodge(tmp_path: Path) -> None:
    with pytest.raises(BackstopError, match="--evaders: 'black-thursday' has no margin market"):
        compare("black-thursday", load_presets("maker"), "model", 1, tmp_path, dodgers=2_000)


def test_a_run_without_a_margin_market_has_no_such_line():
    nothing = {"presets": [{"margin": collect_margin_figures(_result({"margin": None})), "title": "x"}]}
    assert list_margin_figure_line_specs(nothing) == []
    assert draw_margin_payers(nothing) is draw_closed_positions(nothing) is None


def test_by_hand():
    """Two shorts of 5 and 4 lots; 6 were taken from the long debtor; 5 are closed, and 2, one too many."""
    paid = {"clawed_back": 1, "insured": 2, "taken": 50, "posted": 10, "cut": 5}
    margin = {
        "policy": "ranked",
        **{"accounts": 9, "liquidations": 4, "bankruptcies": 2, "seized": 2, "deleveraged": 2},
        **{"loss_wad": "100", "left_alone_wad": "7"},
        **{f"{kind}_wad": str(amount) for kind, amount in paid.items()},
        "cycles": [
            {"at": 700, "gained_wad": "1000", "borne_wad": "50"},
            {"at": 1_900, "gained_wad": "3", "borne_wad": "1"},
        ],
    }
    house, desk = ("PerpetualMarket", "PositionChanged"), ("PerpetualTrading", "Deleveraged")
    events = [
        (100, *house, ("debtor", 0, 9, 0)),
        (100, *house, ("first", 0, -5, 0)),
        (100, *house, ("second", 0, -4, 0)),
        (400, *house, ("debtor", 0, 3, 0)),
        (400, "PerpetualMarket", "Seized", ("debtor", "finder")),
        (500, *house, ("first", 0, 0, 0)),
        (500, *desk, ("first", 0, 5, 20, "prover")),
        (500, *house, ("second", 0, -2, 0)),
        (500, *desk, ("second", 0, 2, 20, "prover")),
        (2_100, "PerpetualMarket", "Rolled", (6, 3, 0)),
        (2_500, "PerpetualMarket", "Rolled", (7, 0, 0)),
    ]
    calls = [
        ("PerpetualMarket", "seize_insolvent", 7),
        ("PerpetualCloser", "execute", 5),
        ("MarginOrders", "fill", 9),
    ]
    closings = [(5, 5, 20), (2, 4, 20)]
    result = _result(
        {"margin": margin, "started_at": 0},
        events=[dict(zip(("timestamp", "contract", "event", "values"), row, strict=True)) for row in events],
        actions=[dict(zip(("contract", "method", "gas"), row, strict=True)) for row in calls],
        margin_closings=[
            dict(zip(("lots", "whole_lots", "price_wei"), row, strict=True)) for row in closings
        ],
    )
    found = collect_margin_figures(result)
    assert found is not None
    assert (found["not_paid_wad"], found["most_taken_bps"], found["gas"]) == ("32", 3_334, 12)
    assert (found["closed"], found["closed_wad"], found["excess_wad"]) == (2, "140", "20")
    assert (found["greedy_excess_wad"], found["final_after_seconds"]) == ("40", 1_700)


def _result(summary: dict[str, Any], **tables: list[dict[str, Any]]) -> RunResult:
    """A finished run, of which nothing else is asked."""
    rows = {
        name: [tuple(row.get(each) for each in TABLES[name]) for row in tables.get(name, ())]
        for name in TABLES
    }
    return cast(RunResult, type("Result", (), {"summary": summary, "tables": rows}))
