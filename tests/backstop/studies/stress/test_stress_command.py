"""`ape run stress`: its output and files; a mistake is one line."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from backstop.cli.report import cli as report
from backstop.cli.simulate import cli as simulate
from backstop.cli.stress import cli
from backstop.report.stress_console_output import print_study
from backstop.simulation.scenario import load_scenario
from backstop.studies.risk_questions import loss_drivers
from backstop.studies.stress import tail_confirmation
from backstop.studies.stress.engines import CHUNKS
from backstop.studies.stress.resumable_path_study import read_parquet_rows
from tests.support.checkout_paths import DATA, ROOT
from tests.support.condition_wait import wait_until_true

SMALL = str(DATA / "stress" / "small.yaml")
PATHS = 200


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("stress") / "small"


@pytest.fixture(scope="module")
def printed(out):
    result = run(SMALL, "--paths", str(PATHS), "--shift", "10", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def summary(out, printed):
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def column(out, printed):
    names = json.loads((out / "study.json").read_text())["columns"]
    rows = read_parquet_rows(out / "paths.parquet", names)
    return {name: rows[:, i] for i, name in enumerate(names)}


def test_the_table(out, printed) -> None:
    for piece in (
        "A small study",
        "200 paths",
        "95% interval",
        "paths with bad debt",
        "value at risk, 95%",
        "expected shortfall, 99%",
        "liquidations at risk, 99%",
        "savings reached",
        "bad debt for 1% of all prices: slope",
        "not covered, of paths with a loss",
        "time to cover, 95% of the others within",
        "run again",
    ):
        assert piece in printed
    for name in ("study.json", "paths.parquet", "summary.json", "meta.json", "report.html"):
        assert (out / name).is_file()


def test_figures_are_those_of_the_paths(summary, column) -> None:
    lost = np.sort(column["bad_debt"])
    assert summary["paths"] == len(lost) == PATHS
    assert summary["bad_debt"]["largest_micro"] == lost[-1]
    assert summary["bad_debt"]["mean"]["value_micro"] == round(lost.mean())
    assert summary["bad_debt"]["chance"]["value_bps"] == round(10_000 * np.count_nonzero(lost) / PATHS)
    tail = summary["bad_debt"]["levels"][0]
    assert tail["level_bps"] == 9_500 and tail["at_risk"]["value_micro"] == lost[189]
    assert tail["shortfall"]["value_micro"] == round(lost[190:].mean())
    for each in summary["stages"]:
        paid = column[f"covered_{each['stage']}"]
        assert each["covered"]["mean"]["value_micro"] == round(paid.mean())
    for each in summary["collateral_types"]:
        assert each["bad_debt"]["largest_micro"] == column[f"bad_debt_{each['symbol']}"].max()


def test_groups_and_holders_bear_all_there_is(summary, column) -> None:
    borne = sum(each["paid"]["mean"]["value_micro"] for each in summary["groups"])
    paid = sum(column[f"covered_{each['stage']}"] for each in summary["stages"]) + column["outstanding"]
    assert borne == pytest.approx(paid.mean(), abs=10)


def test_contagion_is_a_share_of_paths(summary, column) -> None:
    eth, wbtc = column["bad_debt_ETH"] > 0, column["bad_debt_WBTC"] > 0
    (first, _) = summary["contagion"]
    assert first["given"] == "ETH" and first["also"][1]["symbol"] == "WBTC"
    expected = round(10_000 * np.sum(eth & wbtc) / np.sum(eth))
    assert first["also"][1]["chance"]["value_bps"] == expected


def test_prices_that_fall_further_lose_more(summary) -> None:
    answer = summary["sensitivity"]
    assert answer["shift_bps"] == 1_000
    assert answer["slope"]["value_micro"] < 0
    for fall in answer["falls"]:
        own = next(each["more"] for each in fall["changes"] if each["symbol"] == fall["shifted"])
        assert own["low_micro"] > 0


def test_drivers_are_the_first_thing_that_is_said(summary, printed) -> None:
    lines = printed.splitlines()
    assert lines[0] == f"total debt {summary['debt_micro'] // 10**6:,} stablecoins"
    assert " ".join(lines[2].split()) == "drivers of the tail shortfall, 95% change 95% interval"
    assert lines[3].startswith("as it is, 200 paths") and f"{904_012:,}" in lines[3]
    cases = [each["case"] for each in summary["drivers"]["cases"]]
    assert [re.split("  +", line)[0] for line in lines[4:12]] == cases and len(cases) == 8
    assert summary["drivers"]["sentence"] in lines
    assert "Blocks of 300 s are too long: in blocks of 150 s the expected shortfall is " in printed


def test_no_figure_is_cut_where_output_is_no_terminal(summary, capsys, monkeypatch) -> None:
    """Rich takes 80 columns for a pipe, and shortened intervals of seven digits."""
    monkeypatch.setenv("COLUMNS", "80")
    large = {"value_micro": -1_646_698 * 10**6, "low_micro": -1_746_698 * 10**6, "high_micro": -(10**12)}
    cases = [each | {"change": large} for each in summary["drivers"]["cases"]]
    shown = summary | {"drivers": summary["drivers"] | {"cases": cases}}
    print_study(shown, Path("study"), Path("report.html"), as_json=False)
    printed = capsys.readouterr().out
    assert "…" not in printed and printed.count("−1,746,698 to −1,000,000") == len(cases) == 8


def test_drivers_are_of_the_same_paths(out, summary, column) -> None:
    """Each case's change follows from the outcomes of its own paths."""
    names = json.loads((out / "study.json").read_text())["columns"]
    tail = PATHS // 20
    base = np.sort(column["bad_debt"])[-tail:].mean()
    assert summary["drivers"]["paths"] == PATHS and summary["drivers"]["missing"] == []
    for each in summary["drivers"]["cases"]:
        rows = read_parquet_rows(out / "drivers" / each["key"] / "paths.parquet", names)
        assert rows[:, 0].tolist() == list(range(PATHS))
        found = np.sort(rows[:, names.index("bad_debt")])[-tail:].mean()
        assert each["shortfall_micro"] == round(found)
        assert each["change"]["value_micro"] == pytest.approx(found - base, abs=1)
        if each["change"]["low_micro"] is not None:
            assert each["change"]["low_micro"] <= found - base <= each["change"]["high_micro"]


