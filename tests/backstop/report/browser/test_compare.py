"""The page of a comparison as a reader's browser shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstop.report.preset_comparison_page import write_page
from backstop.studies.comparison.preset_comparison import compare, list_comparison_line_specs
from backstop.studies.comparison.presets import load_presets
from backstop.studies.comparison.run_comparison_lines import read_figure
from tests.support.checkout_paths import DATA
from tests.support.chromium import collect_browser_page_facts
from tests.support.page_figure_summary_check import check_page_figures_against_summary

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

TESTS = DATA
WIDTHS = (1400, 768, 360)
SCHEMES = ("light", "dark")
TITLE = '<script>document.title = "taken"</script> & "quotes"'


CHARTS = {
    "crash": {"payers", "open", "exits"},
    "calm": {"exits"},
    "margin": {"exits", "margin-payers", "margin-closed"},
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return comparisons by the page's path.

    They are three presets over the small crash, an hour without any loss, and two presets over a margin
    market.
    """
    crash, calm, margin = (tmp_path_factory.mktemp(name) for name in ("crash", "calm", "margin"))
    (calm / "calm.yaml").write_text(
        f"extends: {TESTS / 'compare' / 'ten-vaults.yaml'}\ntitle: '{TITLE}'\nduration: 1 h\n"
    )
    small = str(TESTS / "runs" / "small.yaml")
    found = {
        crash: compare(small, load_presets("backstop,maker,morpho-lenders"), "model", 1, crash),
        calm: compare(str(calm / "calm.yaml"), load_presets("maker"), "model", 1, calm, aftermath=0),
        margin: compare(
            str(TESTS / "compare" / "crowded.yaml"),
            load_presets("bitmex,okex-clawback"),
            "model",
            1,
            margin,
            aftermath=0,
        ),
    }
    return {str(write_page(comparison, out)): comparison for out, comparison in found.items()}


@pytest.fixture(scope="module")
def visits(compared: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return collect_browser_page_facts([Path(path) for path in compared], WIDTHS, SCHEMES, axe=True)


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == 3 * len(WIDTHS) * len(SCHEMES)
    for visit in visits:
        assert visit["problems"] == [] and visit["faults"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]


def test_draws_every_chart(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["untitled"] == []
        assert visit["drawn"]
        wanted = next(wanted for name, wanted in CHARTS.items() if f"/{name}" in visit["path"])
        assert {plot["id"] for plot in visit["plots"]} == wanted
        for plot in visit["plots"]:
            assert plot["marks"] > 0, f"{plot['id']} is empty"
            assert plot["label"], f"{plot['id']} has no text alternative"
            assert 0 < plot["width"] <= visit["width"]


def test_names_the_crash_and_runs_nothing_of_it(
    compared: dict[str, dict[str, Any]], visits: list[dict[str, Any]]
) -> None:
    for visit in visits:
        title = compared[visit["path"]]["title"]
        assert visit["title"] == f"{title}, compared · Backstop"
        assert visit["heading"] == f"{title}: payers by preset"


def test_every_figure_equals_the_comparisons(
    compared: dict[str, dict[str, Any]], visits: list[dict[str, Any]]
) -> None:
    for visit in visits:
        comparison = compared[visit["path"]]
        amounts = [line for line in list_comparison_line_specs(comparison) if line.unit != "seconds"]
        wanted = {
            f"presets.{i}.{line.figure}"
            for i, row in enumerate(comparison["presets"])
            for line in amounts
            if read_figure(row, line.figure) is not None
        }
        assert wanted <= check_page_figures_against_summary(visit, comparison)


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
        if visit["width"] == 360:
            assert visit["wide"] == []
