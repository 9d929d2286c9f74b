"""The page of a search as a reader's browser shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.attack import cli
from tests.support.checkout_paths import DATA
from tests.support.chromium import collect_browser_page_facts
from tests.support.page_figure_summary_check import check_page_figures_against_summary

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

ATTACK = DATA / "attack"
WIDTHS = (1400, 768, 360)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A search for a gain, with hostile members in it, and one with all that keepers suffer."""
    out = tmp_path_factory.mktemp("pages")
    budgets = {"a": str(ATTACK / "insider-budget.yaml"), "b": "day-in-a-thousand"}
    for name, budget in budgets.items():
        args = [str(ATTACK / "hurried.yaml"), "--budget", budget, "--generations", "2", "--population", "6"]
        args += ["--engine", "model", "--host", "revm", "--out", str(out / name)]
        result = CliRunner(mix_stderr=False).invoke(
            cli, [*args, *(["--goal", "gain"] if name == "a" else [])]
        )
        assert result.exit_code == 0, result.stderr
    return collect_browser_page_facts(
        [out / name / "report.html" for name in budgets], WIDTHS, SCHEMES, axe=True
    )


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == 2 * len(WIDTHS) * len(SCHEMES)
    for visit in visits:
        assert visit["problems"] == [] and visit["faults"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]


def test_draws_its_charts(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["untitled"] == []
        assert visit["drawn"]
        assert {plot["id"] for plot in visit["plots"]} == {"fan-ETH", "fan-WBTC", "converging", "where"}
        for plot in visit["plots"]:
            assert plot["label"] and plot["marks"] > 0 and 0 < plot["width"] <= visit["width"]


def test_every_figure_equals_the_summary(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        check_page_figures_against_summary(
            visit, json.loads((Path(visit["path"]).parent / "summary.json").read_text())
        )


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
