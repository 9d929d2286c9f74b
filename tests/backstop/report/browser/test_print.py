"""On paper a page has no controls, says where its links lead, is light, and nothing of it is cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backstop.report.run_page import render_page
from tests.support import handmade_page_runs
from tests.support.browser_user import run_visits
from tests.support.printed_page import CUT_ON_PAPER

BRIEF = "tests/backstop/report/browser/test_report.py::test_opens_without_an_error_and_without_a_request"
pytestmark = [pytest.mark.browser, pytest.mark.deep(brief=BRIEF)]

CONTROLS = ".tools, .more, .copy, .here, .chart-tools, .data:not([open]), .span, #tip"
SHOWN = f"[...document.querySelectorAll('{CONTROLS}')].filter((each) => each.getClientRects().length).length"
STYLE = """((of, one) => ({
  ground: of(document.body).backgroundColor, ink: of(document.body).color,
  row: of(one("tbody tr")).breakInside, section: of(one("section")).breakInside,
  head: of(one("thead")).display, table: of(one(".table")).overflowX,
  out: of(one("#elsewhere"), "::after").content, within: of(one(".next a"), "::after").content,
}))(getComputedStyle, (wanted) => document.querySelector(wanted))"""
WIDTHS = "[...document.querySelectorAll('.plot .main-svg')].map((each) => each.getBoundingClientRect().width)"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a page on paper for a reader with a dark screen, and the same page on the screen again."""
    path = tmp_path_factory.mktemp("print") / "report.html"
    path.write_text(
        render_page(handmade_page_runs.build_handmade_crash_run()).replace(
            "</header>", '<a id="elsewhere" href="maker/report.html">a run</a></header>'
        )
    )
    steps = [
        {"read": SHOWN},
        {"media": "print"},
        {"until": "document.documentElement.dataset.paper === 'true'"},
        {"read": SHOWN},
        {"read": CUT_ON_PAPER},
        {"read": STYLE},
        {"read": WIDTHS},
        {"pdf": str(path.with_name("page.pdf"))},
        {"media": "screen"},
        {"until": "document.documentElement.dataset.paper === 'false'"},
        {"read": WIDTHS},
    ]
    (seen,) = run_visits([{"page": str(path), "width": 1400, "scheme": "dark", "steps": steps}])
    assert seen["problems"] == []
    names = ("before", "_", "_", "shown", "cut", "style", "widths", "_", "_", "_", "after")
    return dict(zip(names, seen["gave"], strict=True)) | {"pdf": path.with_name("page.pdf")}


def test_no_control_is_printed(printed: dict[str, Any]) -> None:
    assert printed["before"] > 20 and printed["shown"] == 0


def test_nothing_is_cut_off(printed: dict[str, Any]) -> None:
    assert printed["cut"] == []
    assert set(printed["widths"]) == {680}
    assert len(set(printed["after"]) - {680}) >= 1  # the screen has its own again


def test_it_is_light_and_breaks_between_rows(printed: dict[str, Any]) -> None:
    style = printed["style"]
    assert style["ground"] == "rgba(0, 0, 0, 0)" and style["ink"] == "rgb(29, 34, 39)"
    assert (style["row"], style["section"]) == ("avoid", "auto")
    assert (style["head"], style["table"]) == ("table-header-group", "visible")


def test_a_link_says_where_it_leads(printed: dict[str, Any]) -> None:
    assert printed["style"]["out"] == '" (" attr(href) ")"' or "maker/report.html" in printed["style"]["out"]
    assert printed["style"]["within"] == "none"


def test_it_is_a_document(printed: dict[str, Any]) -> None:
    pdf: Path = printed["pdf"]
    assert pdf.read_bytes().startswith(b"%PDF")
