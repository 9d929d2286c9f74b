"""Positions as others keep them: read exactly, mapped, split by a stated rule, all faults with their rows."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.sources.book_reader import read_book
from backstop.simulation.sources.table_reader import TableFaultsError
from tests.support.checkout_paths import ROOT

SAMPLES = ROOT / "docs" / "do" / "samples"
ROWS = {
    "owner": ["a", "b"],
    "collateral": ["wstETH", "cbBTC"],
    "locked": ["1.5", "2"],
    "debt": ["1000", ".5"],
}


def csv(folder: Path, text: str | bytes, name: str = "positions.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def vaults(book) -> list[tuple]:
    return [(v.owner, v.symbol, v.locked, v.debt) for _, v in book.rows]


EXPECTED = [("a", "wstETH", 3 * WAD // 2, 1_000 * WAD), ("b", "cbBTC", 2 * WAD, WAD // 2)]


def test_one_book_from_every_kind_of_source(tmp_path) -> None:
    frame = pd.DataFrame(ROWS)
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, tmp_path / "book.parquet")
    frame.to_csv(tmp_path / "book.csv", index=False)
    frame.to_csv(tmp_path / "book.csv.gz", index=False)
    store = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert backstop.read_book is read_book
    for source in (
        frame,
        table,
        tmp_path / "book.parquet",
        str(tmp_path / "book.csv"),
        tmp_path / "book.csv.gz",
        (tmp_path / "book.parquet").as_uri(),
    ):
        assert vaults(read_book(source)) == EXPECTED
    assert vaults(read_book("book.parquet", filesystem=store)) == EXPECTED


def test_integers_of_a_tokens_unit_are_exact() -> None:
    given = pd.DataFrame(
        {"who": ["a"], "coin": ["cbBTC"], "raw": [123_456_789], "owed": [2**70 // 10], "d": [8]}
    )
    book = read_book(
        given,
        columns={"owner": "who", "collateral": "coin", "locked": "raw", "debt": "owed"},
        decimals={"locked": "d", "debt": 6},
    )
    assert vaults(book) == [("a", "cbBTC", 123_456_789 * 10**10, 2**70 // 10 * 10**12)]
    assert book.decimals == {"cbBTC": 8}


def test_floats_are_refused_and_on_request_rounded_for_the_worse() -> None:
    frame = pd.DataFrame({**ROWS, "locked": [1.5, 1e-19], "debt": [1000.0, 1e-19]})
    with pytest.raises(
        TableFaultsError, match=r"row 1, column locked: 1.5 is a float: give text or integers, or ask for"
    ):
        read_book(frame)
    book = read_book(frame, floats=True)
    assert vaults(book) == [EXPECTED[0], ("b", "cbBTC", 0, 1)]
    assert book.told == (
        "2 figures had more than 18 digits behind the point: collateral was rounded down, debt up.",
    )


def test_what_is_written_is_what_was_read(tmp_path) -> None:
    book = read_book(
        pd.DataFrame({**ROWS, "owner": ['x "y", z', "b"], "locked": ["0.123456789123456789", "2"]})
    )
    again = read_book(book.write_csv(tmp_path / "new"))
    assert vaults(again) == vaults(book)
    assert list(book.to_frame()["debt_wad"]) == [1_000 * WAD, WAD // 2]


@pytest.mark.parametrize("name", ["aave", "crvusd", "liquity", "maker", "morpho"])
def test_the_sample_of_each_system_reads_without_a_flag_but_its_name(name) -> None:
    book = read_book(SAMPLES / f"synthetic-{name}.csv", like=name)
    assert len(book.rows) >= 9 and book.debt > 10**6 * WAD
    assert all(vault.locked and vault.debt for _, vault in book.rows)


def test_the_samples_are_what_their_script_writes(tmp_path) -> None:
    runpy.run_path(str(SAMPLES / "make.py"))["write"](tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in SAMPLES.glob("*.csv")}


def test_maker_owes_normalised_debt_times_the_rate() -> None:
    frame = pd.DataFrame(
        {"urn": ["u"], "ilk": ["ETH-A"], "ink": [str(WAD)], "art": ["3"], "rate": [str(RAY + 1)]}
    )
    assert vaults(read_book(frame, like="maker")) == [("u", "ETH-A", WAD, 4)]  # rounded up


def test_an_account_is_split_so_that_each_part_is_as_safe_as_the_whole() -> None:
    """Two collaterals of unlike thresholds, and debts of two tokens."""
    head = ("owner", "collateral", "locked", "debt", "debt_price", "price", "threshold")
    rows = [
        ("a", "ETH", "10", "0", "1", "2000", "0.8"),
        ("a", "BTC", "1", "0", "1", "40000", "0.7"),
        ("a", "USDC", "0", "1000.000000000000000001", "1", "1", "0.9"),
        ("a", "ETH", "0", "1", "2000", "2000", "0.8"),
        ("b", "USDC", "0", "7", "1", "1", "0.9"),
    ]
    extra = {name: name for name in head[4:]}
    book = read_book(pd.DataFrame(rows, columns=head), columns=extra, accounts="pooled")
    (_, _, eth, one), (_, _, btc, other) = vaults(book)
    assert one + other == 3_000 * WAD + 1
    assert (one * 44 // 16, other) == (one + other - 1, 3_000 * WAD * 28 // 44 + 1)
    assert (eth, btc) == (10 * WAD, WAD)
    assert book.ratios == {"ETH": 12_500, "BTC": 14_286}  # one over the threshold, rounded up
    assert book.told == (
        "1 debts are of other tokens, and count at their price, in stablecoins.",
        "1 accounts have several collaterals: their debt is split by what each is worth, into 2 vaults.",
        "1 accounts owe 7 stablecoins and lock nothing: they are left out, and what they owe is bad debt "
        "already.",
    )


def test_a_split_without_prices_names_the_row_and_takes_given_ones() -> None:
    frame = pd.DataFrame({"owner": ["a"] * 2, "collateral": ["X", "Y"], "locked": [1, 1], "debt": [4, 0]})
    with pytest.raises(
        BackstopError, match=r"^frame: row 1: the account has several collaterals, and X has no"
    ):
        read_book(frame, accounts="pooled")
    book = read_book(frame, accounts="pooled", prices={"X": 3 * RAY, "Y": RAY})
    assert [debt for *_, debt in vaults(book)] == [3 * WAD, WAD]


def test_collateral_that_does_not_count_is_none() -> None:
    frame = pd.DataFrame({**ROWS, "counts": [True, False]})
    assert [locked for _, _, locked, _ in vaults(read_book(frame, columns={"counts": "counts"}))] == [
        3 * WAD // 2,
        0,
    ]


def test_a_position_may_have_an_account_of_its_own() -> None:
    frame = pd.DataFrame({**ROWS, "owner": ["a", "a"], "id": [17, 18]})
    assert [owner for owner, *_ in vaults(read_book(frame, columns={"position": "id"}))] == ["17", "18"]


def test_any_symbol_is_taken_and_told() -> None:
    book = read_book(pd.DataFrame({**ROWS, "collateral": ["USD₮0", "sUSDS/1"]}))
    assert set(book.symbols) == {"USD_0", "sUSDS_1"}
    assert book.told == ("'USD₮0' is called USD_0, 'sUSDS/1' is called sUSDS_1.",)
    other = read_book(pd.DataFrame({**ROWS, "collateral": ["USD₮0", "x"]}), rename={"USD₮0": "USDT0"})
    assert set(other.symbols) == {"USDT0", "x"}


def test_rows_that_are_nothing_or_not_meant_are_counted() -> None:
    frame = pd.DataFrame({**ROWS, "locked": ["1.5", "0"], "debt": ["1000", "0"], "status": ["open", "open"]})
    book = read_book(frame, only={"status": "open|frozen"})
    assert book.told == ("1 rows lock nothing and owe nothing, and are left out.",)
    with pytest.raises(BackstopError, match="has no positions"):
        read_book(frame, only={"status": "closed"})


def test_all_faults_are_found_and_may_be_dropped(tmp_path) -> None:
    bad = csv(tmp_path, "owner,collateral,locked,debt\n,ETH,1,1\na,ETH,x,-1\nb,ETH,1,1\nc,,nan,1\n")
    with pytest.raises(TableFaultsError) as caught:
        read_book(bad)
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [
        (2, "owner"),
        (3, "locked"),
        (3, "debt"),
        (5, "locked"),
        (5, "collateral"),
    ]
    assert str(caught.value) == (
        "positions.csv: row 2, column owner: is empty: name the owner; row 3, column locked: 'x' is not an "
        "amount; write e.g. '12.5'; row 3, column debt: '-1' is negative; and 2 more faults"
    )
    with pytest.raises(BackstopError) as refused:
        read_book(bad, bad_rows="drop")
    assert str(refused.value) == (
        "positions.csv: 3 of 4 rows (75.0%) cannot be read, and 'drop' leaves out 1% at most; the first: "
        "row 2, column owner: is empty: name the owner; mend them, or give 'drop-any'"
    )
    book = read_book(bad, bad_rows="drop-any")
    assert [owner for owner, *_ in vaults(book)] == ["b"]
    assert book.told == ("3 rows cannot be read, and are left out.",)


def test_a_mapping_of_ones_own_and_the_command(tmp_path) -> None:
    csv(tmp_path, "user;coins\n".replace(";", ",") + "a,150\nb,200\n", "p.csv")
    csv(
        tmp_path,
        "columns: {owner: user, locked: coins}\n"
        "fixed: {collateral: ETH, debt: 1_000}\n"
        "decimals: {locked: 2}\n",
        "mine.yaml",
    )
    args = ["--book", str(tmp_path / "p.csv"), "--like", str(tmp_path / "mine.yaml")]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == "p.csv: 2 vaults of ETH, owing 2,000 stablecoins"
    written = (tmp_path / "out" / "book.csv").read_text()
    assert written == "owner,collateral,locked,debt\na,ETH,1.5,1000\nb,ETH,2,1000\n"


def test_documented_columns_are_read_without_a_mapping(tmp_path) -> None:
    """A debt of ether counts at its price, and each column is named as read or as ignored."""
    file = csv(
        tmp_path,
        "owner,collateral,locked,debt,debt_token,debt_price,price,threshold,note,rate\n"
        "a,wstETH,10,8,WETH,2000,2400,0.95,x,0.05\n",
    )
    book = read_book(file)
    assert (book.debt, book.prices, book.ratios) == (
        16_000 * WAD,
        {"wstETH": 2_400 * RAY},
        {"wstETH": 10_527},
    )
    assert book.ignored_columns == ("note", "rate")
    result = CliRunner().invoke(cli, ["--book", str(file), "--out", str(tmp_path / "out")])
    assert result.stdout.splitlines()[1] == (
        "Columns read: owner, collateral, locked, debt, debt_token, debt_price, price, threshold; "
        "ignored: note, rate."
    )


def test_a_debt_of_a_token_without_a_price_is_no_debt_of_dollars(tmp_path) -> None:
    file = csv(tmp_path, "owner,collateral,locked,debt,debt_token\na,wstETH,10,8,WETH\n")
    with pytest.raises(BackstopError, match="column debt_token: has no price beside it: map a column"):
        read_book(file)
    assert read_book(file, fixed={"debt_price": "1"}).debt == 8 * WAD


def test_the_command_writes_every_fault(tmp_path) -> None:
    bad = csv(tmp_path, "owner,collateral,locked,debt\n" + "a,ETH,x,1\n" * 9)
    args = ["--book", str(bad), "--faults", str(tmp_path / "faults.csv"), "--out", str(tmp_path / "out")]
    result = CliRunner(mix_stderr=False).invoke(cli, args)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert len((tmp_path / "faults.csv").read_text().splitlines()) == 10
    assert not (tmp_path / "out").exists()
