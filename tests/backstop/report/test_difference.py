"""The page of the difference of two runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.report import cli
from backstop.report import difference_page
from backstop.report.difference_page import list_compared_figures
from tests.support import handmade_page_runs


def run_in(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    (folder / "trace.json").write_text("{}")
    (folder / "summary.json").write_text(
        json.dumps(handmade_page_runs.build_handmade_crash_run().summary | changes)
    )
    return folder


def test_each_figure_of_both_is_there_with_its_change(tmp_path: Path) -> None:
    actions = {"sent": 5000, "succeeded": 4801, "reverted": {"new reason": 2}, "dropped": 255}
    one, other = run_in(tmp_path / "one"), run_in(tmp_path / "other", actions=actions)
    result = CliRunner(mix_stderr=False).invoke(cli, [str(one), "--against", str(other)])
    assert result.exit_code == 0, result.stderr
    page = Path(result.stdout.strip()).read_text()
    assert page.count('<td data-label="Differs" class="l">yes</td>') == 4
    assert "of <data" in page and "differ. In all " in page and page.count('class="whole"') == 2
    rows = {
        row.name: row
        for row in list_compared_figures(
            handmade_page_runs.build_handmade_crash_run().summary,
            handmade_page_runs.build_handmade_crash_run().summary | {"actions": actions},
        )
    }
    assert [name for name, row in rows.items() if row.differs] == [
        "actions.sent",
        "actions.reverted.price_feed: too early",
        "actions.reverted.",
        "actions.reverted.new reason",
    ]
    assert str(rows["actions.sent"].change) == '<data value="120" data-unit="count">120</data>'
    assert rows["actions.reverted.new reason"].one == "–"
    assert "losses.covered.buffer.rad" in rows and 'data-unit="rad"' in rows["losses.covered.buffer.rad"].one


def test_money_comes_before_counts_and_the_largest_change_first(tmp_path: Path) -> None:
    summary = handmade_page_runs.build_handmade_crash_run().summary
    keepers = [
        each | {"profit_wad": str(int(each["profit_wad"]) - 3 * 10**18)} for each in summary["keepers"]
    ]
    losses = summary["losses"] | {"created_rad": str(int(summary["losses"]["created_rad"]) - 10**45)}
    changes = {"actions": summary["actions"] | {"sent": 1}, "keepers": keepers, "losses": losses}
    one, other = run_in(tmp_path / "one"), run_in(tmp_path / "other", **changes)
    page = difference_page.write_page(one, other).read_text()
    rows = re.findall(r'<th scope="row">([^<]*)</th>', page)
    assert [name.partition(".")[0] for name in rows[:5]] == ["keepers"] * 3 + ["losses", "actions"]
    assert page.count('data-label="Change" class="plain"') == len(rows)  # less is not always a loss


def test_a_run_against_itself_says_so(tmp_path: Path) -> None:
    one = run_in(tmp_path / "one")
    assert CliRunner().invoke(cli, [str(one), "--against", str(one)]).exit_code == 0
    assert "Nothing differs: " in (one / "difference.html").read_text()


@pytest.mark.parametrize("mark", ("study.json", "nothing"))
def test_only_runs_are_set_against_each_other(mark: str, tmp_path: Path) -> None:
    one, other = run_in(tmp_path / "one"), tmp_path / "other"
    other.mkdir()
    (other / mark).write_text("{}")
    result = CliRunner(mix_stderr=False).invoke(cli, [str(one), "--against", str(other)])
    assert result.exit_code == 1 and "is not the folder of a run" in result.stderr
    assert result.stderr.count("\n") == 1 and not (one / "difference.html").exists()
