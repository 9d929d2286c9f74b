"""Every kind of page: at each width, in each theme, by keyboard, with names that contain markup.

The live page and an audit's need a chain, and have tests of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import ask, attack, calibrate, deleverage, import_book, self_hedge, stress, sweep
from backstop.report import (
    difference_page,
    guards_page,
    index_page,
    preset_comparison_page,
    reproductions_page,
    run_page,
    system_comparison_page,
)
from backstop.report.result_kinds import KINDS, find_result_kind
from backstop.studies.comparison.guard_comparison import compare_guards
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import load_presets
from backstop.studies.comparison.system_comparison import compare_systems
from backstop.studies.reproductions import run_reproduction
from backstop.studies.self_hedge import second_prices_from_bars, self_hedge_study
from tests.support import handmade_page_runs
from tests.support.browser_user import run_visits
from tests.support.checkout_paths import DATA, ROOT
from tests.support.planted_hunt_story import hunt_planted_story
from tests.support.printed_page import CUT_ON_PAPER, read_outline

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.anvil, pytest.mark.deep(brief=BRIEF)]

NAME = "<img src=x onerror=\"document.title='taken'\">\u202e" + "long-" * 40
NAMED = (
    *("title", "scenario", "description", "owner", "facts", "assumptions", "says"),
    *("read_columns", "ignored_columns", "notes", "ratio_source", "unmeasured"),
)
"""Texts of a summary that an outside party may have chosen."""

CONTROLS = "button, a[href], input, select, summary, [tabindex]"
# Every control that can be seen and that the Tab key has not come to; cells of a table share one stop.
UNMET = f"""[...document.querySelectorAll('{CONTROLS}')]
  .filter((each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility() && !window.met.has(each))
  .map((each) => each.outerHTML.slice(0, 120))"""
LISTEN = """(() => { window.met = new Set();
  document.addEventListener('focusin', (event) => window.met.add(event.target)); })()"""
# What reacts to a pointer and is no control: a reader without one could not use it.
MOUSE_ONLY = f"""[...document.querySelectorAll('[onclick], .sort, .csv, .png, .more, .copy')]
  .filter((each) => !each.matches('{CONTROLS}')).length"""
CLIPPED = """[...document.querySelectorAll('main *')]
  .filter((each) => !each.closest('.table, .js-plotly-plot, [hidden]') && each.checkVisibility())
  .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((each) => each.outerHTML.slice(0, 80))"""
# Tables that are wider than what there is for them: one has to scroll for what may be the answer.
CUT = """[...document.querySelectorAll('.table')]
  .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1)
  .map((each) => `${each.querySelector('table').dataset.tool}: ${each.scrollWidth} > ${each.clientWidth}`)"""
# Texts of charts that stand beyond their chart, where they are cut off.
BEYOND = """[...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => {
  const box = plot.getBoundingClientRect();
  return [...plot.querySelectorAll('text')].map((each) => [each, each.getBoundingClientRect()])
    .filter(([, own]) => own.width && (own.left < box.left - 2 || own.right > box.right + 2))
    .map(([each]) => `${plot.id}: ${each.textContent}`); })"""
# Labels of axes that stand on each other.
OVERLAPPING = """[...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => {
  const labels = [...plot.querySelectorAll(".xtick text, .ytick text")]
    .map((each) => [each, each.getBoundingClientRect()]);
  const meet = (a, b) => Math.min(a.right, b.right) > Math.max(a.left, b.left) &&
    Math.min(a.bottom, b.bottom) > Math.max(a.top, b.top);
  return labels.flatMap(([one, own], i) => labels.slice(i + 1).filter(([, other]) => meet(own, other))
    .map(([other]) => `${plot.id}: ${one.textContent} and ${other.textContent}`)); })"""
# Figures of a usual length whose digits stand in several lines.
BROKEN = """[...document.querySelectorAll('main data')]
  .filter((each) => each.textContent.length < 12 && !each.textContent.includes(' '))
  .filter((each) => each.getClientRects().length > 1)
  .map((each) => each.parentElement.textContent.trim().slice(0, 60))"""
UNLABELLED = """[...document.querySelectorAll('main thead')].filter((each) =>
  [...each.rows[0].cells].some((cell, i) => i && !cell.textContent.trim()))
  .map((each) => each.closest('table').dataset.tool)"""
BARE = "[...document.querySelectorAll('figure.chart')].filter((each) => !each.querySelector('.png')).length"
UNSAVED = "[...document.querySelectorAll('main table')].filter((each) => !each.dataset.tool).length"


def run_in(folder: Path) -> Path:
    """A run's folder, of which only the tables are missing that no test here looks at."""
    folder.mkdir(parents=True)
    (folder / "trace.json").write_text("{}")
    (folder / "summary.json").write_text(json.dumps(handmade_page_runs.build_handmade_crash_run().summary))
    return folder


