"""Headings answer: each section's says what was found there, and its figures are those of the page."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli import stress, sweep
from backstop.report import compare_page, run_page
from backstop.report.first_screen import of_presets
from backstop.simulation.run import simulate
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.studies.comparison.compare import compare
from backstop.studies.comparison.presets import load_presets
from tests.support import sample
from tests.support.paths import DATA

SECTION = re.compile(
    r'<section id="([\w-]+)"[^>]*>\s*<h2 data-name="([^"]*)">(?:<small>(.*?)</small> (.*?)|(.*?))</h2>',
    re.DOTALL,
)


def answers(page: str) -> dict[str, str]:
    """What each section's heading says beyond its name, as text; empty where it is a name alone."""
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
    found = answers(run_page.page(run))
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
    from backstop.report.numbers import amount

    return str(amount(rad, "rad"))


def test_a_calm_day_answers_too() -> None:
    found = answers(run_page.page(sample.calm()))
    assert found["crash"] == "No price fell" and found["auctions"] == "Nothing was bought"
    assert found["losses"] == "No auction ended short" and found["keepers"] == "There were none"
    assert found["lots"] == "There was no auction"
    assert found["mirror"] == "Model and chain agree on every field"


def test_a_name_in_an_answer_is_text() -> None:
    page = run_page.page(sample.crash())
    assert "</script> by" in answers(page)["crash"] or "&lt;/script&gt;" in page
    assert answers(page)["purchases"].startswith(f"{sample.NAME} bought most: ")
    assert answers(page)["margin"].startswith("1.00B was owed beyond margins, ")


def test_a_comparison_answers_in_every_heading(tmp_path: Path) -> None:
    found = compare(str(DATA / "runs" / "small.yaml"), load_presets("backstop,maker"), "model", 1, tmp_path)
    said = answers(compare_page.page(found, tmp_path))
    assert all(said.values())
    most = max(of_presets(found), key=lambda each: each.value)
    assert said["paid"].startswith(f"Most is lost under {most.title}, most of it by ")
    assert said["presets"] == "2 ways to bear one crash"


@pytest.mark.deep(brief="tests/backstop/report/test_answers.py::test_a_comparison_answers_in_every_heading")
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
