"""The page of a calibration: each figure is that of its files, and missing ones are named."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from click.testing import CliRunner

from backstop.cli.calibrate import cli
from backstop.cli.report import cli as report
from backstop.report import calibration_page
from backstop.report.amounts import format_measured_share
from tests.support.chart_color_placeholder_filling import replace_colors_with_fixed_hex
from tests.support.checkout_paths import ROOT
from tests.support.page_figure_summary_check import check_page_figures_against_summary
from tests.support.page_text_figures import read_named_figures

SAMPLES = ROOT / "docs" / "how-to" / "samples"
ARGS = ("--book", str(SAMPLES / "synthetic-aave.csv"), "--like", "aave")
YEAR = ("--prices", str(SAMPLES / "synthetic-year.csv"))
DEPTHS = ("--depth", str(SAMPLES / "synthetic-depths.csv"))
MONTH = ("--prices", str(SAMPLES / "synthetic-prices.csv"))
SCALES = {"billionths": 10**9, "seconds": 1, "micro": 10**6}


def calibrate_into(folder: Path, *args: str) -> Path:
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(folder)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == [str(folder / "scenario.yaml"), str(folder / "report.html")]
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of jumps, with depths and a back-test."""
    return calibrate_into(tmp_path_factory.mktemp("whole") / "laws", *ARGS, *YEAR, *DEPTHS)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of tails, without depths, too short for a back-test."""
    return calibrate_into(tmp_path_factory.mktemp("short") / "laws", *ARGS, *MONTH, "--law", "tails")


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "calibration.json").read_text())
    return found


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["whole", "short"])
def test_every_figure_of_the_file_is_on_the_page(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    page, summary = (folder / "report.html").read_text(), summary_of(folder)
    shown = check_page_figures_against_summary(read_named_figures(page), summary)
    expected = {"moves", "left_out"}
    for place in ("figures", "falls", "backtest", "quotes", "shared_days"):
        for i, row in enumerate(summary[place]):
            expected |= {
                f"{place}.{i}.{name}"
                for name, value in row.items()
                if isinstance(value, int) and not name.endswith("_seconds") and not name.startswith("rate_")
            }
    assert expected <= shown
    for said in (*summary["unmeasured"], summary["first"], summary["last"]):
        assert said.replace("'", "&#39;") in page
    chart = calibration_page.build_fall_quantile_chart(summary)
    go.Figure(replace_colors_with_fixed_hex(chart.figure))
    assert ('id="falls-chart"' in page and '<section id="backtest"' in page) or kind == "short"


@pytest.mark.parametrize("kind", ["whole", "short"])
def test_figures_are_those_of_the_tables(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    summary = summary_of(folder)
    figures = {(row["figure"], row["of"]): row for row in summary["figures"]}
    told = rows_of(folder, "calibration")
    assert len(told) == len(figures) > 5
    for row in told:
        own = figures[row["figure"], row["of"]]
        for end in ("value", "low", "high"):
            value = own[f"{end}_{own['unit']}"]
            assert (value is None) == (row[end] == "")
            assert value is None or value == round(float(row[end]) * SCALES[own["unit"]])
    for row, own in zip(rows_of(folder, "quantiles"), summary["falls"], strict=True):
        assert (row["asset"], row["verdict"]) == (own["asset"], own["verdict"])
        assert own["law_billionths"] == round(float(row["law_share"]) * 10**9)
        seen = own["seen_billionths"]
        assert row["seen_share"] == "" if seen is None else seen == round(float(row["seen_share"]) * 10**9)


def test_a_section_that_was_not_measured_is_named_in_its_place(whole: Path, short: Path) -> None:
    pages = {folder: (folder / "report.html").read_text() for folder in (whole, short)}
    for section in ("depth", "backtest"):
        assert f'<section id="{section}"' in pages[whole]
        assert f'<section id="{section}"' not in pages[short]
    missing = "\n".join(summary_of(short)["unmeasured"])
    assert "no file of quotes was given (--depth)" in missing
    assert "The back-test: synthetic-prices.csv: has 29 whole days" in missing
    assert "quotes" not in "\n".join(summary_of(whole)["unmeasured"])
    assert "One jump every" in pages[whole] and "Degrees of the tails" in pages[short]


def test_the_first_screen_counts_the_verdicts(whole: Path) -> None:
    summary = summary_of(whole)
    text = calibration_page.compose_finding(summary).striptags()
    assert text == "Jumps for 3 assets, from 2,189 moves of 4 h: the law fits 9 of 9 measured falls."
    assert f"```text\n{text}\n```" in (ROOT / "docs" / "how-to" / "calibration.md").read_text()
    summary["falls"][0]["verdict"] = "the law is too mild"
    assert "fits 8 of 9" in calibration_page.compose_finding(summary).striptags()
    assert calibration_page.compose_headings(summary)["falls"].striptags() == (
        "The law is too mild for 1 of 9 falls"
    )


def test_the_chart_draws_what_is_known(short: Path) -> None:
    """Days of a month show no drop that one in a hundred exceeds: only the law's drop is drawn."""
    seen, law = calibration_page.build_fall_quantile_chart(summary_of(short)).figure["data"]
    assert len(law["y"]) == 6 and seen["y"] == [0, 2, 4]
    rows = [row for row in summary_of(short)["falls"] if row["level_bps"] == 100]
    for i, place in enumerate(seen["y"]):
        low, high = rows[place]["seen_low_billionths"], rows[place]["seen_high_billionths"]
        assert seen["x"][i] - seen["error_x"]["arrayminus"][i] == pytest.approx(low / 10**9)
        assert seen["x"][i] + seen["error_x"]["array"][i] == pytest.approx(high / 10**9)


def test_the_command_on_the_page_does_the_same_again(short: Path, tmp_path: Path) -> None:
    words = shlex.split(json.loads((short / "meta.json").read_text())["command"])
    again = calibrate_into(tmp_path / "laws", *words[words.index("calibrate") + 1 :])
    assert summary_of(again) == summary_of(short)


def test_report_writes_it_again_and_the_index_lists_it(short: Path) -> None:
    page = (short / "report.html").read_text()
    (short / "report.html").unlink()
    assert CliRunner().invoke(report, [str(short)]).exit_code == 0
    assert (short / "report.html").read_text() == page
    assert CliRunner().invoke(report, [str(short.parent)]).exit_code == 0
    index = (short.parent / "index.html").read_text()
    assert 'href="laws/report.html"' in index
    assert str(calibration_page.compose_finding(summary_of(short))) in index


@pytest.mark.parametrize(
    ("billionths", "expected"),
    [
        (397_200_000, "39.72%"),
        (2_984_000, "0.2984%"),
        (10**9, "100%"),
        (0, "0%"),
        (-65_860_000, "\u22126.586%"),
        (12_345_600_000, "1,235%"),
        (1, "0.0000001%"),
    ],
)
def test_a_measured_share_has_four_digits_that_count(billionths: int, expected: str) -> None:
    assert format_measured_share(billionths) == expected
