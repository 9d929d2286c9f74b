"""The pages of a study and of a sweep as a reader's browser shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import stress, sweep
from tests.support.browser_user import run_visits
from tests.support.checkout_paths import DATA
from tests.support.chromium import collect_browser_page_facts
from tests.support.page_figure_summary_check import check_page_figures_against_summary

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

STRESS = DATA / "stress"
WIDTHS = (1400, 768, 360)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A study with everything in it, one without losses, a sweep."""
    out = tmp_path_factory.mktemp("pages")
    calm = out / "calm.yaml"
    no_jumps = "{kind: brownian, volatility: 1% a year, degrees: null, jumps: null}"
    calm.write_text(
        f"extends: {STRESS / 'small.yaml'}\ntitle: '<b>A calm day</b>'\n"
        f"prices: {{ETH: {{model: {no_jumps}}}, WBTC: {{model: {no_jumps}}}}}\n"
    )
    jobs: list[tuple[Any, list[str]]] = [
        (
            stress.cli,
            [str(STRESS / "small.yaml"), "--paths", "300", "--shift", "10", "--out", str(out / "a")],
        ),
        (stress.cli, [str(calm), "--paths", "20", "--out", str(out / "b")]),
        (sweep.cli, [str(STRESS / "ratios.yaml"), "--paths", "100", "--out", str(out / "c")]),
    ]
    for command, args in jobs:
        result = CliRunner(mix_stderr=False).invoke(command, args)
        assert result.exit_code == 0, result.stderr
    return [out / name / "report.html" for name in "abc"]


@pytest.fixture(scope="module")
def visits(pages: list[Path]) -> list[dict[str, Any]]:
    return collect_browser_page_facts(pages, WIDTHS, SCHEMES, axe=True)


def test_opens_without_an_error_and_without_a_request(visits: list[dict[str, Any]]) -> None:
    assert len(visits) == 3 * len(WIDTHS) * len(SCHEMES)
    for visit in visits:
        assert visit["problems"] == [] and visit["faults"] == []
        # A heat map is a picture inside the page.
        outside = [url for url in visit["requests"] if not url.startswith("data:")]
        assert outside == [Path(visit["path"]).as_uri()]


def test_draws_its_charts(pages: list[Path], visits: list[dict[str, Any]]) -> None:
    wanted = [
        {"tail", "histogram", "payers", "reached", "settling", "dots", "open", "fan-0", "fan-1"},
        {"fan-0", "fan-1"},
        {"front", "trade-off", "drivers", "heat-ratio-share"},
    ]
    for visit in visits:
        assert visit["untitled"] == []
        assert visit["drawn"]
        assert {plot["id"] for plot in visit["plots"]} == wanted[pages.index(Path(visit["path"]))]
        for plot in visit["plots"]:
            assert plot["label"] and 0 < plot["width"] <= visit["width"]
            assert plot["marks"] > 0 or plot["id"].startswith("heat")


def test_every_figure_equals_the_summary(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        check_page_figures_against_summary(
            visit, json.loads((Path(visit["path"]).parent / "summary.json").read_text())
        )


def test_fits_its_width(visits: list[dict[str, Any]]) -> None:
    for visit in visits:
        assert visit["scrollWidth"] <= visit["clientWidth"] == visit["width"], visit["wide"]


OVERLAPS = """[...document.querySelectorAll('#tail, #histogram')].flatMap((plot) => {
  const labels = [...plot.querySelectorAll('.xtick text, .ytick text, .xtitle, .ytitle, .annotation-text')]
    .map((label) => [label.textContent, label.getBoundingClientRect()]);
  return labels.flatMap(([one, here], i) => labels.slice(i + 1).filter(([, there]) =>
    Math.min(here.right, there.right) - Math.max(here.left, there.left) > 0.5 &&
    Math.min(here.bottom, there.bottom) - Math.max(here.top, there.top) > 0.5,
  ).map(([two]) => `${plot.id}: ${one} and ${two}`));
})"""
"""Labels of the two charts with boxes that share more than half a pixel each way."""


def test_no_label_of_the_losses_is_upon_another(pages: list[Path]) -> None:
    """Losses of this study are within three powers of ten, and its levels near each other."""
    count = "document.querySelectorAll('#tail .xtick, #histogram .xtick, #tail .annotation-text').length"
    steps = [{"read": OVERLAPS}, {"read": count}]
    for visit in run_visits([{"page": str(pages[0]), "width": width, "steps": steps} for width in WIDTHS]):
        overlaps, labels = visit["gave"]
        assert overlaps == [] and labels >= 4 + 2 * 2, visit["width"]


def test_the_drivers_are_on_the_first_screen(pages: list[Path]) -> None:
    sentence = "document.querySelector('#drivers + p')"
    bottom = f"[{sentence}.textContent, {sentence}.getBoundingClientRect().bottom]"
    (visit,) = run_visits([{"page": str(pages[0]), "steps": [{"read": bottom}]}])
    summary = json.loads((pages[0].parent / "summary.json").read_text())
    text, bottom = visit["gave"][0]
    assert text == summary["drivers"]["sentence"] and bottom < 900


def test_the_data_of_a_front_has_the_ends_of_its_intervals(pages: list[Path]) -> None:
    summary = json.loads((pages[2].parent / "summary.json").read_text())
    table = "document.querySelector('#gain .data table')"
    steps = [
        {"read": "document.querySelector('#gain .data').open = true"},
        {"until": table},
        {"read": f"[...{table}.rows].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"},
    ]
    (visit,) = run_visits([{"page": str(pages[2]), "steps": steps}])
    heads, *rows = visit["gave"][2]
    assert [head.rstrip(" ↕") for head in heads[3:]] == ["From", "To"]
    bounded = [
        point["shortfall"] for point in summary["points"] if point["shortfall"]["low_micro"] is not None
    ]
    again = summary["recommended"] is not None  # which is on the front as well
    assert bounded and len(rows) == len(summary["points"]) + again
    told = {tuple(int(cell.replace(",", "")) for cell in row[2:]) for row in rows if "–" not in row[2:]}
    for each in bounded:
        wanted = [each[f"{end}_micro"] / 10**6 for end in ("value", "low", "high")]
        assert any(all(abs(a - b) < 3 for a, b in zip(row, wanted, strict=True)) for row in told), wanted
