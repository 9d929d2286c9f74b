"""`ape run guards`: the savings and costs of each guard, worked out again from the runs."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.guards import cli
from backstop.errors import BackstopError
from backstop.report.guards_page import write_page
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.guard_comparison import (
    build_guard_runs,
    compare_guards,
    list_guard_scenario_names,
)
from tests.support.checkout_paths import DATA, ROOT

BRIEF = "tests/backstop/studies/comparison/guards/test_tries.py::test_the_table"

SMALL = str(DATA / "guards" / "small.yaml")
MORE_FILES = pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
GUARDS = ["off", "breaker", "deviation", "watchers", "all"]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("guards")


@pytest.fixture(scope="module")
def rows(out):
    (compared,) = compare_guards([SMALL], "revm", 1, out)["scenarios"]
    return {row["guard"]: row for row in compared["runs"]}


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_each_guard_is_on_alone_and_all_together(rows) -> None:
    assert list(rows) == GUARDS
    found = {each.guard: each.scenario for each in build_guard_runs(SMALL)}
    for guard, scenario in found.items():
        parameters = scenario.parameters
        feed = parameters.collateral_types[0].feed
        assert (parameters.guards is not None) == (guard in ("breaker", "all"))
        assert (feed.deviation, feed.confirmations) == ((500, 2) if guard in ("deviation", "all") else (0, 1))
        names = [group.name for group in scenario.keepers]
        assert ("second_watch" in names) == (guard in ("watchers", "all"))
        assert scenario.prices == found["off"].prices


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_model_and_chain_agree(rows) -> None:
    for row in rows.values():
        assert row["differences"] == 0 < row["fields_compared"]


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_bad_debt_is_what_was_recognised_and_what_will_be(rows, out) -> None:
    for guard, row in rows.items():
        summary = load_run(out / "small" / guard).summary
        assert int(row["bad_debt_rad"]) == (
            int(summary["losses"]["created_rad"])
            - int(summary["losses"]["recovered_rad"])
            + sum(int(entry["underwater_rad"]) for entry in summary["collateral_types"])
        )
        assert int(row["bad_debt_rad"]) > 0
        if guard != "off":
            assert int(row["saved_rad"]) == int(rows["off"]["bad_debt_rad"]) - int(row["bad_debt_rad"])


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_false_liquidations(rows, out) -> None:
    """By the definition in docs/how-to/guards.md, over the written tables."""
    types = build_guard_runs(SMALL)[0].scenario.parameters.collateral_types
    ratios = {entry.symbol: entry.liquidation_ratio for entry in types}
    for guard, row in rows.items():
        run, debt = load_run(out / "small" / guard), []
        state = run.frames["state"]
        at = {(t, s): int(p) for t, s, p in state[["timestamp", "symbol", "market_price_ray"]].to_numpy()}
        end = state["timestamp"].max()
        for auction in run.frames["auctions"].to_dict("records"):
            symbol = auction["symbol"]
            least = int(auction["principal_rad"]) * ratios[symbol]
            prices = (at[auction["started_at"], symbol], at[end, symbol])
            if any(int(auction["lot_wad"]) * price * 10_000 >= least for price in prices):
                debt.append(int(auction["principal_rad"]))
        assert (row["false_liquidations"], int(row["false_debt_rad"])) == (len(debt), sum(debt))
    assert any(row["false_liquidations"] for row in rows.values())


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_a_guard_that_delays_says_so(rows) -> None:
    """Two more steps of ten minutes, after the step in which the price fell."""
    assert rows["off"]["delayed"] is None
    assert rows["deviation"]["delayed"] > 0
    assert 600 <= rows["deviation"]["delay_seconds"] <= 3 * 600


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_draws(rows, out) -> None:
    for guard, row in rows.items():
        actions = load_run(out / "small" / guard).frames["actions"]
        draws = actions[(actions["method"] == "deposit_and_draw") & (actions["sender_name"] == "anna")]
        assert row["draws_refused"] == (~draws["ok"]).sum()
        assert int(row["drawn_wad"]) == 20_000 * 10**18 * draws["ok"].sum()
        assert row["exploits_refused"] == int(row["exploited_wad"]) == 0


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_files(rows, out) -> None:
    comparison = json.loads((out / "guards.json").read_text())
    (compared,) = comparison["scenarios"]
    assert compared["runs"] == list(rows.values())
    written = list(csv.DictReader((out / "guards.csv").read_text().splitlines()))
    assert [(row["scenario"], row["guard"]) for row in written] == [("small", guard) for guard in GUARDS]
    assert len(set(written[0])) == len(next(csv.reader((out / "guards.csv").read_text().splitlines())))
    for row in written:
        whole, _, rest = row["bad debt"].partition(".")
        assert int(whole + rest.ljust(45, "0")) == int(rows[row["guard"]]["bad_debt_rad"])
    assert "A price that waits" in write_page(comparison, out).read_text()


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[str]:
    """Two scenarios with few runs: no guard, and one."""
    files = []
    for name in ("first", "second"):
        files.append(tmp_path_factory.getbasetemp() / f"{name}.yaml")
        files[-1].write_text(f"extends: {SMALL}\ntries: {{breaker: null, deviation: null}}\n")
    return list(map(str, files))


@pytest.fixture(scope="module")
def undisturbed(two, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    compare_guards(two, "model", 1, out)
    return out


def again(names: list[str], out: Path) -> list[str]:
    """Run it once more; return its line for each scenario."""
    said: list[str] = []
    compare_guards(names, "model", 1, out, log=said.append)
    return said


def contents(out: Path) -> dict[str, bytes]:
    """Return every file, except those that have the time of their making."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "meta.json"
    }