def test_what_caps_a_sale_is_counted_on_the_paths(out, summary, column, printed) -> None:
    left, unsold, missing = (column[name] for name in ("buyers_left", "unsold", "depth_missing"))
    # Three desks with a hundred thousand, and an opportunist with a million; markets of 750,000 together.
    used_up = (left < unsold) | (left < 13_000 * 10**6)
    found = {each["cause"]: each for each in summary["caps"]["causes"]}
    assert found["buyers"]["paths"] == used_up.sum() > 0
    assert found["buyers"]["unsold_paths"] == (used_up & (unsold > 0)).sum() > 0
    assert found["buyers"]["unsold_micro"] == round(unsold[used_up].mean())
    assert found["stablecoins"]["paths"] == (missing > 7_500 * 10**6).sum() > 0
    assert found["stablecoins"]["bad_debt_micro"] == round(column["bad_debt"][missing > 7_500 * 10**6].mean())
    assert found["other"]["paths"] == 0
    page = (out / "report.html").read_text()
    assert re.search(rf"^buyers' capital used up +{used_up.sum()} paths *$", printed, re.MULTILINE)
    assert "Limits of a sale" in page and "buyers&#39; capital is used up" in page
    (deeper,) = (each for each in summary["drivers"]["cases"] if each["key"] == "twice-depth")
    assert f'<data value="{deeper["unsold_micro"]}"' in page.partition("Market depth: with markets twice")[2]


def test_drivers_go_on_where_they_were(tmp_path, monkeypatch) -> None:
    """A study with drivers cut off, and one without drivers, end with the files of an uninterrupted study."""
    monkeypatch.setitem(CHUNKS, "fast", 10)
    args = (SMALL, "--paths", "20", "--confirm", "0", "--out")
    out, cut, bare = (tmp_path / name for name in ("out", "cut", "bare"))
    assert run(*args, str(out)).exit_code == 0
    shutil.copytree(out, cut)
    record = json.loads((cut / "made.json").read_text())
    (cut / "made.json").write_text(json.dumps(record | {"finished": None}))
    for key in ("moves", "block-time"):
        next((cut / "drivers" / key).glob("chunks/*")).unlink()
    (cut / "summary.json").unlink()
    assert run(*args, str(bare), "--no-drivers").exit_code == 0
    assert json.loads((bare / "summary.json").read_text())["drivers"] is None
    assert not (bare / "drivers").exists()
    for folder in (cut, bare):
        result = run(*args, str(folder))
        assert result.exit_code == 0, result.stderr
        assert (folder / "summary.json").read_bytes() == (out / "summary.json").read_bytes()
    # What is there is not thrown away.
    refused = run(*args, str(bare), "--no-drivers")
    assert refused.exit_code == 1 and "paths with assumptions changed, not 0" in refused.stderr


