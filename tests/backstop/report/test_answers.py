"""Headings answer: each section's states its finding, and its figures are those of the page."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import report, stress, sweep
from backstop.model.arithmetic import WAD
from backstop.report import preset_comparison_page, run_page
from backstop.report.summary_panel import build_preset_loss_strips
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import load_presets
from tests.support import handmade_page_runs
from tests.support.checkout_paths import DATA

BRIEF = "tests/backstop/report/test_answers.py::test_the_page_of_a_run_answers_in_every_heading"

SECTION = re.compile(
    r'<section id="([\w-]+)"[^>]*>\s*<h2 data-name="([^"]*)">(?:<small>(.*?)</small> (.*?)|(.*?))</h2>',
    re.DOTALL,
)


def changed(run: Run, **summary: Any) -> Run:
    """The same run with other figures in its summary."""
    return replace(run, summary=run.summary | summary)


def answers(page: str) -> dict[str, str]:
    """Return the text of each section's heading beyond its name; empty if it is a name alone."""
    found = {}
    for section, name, small, answer, _ in SECTION.findall(page):
        assert not small or small == name
        found[section] = html.unescape(re.sub(r"<[^>]+>", "", answer)).strip()
    assert len(found) == page.count("<section id=")
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("answers")
    simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", out=out)
    return out


def test_the_page_of_a_run_answers_in_every_heading(small: Path) -> None:
    run = load_run(small)
    found = answers(run_page.render_page(run))
    assert [section for section, answer in found.items() if not answer] == ["sources"]
    # 200 to 105 USD is 47.5%, 8,000 to 4,800 is 40%: the scenario's own points.
    assert found["crash"].startswith("ETH fell by 47.5%, WBTC by 40.0%")
    lost = sum(int(row["principal_lost_rad"]) > 0 for row in run.frames["auctions"].to_dict("records"))
    assert found["lots"].startswith(f"{lost} of {len(run.frames['auctions'])} auctions lost ")
    assert (
        found["losses"]
        .partition(" of ")[2]
        .startswith(re.sub(r"<[^>]+>", "", _compact(run.summary["losses"]["created_rad"])))
    )
    losers = sum(int(each["end_wad"]) < int(each["deposit_wad"]) for each in run.summary["members"])
    assert found["members"].startswith(f"{losers} of {len(run.summary['members'])} members ")
    assert found["mirror"] == "The model ran alone"


def _compact(rad: str) -> str:
    from backstop.report.exact_amount_markup import render_amount

    return str(render_amount(rad, "rad"))


def test_a_calm_day_answers_too() -> None:
    found = answers(run_page.render_page(handmade_page_runs.build_calm_run()))
    assert found["crash"] == "No price fell" and found["auctions"] == "Nothing was bought"
    assert found["losses"] == "No auction ended short" and found["keepers"] == "There were none"
    assert found["lots"] == "There was no auction"
    assert found["mirror"] == "Model and chain agree on every field"


def test_a_name_in_an_answer_is_text() -> None:
    page = run_page.render_page(handmade_page_runs.build_handmade_crash_run())
    assert "</script> by" in answers(page)["crash"] or "&lt;/script&gt;" in page
    assert answers(page)["purchases"].startswith(f"{handmade_page_runs.NAME} bought most: ")
    assert answers(page)["margin"].startswith("1.00B was owed beyond margins, ")


def test_keepers_who_lost_together_are_named_by_who_lost_most() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    for profits, said in (
        ((5, -9, 0), f"Together they lost 4; {handmade_page_runs.NAME} most, 9"),
        ((9, -5, 0), "Together they earned 4; reporter-1 most, 9"),
        ((0, 0, 0), "Together they earned 0"),
    ):
        keepers = [
            each | {"profit_wad": str(profit * WAD)}
            for each, profit in zip(run.summary["keepers"], profits, strict=True)
        ]
        assert answers(run_page.render_page(changed(run, keepers=keepers)))["keepers"] == said


