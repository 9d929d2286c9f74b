"""`ape run deleverage`: tables, JSON and a page that say the same, and whose first screen adds up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import report
from backstop.cli.deleverage import cli
from backstop.model.arithmetic import RAY
from backstop.report import deleverage_page
from backstop.report.kinds import kind_of
from tests.support.figures_of import read

pytestmark = pytest.mark.anvil


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crashes") / "small"


@pytest.fixture(scope="module")
def printed(out: Path) -> str:
    result = CliRunner(mix_stderr=False).invoke(cli, ["--accounts", "20", "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def summary(out: Path, printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "deleverage.json").read_text())
    return found


def test_tables_and_json_say_the_same(out: Path, printed: str, summary: dict[str, Any]) -> None:
    again = CliRunner(mix_stderr=False).invoke(cli, ["--accounts", "20", "--out", str(out), "--json"])
    assert json.loads(again.stdout) == {**summary, "out": str(out)}
    assert f"{int(summary['taken_wad']) // 10**18:,}" in printed and "minimal" in printed
    other = CliRunner(mix_stderr=False).invoke(cli, ["--accounts", "22", "--out", str(out)])
    assert other.exit_code == 1 and "was made with accounts 20, not 22" in other.stderr


def test_the_first_screen_adds_up_to_the_tables(out: Path, summary: dict[str, Any]) -> None:
    (whole,), tables = read((out / "report.html").read_text())
    assert whole.total == sum(whole.parts.values()) > 0
    assert whole.total == (int(summary["loss_wad"]) + int(summary["insured_wad"])) * RAY
    freezes = tables[1]  # loss, taken and what greedy takes, of each
    assert len(freezes) == len(summary["freezes"]) > 2
    assert sum(row[0] for row in freezes.values()) == int(summary["loss_wad"]) * RAY
    assert sum(row[1] for row in freezes.values()) == int(summary["taken_wad"]) * RAY
    traders = next(value for name, value in whole.parts.items() if name.startswith("Traders"))
    assert traders == int(summary["taken_wad"]) * RAY
    assert sum(row[2] for row in freezes.values()) == tables[0]["greedy"][0]


def test_every_heading_answers(out: Path, summary: dict[str, Any]) -> None:
    page = (out / "report.html").read_text()
    assert page.count("<section id=") == page.count("<small>") == 4
    ids = re.findall(r' id="([^"]+)"', page.partition("<script")[0])
    assert len(ids) == len(set(ids)), "a chart that has a section's name would be drawn over the section"
    greedy = int(summary["policies"][0]["taken_wad"])
    assert f'value="{greedy - int(summary["taken_wad"])}"' in page


def test_a_crash_that_nobody_pays_for_says_so(summary: dict[str, Any], tmp_path: Path) -> None:
    nothing = {f"{name}_wad": "0" for name in ("insured", "loss", "taken", "posted", "unpaid")}
    calm = summary | nothing | {"freezes": [], "policies": [], "largest": None}
    (tmp_path / "deleverage.json").write_text(json.dumps(calm))
    (tmp_path / "meta.json").write_text(json.dumps({"command": "again", "versions": {}}))
    page = deleverage_page.write_page(tmp_path).read_text()
    assert "nobody was deleveraged" in page and 'class="whole"' not in page


def test_report_writes_it_again_and_the_index_has_it(out: Path, summary: dict[str, Any]) -> None:
    kind = kind_of(out)
    assert kind is not None and kind.name == "deleveraging"
    before = (out / "report.html").read_text()
    for place in (out, out.parent):
        assert CliRunner().invoke(report.cli, [str(place)]).exit_code == 0
    assert (out / "report.html").read_text() == before
    assert "small/report.html" in (out.parent / "index.html").read_text()