def test_drivers_run_the_first_paths_of_a_longer_study(out, printed, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(loss_drivers, "PATHS", 60)
    longer = tmp_path / "longer"
    assert run(SMALL, "--paths", "100", "--confirm", "0", "--out", str(longer)).exit_code == 0
    summary = json.loads((longer / "summary.json").read_text())
    names = json.loads((longer / "study.json").read_text())["columns"]
    lost = read_parquet_rows(longer / "paths.parquet", names)[:60, names.index("bad_debt")]
    assert summary["paths"] == 100 and summary["drivers"]["paths"] == 60
    assert summary["drivers"]["shortfall"]["value_micro"] == round(np.sort(lost)[-3:].mean())
    # Three paths of a tail bound nothing, and the table says so.
    assert {each["verdict"] for each in summary["drivers"]["cases"]} == {"the data cannot tell"}


def test_the_worst_path_is_named_and_its_command_replays_it(summary, column, tmp_path) -> None:
    worst = summary["worst"]
    assert worst["row"]["bad_debt"] == column["bad_debt"].max() == column["bad_debt"][worst["path"]]
    assert worst["path"] == summary["confirmed"][0]["path"]
    name, *args = shlex.split(worst["replay"])
    assert name == "simulate"
    again = CliRunner(mix_stderr=False).invoke(
        simulate, [*args, "--host", "revm", "--out", str(tmp_path), "--json"]
    )
    assert again.exit_code == 0, again.stderr
    run_summary = json.loads(again.stdout)
    assert run_summary["differences"] == 0
    assert int(run_summary["losses"]["created_rad"]) // 10**39 == summary["confirmed"][0]["exact_micro"]


@pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_stress_command.py::test_the_worst_path_is_named_and_its_command_replays_it"
)
def test_the_shortfall_on_the_contracts_is_that_of_an_exact_study(tmp_path) -> None:
    paths, level = "60", 0.95  # three paths in the tail
    fast, exact = tmp_path / "fast", tmp_path / "exact"
    assert run(SMALL, "--paths", paths, "--confirm", "6", "--out", str(fast)).exit_code == 0
    assert run(SMALL, "--paths", paths, "--engine", "exact", "--out", str(exact)).exit_code == 0
    (found,) = [
        each
        for each in json.loads((fast / "summary.json").read_text())["on_contracts"]
        if each["level_bps"] == level * 10_000
    ]
    wanted = json.loads((exact / "summary.json").read_text())["bad_debt"]["levels"][0]
    assert found["shortfall_micro"] == wanted["shortfall"]["value_micro"] > 0


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_stress_command.py::test_the_table")
def test_it_goes_on_with_more_paths_to_equal_files(out, printed, tmp_path) -> None:
    longer = tmp_path / "longer"
    for paths in ("60", str(PATHS)):
        result = run("--scenario", SMALL, "--paths", paths, "--out", str(longer), "--confirm", "0")
        assert result.exit_code == 0, result.stderr
    assert (longer / "paths.parquet").read_bytes() == (out / "paths.parquet").read_bytes()


def test_the_report_can_be_written_again(out, printed) -> None:
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    result = CliRunner(mix_stderr=False).invoke(report, [str(out)])
    assert result.exit_code == 0 and result.stdout.strip() == str(out / "report.html")
    assert (out / "report.html").read_bytes() == page


def test_a_study_without_drivers_or_caps_has_a_page(out, printed, tmp_path) -> None:
    """As older studies have, from before drivers and caps existed."""
    older = tmp_path / "older"
    shutil.copytree(out, older)
    summary = json.loads((older / "summary.json").read_text())
    for name in ("drivers", "caps", "debt_micro"):
        del summary[name]
    (older / "summary.json").write_text(json.dumps(summary))
    result = CliRunner(mix_stderr=False).invoke(report, [str(older)])
    assert result.exit_code == 0, result.stderr
    page = (older / "report.html").read_text()
    assert "Drivers of the tail" not in page and "Limits of a sale" not in page
    again = run(SMALL, "--paths", str(PATHS), "--shift", "10", "--out", str(older))
    assert again.exit_code == 0 and again.stdout.startswith("A small study")


