"""The page of a comparison of guards as a reader's browser shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstop.report.guards_page import write_page
from backstop.studies.comparison.guard_comparison import compare_guards, list_nonzero_table_lines
from backstop.studies.comparison.run_comparison_lines import read_figure
from tests.support.checkout_paths import DATA
from tests.support.chromium import collect_browser_page_facts
from tests.support.page_figure_summary_check import check_page_figures_against_summary

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

TESTS = DATA
SMALL = TESTS / "guards" / "small.yaml"
WIDTHS = (1400, 768, 360)
SCHEMES = ("light", "dark")
TITLE = '<script>document.title = "taken"</script> & "quotes"'


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The small crash, and an hour with a hostile title in which nothing is lost."""
    out = tmp_path_factory.mktemp("guards")
    calm = out / "calm.yaml"
    grace = "{parameters: {collateral_types: {ETH: {feed: {grace: 1 h}}}}, title: A grace}"
    calm.write_text(
        f"extends: {TESTS / 'compare' / 'ten-vaults.yaml'}\ntitle: '{TITLE}'\nduration: 1 h\n"
        f"tries: {{grace: {grace}}}\n"
    )
    found = compare_guards([str(SMALL), str(calm)], "model", 1, out)
    return found, write_page(found, out)


@pytest.fixture(scope="module")
def visits(compared: tuple[dict[str, Any], Path]) -> list[dict[str, Any]]:
    return collect_browser_page_facts([compared[1]], WIDTHS, SCHEMES, axe=True)


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == len(WIDTHS) * len(SCHEMES)
    for visit in visits:
        assert visit["problems"] == [] and visit["faults"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]
        assert visit["title"] == "Guards, with and without · Backstop"


def test_draws_a_chart_where_there_is_bad_debt(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["untitled"] == []
        assert visit["drawn"]
        (plot,) = visit["plots"]
        assert plot["id"] == "bad-0" and plot["marks"] > 0 and plot["label"]
        assert 0 < plot["width"] <= visit["width"]


def test_every_figure_equals_the_comparisons(
    compared: tuple[dict[str, Any], Path], visits: list[dict[str, Any]]
) -> None:
    comparison = compared[0]
    wanted = {
        f"scenarios.{k}.runs.{i}.{line.figure}"
        for k, each in enumerate(comparison["scenarios"])
        for i, row in enumerate(each["runs"])
        for line in list_nonzero_table_lines(each)
        if line.unit != "seconds" and read_figure(row, line.figure) is not None
    }
    for visit in visits:
        assert wanted <= check_page_figures_against_summary(visit, comparison)


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
        if visit["width"] == 360:
            assert visit["wide"] == []
