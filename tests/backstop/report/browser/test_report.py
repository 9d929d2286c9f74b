"""The page of a run as a reader's browser shows it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from backstop.report.run_page import write_page
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support import handmade_page_runs
from tests.support.chromium import CACHE, DRIVER, VERSION, collect_browser_page_facts, run_node_driver
from tests.support.page_figure_summary_check import check_page_figures_against_summary

pytestmark = pytest.mark.browser

WIDTHS = (1280, 360)
SCHEMES = ("light", "dark")
BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
CHARTS = {
    "crash": {
        *("price-0", "price-1", "network", "fills"),
        *("debt-0", "debt-1", "waterfall", "cushions"),
        *("margin-waterfall", "margin-payments", "replay-chart"),
    },
    "calm": {"network", "cushions"},
}


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {
        "crash": handmade_page_runs.build_handmade_crash_run(),
        "calm": handmade_page_runs.build_calm_run(),
    }


@pytest.fixture(scope="module")
def visits(runs: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every run's page at every width in both schemes; `name` says which."""
    pages = {
        write_page(run, tmp_path_factory.mktemp(name) / "report.html"): name for name, run in runs.items()
    }
    seen = collect_browser_page_facts(list(pages), WIDTHS, SCHEMES)
    return [visit | {"name": pages[Path(visit["path"])]} for visit in seen]


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == len(CHARTS) * len(WIDTHS) * len(SCHEMES)
    for visit in visits:
        assert visit["problems"] == []
        assert visit["requests"] == [Path(visit["path"]).as_uri()]


def test_the_browser_is_the_one_that_is_pinned(visits: list[dict[str, Any]]) -> None:
    """The browser's package uses any version that lies unpacked in its cache."""
    assert visits
    asked = [str(CACHE / "chromium"), "--version"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"Chromium {VERSION.partition('.')[0]}.")


def test_draws_every_chart(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["untitled"] == []
        assert visit["drawn"]
        assert {plot["id"] for plot in visit["plots"]} == CHARTS[visit["name"]]
        for plot in visit["plots"]:
            assert plot["marks"] > 0, f"{plot['id']} is empty"
            assert plot["label"], f"{plot['id']} has no text alternative"
            assert 0 < plot["width"] <= visit["width"]


def test_names_the_run_and_runs_nothing_of_it(runs: dict[str, Run], visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        title = runs[visit["name"]].summary["title"]
        assert visit["title"] == f"{title} · Backstop"
        assert visit["heading"] == title


def test_every_figure_equals_the_summarys(runs: dict[str, Run], visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        summary = runs[visit["name"]].summary
        assert all(figure["path"] for figure in visit["figures"])
        check_page_figures_against_summary(visit, summary)


def test_the_figures_that_matter_are_there(runs: dict[str, Run], visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        summary = runs[visit["name"]].summary
        needed = {"losses.created_rad", "losses.outstanding_rad", "differences", "steps", "fields_compared"}
        needed |= {f"keepers.{i}.profit_wad" for i in range(len(summary["keepers"]))}
        needed |= {f"collateral_types.{i}.liquidations" for i in range(len(summary["collateral_types"]))}
        needed |= {"actions.sent", "actions.dropped", "ledger.supply_wad", "ledger.balance_gap_rad"}
        if visit["name"] != "calm":
            needed |= {f"losses.covered.{i}.rad" for i in range(3)} | {f"paid_by.{i}.wad" for i in range(4)}
        if visit["name"] == "crash":
            needed |= {"margin.loss_wad", "margin.clawed_back_wad", "margin.left_alone_wad"}
            needed |= {f"margin.payers.{i}.paid_wad" for i in range(2)}
            needed |= {f"margin.closings.{i}.whole_lots" for i in range(12)}
        assert needed <= {figure["path"] for figure in visit["figures"]}


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
        if visit["width"] == 360:
            assert visit["wide"] == []


def test_follows_the_readers_colour_scheme(visits: list[dict[str, Any]]) -> None:
    light, dark = ({visit["background"] for visit in visits if visit["scheme"] == each} for each in SCHEMES)
    assert len(light) == len(dark) == 1 and light != dark


@pytest.mark.deep(brief=BRIEF)
def test_the_page_of_a_whole_day(tmp_path: Path) -> None:
    """Three collateral types, from the contracts, at a width between the others."""
    simulate(load_scenario("black-thursday"), "revm", out=tmp_path)
    run = load_run(tmp_path)
    (visit,) = collect_browser_page_facts([write_page(run, tmp_path / "report.html")], (768,))
    assert visit["problems"] == [] and visit["drawn"]
    assert {plot["id"] for plot in visit["plots"] if plot["marks"]} == {
        *("price-0", "price-1", "price-2", "network", "fills"),
        *("debt-0", "debt-1", "debt-2", "waterfall", "cushions", "falls", "health", "depth"),
        "replay-chart",
    }
    assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]
    check_page_figures_against_summary(visit, run.summary)


def test_a_browser_that_does_not_start_is_one_clear_line(tmp_path: Path) -> None:
    """Away from node_modules the driver finds no browser: as on a machine without the set-up."""
    copy(DRIVER.with_name("browser.mjs"), tmp_path)
    done = run_node_driver(Path(copy(DRIVER, tmp_path)), {"pages": [], "widths": []})
    assert done.returncode == 3
    assert done.stderr.startswith("Chromium did not start; `make testtools` installs it: ")
    assert len(done.stderr.strip().splitlines()) == 1
