"""A comparison of margin presets: its lines agree with the runs; who deleverages takes the least, or more."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from backstop.model.arithmetic import WAD
from backstop.report.compare_margin_charts import margin_excess, margin_payers
from backstop.simulation.bearers import PAYERS
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.compare import WAYS, compare, lines, margin_lines, margin_of
from backstop.studies.comparison.presets import load_presets
from tests.support.paths import DATA

SCENARIO = str(DATA / "compare" / "crowded.yaml")
PRESETS = "dydx,bitmex,okex-clawback"


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("margin")


@pytest.fixture(scope="module")
def compared(out):
    """Only what the model did: that it does as contracts do, tests of runs and the browser's page say."""
    return compare(SCENARIO, load_presets(PRESETS), "model", 1, out, aftermath=0)


@pytest.fixture(scope="module")
def by_name(compared):
    return {row["preset"]: row["margin"] for row in compared["presets"]}


def test_the_loss_is_paid_exactly(compared, out):
    """Worked out again from the tables of each run."""
    for row in compared["presets"]:
        run = load_run(out / row["preset"])
        margin, paid = row["margin"], run.frames["margin_payments"]
        for kind in PAYERS:
            assert int(margin[f"{kind}_wad"]) == sum(map(int, paid[paid["kind"] == kind]["paid_wad"]))
        parts = sum(int(margin[f"{kind}_wad"]) for kind in PAYERS)
        assert int(margin["loss_wad"]) == parts + int(margin["not_paid_wad"]) > 1_000 * WAD
        freezes = run.frames["margin_freezes"]
        assert margin["freezes"] == len(freezes) > 0
        assert margin["charged"] == sum(map(int, freezes["charged"]))


def test_only_a_greedy_engine_takes_more_than_the_least(by_name):
    for margin in by_name.values():
        assert margin["excess_wad"] == margin["ranked_excess_wad"] == margin["shared_excess_wad"] == "0"
        assert int(margin["taken_wad"]) <= int(margin["minimal_wad"])
    assert any(int(margin["greedy_excess_wad"]) > 100 * WAD for margin in by_name.values())


def test_who_pays_is_what_the_preset_says(by_name):
    for name in ("dydx", "bitmex", "okex-clawback"):
        assert by_name[name]["posted_wad"] == "0"
    assert by_name["okex-clawback"]["insured_wad"] == "0"
    assert int(by_name["dydx"]["insured_wad"]) == int(by_name["bitmex"]["insured_wad"]) > 0
    # By rank few are charged, and shared many.
    assert by_name["bitmex"]["charged"] < by_name["dydx"]["charged"]


def test_the_lines(compared, out):
    found = margin_lines(compared)
    assert [line for line in lines(compared) if line in found] == found
    with (out / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, exact in zip(rows, compared["presets"], strict=True):
        whole, _, digits = row["paid by insurance"].partition(".")
        assert int(whole) * WAD + int(digits.ljust(18, "0")) == int(exact["margin"]["insured_wad"])


def test_a_run_without_a_margin_market_has_no_such_line():
    nothing = {"presets": [{"margin": margin_of(None), "title": "x"}]}
    assert margin_lines(nothing) == []
    assert margin_payers(nothing) is margin_excess(nothing) is None


def test_by_hand():
    """Two freezes: the first lapsed with nothing taken, in the second what was missing fell meanwhile."""

    def freeze(taken, charged, **policies):
        wads = {f"{name}_wad": str(amount) for name, amount in policies.items()}
        return {"taken_wad": str(taken), "charged": charged, "policies": wads}

    paid = {"clawed_back": 1, "insured": 2, "taken": 50, "posted": 10, "cut": 5}
    summary = {
        "accounts": 9,
        "liquidations": 4,
        "bankruptcies": 2,
        "loss_wad": "100",
        "left_alone_wad": "7",
        **{f"{kind}_wad": str(amount) for kind, amount in paid.items()},
        "freezes": [
            freeze(0, 0, greedy=40, ranked=30, shared=30, minimal=30),
            freeze(50, 3, greedy=90, ranked=61, shared=60, minimal=60),
        ],
    }
    found = margin_of(summary)
    assert found is not None
    assert (found["not_paid_wad"], found["freezes"], found["charged"]) == ("32", 2, 3)
    assert (found["minimal_wad"], found["excess_wad"]) == ("90", "0")
    assert [found[f"{way}_excess_wad"] for way in WAYS] == ["40", "1", "0"]
    row = {"title": "One", "margin": found}
    chart = margin_excess({"presets": [row, row]})
    assert chart is not None
    assert [trace["name"] for trace in chart.figure["data"]] == list(WAYS.values())
    bars = margin_payers({"presets": [row]})
    assert bars is not None
    assert [key.name for key in bars.legend] == [*PAYERS.values(), "not paid"]
