"""Forms of other tools' files: decimals by token, lists in a cell, compressed under any name, old debt."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli as import_book
from backstop.cli.stress import cli as stress
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.sources.book_reader import read_book
from backstop.simulation.sources.price_reader import read_prices
from backstop.simulation.sources.table_reader import TableFaultsError

# Vaults of a CDP protocol, integers of units that no column has; slots of closed vaults are empty.
VAULTS = """Owner,Collateral Type,Collateral Amount,Debt,Liquidated
SP1,STX-A,1452000000,700000000,True
SP2,XBTC-A,45369251,7792810315,True
,,0,0,False
"""
VAULT_COLUMNS = {
    "owner": "Owner",
    "collateral": "Collateral Type",
    "locked": "Collateral Amount",
    "debt": "Debt",
}
HEAD = "owner,collateral,locked,debt\n"
ENDINGS = {"gzip": "gz", "bz2": "bz2", "zstd": "zst"}
QUOTES = "time,ETH,DAI\n" + "".join(f"2024-03-{day:02},{2_000 + day},1\n" for day in range(1, 11))


def write_text(folder: Path, text: str, name: str = "book.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def list_vaults(book: backstop.VaultBook) -> list[tuple[str, str, int, int]]:
    return [(vault.owner, vault.symbol, vault.locked, vault.debt) for _, vault in book.rows]


# --------------------------------------------------------------------- decimals by token


def test_each_token_may_have_decimals_of_its_own(tmp_path) -> None:
    book = read_book(
        write_text(tmp_path, VAULTS),
        columns=VAULT_COLUMNS,
        decimals={"locked": "STX-A:6|XBTC-A:8", "debt": 6},
    )
    assert list_vaults(book) == [
        ("SP1", "STX-A", 1_452 * WAD, 700 * WAD),
        ("SP2", "XBTC-A", 45_369_251 * 10**10, 7_792_810_315 * 10**12),
    ]
    assert book.decimals == {"STX-A": 6, "XBTC-A": 8}
    assert book.told == ("1 rows lock nothing and owe nothing, and are left out.",)
    assert book.ignored_columns == ("Liquidated",)


def test_decimals_by_token_are_the_same_in_a_mapping_and_of_debts(tmp_path) -> None:
    mapping = write_text(
        tmp_path, 'decimals: {locked: "ETH:18", debt: "USDC:6|DAI:18"}\nfixed: {debt_price: 1}\n', "my.yaml"
    )
    text = HEAD[:-1] + ",debt_token\na,ETH,2e18,5000000,USDC\nb,ETH,1e18,7e18,DAI\n"
    mapped = mapping.read_text() + "columns: {debt_token: debt_token}\n"
    mapping.write_text(mapped)
    book = read_book(write_text(tmp_path, text), like=mapping)
    assert list_vaults(book) == [("a", "ETH", 2 * WAD, 5 * WAD), ("b", "ETH", WAD, 7 * WAD)]


def test_decimals_by_token_of_events(tmp_path) -> None:
    rows = [
        {"time": 1_700_000_000, "kind": "deposit", "account": "a", "symbol": "ETH", "amount": str(2 * WAD)},
        {"time": 1_700_000_001, "kind": "draw", "account": "a", "symbol": "USDC", "amount": "1500000000"},
    ]
    file = write_text(tmp_path, json.dumps(rows), "events.json")
    book = read_book(file, like="events", decimals={"amount": "ETH:18|USDC:6"}, fixed={"debt_price": "1"})
    assert list_vaults(book) == [("a", "ETH", 2 * WAD, 1_500 * WAD)]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("STX-A:6", "row 3, column Collateral Type: 'XBTC-A' has no decimals: add XBTC-A:N to those of loc"),
        ("STX-A:6|XBTC-A:x", "decimals: locked: 'XBTC-A:x' is not SYMBOL:N, as ETH:18"),
        ("STX-A:6|STX-A:8", "decimals: locked: STX-A is there twice: remove one"),
        ("STX-A:6|XBTC-A:78", "decimals: locked: 'XBTC-A:78' is not SYMBOL:N, as ETH:18"),
        ("STX-A:6|", "decimals: locked: '' is not SYMBOL:N, as ETH:18"),
    ],
)  # fmt: skip
def test_decimals_that_no_token_has_are_refused(tmp_path, said, problem) -> None:
    file = write_text(tmp_path, VAULTS)
    with pytest.raises(BackstopError) as refused:
        read_book(file, columns=VAULT_COLUMNS, decimals={"locked": said, "debt": 6})
    assert problem in str(refused.value)


def test_a_debt_whose_token_is_not_named_has_no_decimals(tmp_path) -> None:
    file = write_text(tmp_path, HEAD + "a,ETH,1,5\n")
    with pytest.raises(TableFaultsError, match="row 2, column debt_token: '' has no decimals"):
        read_book(file, decimals={"debt": "USDC:6"})


# --------------------------------------------------------------------- empty rows


def test_an_empty_owner_of_something_is_still_a_fault(tmp_path) -> None:
    with pytest.raises(TableFaultsError, match=r"row 2, column owner: is empty: name the owner$"):
        read_book(write_text(tmp_path, HEAD + ",ETH,1,0\n"))
    with pytest.raises(TableFaultsError, match=r"row 2, column collateral: is empty: name the collateral$"):
        read_book(write_text(tmp_path, HEAD + "a,,0,1\n"))


# --------------------------------------------------------------------- lists in a cell


@pytest.mark.parametrize(
    "cell", ["ETH: 0.4594", "ETH: 0.4594, DAI: 2.5046", "[ETH]", '{""ETH"": 1}', "ETH;DAI", "ETH:2"]
)
def test_a_list_of_tokens_is_no_symbol(tmp_path, cell) -> None:
    """Before: each list was a collateral of its own, `ETH__0.4594`, and the import went on."""
    file = write_text(tmp_path, HEAD + f'a,"{cell}",10,5\n')
    with pytest.raises(TableFaultsError) as refused:
        read_book(file)
    shown = cell.replace('""', '"')
    problem = f"column collateral: {shown!r} is a list, and no symbol: write a row for each token"
    assert problem in str(refused.value)


def test_a_list_of_a_json_record_is_shown_in_short(tmp_path) -> None:
    record = {"owner": "a", "collateral": [{"asset": "ETH", "balance": 3}] * 30, "locked": 1, "debt": 1}
    with pytest.raises(TableFaultsError) as refused:
        read_book(write_text(tmp_path, json.dumps([record] * 2), "book.json"))
    said = str(refused.value)
    assert "column collateral: " in said and "... is a list, and no symbol: write a row for each" in said
    assert len(said) < 300


@pytest.mark.parametrize(("column", "kind"), [("symbol", "draw"), ("symbol", "deposit")])
def test_a_list_of_tokens_is_no_symbol_of_an_event(tmp_path, column, kind) -> None:
    text = f'time,kind,account,symbol,amount\n1700000000,{kind},a,"ETH: 1, DAI: 2",5\n'
    with pytest.raises(TableFaultsError, match=f"column {column}: 'ETH: 1, DAI: 2' is a list, and no symbol"):
        read_book(write_text(tmp_path, text), like="events")


@pytest.mark.parametrize(
    "symbol", ["PT-weETH-27JUN2024", "USD+", "Curve.fi stETH/ETH", "UNI-V2:ETH/DAI", "a(b)"]
)
def test_other_signs_are_of_symbols(tmp_path, symbol) -> None:
    book = read_book(write_text(tmp_path, HEAD + f"a,{symbol},10,5\n"))
    assert len(book.symbols) == 1


def test_a_file_without_a_row_that_can_be_read_says_why(tmp_path) -> None:
    """Before: all rows were dropped, and the file was said to have none."""
    file = write_text(tmp_path, HEAD + 'a,"ETH: 1, DAI: 2",10,5\nb,ETH,x,5\n')
    with pytest.raises(BackstopError) as refused:
        read_book(file, bad_rows="drop-any")
    assert str(refused.value) == (
        "book.csv: none of its 2 rows can be read; the first: row 2, column collateral: 'ETH: 1, DAI: 2' is "
        "a list, and no symbol: write a row for each token"
    )


# --------------------------------------------------------------------- prices of debts


def test_a_debt_counts_at_the_last_price_of_its_token(tmp_path) -> None:
    """Before: refused, with the advice to call all debts dollars, ether among them."""
    text = HEAD[:-1] + ",debt_token\na,DAI,9000,2,WETH\nb,ETH,1,500,DAI\n"
    prices = {"ETH": 2_000 * RAY, "DAI": RAY}
    book = read_book(write_text(tmp_path, text), prices=prices, rename={"WETH": "ETH"})
    assert list_vaults(book) == [("a", "DAI-ETH", 9_000 * WAD, 4_000 * WAD), ("b", "ETH", WAD, 500 * WAD)]
    assert book.assets["DAI-ETH"] == ("DAI", "ETH")


def test_the_column_of_a_file_goes_before_the_last_price(tmp_path) -> None:
    text = HEAD[:-1] + ",debt_token,debt_price\na,DAI,9000,2,ETH,1900\n"
    book = read_book(write_text(tmp_path, text), prices={"ETH": 2_000 * RAY})
    assert book.debt == 3_800 * WAD


def test_a_debt_whose_token_no_price_has_is_refused(tmp_path) -> None:
    text = HEAD[:-1] + ",debt_token\na,ETH,9,2,LUSD\n"
    with pytest.raises(TableFaultsError) as refused:
        read_book(write_text(tmp_path, text), prices={"ETH": 2_000 * RAY})
    assert str(refused.value).endswith(
        "row 2, column debt_token: has no price beside it: map a column to `debt_price`, give --prices with "
        "a column of 'LUSD', or `--fixed debt_price=1` if it is a dollar"
    )


def test_a_fixed_price_is_of_debts_without_another(tmp_path) -> None:
    """Before: twelve ether were twelve dollars."""
    text = HEAD[:-1] + ",debt_token\na,ETH,90,30000,USDC\nb,DAI,90000,12,ETH\n"
    file = write_text(tmp_path, text)
    book = read_book(file, fixed={"debt_price": "1"}, prices={"ETH": 2_000 * RAY})
    assert list_vaults(book) == [
        ("a", "ETH", 90 * WAD, 30_000 * WAD),
        ("b", "DAI-ETH", 90_000 * WAD, 24_000 * WAD),
    ]


def test_the_command_takes_debt_prices_from_its_prices(tmp_path) -> None:
    file = write_text(tmp_path, HEAD[:-1] + ",debt_token\na,DAI,90000,20,ETH\nb,ETH,20,5000,DAI\n")
    quotes = write_text(tmp_path, QUOTES, "prices.csv")
    args = ["--book", str(file), "--prices", str(quotes), "--out", str(tmp_path / "out")]
    result = CliRunner(mix_stderr=False).invoke(import_book, args)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(
        "book.csv: 2 vaults of DAI-ETH, ETH, owing 45,200 stablecoins; written as "
    )


# --------------------------------------------------------------------- compressed files


@pytest.mark.parametrize("how", ["gzip", "bz2", "zstd"])
def test_a_compressed_file_may_have_any_name(tmp_path, how) -> None:
    """Before: a compressed file called .csv was 'not UTF-8 text: save it as CSV'."""
    content = (HEAD + "a,ETH,1,5\n").encode()
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "bz2": bz2.compress,
        "zstd": lambda text: pa.compress(text, "zstd", True),
    }
    for name in ("loans.csv", f"loans.csv.{ENDINGS[how]}"):
        path = tmp_path / name
        path.write_bytes(packers[how](content))
        assert list_vaults(read_book(path)) == [("a", "ETH", WAD, 5 * WAD)]


@pytest.mark.parametrize("cut", [12, 20])
def test_a_compressed_file_that_is_cut_off_is_one_line(tmp_path, cut) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(gzip.compress((HEAD + "a,ETH,1,5\n" * 50).encode())[:-cut])
    with pytest.raises(BackstopError, match=r"^loans.csv is not a valid gzip file: .+") as refused:
        read_book(path)
    assert "\n" not in str(refused.value)


def test_compressed_prices_may_have_any_name(tmp_path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(gzip.compress(QUOTES.encode()))
    assert read_prices(path).symbols == ("ETH", "DAI")


# --------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rates": [1, 2], "users": ["a"], "positions": [{"a": 1}]}', "a list under 'positions': give that"),
        ('{"data": {"a": [{"x": 1}], "b": [{"x": 1}]}}', "lists under 'data.a', 'data.b': give one of them"),
        ('{"rates": [1, 2], "users": []}', "lists under 'rates', 'users': give one of them"),
    ],
)  # fmt: skip
def test_lists_of_records_are_named_of_an_object(tmp_path, text, said) -> None:
    """Before: the first list was named, regardless of its contents."""
    with pytest.raises(BackstopError) as refused:
        read_book(write_text(tmp_path, text, "book.json"))
    assert f"is one object with {said}" in str(refused.value)


def test_a_figure_that_is_too_fine_names_the_option(tmp_path) -> None:
    text = '[{"owner": "a", "collateral": "ETH", "locked": 0.0010423717587398017, "debt": 1}]'
    file = write_text(tmp_path, text, "book.json")
    with pytest.raises(TableFaultsError, match="is finer than 18 decimals: round it, or give --floats"):
        read_book(file)
    assert read_book(file, floats=True).rows[0].vault.locked == 1_042_371_758_739_801


# --------------------------------------------------------------------- prices


def test_missing_prices_name_the_option(tmp_path) -> None:
    with pytest.raises(BackstopError) as refused:
        read_prices(write_text(tmp_path, QUOTES), columns={"STX-A": "ETH"}).select_symbols(("STX-A", "STX-B"))
    assert str(refused.value) == (
        "book.csv: has no prices of STX-B; there are STX-A: say which column has them, as --asset "
        "STX-B=COLUMN"
    )


# --------------------------------------------------------------------- more types than a protocol has


def build_pairs(collaterals: int, debts: int) -> pd.DataFrame:
    rows = [
        (f"u{i}-{j}", f"T{i:02}", "100", f"{100 + i}", f"D{j}", "5")
        for i in range(collaterals)
        for j in range(debts)
    ]
    columns = ["owner", "collateral", "locked", "debt", "debt_token", "debt_price"]
    return pd.DataFrame(rows, columns=columns)


def read_excess(rows: pd.DataFrame, tmp_path: Path, accounts: str = "apart") -> str:
    names = sorted({*rows["collateral"], *rows["debt_token"]} - {""})
    quotes = pd.DataFrame({"time": ["2024-03-12", "2024-03-13", "2024-03-14"]} | dict.fromkeys(names, "10"))
    with pytest.raises(BackstopError) as refused:
        backstop.write_scenario(read_book(rows, accounts=accounts), read_prices(quotes), tmp_path)
    return str(refused.value)


def test_of_too_many_pairs_debts_may_count_as_dollars(tmp_path) -> None:
    """Before: names of pairs were advised for --only, which no cell has, and left all debts out."""
    said = read_excess(build_pairs(12, 3), tmp_path)
    assert said.startswith("frame: has 36 types, and a protocol 32 at most: ")
    assert "count debts of other assets as dollars, with --debts dollars: 12 types are left" in said
    assert "--only" not in said


def test_of_too_many_collaterals_of_pairs_the_largest_are_named(tmp_path) -> None:
    said = read_excess(build_pairs(40, 2), tmp_path)
    assert "keep the largest with --debts dollars --only 'T39|T38|" in said and "T39-D0" not in said


def test_of_too_many_collaterals_of_accounts_no_rows_are_left_out(tmp_path) -> None:
    """A row of an account may be its debt alone: --only of a collateral would leave the debt out."""
    said = read_excess(build_pairs(40, 1).assign(debt_price="1"), tmp_path, accounts="pooled")
    assert "--only" not in said
    assert "leave accounts with other collateral out of the file than T39, T38, " in said


# --------------------------------------------------------------------- old debt


def build_distressed_book() -> pd.DataFrame:
    """A book of which nine tenths were bad debt long ago, as after an exploit."""
    rows = [(f"good{i}", "ETH", "10", "5000") for i in range(20)]
    rows += [(f"old{i}", "ETH", "0.01", "90000") for i in range(10)]
    return pd.DataFrame(rows, columns=["owner", "collateral", "locked", "debt"])


def test_balances_are_parts_of_the_debt_that_is_drawn(tmp_path) -> None:
    """Before: of all debt; `stress` then refused the file of `import`, since so much could not be drawn."""
    file, quotes = tmp_path / "book.csv", write_text(tmp_path, QUOTES, "prices.csv")
    build_distressed_book().to_csv(file, index=False)
    folder = str(tmp_path / "out")
    made = CliRunner(mix_stderr=False).invoke(
        import_book, ["--book", str(file), "--prices", str(quotes), "--out", folder]
    )
    assert made.exit_code == 0, made.stderr
    text = (tmp_path / "out" / "scenario.yaml").read_text()
    assert "reserve: 1_000 stablecoin" in text and "first_loss: 2_000 stablecoin" in text
    assert (
        "Reserve, pools and keepers' capital are parts of the 100,000 stablecoins that vaults draw, of "
        "1,000,000 in the book." in text
    )
    assert text.count("Reserve, pools and keepers' capital") == 1
    args = [f"{folder}/scenario.yaml", "--paths", "20", "--no-drivers", "--out", str(tmp_path / "study")]
    played = CliRunner(mix_stderr=False).invoke(stress, args)
    assert played.exit_code == 0, played.stderr


def test_a_balance_that_is_given_is_a_part_of_what_is_drawn(tmp_path) -> None:
    book = read_book(build_distressed_book())
    prices = read_prices(write_text(tmp_path, QUOTES, "prices.csv"))
    with pytest.raises(BackstopError, match="reserve: 200,000 stablecoins, and the book has drawn 100,000"):
        backstop.write_scenario(book, prices, tmp_path / "out", reserve=200_000)
    assert not (tmp_path / "out").exists()