def asked(command: Any, *args: str) -> Callable[[Path], Path]:
    """Return a function that makes a page by a command, in a folder of the command's choice."""

    def make(folder: Path) -> Path:
        result = CliRunner(mix_stderr=False).invoke(command.cli, [*args, "--out", str(folder)])
        assert result.exit_code == 0, result.stderr
        return folder / "report.html"

    return make


def difference(folder: Path) -> Path:
    return difference_page.write_page(run_in(folder / "one"), run_in(folder / "other"))


def index(folder: Path) -> Path:
    run_in(folder / "one")
    return index_page.write_index_page(folder)


def compared(folder: Path) -> Path:
    folder.mkdir()
    found = compare(str(DATA / "runs" / "small.yaml"), load_presets("all"), "model", 1, folder)
    return preset_comparison_page.write_page(found, folder)


def taken_apart(folder: Path) -> Path:
    folder.mkdir()
    presets = load_presets("liquity-v2,morpho-blue,backstop")
    found = compare_systems(
        str(DATA / "runs" / "small.yaml"), presets, "model", 1, folder, aftermath=86_400, has_inputs=False
    )
    return system_comparison_page.write_page(found, folder)


def reproduced(folder: Path) -> Path:
    folder.mkdir()
    return reproductions_page.write_page([run_reproduction("arithmetic").as_json()], 1, folder)


def guarded(folder: Path) -> Path:
    folder.mkdir()
    found = compare_guards([str(DATA / "guards" / "small.yaml")], "model", 1, folder)
    return guards_page.write_page(found, folder)


def straddled(folder: Path) -> Path:
    """One day's pairs, of one group of settings."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (self_hedge_study, second_prices_from_bars):
            patch.setattr(module, "SERIES", ("avax-2025-10-10",))
        quick = ("--every", "30", "--holding-period", "10", "--group", "insurance in a day")
        return asked(self_hedge, *quick)(folder)


SMALL, SEARCH = str(DATA / "stress" / "small.yaml"), str(DATA / "attack" / "hurried.yaml")
SAMPLES = ROOT / "docs" / "how-to" / "samples"
POSITIONS = ("--book", str(SAMPLES / "synthetic-aave.csv"), "--like", "aave")
BUDGET = str(DATA / "attack" / "insider-budget.yaml")
MADE: dict[str, Callable[[Path], Path]] = {
    "run": lambda folder: run_page.write_page(
        handmade_page_runs.build_handmade_crash_run(), folder.with_suffix(".html")
    ),
    "study": asked(stress, SMALL, "--paths", "60", "--shift", "10"),
    "sweep": asked(sweep, str(DATA / "stress" / "ratios.yaml"), "--paths", "40"),
    "search": asked(
        *(attack, SEARCH, "--budget", BUDGET, "--generations", "1", "--population", "6"),
        *("--engine", "model", "--host", "model", "--goal", "gain"),
    ),
    "proposal": asked(
        *(ask, "proposal", SMALL, "--set", "parameters.collateral_types.ETH.auction.buf=110%"),
        *("--paths", "40", "--level", "50"),
    ),
    "answer": asked(ask, "falls", SMALL),
    "comparison": compared,
    "systems": taken_apart,
    "reproductions": reproduced,
    "guards": guarded,
    "self-hedge": straddled,
    "hunt": hunt_planted_story,
    "deleveraging": asked(deleverage, "--accounts", "20"),
    "import": asked(import_book, *POSITIONS, "--prices", str(SAMPLES / "synthetic-prices.csv")),
    "calibration": asked(
        *(calibrate, *POSITIONS, "--prices", str(SAMPLES / "synthetic-year.csv")),
        *("--depth", str(SAMPLES / "synthetic-depths.csv")),
    ),
    "index": index,
    "difference": difference,
}
"""How the page of each kind is made."""


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the page of a kind, once."""
    here = tmp_path_factory.mktemp("every")
    return cache(lambda kind: MADE[kind](here / kind))


def test_all_kinds_are_here() -> None:
    assert {kind.name for kind in KINDS} | {"index", "difference"} == set(MADE)


