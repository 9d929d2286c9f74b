"""The first screen agrees with the tables below it: strips add up, and are those of the tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli import stress
from backstop.report import guards_page, preset_comparison_page, run_page
from backstop.report.summary_panel import build_strip
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.guard_comparison import compare_guards
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import load_presets
from tests.support import handmade_page_runs
from tests.support.checkout_paths import DATA
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.page_text_figures import FigureStrip, read_page_figures

WEI = 10**27  # rad
ADDS_UP = "tests/backstop/report/test_first_screen.py::test_a_run_adds_up_to_its_tables"
BRIEF = "tests/backstop/report/test_first_screen.py::test_a_run_names_the_sum_of_all_who_lost"


def named(tables: Iterable[dict[str, list[int]]], row: str) -> list[int]:
    """The figures of the first row of this name."""
    return next((table[row] for table in tables if row in table), [0])


def adds_up(whole: FigureStrip) -> None:
    assert whole.parts and whole.total == sum(whole.parts.values())


def lost_at_auction(html: str) -> int:
    """Return the sum of the losses of all auctions [rad], the last value of each auction's row.

    The values before it are the auction's debt and its proceeds.
    """
    section = html.partition('<section id="lots">')[2].partition("</section>")[0]
    return sum(values[2] for table in read_page_figures(f"<body>{section}")[1] for values in table.values())


def elsewhere(html: str) -> int:
    """Return the page's bad debt without an auction [rad]: rewards of keepers, and bridges."""
    text = html.partition('<section id="lots">')[2].partition("</p>")[0]
    found = re.findall(r'<data value="(\d+)"[^>]*>[^<]*</data> (?:of keepers\'|without an auction)', text)
    return sum(map(int, found))


def of_run(html: str) -> FigureStrip:
    """Check the strip of a run's page against its tables; borrowers' sales are in none."""
    (whole,), tables = read_page_figures(html)
    adds_up(whole)
    assert whole.title == "lost in all"
    borrowers = sum(value for name, value in whole.parts.items() if name.startswith("Borrowers"))
    (bad_debt,), (recovered,), (owed,) = (
        named(tables, row)[:1] for row in ("Bad debt created", "recovered", "Owed")
    )
    (posted,) = named(tables, "the protocol")[:1]
    redistributed = named(tables, "redistribution")[0]
    apart = whole.total - borrowers + redistributed
    assert abs(apart - (bad_debt - recovered + owed - posted)) < len(whole.parts) * WEI
    assert lost_at_auction(html) + elsewhere(html) == bad_debt
    nobody = sum(value for name, value in whole.parts.items() if name.startswith("Not yet covered"))
    left = named(tables, "outstanding")[0] + named(tables, "not yet covered")[0]
    assert abs(nobody - left) < 2 * WEI
    return whole


def test_a_run_names_the_sum_of_all_who_lost() -> None:
    """Vaults and a margin market in one run; the figures are made up, and so need not add up to the loss."""
    (whole,), _ = read_page_figures(run_page.render_page(handmade_page_runs.build_handmade_crash_run()))
    adds_up(whole)
    assert len(whole.parts) == 7
    assert read_page_figures(run_page.render_page(handmade_page_runs.build_calm_run()))[0] == []


def test_a_gain_is_a_part_without_a_length() -> None:
    found = build_strip(
        {"a_wad": -(10**18), "b_wad": 3 * 10**18}, "all", [("A", "x", ["a_wad"]), ("B", "y", ["b_wad"])]
    )
    assert found is not None
    gain, loss = found.shares
    assert (found.total_rad, found.drawable_total_rad) == (2 * 10**45, 3 * 10**45)
    assert (found.compute_bar_length_bps(gain), found.format_share_percent(gain)) == (0, "a gain")
    assert (found.compute_bar_length_bps(loss), found.format_share_percent(loss)) == (10_000, "100.0%")
    assert build_strip({"a_wad": -1}, "all", [("A", "x", ["a_wad"])]) is None


