"""Isolated prints: one wrong price is found, refused, kept or left out; real crashes are not found."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.simulation.scenario.isolated_prints import list_isolated_prints
from backstop.simulation.sources.table_reader import TableFaultsError
from tests.support.checkout_paths import ROOT

BARS = sorted((ROOT / "offchain" / "backstop" / "studies" / "self_hedge" / "bars").glob("*.csv"))
MIDNIGHT = 1_710_201_600  # 2024-03-12T00:00Z
CALM = [1340, 1346, 1341, 1349, 1068, 1364, 1360, 1366, 1361]


def list_runs(values: list[int]) -> list[tuple[int, int]]:
    return [(each.first, each.length) for each in list_isolated_prints(values)]


def write_history(values: list[int]) -> pd.DataFrame:
    rows = [(MIDNIGHT + 3_600 * i, str(each)) for i, each in enumerate(values)]
    return pd.DataFrame(rows, columns=["time", "ETH"])


def read_columns(path: Path) -> dict[str, list[int]]:
    """Prices of a shipped file by column, in millionths."""
    with path.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    columns = [name for name in rows[0] if name != "time"]
    return {name: [round(float(row[name]) * 10**6) for row in rows] for name in columns}


def test_a_false_print_is_refused_with_its_neighbours_and_its_size() -> None:
    with pytest.raises(TableFaultsError) as caught:
        backstop.read_prices(write_history(CALM))
    assert str(caught.value) == (
        "frame: row 5, column ETH: 1068 at 2024-03-12T04:00Z is 20.8% below 1349 (row 4) and 21.7% below "
        "1364 (row 6), where prices move by 0.3%: an isolated print: keep all with --prints keep, or leave "
        "them out with --prints drop"
    )
    assert [(each.row, each.column) for each in caught.value.faults] == [(5, "ETH")]


def test_a_print_is_kept_or_left_out_and_noted() -> None:
    kept = backstop.read_prices(write_history(CALM), prints="keep")
    assert kept.series["ETH"].values[4] == 1_068 * RAY
    assert kept.told == ("ETH: isolated prints, kept: 1 (1068 at 2024-03-12T04:00Z).",)
    dropped = backstop.read_prices(write_history(CALM), prints="drop")
    assert dropped.series["ETH"].get_price(MIDNIGHT + 4 * 3_600) == 1_349 * RAY
    assert len(dropped.series["ETH"].values) == len(CALM) - 1
    assert dropped.told == (
        "ETH: isolated prints, left out, where the price before holds: 1 (1068 at 2024-03-12T04:00Z).",
    )
    with pytest.raises(BackstopError, match="prints: 'skip' is not one of: refuse, keep, drop"):
        backstop.read_prices(write_history(CALM), prints="skip")


def test_a_slip_of_the_point_is_one_fault_and_not_two_splits_besides() -> None:
    slip = [each if each != 1068 else 134 for each in CALM]
    with pytest.raises(TableFaultsError) as caught:
        backstop.read_prices(write_history(slip))
    assert len(caught.value.faults) == 1
    assert (
        backstop.read_prices(write_history(slip), prints="drop").last_prices_by_symbol["ETH"] == 1_361 * RAY
    )
    with pytest.raises(TableFaultsError, match=r"from 1349 to 134 in one step looks like a split"):
        backstop.read_prices(write_history(slip), prints="keep")


@pytest.mark.parametrize(
    ("values", "runs"),
    [
        (CALM, [(4, 1)]),
        ([100, 101, 100, 130, 101, 100, 101], [(3, 1)]),  # upwards
        ([100, 101, 100, 80, 81, 80, 101, 100, 101], [(3, 3)]),
        ([100, 101, 100, 80, 81, 80, 81, 101, 100, 101], []),  # four rows are a price that held
        ([100, 101, 100, 80, 81, 79, 80, 79, 78], []),  # it does not come back
        ([100, 101, 100, 80, 91, 90, 91], []),  # half of a fall comes back
        ([100, 101, 100, 96, 100, 101, 100], []),  # under 5%
        ([100, 104, 99, 103, 98, 80, 99, 104, 100, 103], []),  # prices move by 4% near it: no ten times that
        ([100, 101, 80, 100, 101, 80, 100, 101], [(2, 1), (5, 1)]),  # one does not hide the other
        ([1000, 1000, 900, 1000, 1000], [(2, 1)]),  # a price that stands still
        ([100, 80, 100], [(1, 1)]),
        ([80, 100, 101], []),  # the first and the last have one neighbour
        ([101, 100, 80], []),
        ([100], []),
        ([], []),
    ],
)
def test_what_is_isolated(values, runs) -> None:
    assert list_runs(values) == runs


@pytest.mark.parametrize("path", BARS, ids=lambda path: path.stem)
def test_real_crashes_have_no_isolated_print_but_a_planted_one_is_found(path) -> None:
    """12 March 2020, 19 May 2021 and 10 October 2025, in bars of ten minutes, five, and in seconds."""
    assert path.is_file()
    for values in read_columns(path).values():
        assert list_runs(values) == []
        planted = [each if i != 30 else each * 79 // 100 for i, each in enumerate(values)]
        assert list_runs(planted) == [(30, 1)]


def test_the_command_refuses_in_one_line_and_drops_on_request(tmp_path) -> None:
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,ETH,100,50000\n")
    write_history(CALM).to_csv(tmp_path / "prices.csv", index=False)
    args = ["--book", str(tmp_path / "book.csv"), "--prices", str(tmp_path / "prices.csv")]
    args += ["--out", str(tmp_path / "out")]
    refused = CliRunner(mix_stderr=False).invoke(cli, args)
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith(
        "Error: prices.csv: row 6, column ETH: 1068 at 2024-03-12T04:00Z is 20.8%"
    )
    assert not (tmp_path / "out").exists()
    done = CliRunner(mix_stderr=False).invoke(cli, [*args, "--prints", "drop"])
    assert done.exit_code == 0, done.stderr
    assert "ETH: isolated prints, left out, where the price before holds: 1 (1068 at" in done.stdout
    assert "1068" not in (tmp_path / "out" / "prices.csv").read_text()
    assert "isolated prints, left out" in (tmp_path / "out" / "scenario.yaml").read_text()


def test_prints_without_prices_are_refused(tmp_path) -> None:
    (tmp_path / "book.csv").write_text("owner,collateral,locked,debt\na,ETH,100,50000\n")
    args = ["--book", str(tmp_path / "book.csv"), "--prints", "drop", "--out", str(tmp_path / "out")]
    result = CliRunner(mix_stderr=False).invoke(cli, args)
    assert result.stderr == "Error: --prints: is for a scenario, which needs --prices\n"


def test_the_page_says_what_is_refused_and_noted(tmp_path) -> None:
    samples = ROOT / "docs" / "how-to" / "samples"
    rows = (samples / "synthetic-prices.csv").read_text().splitlines()
    cells = rows[299].split(",")
    rows[299] = ",".join([*cells[:2], "2700.00", *cells[3:]])
    (tmp_path / "false-print.csv").write_text("\n".join(rows) + "\n")
    args = ["--book", str(samples / "synthetic-aave.csv"), "--like", "aave"]
    args += ["--prices", str(tmp_path / "false-print.csv"), "--out", str(tmp_path / "out")]
    page = (ROOT / "docs" / "how-to" / "own-data.md").read_text().partition("## Isolated prints")[2]
    refused, noted = (block.partition("```")[0] for block in page.split("```text\n")[1:3])
    assert CliRunner(mix_stderr=False).invoke(cli, args).stderr == refused
    printed = CliRunner(mix_stderr=False).invoke(cli, [*args, "--prints", "drop"]).stdout
    assert noted.rstrip("\n") in printed.splitlines()