@pytest.mark.parametrize("kind", MADE)
def test_it_fits_and_axe_finds_no_fault(page_of: Callable[[str], Path], kind: str) -> None:
    looks: list[dict[str, Any]] = [
        {"read": each} for each in (CLIPPED, CUT, BEYOND, OVERLAPPING, BROKEN, UNLABELLED, BARE, UNSAVED)
    ]
    for width, scheme, axe in (
        (360, "dark", True),
        (768, "light", False),
        (1400, "light", True),
        (2560, "dark", False),
    ):
        steps = [*looks, *([{"axe": True}] if axe else [])]
        (seen,) = run_visits([{"page": str(page_of(kind)), "width": width, "scheme": scheme, "steps": steps}])
        *lists, bare, unsaved = seen["gave"][: len(looks)]
        faults = seen["gave"][len(looks) :]
        assert seen["problems"] == [] and lists == [[]] * len(lists), width
        assert (bare, unsaved) == (0, 0) and faults in ([], [[]]), width


@pytest.mark.parametrize("kind", MADE)
def test_the_tab_key_comes_to_every_control(page_of: Callable[[str], Path], kind: str) -> None:
    """It also opens all data: the controls in there can be reached, too."""
    steps = [
        {"read": "document.querySelectorAll('details').forEach((each) => { each.open = true; })"},
        {"until": "[...document.querySelectorAll('.data')].every((each) => each.querySelector('table'))"},
        {"read": LISTEN},
        {"press": "Tab", "times": 400},
        {"read": UNMET},
        {"read": "window.met.size"},
        {"read": MOUSE_ONLY},
    ]
    (seen,) = run_visits([{"page": str(page_of(kind)), "steps": steps}])
    *_, unmet, met, mouse_only = seen["gave"]
    assert seen["problems"] == [] and unmet == [] and met > 1 and mouse_only == 0


# Sections whose heading is not shown, charts that a page's end would cut, charts that are cut at a side.
HEADINGS = """[...document.querySelectorAll("main h2")].filter((each) => each.checkVisibility()).map((each) =>
  each.dataset.name || each.textContent.trim())"""
HIDDEN = """[...document.querySelectorAll("main section")]
  .filter((each) => !each.getClientRects().length).map((each) => each.id)"""
TORN = """[...document.querySelectorAll("figure.chart")]
  .filter((each) => getComputedStyle(each).breakInside !== "avoid" || each.offsetHeight > 1000)
  .map((each) => each.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("kind", MADE)
def test_it_prints_to_a_pdf_of_all_sections(
    page_of: Callable[[str], Path], kind: str, tmp_path: Path
) -> None:
    """No chart is cut; a page of A4 has 1,000 pixels between its margins. It asks for nothing else."""
    file = tmp_path / "page.pdf"
    steps = [
        {"media": "print"},
        {"until": "document.documentElement.dataset.paper === 'true'"},
        {"read": CUT_ON_PAPER},
        {"read": BROKEN},
        {"read": TORN},
        {"read": HIDDEN},
        {"read": HEADINGS},
        {"read": "performance.getEntriesByType('resource').length"},
        {"pdf": str(file)},
    ]
    (seen,) = run_visits([{"page": str(page_of(kind)), "width": 1400, "scheme": "dark", "steps": steps}])
    *_, cut, broken, torn, hidden, headings, requests, _ = seen["gave"]
    assert seen["problems"] == [] and cut == broken == torn == hidden == [] and requests == 0
    outline = read_outline(file)
    assert headings and all(any(each in title for title in outline) for each in headings)


def poisoned(value: Any, named: bool = False) -> Any:
    """Return a document with a hostile name in each field that a user may have named."""
    if isinstance(value, dict):
        return {key: poisoned(each, named=key in NAMED) for key, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, named) for each in value]
    return NAME if named and isinstance(value, str) else value


@pytest.mark.parametrize("kind", sorted({each.name for each in KINDS} - {"run"}))
def test_hostile_names_are_text(page_of: Callable[[str], Path], kind: str) -> None:
    """Of a run and the index, test_names.py looks closer."""
    folder = page_of(kind).parent
    found = find_result_kind(folder)
    assert found is not None and found.name == kind
    file = folder / found.summary
    before = file.read_text()
    file.write_text(json.dumps(poisoned(json.loads(before))))
    try:
        page = found.write(folder)
        assert "onerror" in page.read_text().partition("<script")[0]  # as text
        steps = [
            {"read": "document.querySelectorAll('main img').length"},
            {"read": "document.title === 'taken'"},
            {"read": CLIPPED},
        ]
        for seen in run_visits(
            [{"page": str(page), "width": width, "steps": steps} for width in (360, 1400)]
        ):
            assert seen["problems"] == [] and seen["gave"] == [0, False, []], seen["width"]
    finally:
        file.write_text(before)
        found.write(folder)
