"""Every question has a page: its strips add up to its table, its figures are the answer's, names are text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from click.testing import CliRunner

from backstop.cli.ask import cli
from backstop.cli.report import cli as report
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.report import answer_page
from backstop.report.answer_page import QUESTIONS, build_answer_columns_with_intervals, write_answer_page
from tests.support.browser_user import run_visits
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex
from tests.support.page_text_figures import SCALES, read_page_figures

ASKED = {
    "falls": ("--fall", "10", "--fall", "60"),
    "at-risk": ("--paths", "8"),
    "owners": ("--paths", "8", "--largest", "2", "--worst", "2"),
    "payers": ("--paths", "2", "--presets", "maker"),
    "ceiling": ("--paths", "20", "--symbol", "ETH", "--limit", "50000", "--level", "50"),
    "history": ("--paths", "4", "--symbol", "ETH"),
    "episodes": ("--paths", "2"),
}
# What a strip's whole is in the table: a column, and its rows.
WHOLE: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "falls": ("missing_wad", lambda row: row["falling"] == "all" and row["fall_bps"] == 6_000),
    "at-risk": ("mean_micro", lambda row: row["of"] == "all" and row["level_bps"] == 9_500),
    "owners": ("lost_rad", lambda row: True),
    "payers": ("mean_micro", lambda row: row["preset"] == "maker"),
}
BRIEF = (
    "tests/backstop/studies/risk_questions/test_answer_page.py"
    "::test_the_index_lists_one_and_a_folder_of_another_kind_is_refused"
)
SLOW = pytest.mark.deep(brief=BRIEF)  # many paths on the model
EACH = [pytest.param(name, marks=SLOW) if name in ("payers", "ceiling") else name for name in QUESTIONS]


@pytest.fixture(scope="module")
def asked(known, lived, tmp_path_factory) -> Callable[[str], Path]:
    """Asks a question, once, and returns the folder of its answer."""
    here = tmp_path_factory.mktemp("asked")

    def ask(question: str) -> Path:
        folder = here / question
        if not folder.is_dir():
            given = [question, str(known), *ASKED[question], "--out", str(folder)]
            if question == "history":
                given[1:2] = [str(lived), "--events", str(lived.with_name("events.csv"))]
            result = CliRunner(mix_stderr=False).invoke(cli, given)
            assert result.exit_code == 0, result.stderr
            assert str(folder / "report.html") in result.stdout
        return folder

    return ask


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


@pytest.mark.parametrize("question", EACH)
def test_each_has_a_page_with_the_answer(asked: Callable[[str], Path], question: str) -> None:
    folder = asked(question)
    page, summary = (folder / "report.html").read_text(), summary_of(folder)
    again = json.loads((folder / "meta.json").read_text())["command"]
    assert summary["sentence"] in page and again in page
    assert f'data-name="{QUESTIONS[question].table}"' in page
    assert page.count("<tr>") == sum(1 + len(rows) for rows in summary["tables"].values())
    chart = QUESTIONS[question].chart(summary)
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    if question == "ceiling":  # its answer stands in the chart, too
        drawn = [shape["x0"] for shape in chart.figure["layout"]["shapes"]]
        known = [summary["stablecoins"][key] for key in ("sure", "likely", "over")]
        assert drawn == [each for each in known if each is not None] and len(chart.legend) == len(drawn) > 0
    # It is written again by `report`, of the same folder.
    (folder / "report.html").unlink()
    assert CliRunner().invoke(report, [str(folder)]).exit_code == 0
    assert (folder / "report.html").read_text() == page


@pytest.mark.parametrize("question", EACH)
def test_the_first_screen_adds_up_to_the_table(asked: Callable[[str], Path], question: str) -> None:
    folder = asked(question)
    wholes, _ = read_page_figures((folder / "report.html").read_text())
    if question in ("ceiling", "history", "episodes"):  # nobody's loss is in its answer
        assert wholes == []
        return
    column, where = WHOLE[question]
    rows, whole = summary_of(folder)["tables"][question], wholes[-1]
    assert len(wholes) == (2 if question == "payers" else 1)
    assert whole.total == sum(whole.parts.values()) > 0
    unit = SCALES[column.rpartition("_")[2]]
    expected = sum(int(row[column]) for row in rows if where(row)) * unit
    # Averages of parts are each rounded to a millionth.
    assert abs(whole.total - expected) <= (len(whole.parts) * unit if unit == SCALES["micro"] else 0)


@pytest.mark.parametrize(("whole", "expected"), [(5, ["ETH", "BTC"]), (4, ["all prices"])])
def test_what_falls_lack_is_by_price_only_where_that_adds_up(whole: int, expected: list[str]) -> None:
    """Before: an account of two collaterals, unsafe by the fall of either, was counted twice."""
    rows = [
        {"falling": name, "fall_bps": 6_000, "missing_wad": str(missing * WAD)}
        for name, missing in (("ETH", 2), ("BTC", 3), ("all", whole))
    ]
    (strip,) = QUESTIONS["falls"].strips({"tables": {"falls": rows}})
    assert strip is not None and [share.label for share in strip.shares] == expected


def test_ends_of_intervals_stand_with_their_figure() -> None:
    found = build_answer_columns_with_intervals(
        ["of", "level_bps", "mean_micro", "mean_low_micro", "mean_high_micro", "low_bps"]
    )
    assert [(each.title, each.unit, each.bounded) for each in found] == [
        ("of", "", False),
        ("level", "bps", False),
        ("mean", "micro", True),
        ("low", "bps", False),
    ]
    assert (found[2].low_column_name, found[2].high_column_name) == ("mean_low_micro", "mean_high_micro")


def test_the_index_lists_one_and_a_folder_of_another_kind_is_refused(
    asked: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = asked("falls")
    assert CliRunner().invoke(report, [str(folder.parent)]).exit_code == 0
    index = (folder.parent / "index.html").read_text()
    assert 'href="falls/report.html"' in index
    assert str(answer_page.compose_finding(summary_of(folder))) in index
    (tmp_path / "summary.json").write_text('{"question": "proposal"}')
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(BackstopError, match="answers the question proposal, which has another page"):
        write_answer_page(tmp_path)


def hostile(folder: Path, name: str, to: Path) -> Path:
    """A page of an answer in which names are something else."""
    summary = summary_of(folder)
    summary["tables"]["owners"][0]["owner"] = summary["scenario"] = summary["sentence"] = name
    (to / "summary.json").write_text(json.dumps(summary))
    (to / "meta.json").write_text((folder / "meta.json").read_text())
    return write_answer_page(to)


@pytest.mark.browser
@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("question", [*QUESTIONS, "hostile"])
def test_anybody_can_use_it(asked: Callable[[str], Path], question: str, tmp_path: Path) -> None:
    """At every width and in both themes, without a fault or a message; hostile names stay text."""
    if question == "hostile":
        name = "<img src=x onerror=\"document.title='taken'\">\u202e" + "long-" * 40
        page = hostile(asked("owners"), name, tmp_path)
    else:
        page = asked(question) / "report.html"
    steps = [
        {"axe": True},
        {"read": "document.documentElement.scrollWidth - innerWidth"},
        {"read": "document.querySelectorAll('main img').length"},
        {"read": "document.title.startsWith('taken')"},
        {"save": "section .csv"},
    ]
    sizes = [(360, "dark"), (768, "light"), (1400, "light")]
    for seen in run_visits(
        [{"page": str(page), "width": width, "scheme": scheme, "steps": steps} for width, scheme in sizes]
    ):
        faults, wider, images, taken, saved = seen["gave"]
        assert seen["problems"] == [] and faults == [] and wider <= 0 and images == 0, seen["width"]
        assert not taken and len(saved["text"].splitlines()) > 1
