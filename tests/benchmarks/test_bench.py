"""Every part of `bench` still runs, so small that its figures mean nothing, and prints rows and ratios."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.model.arithmetic import RAY, WAD
from backstop.parallel import unordered_job_workers
from backstop.simulation.sources.book_reader import read_book
from backstop.simulation.sources.price_reader import read_prices
from backstop.studies.stress import interval_coverage
from backstop.studies.stress.engine_agreement import POOL_KINDS
from tests.support.checkout_paths import DATA, ROOT

Rows = list[list[str]]
Run = Callable[[str], tuple[Rows, dict[str, Any]]]
BRIEF = "tests/benchmarks/test_bench.py::test_the_same_positions_are_read_of_files_with_other_columns"
FAULTS = {  # what becomes of each by web3.py, and by the own client
    "no JSON": ("refused: JSONDecodeError: ", "refused"),
    "batches in another order": ("unharmed", "unharmed"),
    "wrong words, false proofs": ("believed: words", "refused"),
    "failed": ("believed: receipts, outcome", "refused"),
    "other senders": ("believed: transactions", "refused"),
    "high tips": ("believed: tip", "unharmed"),
    "stale head": ("believed: block, transactions, receipts, newest block", "refused"),
    "short ranges": ("refused: Web3RPCError: ", "unharmed"),
}
PAGES = "".join(
    (ROOT / "docs" / "explanation" / name).read_text()
    for name in ("fast-engine-accuracy.md", "study-speed.md")
)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """Runs a part as its command does; returns the rows of its tables and the written output."""
    # Web3.py, which takes a second to load: not in each process that collects tests.
    from benchmarks.cli import bench
    from benchmarks.speed import (
        contract_call_speed,
        csv_import_to_page_speed,
        dask_cluster_speed,
        fuzz_speed,
        keeper_speed,
        large_import_speed,
        page_speed,
        rpc_client_faults,
        rpc_client_speed,
        stress_speed,
        vault_index_speed,
    )

    study, measure = interval_coverage.sample_bad_debt_on_both_engines, interval_coverage.measure_coverage
    sizes: dict[Any, dict[str, Any]] = {
        fuzz_speed: {"APE_STEPS": 4, "WEB3_STEPS": 20, "ANVIL_STEPS": 30, "RUNS": 3, "RUN_LENGTH": 30}
        | {"record_timed_campaign_on_revm": partial(fuzz_speed.record_timed_campaign_on_revm, 3, 30)},
        vault_index_speed: {"_UPDATES": 10},
        keeper_speed: {"_WARM_UP": 2, "_BLOCKS": 12, "_SCANS": 2},
        contract_call_speed: {"AGAIN": 1},
        stress_speed: {
            "SCENARIO": str(DATA / "stress" / "small.yaml"),
            "measure_engines": partial(stress_speed.measure_engines, paths=20),
        }
        | {"measure_book_growth": partial(stress_speed.measure_book_growth, vaults=(18, 36))}
        | {"measure_study_lengths": partial(stress_speed.measure_study_lengths, paths=(10, 20))},
        dask_cluster_speed: {"SECONDS": 0.0, "JOBS": 30, "CHUNKS_WRITTEN": 3},
        interval_coverage: {"sample_bad_debt_on_both_engines": lambda _, **options: study(12, **options)}
        | {"measure_coverage": lambda exact, fast, studies: measure(exact, fast, 2)},
        bench: {"SCENARIOS": 1, "DISCOUNT_SCENARIOS": 1, "POOL_SCENARIOS": 1},
        csv_import_to_page_speed: {"AGAIN": 5, "POSITIONS": 300}
        | {
            "write_position_and_hourly_price_csvs": partial(
                csv_import_to_page_speed.write_position_and_hourly_price_csvs, count=300
            ),
            "measure_import_and_stress": partial(
                csv_import_to_page_speed.measure_import_and_stress, path_count=20
            ),
        },
        large_import_speed: {
            "measure_large_import": partial(large_import_speed.measure_large_import, paths=20),
        },
        page_speed: {"FILLS": 600, "PATHS": 40, "OPENED": 1},
        rpc_client_faults: {"SCENARIO": str(DATA / "runs" / "small.yaml")}
        | {"JUDGED": [each for each in rpc_client_faults.JUDGED if each.name in FAULTS]},
        rpc_client_speed: {"ROUNDS": 3, "TRANSACTIONS": 10, "SLOTS": 20},
    }
    for module, values in sizes.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)

    def of(part: str) -> tuple[Rows, dict[str, Any]]:
        args = ["--part", part, "--out", str(tmp_path), "--vaults", "1000"]
        done = CliRunner(mix_stderr=False).invoke(bench.cli, args, catch_exceptions=False)
        # So few paths may be further off than the whole measure states.
        assert done.exit_code == ("FAILS" in done.stdout), done.stderr
        (written,) = tmp_path.glob("bench*.json")
        lines = [line for line in done.stdout.splitlines() if line[:1] in ("│", "|")]
        rows = [line[1:-1].replace("│", "|").split("|") for line in lines]
        return [[cell.strip() for cell in row] for row in rows], json.loads(written.read_text())

    return of


@pytest.mark.anvil
@pytest.mark.deep(brief=BRIEF)
def test_clients(run: Run) -> None:
    rows, written = run("clients")
    judged = [row for row in rows if len(row) == 4][2:]
    assert [row[0] for row in judged] == list(FAULTS) == [each["fault"] for each in written["faults"]]
    for name, _, web3, own in judged:
        assert web3.startswith(FAULTS[name][0]) and own == FAULTS[name][1], (name, web3, own)
    speeds = [row for row in rows if len(row) == 5][2:]
    assert [row[0] for row in speeds] == [each["question"] for each in written["speeds"]]
    assert min(numbers(cell for row in speeds for cell in row[1:])) > 0


def numbers(cells: Iterable[str]) -> list[float]:
    return [float(cell.replace(",", "")) for cell in cells]


def on_the_page(rows: Rows, columns: int) -> Rows:
    """Return the rows of a table, and assert that a page has a table with the same head."""
    head, line, *others = [row for row in rows if len(row) == columns]
    assert set(line) == {"---"} and f"{' | '.join(head[1:])} |\n|{'|'.join(line)}|\n" in PAGES
    return others


def assert_printed(rows: Rows, kept: list[dict[str, str]]) -> None:
    """Every row of speeds is in the table, and the first of each kind is the measure of the others."""
    # A long name goes on in a row without figures.
    printed = [tuple(row[2:]) for row in rows if row[0]]
    assert printed == [(each["value"], each["times"]) for each in kept]
    first = {each["what"]: each["times"] for each in reversed(kept)}
    assert len(first) > 1 and set(first.values()) <= {"1.0", ""}


@pytest.mark.deep(
    brief="tests/benchmarks/test_bench.py::test_the_same_positions_are_read_of_files_with_other_columns"
)
def test_agreement_of_the_engines(run, monkeypatch) -> None:
    monkeypatch.setattr(
        unordered_job_workers, "build_process_workers", lambda _: unordered_job_workers.run_in_process
    )  # two take seconds to start
    rows, found = run("agreement")
    errors = [[row[0], row[4]] for row in on_the_page(rows, 8)]
    assert errors == [[each["column"], f"{each['error']:.2%}"] for each in found["agreement"]] and errors
    held = [row[3:5] for row in on_the_page(rows, 6)]
    assert held == [[f"{each[by]:.0%}" for by in ("exact", "fast")] for each in found["coverage"]] and held


@pytest.mark.deep(brief=BRIEF)
def test_agreement_of_the_engines_on_discounts(run, monkeypatch) -> None:
    monkeypatch.setattr(
        unordered_job_workers, "build_process_workers", lambda _: unordered_job_workers.run_in_process
    )
    rows, found = run("discounts")
    errors = [[row[0], row[4]] for row in on_the_page(rows, 8)]
    assert errors == [[each["column"], f"{each['error']:.2%}"] for each in found["agreement"]] and errors


@pytest.mark.deep(brief=BRIEF)
def test_agreement_of_the_engines_on_stability_pools(run, monkeypatch) -> None:
    monkeypatch.setattr(
        unordered_job_workers, "build_process_workers", lambda _: unordered_job_workers.run_in_process
    )
    rows, found = run("pools")
    errors = [[row[0], row[4]] for row in on_the_page(rows, 8)]
    assert errors == [[each["column"], f"{each['error']:.2%}"] for each in found["agreement"]] and errors
    kept = {f"{each['kind']}: {each['column']}": f"{each['error']:.2%}" for each in found["by_kind"]}
    by_kind = on_the_page(rows, 5)
    assert all(kept[row[0]] == row[3] for row in by_kind)
    assert {row[0].partition(": ")[0] for row in by_kind} == set(POOL_KINDS)


@pytest.mark.deep(brief=BRIEF)
def test_paths_an_hour(run) -> None:
    rows, found = run("cluster")
    printed = on_the_page(rows, 7)
    assert [row[:3] for row in printed] == [
        [engine, way, workers]
        for engine in ("fast", "exact")
        for way in ("processes", "Dask")
        for workers in ("1", "2")
    ]
    assert [row[5] for row in printed] == [f"{each['paths_an_hour']:,}" for each in found["rates"]]
    assert all(each["paths"] == int(row[3]) for each, row in zip(found["rates"], printed, strict=True))
    assert all(value > 0 for value in found["cost_of_a_chunk_seconds"].values())


@pytest.mark.anvil
@pytest.mark.deep(brief=BRIEF)
def test_fuzz_and_the_index(run) -> None:
    rows, found = run("fuzz")
    ways, index = [row for row in rows if len(row) == 4][:7], [row for row in rows if len(row) == 4][7:]
    assert [row[0] for row in ways] == [each["way"] for each in found["ways"]]
    ratios = numbers(row[3] for row in ways)
    assert ratios[0] == 1 and min(ratios) > 0
    assert ratios == pytest.approx([each["ratio"] for each in found["ways"]], abs=0.06)
    shares = {row[0]: int(row[1].removesuffix("%")) for row in rows if len(row) == 3}
    assert shares == {part: pytest.approx(100 * share, abs=0.51) for part, share in found["shares"].items()}
    assert len(shares) == 5
    assert_printed(index, found["index"])


@pytest.mark.anvil
@pytest.mark.deep(brief=BRIEF)
def test_a_keeper(run) -> None:
    rows, found = run("keeper")
    assert_printed(rows, found["keeper"])


@pytest.mark.deep(brief=BRIEF)
def test_a_large_book(run) -> None:
    rows, found = run("book")
    days = [[each["host"], f"{each['vaults']:,}", f"{each['actions']:,}"] for each in found["book"]]
    assert [[*row[:2], row[3]] for row in rows] == days and len(days) == 4
    ratios = numbers(row[5] for row in rows)
    assert ratios[::2] == [1, 1] and min(ratios) > 0


@pytest.mark.anvil
@pytest.mark.deep(brief=BRIEF)
def test_stress_studies(run) -> None:
    rows, found = run("stress")
    called, ways, larger = (on_the_page(rows, columns) for columns in (5, 6, 3))
    assert [row[1] for row in called] == [f"{each['calls_per_s']:,}" for each in found["calls"]]
    assert [row[4] for row in ways] == [f"{each['vault_steps_per_s']:,}" for each in found["ways"]]
    assert [row[0] for row in larger] == [each["way"] for each in found["by_vaults"] + found["by_paths"]]
    assert len(called) == 6 and len(ways) == 7 and len(larger) == 6
    for ratios in ([row[2] for row in called], [row[4] for row in called], [row[5] for row in ways]):
        assert numbers(ratios)[0] == 1 and min(numbers(ratios)) >= 0


def test_the_same_positions_are_read_of_files_with_other_columns(tmp_path) -> None:
    """But for rows that were closed, and those that cannot be read, which both leave out."""
    from benchmarks.speed import csv_import_to_page_speed

    csv_import_to_page_speed.write_position_and_hourly_price_csvs(tmp_path, 1_500, 40)
    one = read_book(tmp_path / "positions.csv", bad_rows="drop-any")
    other = read_book(
        tmp_path / "other-positions.csv",
        columns={
            "owner": "account",
            "collateral": "token",
            "locked": "collateral_raw",
            "debt": "borrowed_raw",
        },
        decimals={"locked": "token_decimals", "debt": 6},
        only={"state": "open"},
        bad_rows="drop-any",
    )
    assert [vault for _, vault in one.rows] == [vault for _, vault in other.rows]
    assert len(one.rows) > 1_400 and len(one.symbols) == 5
    prices = read_prices(tmp_path / "prices.csv")
    long = read_prices(tmp_path / "other-prices.csv", time="ms", symbol="coin", price="usd")
    assert (
        prices.series == long.series
        and prices.last_common_time - prices.first_common_time == (40 * 24 - 1) * 3_600
    )
    told = " ".join((*one.told, *other.told, *prices.told))
    for kind in ("cannot be read", "are not state open", "of a time that has one", "gaps: ", "Empty cells"):
        assert kind in told, kind


@pytest.mark.deep(brief=BRIEF)
def test_from_files_to_the_page(run) -> None:
    rows, found = run("files")
    assert [row[0] for row in rows if len(row) == 3][2:] == [each["command"] for each in found["commands"]]
    errors = [[row[0], row[4]] for row in on_the_page(rows, 8)]
    assert errors == [[each["column"], f"{each['error']:.2%}"] for each in found["agreement"]]


def test_a_large_book_has_vaults_close_to_liquidation(tmp_path) -> None:
    """No row is left out or under the floor; half of the vaults are unsafe after a fall by a fifth."""
    from benchmarks.speed import large_import_speed

    large_import_speed.write_large_files(tmp_path, 400)
    book, prices = read_book(tmp_path / "positions.csv"), read_prices(tmp_path / "prices.csv")
    assert len(book.rows) == 400 and len(book.symbols) == len(prices.symbols) == 8
    ratios = [
        10_000**2
        * vault.locked
        * prices.last_prices_by_symbol[vault.symbol]
        // (vault.debt * RAY * book.ratios[vault.symbol])
        for _, vault in book.rows
    ]
    assert min(vault.debt for _, vault in book.rows) > 2_000 * WAD
    assert 0 < sum(each < 10_000 for each in ratios) < 10
    assert 160 < sum(each < 12_500 for each in ratios) < 240


@pytest.mark.deep(brief="tests/benchmarks/test_bench.py::test_a_large_book_has_vaults_close_to_liquidation")
def test_from_a_large_file_to_the_page(run) -> None:
    rows, found = run("large-files")
    _, line, *printed = rows
    assert set(line) == {"---"}
    assert [row[0] for row in printed] == [each["command"] for each in found["commands"]]
    played = ["stress, 2 paths", "stress, 20 paths", "stress, 2 paths, a crash on each"]
    assert [row[0] for row in printed] == ["import", *played]
    assert min(each["memory"] for each in found["commands"]) > 50 * 10**6
    usual, crashed = numbers([row[1] for row in printed[2:]])
    assert crashed > usual >= 0


@pytest.mark.browser
@pytest.mark.deep(brief=BRIEF)
def test_opening_of_pages(run: Run) -> None:
    rows, written = run("pages")
    assert [row[0] for row in rows][-3:] == ["a day, as it is", "600 fills", "40 paths"]
    for each in written["pages"]:
        assert 0 < each["loaded"] <= each["drawn"] and each["size"] < 4_000_000 and each["wrote"] > 0
        assert each["sorted"] > 0 and each["searched"] > 0
