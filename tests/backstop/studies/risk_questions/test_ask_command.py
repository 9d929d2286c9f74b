"""The command asks, keeps its answer, and writes a proposal's page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import backstop
from backstop.cli.ask import cli
from backstop.cli.calibrate import cli as calibrate
from backstop.cli.report import cli as report
from backstop.simulation.sources.default_owner_behavior import PATH
from tests.support.checkout_paths import ROOT
from tests.support.chromium import collect_browser_page_facts

BRIEF = (
    "tests/backstop/studies/risk_questions/test_ask_command.py"
    "::test_a_proposal_is_a_sentence_figures_and_a_page"
)
PROPOSAL = (
    "--set",
    "keepers.desk.takes_at=60%",
    "--set",
    "keepers.desk.most=19",
    "--paths",
    "20",
    "--level",
    "50",
)


def run(*args: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def proposed(known, folder) -> Result:
    result = run("proposal", str(known), *PROPOSAL, "--out", str(folder / "proposal"))
    assert result.exit_code == 0, result.stderr
    return result


def test_a_proposal_is_a_sentence_figures_and_a_page(known, folder, proposed) -> None:
    summary = json.loads((folder / "proposal" / "summary.json").read_text())
    assert summary["sentence"].startswith(
        "The proposal raises the expected shortfall of bad debt at 50% from "
    )
    assert summary["sentence"] in proposed.stdout
    worlds = {row["world"]: row["verdict"] for row in summary["tables"]["sensitivity"]}
    assert {"bidders with half the capital", "markets that recover half as fast"} < set(worlds)
    assert "owners who react" in worlds and "owners who stand still" not in worlds
    assert worlds["other paths (the next seed)"] == "raises it"
    alone = {row["change"]: row["verdict"] for row in summary["tables"]["alone"]}
    assert alone == {"keepers.desk.takes_at": "raises it", "keepers.desk.most": "changes nothing"}
    page = (folder / "proposal" / "report.html").read_text()
    again = json.loads((folder / "proposal" / "meta.json").read_text())["command"]
    assert again.endswith("--set keepers.desk.takes_at=60% --set keepers.desk.most=19 --level 50")
    assert summary["changes"] == [
        {"field": "keepers.desk.takes_at", "before": "80%", "value": "60%"},
        {"field": "keepers.desk.most", "before": "20", "value": "19"},
    ]
    same = sum(verdict == "raises it" for verdict in worlds.values())
    assert summary["besides"][0] == "By type: raises that of ETH; changes nothing for BTC."
    assert summary["besides"][1].startswith(f"The answer is the same in {same} of {len(worlds)} other worlds")
    for text in (summary["sentence"], *summary["besides"], again, "keepers.desk.takes_at", "<td>80%</td>"):
        assert text in page
    assert all(line in proposed.stdout for line in summary["besides"]) and "half the capital" in page


def test_it_is_shown_again_and_not_made_of_others(known, folder, proposed) -> None:
    out = ("--out", str(folder / "proposal"))
    again = run("proposal", str(known), *PROPOSAL, *out)
    assert again.stdout == proposed.stdout and "was there already" in again.stderr
    other = run("proposal", str(known), *PROPOSAL, *out, "--seed", "2")
    assert other.exit_code == 1 and "was made with seed 1, not 2" in other.stderr
    (folder / "proposal" / "report.html").unlink()
    page = CliRunner().invoke(report, [str(folder / "proposal")])
    assert page.exit_code == 0 and (folder / "proposal" / "report.html").is_file()


def test_answers_are_those_of_the_functions(known, folder) -> None:
    result = run("falls", str(known), "--fall", "30", "--out", str(folder / "falls"), "--json")
    summary = json.loads(result.stdout)
    frame = backstop.falls(known, [3_000])
    rows = summary["tables"]["falls"]
    assert [row["debt_wad"] for row in rows] == [str(each) for each in frame["debt_wad"]]
    with (folder / "falls" / "falls.csv").open() as file:
        assert [row["missing_wad"] for row in csv.DictReader(file)] == [row["missing_wad"] for row in rows]
    told = "If all prices fell by 30%, 60% of the debt could be liquidated"
    assert summary["sentence"].startswith(told)
    printed = run("owners", str(known), "--paths", "20", "--largest", "1", "--out", str(folder / "owners"))
    assert "The 1 largest owners owe 40% of the debt" in printed.stdout
    assert "anna" in printed.stdout and "all others" in printed.stdout
    assert "`lost` is the bad debt that an owner's vaults leave, summed over these paths." in printed.stdout


def test_who_pays_most_is_said_with_its_share(known, folder) -> None:
    """The largest share of several may be far from most of the loss."""
    given = ("--paths", "2", "--presets", "morpho-lenders", "--out", str(folder / "payers"), "--json")
    summary = json.loads(run("payers", str(known), *given).stdout)
    most: dict[str, tuple[int, str]] = {}
    for row in summary["tables"]["payers"]:
        most[row["preset"]] = max(most.get(row["preset"], (0, "")), (int(row["share_bps"]), row["payer"]))
    names = {"holders": "not yet covered"}
    told = "; ".join(
        f"{preset}: {names.get(payer, payer)} ({share / 100:g}%)" for preset, (share, payer) in most.items()
    )
    assert summary["sentence"] == f"Largest payer, {told}." and len(most) == 2
    printed = run("payers", str(known), *given[:-1]).stdout
    assert "not yet covered" in printed and "holders" not in printed and told in printed


def test_risk_is_told_with_owners_who_react_and_with_owners_who_stand_still(late, folder) -> None:
    """The line is that of the file with the package's law, or without its own."""
    default = late.with_name("default-law.yaml")
    default.write_text(f"extends: {late.name}\nowners: {{file: {PATH}}}\n")
    for day, case, other in (
        (late, "owners who react", default),
        (default, "owners who stand still", late),
    ):
        out = folder / f"at-risk-{day.stem}"
        result = run("at-risk", str(day), "--paths", "20", "--out", str(out))
        assert result.exit_code == 0, result.stderr
        row = backstop.at_risk(other, 20).iloc[0]
        (line,) = json.loads((out / "summary.json").read_text())["besides"]
        told = (
            f"{row['chance_bps'] / 100:g}% have bad debt, {row['mean_micro'] / 10**6:,.0f} stablecoins on "
            f"average; in the worst 5%, {row['shortfall_micro'] / 10**6:,.0f}."
        )
        assert line == f"With {case}, on the same paths: {told}"
        lines = result.stdout.splitlines()
        sentence = lines[lines.index(line) - 1]
        assert (
            sentence.startswith("100% of 20 paths have bad debt, ")
            and told.partition(", ")[2] not in sentence
        )
        assert line in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("falls", "--paths", "5"), "--paths: not an option of the question falls"),
        (("at-risk", "--symbol", "ETH"), "--symbol: not an option of the question at-risk"),
        (("proposal",), "a proposal is either fields that change (--set) or another file (--proposed)"),
        (("proposal", "--set", "title"), "--set: 'title' is invalid; expected NAME=VALUE"),
        (("proposal", "--set", "nothing=1"), "nothing"),
        (
            ("ceiling", "--symbol", "ETH"),
            "a ceiling is of a type (--symbol) for a risk in stablecoins (--limit)",
        ),
        (("payers", "--presets", "nobody"), "preset 'nobody' is unknown"),
    ],
)
def test_what_cannot_be_asked_is_one_line(known, tmp_path, args, told) -> None:
    result = run(args[0], str(known), *args[1:], "--out", str(tmp_path / "out"))
    assert result.exit_code == 1 and told in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.browser