def test_a_loss_that_is_all_paid_names_who_paid_most() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    nothing = {f"{kind}_wad": "0" for kind in PAYERS}
    margin = run.summary["margin"] | nothing | {"loss_wad": str(7 * WAD), "insured_wad": str(7 * WAD)}
    said = answers(run_page.render_page(changed(run, margin=margin)))["margin"]
    assert said == "7 was owed beyond margins and is paid, most by insurance: 7"


def test_auctions_that_raised_their_debt_and_those_that_are_open_are_counted() -> None:
    run = handmade_page_runs.build_handmade_crash_run()
    for ends, said in (
        (["cleared"] * 30, "30 auctions raised their debt"),
        (["cleared"] * 29 + ["open"], "29 auctions raised their debt, 1 is open"),
        (["open"] * 30, "30 auctions are open"),
    ):
        rows = run.frames["auctions"].assign(ended_by=ends, principal_lost_rad=0)
        page = run_page.render_page(replace(run, frames=dict(run.frames) | {"auctions": rows}))
        assert answers(page)["lots"] == said


def test_the_debt_of_an_auction_that_settlement_unwound_is_no_loss() -> None:
    """It went back to the vault; the recorder keeps how much."""
    run = handmade_page_runs.build_handmade_crash_run()
    rows = run.frames["auctions"].assign(ended_by="unwound")
    page = run_page.render_page(replace(run, frames=dict(run.frames) | {"auctions": rows}))
    assert answers(page)["lots"] == "30 auctions ended in settlement"
    assert "ended in settlement: the debt went back to their vaults." in page


@pytest.mark.deep(brief=BRIEF)
def test_a_comparison_answers_in_every_heading(tmp_path: Path) -> None:
    found = compare(str(DATA / "runs" / "small.yaml"), load_presets("backstop,maker"), "model", 1, tmp_path)
    said = answers(preset_comparison_page.render_page_text(found, tmp_path))
    assert all(said.values())
    # They differ, by less than a figure of the page has digits.
    one, other = (each.rendered_total.striptags() for each in build_preset_loss_strips(found))
    assert one == other and said["paid"].startswith("As much is lost under every preset, most of it by ")
    assert said["presets"] == "2 ways to bear one crash"


@pytest.mark.deep(
    brief="tests/backstop/report/test_answers.py::test_the_page_of_a_run_answers_in_every_heading"
)
def test_a_study_and_a_sweep_answer_in_every_heading(tmp_path: Path) -> None:
    args = [str(DATA / "stress" / "small.yaml"), "--paths", "60", "--out", str(tmp_path / "study")]
    assert CliRunner().invoke(stress.cli, args).exit_code == 0
    said = answers((tmp_path / "study" / "report.html").read_text())
    assert all(said.values())
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    chance = summary["bad_debt"]["chance"]["value_bps"]
    assert said["losses"].endswith(f"on {chance / 100:.1f}% of paths")
    args = [str(DATA / "stress" / "ratios.yaml"), "--paths", "40", "--out", str(tmp_path / "sweep")]
    assert CliRunner().invoke(sweep.cli, args).exit_code == 0
    said = answers((tmp_path / "sweep" / "report.html").read_text())
    assert all(said.values())
    points = json.loads((tmp_path / "sweep" / "summary.json").read_text())["points"]
    assert said["gain"].startswith(f"{sum(point['front'] for point in points)} of 4 settings ")


def test_a_sweep_whose_intervals_have_one_end_has_a_page(tmp_path: Path) -> None:
    """The paths may bound a shortfall from below and not from above."""
    out = tmp_path / "sweep"
    args = [str(DATA / "stress" / "ratios.yaml"), "--paths", "40", "--out", str(out)]
    assert CliRunner().invoke(sweep.cli, args).exit_code == 0
    summary = json.loads((out / "summary.json").read_text())
    for number, ends in enumerate(((None, 7_000_000), (7_000_000, None), (None, None))):
        summary["points"][number]["shortfall"] |= dict(zip(("low_micro", "high_micro"), ends, strict=True))
    (out / "summary.json").write_text(json.dumps(summary))
    assert CliRunner().invoke(report.cli, [str(out)]).exit_code == 0
    cells = re.sub(r"<[^>]+>", "", (out / "report.html").read_text())
    assert "? to 7" in cells and "7 to ?" in cells and "no interval" in cells
