"""The page of a hunt: the stories that the command tells, counted by alarm, and written again by `report`."""

import json
import re

import pytest
from click.testing import CliRunner

from backstop.cli.hunt import cli
from backstop.cli.report import cli as report
from backstop.model.cycle_book import CycleBook
from backstop.model.interfaces import Sides
from backstop.report.hunt_page import compose_finding, select_largest_findings
from backstop.studies.hunt.case import ALARMS


class Forgetful(CycleBook):
    """Whoever closes keeps no part in the losses of the time before."""

    right = CycleBook._move

    def _move(self, owner, market, delta, off):
        Forgetful.right(self, owner, market, delta, off)
        if self.positions[owner, market].size == 0:
            for parity in (0, 1):
                self.gained[owner, market, parity] = Sides()


@pytest.fixture(scope="module")
def hunt(tmp_path_factory):
    out = tmp_path_factory.mktemp("hunt") / "one"
    args = ["--cases", "1", "--alarm", "margin", "--trials", "20", "--best", "0", "--seed", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CycleBook, "_move", Forgetful._move)
        result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(out)])
    assert result.exit_code == 1 and f"report     {out / 'report.html'}" in result.stdout, result.stderr
    return out


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_hunt_page.py::test_report_writes_it_again_with_the_command_that_made_it"
)
def test_the_first_screen_counts_the_stories_below(hunt):
    page = (hunt / "report.html").read_text()
    rows = re.findall(r'<tr id="story-\d+">.*?<td data-label="Alarm" class="l">(\w+)</td>', page, re.DOTALL)
    tiles = re.findall(r'<dt>(\w+)</dt>\s*<dd><data value="(\d+)"', page)
    assert dict(tiles) == {"Stories": str(len(rows))} | {each: str(rows.count(each)) for each in ALARMS}
    assert rows and page.count("<pre>") == len(rows)
    content = json.loads((hunt / "hunt.json").read_text())
    said = re.sub(r"<[^>]+>", "", compose_finding(content))
    assert (
        said.startswith(f"{len(rows)} stor")
        and f"in 1 case: {len(rows)} margin; the largest is worth " in said
    )
    sizes = [each.size for each in select_largest_findings(content)]
    assert sizes == sorted(sizes, reverse=True)


def test_report_writes_it_again_with_the_command_that_made_it(hunt):
    page = (hunt / "report.html").read_text()
    (hunt / "report.html").unlink()
    assert CliRunner().invoke(report, [str(hunt)]).exit_code == 0
    assert (hunt / "report.html").read_text() == page
    assert f"hunt --cases 1 --plans 140 --trials 20 --alarm margin --seed 2 --out {hunt}</code>" in page


def test_a_hunt_that_found_nothing_says_in_how_many_cases():
    nothing: dict[str, object] = {"taken": None, "stories": []}
    assert re.sub(r"<[^>]+>", "", compose_finding({"cases": {"0": nothing, "1": nothing}})) == (
        "Nothing was found in 2 cases."
    )