@pytest.mark.deep(brief=BRIEF)
def test_the_page_in_a_browser(folder, proposed) -> None:
    page = folder / "proposal" / "report.html"
    wide, *others = collect_browser_page_facts([page], (1400, 768, 360), ("light", "dark"), axe=True)
    for seen in (wide, *others):
        assert seen["drawn"] and not seen["problems"] and len(seen["requests"]) == 1
        assert seen["faults"] == [] and seen["untitled"] == []
        assert {plot["id"] for plot in seen["plots"]} == {"figures", "worlds", "drivers", "trade-off"}
        assert all(plot["marks"] > 2 for plot in seen["plots"])
        assert seen["scrollWidth"] <= seen["clientWidth"]
    summary = json.loads((folder / "proposal" / "summary.json").read_text())
    shown = {figure["path"]: figure["value"] for figure in wide["figures"]}
    row = summary["tables"]["figures"][0]
    assert shown["tables.figures.0.change_micro"] == str(row["change_micro"])
    assert shown["efficiency.now_bps"] == str(summary["efficiency"]["now_bps"])


@pytest.fixture(scope="module")
def laws(folder) -> Path:
    """The scenario of the page's first command."""
    samples = ROOT / "docs" / "how-to" / "samples"
    args = ["--book", str(samples / "synthetic-aave.csv"), "--like", "aave"]
    args += [
        "--prices",
        str(samples / "synthetic-year.csv"),
        "--depth",
        str(samples / "synthetic-depths.csv"),
    ]
    result = CliRunner(mix_stderr=False).invoke(calibrate, [*args, "--out", str(folder / "laws")])
    assert result.exit_code == 0, result.stderr
    return folder / "laws" / "scenario.yaml"


def shown(number: int) -> list[str]:
    """Return the page's text for the output of its commands."""
    page = (ROOT / "docs" / "how-to" / "questions.md").read_text()
    return page.split("```text\n")[number].partition("```")[0].splitlines()


@pytest.mark.parametrize(
    ("number", "args"),
    [
        (2, "falls {} --fall 10 --fall 30 --fall 50"),
        pytest.param(3, "owners {} --by lost --largest 3", marks=pytest.mark.deep(brief=BRIEF)),
        pytest.param(
            4,
            "proposal {} --set parameters.collateral_types.WETH.auction.buf=110% --paths 2000 --workers 2",
            marks=pytest.mark.deep(brief=BRIEF),
        ),
    ],
)
def test_the_page_says_what_the_commands_print(laws, tmp_path, number, args) -> None:
    assert f"ape run ask {args.format('runs/laws/scenario.yaml')}\n" in (
        (ROOT / "docs" / "how-to" / "questions.md").read_text()
    )
    printed = run(*args.format(laws).split(), "--out", str(tmp_path / "out"))
    said = [line.rstrip() for line in printed.stdout.splitlines()]
    assert shown(number) == said[: len(shown(number))] and len(shown(number)) > 5
