"""The page of a comparison of systems as a reader's browser shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstop.report.system_comparison_page import write_page
from backstop.studies.comparison.presets import load_presets
from backstop.studies.comparison.system_comparison import compare_systems, name_cell
from backstop.studies.comparison.system_figures import FIGURES
from tests.support.checkout_paths import DATA
from tests.support.chromium import collect_browser_page_facts
from tests.support.page_figure_summary_check import check_page_figures_against_summary

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

SMALL = str(DATA / "runs" / "small.yaml")
NAMES = ("aave-v4", "liquity-v2", "backstop")
WIDTHS = (1400, 400)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("systems")
    comparison = compare_systems(SMALL, load_presets(",".join(NAMES)), "model", 1, out, aftermath=86_400)
    return write_page(comparison, out), comparison


@pytest.fixture(scope="module")
def visits(compared: tuple[Path, dict[str, Any]]) -> list[dict[str, Any]]:
    return collect_browser_page_facts([compared[0]], WIDTHS, ("light", "dark"), axe=True)


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == 2 * len(WIDTHS)
    for visit in visits:
        assert visit["problems"] == [] and visit["faults"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]
        assert visit["heading"] == "A small crash: systems compared"


def test_fits_its_width_and_draws_its_chart(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
        (plot,) = visit["plots"]
        assert plot["id"] == "payers" and plot["marks"] > 0 and plot["label"] and visit["untitled"] == []


def test_every_figure_equals_the_comparisons(
    compared: tuple[Path, dict[str, Any]], visits: list[dict[str, Any]]
) -> None:
    amounts = [line.figure for line in FIGURES if line.unit != "seconds"]
    wanted = {f"cells.{name_cell(name, name)}.{figure}" for name in NAMES for figure in amounts}
    wanted |= {
        f"pairs.{i}.figures.{figure}.{part}"
        for i in range(3)
        for figure in amounts
        for part in ("first", "with_mechanism", "with_order", "second", "by_mechanism", "by_order")
    }
    for visit in visits:
        assert wanted <= check_page_figures_against_summary(visit, compared[1])