def test_json_is_the_summary(tmp_path) -> None:
    result = run(SMALL, "--paths", "4", "--engine", "model", "--out", str(tmp_path / "out"), "--json")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed.pop("out") == str(tmp_path / "out")
    assert printed == json.loads((tmp_path / "out" / "summary.json").read_text())
    # So few paths bound no tail.
    assert printed["bad_debt"]["levels"][0]["shortfall"]["high_micro"] is None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nowhere",), "Error: scenario 'nowhere' is unknown; expected one of "),
        ((SMALL, "--scenario", "stress-day"), "Error: --scenario: 'stress-day' differs from SCENARIO "),
        (("may-2021",), "Error: the fast engine does not know keepers of the role borrower"),
    ],
)
def test_a_mistake_is_one_line(args, message, tmp_path) -> None:
    result = run(*args, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert result.exit_code == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1 and result.stdout == ""


@pytest.mark.parametrize(
    "args", [("--paths", "1"), ("--engine", "slow"), ("--workers", "0"), ("--shift", "95")]
)
def test_an_option_out_of_range_is_refused(args) -> None:
    result = run(SMALL, *args)
    assert result.exit_code == 2 and "Error: Invalid value for" in result.stderr


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_an_interrupted_study_goes_on_to_equal_files(tmp_path) -> None:
    """The command itself, with two processes under it."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    args = [SMALL, "--engine", "model", "--paths", "200", "--workers", "2", "--out"]
    command = [str(Path(sys.executable).parent / "backstop"), "stress", *args, str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until_true(lambda: list(out.glob("chunks/*.parquet")), process, 120)
    # To all of them, as a terminal sends it.
    os.killpg(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and printed == ""
    assert "Error: stopped; " in errors and "of 200 paths are kept, the same command goes on" in errors
    assert "Traceback" not in errors
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert run(*args[:-3], "--out", str(whole)).exit_code == 0
    for name in ("paths.parquet", "summary.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own, which can be made larger."""
    where = tmp_path / "disk"
    where.mkdir()

    def resize(kilobytes: int) -> None:
        how = f"{'remount,' if where.is_mount() else ''}size={kilobytes}k"
        subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(where)], check=True)

    try:
        resize(4)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nobody may mount here")
    yield where, resize
    subprocess.run(["umount", "--lazy", str(where)], check=True)  # what failed may still be open


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_wherever_the_disk_fills_up_it_is_one_line_and_nothing_is_lost(disk, tmp_path, monkeypatch):
    monkeypatch.setitem(CHUNKS, "fast", 20)
    asked = (SMALL, "--paths", "60", "--confirm", "0", "--out")
    assert run(*asked, str(tmp_path / "whole")).exit_code == 0
    where, resize = disk
    problems = []
    for size in (4, 8, 16, 24, 40, 56, 1_000, 32_000):
        resize(size)
        result = run(*asked, str(where / "out"))
        if result.exit_code == 0:
            break
        line = result.stderr.strip().splitlines()[-1]
        assert "No space left on device" in line and "Traceback" not in result.stderr
        problems.append(Path(line.partition(" cannot be written")[0].rpartition(" ")[2]).name)
    assert result.exit_code == 0, result.stderr
    assert len(set(problems)) > 3, problems
    for file in ("study.json", "paths.parquet", "summary.json"):
        assert (where / "out" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    pages = [(folder / "report.html").read_text() for folder in (where / "out", tmp_path / "whole")]
    # Each names its own folder, in the commands of what to do next.
    assert pages[0].replace(str(where / "out"), str(tmp_path / "whole")) == pages[1]


def test_no_path_of_a_large_book_is_run_again_unless_it_is_said(tmp_path, monkeypatch) -> None:
    """The book has 18 vaults."""
    monkeypatch.setattr(tail_confirmation, "MOST_VAULTS", 17)
    result = run(SMALL, "--paths", "4", "--out", str(tmp_path / "large"))
    assert result.exit_code == 0, result.stderr
    assert "no path is run again on the contracts" in result.stderr and "--confirm 3 does" in result.stderr
    assert json.loads((tmp_path / "large" / "summary.json").read_text())["confirmed"] == []
    monkeypatch.setattr(tail_confirmation, "MOST_VAULTS", 18)
    assert tail_confirmation.choose_confirmed_paths(load_scenario(SMALL)) == 3