@pytest.mark.deep(brief=BRIEF)
def test_stopped_it_goes_on_where_it_was(two, undisturbed, tmp_path) -> None:
    """Stopped in the second scenario, it keeps the first, and ends with the files of an uninterrupted run."""
    runs: list[str] = []

    def progress(done: int, total: int, text: str) -> None:
        runs.append(text)

    def stop() -> bool:
        return bool(runs) and runs[-1].startswith("second, watchers: running")

    with pytest.raises(RunInterruptedError):
        compare_guards(two, "model", 1, tmp_path, progress=progress, stop=stop)
    kept = json.loads((tmp_path / "guards.json").read_text())
    assert [each["scenario"] for each in kept["scenarios"]] == ["first"]
    assert again(two, tmp_path) == [
        "1 of 2 scenarios: first, 2 runs, finished before",
        "2 of 2 scenarios: second, 2 runs, finished",
    ]
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_killed_in_the_second_scenario(two, undisturbed, tmp_path) -> None:
    """A real process, and no chance to clean up."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from backstop.studies.comparison.guard_comparison import compare_guards\n"
        "def progress(done, total, text):\n"
        "    if text.startswith('second, off: running') and done > 20:\n"
        "        os.kill(os.getpid(), 9)\n"
        "compare_guards(sys.argv[2:], 'model', 1, Path(sys.argv[1]), progress=progress)\n"
    )
    root = ROOT
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path), *two], cwd=root, check=False)
    assert killed.returncode == -9
    assert [line.rpartition(", ")[2] for line in again(two, tmp_path)] == ["finished before", "finished"]
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
@pytest.mark.parametrize(
    ("spoiled", "how"),
    [
        pytest.param("first/off/trace.json", ["finished", "finished before"], marks=MORE_FILES),
        ("first/watchers/takes.parquet", ["finished", "finished before"]),
        pytest.param("second/off/meta.json", ["finished before", "finished"], marks=MORE_FILES),
        ("guards.json", ["finished", "finished"]),
    ],
)
def test_a_half_written_file_is_done_again(two, undisturbed, tmp_path, spoiled, how) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    file = tmp_path / spoiled
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    said = again(two, tmp_path)
    assert [line.rpartition(", ")[2] for line in said[-2:]] == how
    if spoiled == "guards.json":
        assert said[0].startswith(f"{file} is not a valid comparison (")
        assert said[0].endswith("): all is done again")
    assert contents(tmp_path) == contents(undisturbed)
    assert json.loads((tmp_path / "second" / "off" / "meta.json").read_text())


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_a_comparison_that_lacks_a_field_is_done_again(two, undisturbed, tmp_path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "guards.json"
    content = json.loads(file.read_text())
    del content["scenarios"][1]["runs"][0]["files_hash"]
    file.write_text(json.dumps(content))
    said = again(two, tmp_path)
    assert said[0] == f"{file} is not a valid comparison (KeyError('files_hash')): all is done again"
    assert contents(tmp_path) == contents(undisturbed)


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_what_has_changed_is_done_again(two, undisturbed, tmp_path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    assert {line.rpartition(", ")[2] for line in again(two, tmp_path)} == {"finished before"}
    changed = tmp_path / "second.yaml"
    changed.write_text(Path(two[1]).read_text() + "keepers: {anna: {heartbeat: 20 min}}\n")
    said = again([two[0], str(changed)], tmp_path)
    assert [line.rpartition(", ")[2] for line in said] == ["finished before", "finished"]


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_other_settings_need_another_directory(two, undisturbed) -> None:
    with pytest.raises(BackstopError, match="was made with seed 1, not 2: "):
        compare_guards(two, "model", 2, undisturbed)


def test_a_scenario_without_tries() -> None:
    with pytest.raises(BackstopError, match="'black-thursday' names no guards under `tries`"):
        build_guard_runs("black-thursday")
    assert "black-thursday" not in list_guard_scenario_names()


def test_a_mistake_in_a_try_names_its_place(tmp_path) -> None:
    file = tmp_path / "day.yaml"
    file.write_text(
        f"extends: {SMALL}\ntries:\n  breaker:\n    parameters:\n"
        "      guards: {breaker: {fall: {caution: 4}}}\n"
    )
    with pytest.raises(BackstopError, match=r"day.yaml:5: tries.breaker.parameters.*fall.caution: '4' is"):
        build_guard_runs(str(file))


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


def test_the_table(tmp_path) -> None:
    result = run("--scenario", SMALL, "--host", "model", "--out", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    title, head, *_ = result.stdout.splitlines()
    assert title.strip() == "A small crash, guards tried"
    assert head.split() == GUARDS
    for piece in ("bad debt", "false", "delayed", "draws refused", "guards.html", "not compared"):
        assert piece in result.stdout


@pytest.mark.deep(brief="tests/backstop/studies/comparison/guards/test_tries.py::test_the_table")
def test_json(tmp_path) -> None:
    result = run("--scenario", SMALL, "--host", "model", "--out", str(tmp_path), "--json")
    printed = json.loads(result.stdout)
    assert printed.pop("out") == str(tmp_path)
    assert printed == json.loads((tmp_path / "guards.json").read_text())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("white-friday", "Error: scenario 'white-friday' is unknown"),
        ("collapse", "Error: the scenario 'collapse' names no guards under `tries`"),
    ],
)
def test_bad_input_is_one_line(name, message, tmp_path) -> None:
    result = run("--scenario", name, "--host", "model", "--out", str(tmp_path))
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.output
