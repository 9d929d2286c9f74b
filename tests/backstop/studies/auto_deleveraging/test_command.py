"""`ape run deleverage`: tables, JSON and a page with equal figures, and a first screen that adds up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import report
from backstop.cli.deleverage import cli
from backstop.hosts.host_registry import open_host
from backstop.model.arithmetic import RAY, WAD
from backstop.report import deleverage_page
from backstop.report.result_kinds import find_result_kind
from backstop.studies.auto_deleveraging.block_packing import BLOCK_GAS
from backstop.studies.auto_deleveraging.margin_crash import MarginCrash
from backstop.studies.auto_deleveraging.margin_crash_summary import WORK
from tests.support.page_text_figures import read_page_figures

pytestmark = pytest.mark.anvil

ASKED = ["--accounts", "40", "--policy", "ranked", "--host", "anvil", "--evaders", "20"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crashes") / "small"


@pytest.fixture(scope="module")
def printed(out: Path) -> str:
    result = CliRunner(mix_stderr=False).invoke(cli, [*ASKED, "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def summary(out: Path, printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "deleverage.json").read_text())
    return found


@pytest.mark.deep(
    brief="tests/backstop/studies/auto_deleveraging/test_command.py::test_gas_is_the_chains_and_each_block_has_room"
)
def test_tables_and_json_say_the_same(out: Path, printed: str, summary: dict[str, Any]) -> None:
    again = CliRunner(mix_stderr=False).invoke(cli, [*ASKED, "--out", str(out), "--json"])
    assert json.loads(again.stdout) == {**summary, "out": str(out)}
    assert f"{int(summary['winners_wad']) // WAD:,}" in printed
    other = CliRunner(mix_stderr=False).invoke(cli, ["--accounts", "42", *ASKED[2:], "--out", str(out)])
    assert other.exit_code == 1 and "was made with accounts 40, not 42" in other.stderr


def test_gas_is_the_chains_and_each_block_has_room(summary: dict[str, Any]) -> None:
    assert summary["gas_from"] == "the chain" and summary["fullest_block_gas"] <= BLOCK_GAS
    phases = {row["phase"]: row for row in summary["phases"]}
    for name in ("positions are seized", "losses are booked", "debtors are settled"):
        row = phases[name]
        assert row["accounts"] == summary["insolvent"] == 20
        assert 0 < row["least"] <= row["mean"] <= row["most"] and row["gas"] >= row["accounts"] * row["least"]
    assert summary["liquidated"] == summary["tried"] >= 10


def test_blocks_are_full_while_there_is_work() -> None:
    with open_host("anvil") as host:
        result = MarginCrash(host, 600, 3, policy="ranked").run_crash()
    work = [each for each in result.phases.values() if each.name in WORK]
    # One is not full each time that a window has to pass: after the seizure, and after the closing.
    blocks, gas = sum(each.blocks for each in work), sum(each.gas for each in work)
    assert result.fullest <= BLOCK_GAS
    assert (blocks - 2) * BLOCK_GAS * 95 // 100 < gas <= blocks * BLOCK_GAS


def test_the_first_screen_adds_up_to_the_tables(out: Path, summary: dict[str, Any]) -> None:
    (whole,), _ = read_page_figures((out / "report.html").read_text())
    paid = ("insurance", "winners", "unvested", "later", "protocol", "nobody")
    assert whole.total == sum(whole.parts.values()) == int(summary["owed_wad"]) * RAY > 0
    assert sum(int(summary[f"{name}_wad"]) for name in paid) == int(summary["owed_wad"])
    winners = next(value for name, value in whole.parts.items() if name.startswith("Accounts that gained"))
    assert winners == int(summary["winners_wad"]) * RAY


def test_every_heading_answers(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("<section id=") == page.count("<small>") == 5
    ids = re.findall(r' id="([^"]+)"', page.partition("<script")[0])
    assert len(ids) == len(set(ids)), "a chart that has a section's name would be drawn over the section"


def test_without_closings_and_dodgers_their_parts_are_left_out(
    summary: dict[str, Any], tmp_path: Path
) -> None:
    calm = summary | {"closings": [], "dodging": None, "closed_after_seconds": None, "policy": "by-cycle"}
    (tmp_path / "deleverage.json").write_text(json.dumps(calm))
    (tmp_path / "meta.json").write_text(json.dumps({"command": "again", "versions": {}}))
    page = deleverage_page.write_page(tmp_path).read_text()
    assert 'id="closings"' not in page and 'id="dodging"' not in page and 'class="whole"' in page


def test_report_writes_it_again_and_the_index_has_it(out: Path, printed: str) -> None:
    kind = find_result_kind(out)
    assert kind is not None and kind.name == "deleveraging"
    before = (out / "report.html").read_text()
    for place in (out, out.parent):
        assert CliRunner().invoke(report.cli, [str(place)]).exit_code == 0
    assert (out / "report.html").read_text() == before
    assert "small/report.html" in (out.parent / "index.html").read_text()
