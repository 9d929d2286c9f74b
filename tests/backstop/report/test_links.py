"""From the whole to the part and back, and the index over all."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli import report, stress
from backstop.report import preset_comparison_page
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from backstop.studies.comparison.preset_comparison import compare
from backstop.studies.comparison.presets import load_presets
from tests.support.checkout_paths import DATA

HOSTILE = "<img src=x onerror=alert(1)> \u202e" + "long " * 40


def written(*args: str) -> str:
    result = CliRunner(mix_stderr=False).invoke(report.cli, list(args))
    assert result.exit_code == 0, result.stderr
    return Path(result.stdout.strip()).read_text()


def hrefs(text: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'<a href="([^"]+)"', text)]


def commands(text: str) -> list[str]:
    return [
        html.unescape(each) for each in re.findall(r'<code class="command">(.*?)</code>', text, re.DOTALL)
    ]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of two presets, in a folder of results."""
    out = tmp_path_factory.mktemp("results") / "a folder"
    out.mkdir()
    found = compare(str(DATA / "runs" / "small.yaml"), load_presets("backstop,maker"), "model", 1, out)
    preset_comparison_page.write_page(found, out)
    (out / "compare.json").write_text(json.dumps(found))
    return out


@pytest.mark.deep(brief="tests/backstop/report/test_links.py::test_the_index_names_all_and_leads_to_each")
def test_a_run_without_a_page_is_the_command_that_writes_it(compared: Path) -> None:
    before = (compared / "compare.html").read_text()
    assert "maker/report.html" not in hrefs(before)
    (command,) = (each for each in commands(before) if each.endswith("maker'"))
    words = command.removeprefix("ape run report ").strip("'")
    page = written(words)  # as the command says
    after = (compared / "compare.html").read_text()
    assert "maker/report.html" in hrefs(after) and command not in commands(after)
    assert any("backstop'" in each for each in commands(after))  # the other run still has none
    assert "../compare.html" in hrefs(page)
    for link in hrefs(after):
        if not link.startswith("#"):
            assert (compared / link).is_file()


@pytest.mark.deep(brief="tests/backstop/report/test_links.py::test_the_index_names_all_and_leads_to_each")
def test_a_run_leads_to_its_costliest_auction_and_that_to_its_purchases(compared: Path) -> None:
    page = written(str(compared / "backstop"))
    first = re.search(r'Most was lost in <a href="#(auction-\d+)">', page)
    assert first is not None
    row = page[page.index(f'<tr id="{first[1]}">') :]
    (purchases,) = set(re.findall(r'data-search="(auction:\d+)"', row[: row.index("</tr>")]))
    assert purchases == first[1].replace("-", ":")
    assert f'<td data-label="Auction"><a href="#{first[1]}">' in page


def test_the_index_names_all_and_leads_to_each(compared: Path) -> None:
    top = compared.parent
    day = top / "day"
    simulate(load_scenario(DATA / "runs" / "small.yaml"), "model", out=day)
    summary = json.loads((day / "summary.json").read_text())
    (day / "summary.json").write_text(json.dumps(summary | {"title": HOSTILE}))
    (top / "broken").mkdir()
    (top / "broken" / "study.json").write_text("{}")
    index = written(str(top))
    assert "a%20folder/compare.html" in hrefs(index)
    assert html.escape(HOSTILE.strip())[:60] in index and "<img" not in index
    assert any(each.endswith("/day") for each in commands(index))
    assert "Left out: broken: study that is not whole" in index
    assert "The loss not yet covered is least under Backstop" in index
    assert (top / "index.html").is_file()


def test_a_folder_with_nothing_in_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = CliRunner(mix_stderr=False).invoke(report.cli, [str(tmp_path)])
    assert result.exit_code != 0 and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.deep(brief="tests/backstop/report/test_links.py::test_the_index_names_all_and_leads_to_each")
def test_the_worst_path_of_a_study_is_a_run_of_its_own(tmp_path: Path) -> None:
    """The command of the page makes the run, and the page then leads there; the run leads back."""
    from backstop.cli import simulate as simulate_command

    out = tmp_path / "study"
    args = [str(DATA / "stress" / "small.yaml"), "--paths", "40", "--out", str(out)]
    assert CliRunner().invoke(stress.cli, args).exit_code == 0
    summary = json.loads((out / "summary.json").read_text())
    worst = summary["worst"]["path"]
    (command,) = (
        each for each in commands((out / "report.html").read_text()) if each.endswith(f"/paths/{worst}")
    )
    words = command.split()
    result = CliRunner(mix_stderr=False).invoke(simulate_command.cli, words[words.index("simulate") + 1 :])
    assert result.exit_code == 0, result.stderr
    assert f"paths/{worst}/report.html" in hrefs((out / "report.html").read_text())
    assert "../../report.html" in hrefs(written(str(out / "paths" / str(worst))))


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_sweep.py::test_each_setting_is_a_scenario_file")
def test_a_setting_of_a_sweep_is_a_study_of_its_own(tmp_path: Path) -> None:
    """The command of the page makes the study, with the losses that the sweep states; the page links it."""
    from backstop.cli import sweep

    out = tmp_path / "a sweep"
    args = [str(DATA / "stress" / "ratios.yaml"), "--paths", "40", "--out", str(out)]
    assert CliRunner().invoke(sweep.cli, args).exit_code == 0
    page = (out / "report.html").read_text()
    ways = [each for each in commands(page) if " stress " in each]
    assert len(ways) == 4 and not any(each.startswith("studies/") for each in hrefs(page))
    (command,) = (each for each in ways if each.endswith("/studies/0002'"))
    words = shlex.split(command)
    result = CliRunner(mix_stderr=False).invoke(
        stress.cli, [*words[words.index("stress") + 1 :], "--confirm", "0"]
    )
    assert result.exit_code == 0, result.stderr
    study = json.loads((out / "studies" / "0002" / "summary.json").read_text())
    point = json.loads((out / "summary.json").read_text())["points"][2]
    assert study["bad_debt"]["mean"] == point["mean"] and point["mean"]["value_micro"] > 0
    assert study["title"].endswith("Liquidation ratio 145%, share 10%")
    assert "studies/0002/report.html" in hrefs((out / "report.html").read_text())
    assert "../../report.html" in hrefs(written(str(out / "studies" / "0002")))