RUNS: dict[str, str | Path] = {
    "vaults": DATA / "runs" / "small.yaml",
    "margins that nobody dealt with": DATA / "runs" / "margin.yaml",
    "a margin market": DATA / "compare" / "crowded.yaml",
    "keepers' rewards": "black-thursday",
    "a bridge": "nomad-bridge",
    "vaults, and a margin market": DATA / "runs" / "margin_kept.yaml",
}
LONG = ("a margin market", "keepers' rewards", "vaults, and a margin market")


@pytest.mark.parametrize("name", build_pytest_params_with_deep_marks(RUNS, LONG, ADDS_UP))
def test_a_run_adds_up_to_its_tables(name: str, tmp_path: Path) -> None:
    simulate(load_scenario(RUNS[name]), "model", out=tmp_path)
    whole = of_run(run_page.render_page(load_run(tmp_path)))
    assert whole.total > 0


@pytest.mark.deep(brief=BRIEF)
def test_a_comparison_says_what_the_pages_of_its_runs_say(tmp_path: Path) -> None:
    for name, presets in (
        ("runs/small.yaml", "backstop,morpho-lenders"),
        ("compare/crowded.yaml", "bitmex,okex-clawback"),
    ):
        out = tmp_path / presets
        out.mkdir()
        found = compare(str(DATA / name), load_presets(presets), "model", 1, out)
        wholes, tables = read_page_figures(preset_comparison_page.render_page_text(found, out))
        assert [whole.title for whole in wholes] == [row["title"] for row in found["presets"]]
        for k, (whole, row) in enumerate(zip(wholes, found["presets"], strict=True)):
            adds_up(whole)
            run = of_run(run_page.render_page(load_run(out / row["preset"])))
            assert whole.total == pytest.approx(run.total, abs=10 * WEI)
            assert len(whole.parts) == len(run.parts)
            assert all(any(label.startswith(part) for label in run.parts) for part in whole.parts)
            paid = [
                values[k] for name, values in tables[0].items() if name.startswith(("paid by", "outstanding"))
            ]
            cheap = named(tables, "borrowers' cheap sales")[k]
            own = sum(paid) + cheap
            margin = sum(
                values[k]
                for name, values in (tables[1] if len(tables) > 1 else {}).items()
                if name.startswith(("paid by", "not paid")) and name != "paid by the protocol"
            )
            assert whole.total == own + margin


@pytest.mark.deep(brief=BRIEF)
def test_guards_and_studies_add_up_to_their_tables(tmp_path: Path) -> None:
    found = compare_guards([str(DATA / "guards" / "small.yaml")], "model", 1, tmp_path)
    wholes, tables = read_page_figures(guards_page.render_page_text(found, tmp_path))
    titles = [row["title"] for row in found["scenarios"][0]["runs"]]
    assert wholes and wholes[0].title == titles[0]
    for whole in wholes:
        adds_up(whole)
        assert whole.total == named(tables, "bad debt")[titles.index(whole.title)]
    # In the small crash all is sold by the end: the same page with something that is not.
    bare = found["scenarios"][0]["runs"][0]
    bare |= {"underwater_rad": str(7 * WEI), "bad_debt_rad": str(int(bare["bad_debt_rad"]) + 7 * WEI)}
    wholes, tables = read_page_figures(guards_page.render_page_text(found, tmp_path))
    adds_up(wholes[0])
    assert wholes[0].total == named(tables, "bad debt")[0] and len(wholes[0].parts) == 2
    out = tmp_path / "study"
    args = [str(DATA / "stress" / "small.yaml"), "--paths", "60", "--out", str(out)]
    assert CliRunner().invoke(stress.cli, args).exit_code == 0
    (whole,), tables = read_page_figures((out / "report.html").read_text())
    adds_up(whole)
    average = int(json.loads((out / "summary.json").read_text())["bad_debt"]["mean"]["value_micro"]) * 10**39
    assert average in named(tables, "bad debt")
    assert abs(whole.total - average) <= len(whole.parts) * 10**39  # each average is rounded to a millionth
