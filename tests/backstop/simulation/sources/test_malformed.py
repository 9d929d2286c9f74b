"""A hundred malformed books and files of prices: one clear line each, before anything runs or is written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from backstop.cli.import_book import cli

HEAD = "owner,collateral,locked,debt\n"
BOOK = HEAD + "a,wstETH,100,100000\nb,cbBTC,3,100000\n"
PRICES = "time,wstETH,cbBTC\n2024-03-12,4000,95000\n2024-03-13,4010,95500\n2024-03-14,3990,94000\n"
AAVE = "user.id,reserve.symbol,reserve.decimals,currentATokenBalance,currentTotalDebt\n0xa,WETH,18,1,1\n"
ROW: dict[str, Any] = {"owner": ["a"], "collateral": ["wstETH"], "locked": ["100"], "debt": ["100000"]}


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def told(folder: Path, book: str | bytes, prices: str | bytes, *flags: str) -> str:
    """Return the message of `bring` on two files; it fails, in one line, and leaves nothing behind."""
    for name, content in (("book.csv", book), ("prices.csv", prices)):
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    args = ["--book", str(folder / "book.csv"), "--prices", str(folder / "prices.csv"), *flags]
    result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(folder / "out")])
    assert result.exit_code == 1, (result.stdout, result.stderr, result.exception)
    assert not (folder / "out" / "scenario.yaml").exists()
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").rstrip("\n")


def test_the_two_files_as_they_should_be(tmp_path) -> None:
    (tmp_path / "book.csv").write_text(BOOK)
    (tmp_path / "prices.csv").write_text(PRICES)
    args = ["--book", str(tmp_path / "book.csv"), "--prices", str(tmp_path / "prices.csv")]
    assert CliRunner().invoke(cli, [*args, "--out", str(tmp_path / "out")]).exit_code == 0


@pytest.mark.parametrize(
    ("book", "said"),
    [
        ("", "book.csv: row 1: is empty: write a header and rows under it"),
        ("\n \n", "book.csv: row 1: is empty: write a header and rows under it"),
        (HEAD, "book.csv: has no positions: write a row for each under the header"),
        (b"PK\x03\x04xlsx", "book.csv is a spreadsheet or an archive: save the sheet as CSV in UTF-8"),
        (b"\xff\xfeo\x00w\x00", "book.csv cannot be read: not UTF-8 text: save it as CSV in UTF-8"),
        (b"PAR1broken", "book.csv is not a valid Parquet file: "),
        ('[{"owner": "a"}]', "book.csv: the columns are missing: 'collateral', 'locked', 'debt'; there are"),
        ("<html>404</html>\n", "book.csv: the columns are missing: 'owner', 'collateral', 'locked', 'debt'"),
        (BOOK.replace(",", ";"), "'debt', with commas between; there are owner;collateral;locked;debt: say "),
        (BOOK.replace(",", "\t"), "with commas between; there are owner"),
        (BOOK.replace("owner", "user"), "the column is missing: 'owner'; there are user, collateral, locked"),
        ("owner,collateral,locked\na,wstETH,1\n", "book.csv: the column is missing: 'debt'; there are owner"),
        ("owner,owner,locked,debt\n", "book.csv: row 1: the column 'owner' is there twice: remove one"),
        (HEAD + "a,wstETH,1\n", "book.csv: row 2: has 3 columns, and the header 4"),
        (HEAD + "a,wstETH,1,000,000\n", "book.csv: row 2: has 5 columns, and the header 4"),
        (HEAD + 'a,wstETH,1,"1\n', "book.csv: row 2: is not CSV: unexpected end of data"),
        (HEAD + ",wstETH,1,1\n", "book.csv: row 2, column owner: is empty: name the owner"),
        (HEAD + "a,,1,1\n", "book.csv: row 2, column collateral: is empty: name the collateral"),
        (HEAD + "a,wstETH,,1\n", "book.csv: row 2, column locked: '' is not an amount; write e.g. '12.5'"),
        (HEAD + "a,wstETH,1,NaN\n", "book.csv: row 2, column debt: 'NaN' is not an amount; write e.g. '12.5"),
        (HEAD + "a,wstETH,1,inf\n", "book.csv: row 2, column debt: 'inf' is not an amount; write e.g. '12.5"),
        (HEAD + "a,wstETH,1,-5\n", "book.csv: row 2, column debt: '-5' is negative"),
        (HEAD + "a,wstETH,1,$5\n", "book.csv: row 2, column debt: '$5' is not an amount; write e.g. '12.5'"),
        (HEAD + "a,wstETH,1,5 USD\n", "book.csv: row 2, column debt: '5 USD' is not an amount; write e.g. '"),
        (HEAD + 'a,wstETH,1,"1,000"\n', "book.csv: row 2, column debt: '1,000' is not an amount; write e.g."),
        (HEAD + "a,wstETH,0x1f,5\n", "book.csv: row 2, column locked: '0x1f' is not an amount; write e.g. '"),
        (HEAD + "a,wstETH,1e999,5\n", "book.csv: row 2, column locked: '1e999' is not an amount; write e.g."),
        (HEAD + "a,wstETH,.1234567890123456789,5\n", "is finer than 18 decimals: round it, or give --float"),
        (HEAD + "a,wstETH,x,5\nb,,1,5\nc,x,1,y\nd,x,1,z\n", "row 4, column debt: 'y' is not an amount; writ"),
        (HEAD + "a,wstETH,x,5\n" * 5, "; and 2 more faults"),
        (HEAD + "a,wsteth,1,1\nb,wstETH,1,1\n", "'wsteth' and 'wstETH' differ in capitals alone: rename one"),
        (HEAD + "a,U₮,1,1\nb,U$,1,1\n", "book.csv: 'U₮' and 'U$' would both be called 'U_': rename one"),
        (HEAD + "a,equity,1,1\n", "'equity' is what the protocol's own equity is called: rename it"),
        (HEAD + "a,wstETH,1,0\n", "book.csv: no vault has debt; expected one with debt"),
        (HEAD + "a,DOGE,1,1\n", "prices.csv: has no prices of DOGE; there are wstETH, cbBTC"),
        (HEAD + "a,wstETH,1e20,1e20\n", "vaults owe 100,000,000,000,000,000,000 stablecoins, and a type may"),
        (HEAD + "a,wstETH,1e20,9e6\n", "book.csv: row 2: is more than a vault holds: check the decimals"),
        (HEAD + "a,wstETH,0.01,900000\n", "book.csv: none of its 1 rows is left that can be opened"),
        (BOOK.encode("utf-16-le"), "book.csv: row 1: is not UTF-8 text: save it as CSV in UTF-8"),
        (HEAD + "a\0,wstETH,1,1\n", "book.csv: row 2: is not UTF-8 text: save it as CSV in UTF-8"),
        ((HEAD + "Jürgen,wstETH,1,1\n").encode("latin-1"), "book.csv cannot be read: not UTF-8 text: save i"),
        ("a,wstETH,100,100000\n", "'owner', 'collateral', 'locked', 'debt'; there are a, wstETH, 100, 10000"),
        ("# of today\n" + BOOK, "book.csv: row 2: has 4 columns, and the header 1"),
        (BOOK + "Total,,103,200000\n", "book.csv: row 4, column collateral: is empty: name the collateral"),
        (HEAD + "a" * 140_000 + ",wstETH,1,1\n", "book.csv: row 2: is not CSV: field larger than field limi"),
        (HEAD + "a,wstETH,１２,5\n", "book.csv: row 2, column locked: '１２' is not an amount; write e.g. '"),
        (HEAD + "a,wstETH,1/3,5\n", "book.csv: row 2, column locked: '1/3' is not an amount; write e.g. '12"),
        (HEAD + "a,wstETH,–,5\n", "book.csv: row 2, column locked: '–' is not an amount; write e.g. '12.5'"),
        (HEAD + "a,wstETH,1,(5)\n", "book.csv: row 2, column debt: '(5)' is not an amount; write e.g. '12.5"),
        (HEAD + "a,wstETH,1,5%\n", "book.csv: row 2, column debt: '5%' is not an amount; write e.g. '12.5'"),
        (HEAD + "a,wstETH,1,1.2.3\n", "book.csv: row 2, column debt: '1.2.3' is not an amount; write e.g. '"),
        (HEAD + "a,wstETH,1,#REF!\n", "book.csv: row 2, column debt: '#REF!' is not an amount; write e.g. '"),
        (HEAD + 'a,wstETH,1,"1.234,5"\n', "row 2, column debt: '1.234,5' is not an amount; write e.g. '12.5"),
        (parquet(**ROW | {"locked": [100.5]}), "row 1, column locked: 100.5 is a float: give text or intege"),
        (parquet(**ROW | {"owner": [None]}), "book.csv: row 1, column owner: is empty: name the owner"),
        (parquet(**ROW | {"locked": [["1"]]}), "book.csv: row 1, column locked: \"['1']\" is not an amount"),
        (parquet(owner=["a"], debt=["1"]), "book.csv: the columns are missing: 'collateral', 'locked'; ther"),
    ],
)  # fmt: skip
def test_a_malformed_book_is_one_line(tmp_path, book, said) -> None:
    assert said in told(tmp_path, book, PRICES)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ("", "prices.csv: row 1: is empty: write a header and rows under it"),
        ("time,wstETH,cbBTC\n", "prices.csv: has no prices: write rows under the header"),
        (b"\xff\xfet\x00", "prices.csv cannot be read: not UTF-8 text: save it as CSV in UTF-8"),
        ("time\n2024-03-12\n", "prices.csv: has no column of prices beside 'time'"),
        (PRICES.replace("time", "date"), "prices.csv: the column is missing: 'time'; there are date, wstETH"),
        (PRICES.replace(",", ";"), "with commas between; there are time;wstETH;cbBTC: say which columns mea"),
        (PRICES + "2024-03-15,0,1\n", "prices.csv: row 5, column wstETH: '0' is not a price: write a number"),
        (PRICES + "2024-03-15,-1,1\n", "prices.csv: row 5, column wstETH: '-1' is not a price: write a numb"),
        (PRICES + "2024-03-15,n/a,1\n", "prices.csv: row 5, column wstETH: 'n/a' is not a price; write e.g."),
        (PRICES + "2024-03-15,1e9,1\n", "row 5, column wstETH: '1e9' is more than a feed takes: give dollar"),
        (PRICES + "2024-03-15,4000\n", "prices.csv: row 5: has 2 columns, and the header 3"),
        (PRICES + "15/03/2024,4000,9e4\n", "prices.csv: row 5, column time: '15/03/2024' is not a time: wri"),
        (PRICES + "20240315,4000,95000\n", "row 5, column time: '20240315' is not a time of the epoch: writ"),
        (PRICES + ",4000,95000\n", "prices.csv: row 5, column time: '' is not a time: write e.g. '2024-03-1"),
        (PRICES + "2024-03-14,4000,94000\n", "row 5, column wstETH: another price of that time is in row 4:"),
        (PRICES + "2024-03-15,399,94000\n", "row 5, column wstETH: from 3990 to 399 in one step looks like "),
        (PRICES + "2024-03-15,3990,47000\n", "row 5, column cbBTC: from 94000 to 47000 in one step looks li"),
        (PRICES + "2024-03-15,3990,9400000\n", "row 5, column cbBTC: '9400000' is more than a feed takes"),
        (PRICES.replace("cbBTC", "wstETH"), "prices.csv: row 1: the column 'wstETH' is there twice: remove "),
        (PRICES.replace("cbBTC", "WSTETH"), "'wstETH' and 'WSTETH' differ in capitals alone: rename one"),
        ("time,wstETH,cbBTC\n2024-03-12,4000,95000\n", "prices.csv: has a single time: prices move"),
        ("time,wstETH,cbBTC\n2024-03-12,1,\n2024-03-13,1,\n2024-03-14,,9\n2024-03-15,,9\n", "all assets nee"),
        (PRICES.replace(",cbBTC", "").replace(",95000", "").replace(",95500", "").replace(",94000", ""),
         "prices.csv: has no prices of cbBTC; there are wstETH"),
        ("time,wstETH,cbBTC\n2024-03-12,4000,95000\n2024-03-13,4010,95500\n", "for fewer than two blocks: t"),
        ("<html>404</html>\n", "prices.csv: the column is missing: 'time', with commas between; there are <"),
        ('{"prices": []}', "prices.csv: is one object with a list under 'prices': give that list, a record "),
        (b"PK\x03\x04xlsx", "prices.csv is a spreadsheet or an archive: save the sheet as CSV in UTF-8"),
        (b"PAR1broken", "prices.csv is not a valid Parquet file: "),
        (parquet(time=[None], wstETH=["1"], cbBTC=["1"]), "prices.csv: row 1, column time: '' is not a time"),
        ("2024-03-12,4000,95000\n2024-03-13,4010,95500\n", "missing: 'time'; there are 2024-03-12, 4000, 95"),
        (PRICES + "2024-03-15,4000,95000,1\n", "prices.csv: row 5: has 4 columns, and the header 3"),
        (PRICES + '2024-03-15,"4000,95000\n', "prices.csv: row 5: is not CSV: unexpected end of data"),
        (PRICES + '2024-03-15,"4,000",95000\n', "prices.csv: row 5, column wstETH: '4,000' is not a price; "),
        (PRICES + "2024-03-15,NaN,95000\n", "prices.csv: row 5, column wstETH: 'NaN' is not a price; write "),
        (PRICES + "2024-03-15,inf,95000\n", "prices.csv: row 5, column wstETH: 'inf' is not a price; write "),
        (PRICES + "2024-03-15,$4000,95000\n", "prices.csv: row 5, column wstETH: '$4000' is not a price; wr"),
        (PRICES + "2024-03-15,1e-40,95000\n", "row 5, column wstETH: '1e-40' is not a price: write a number"),
        (PRICES + "2024-02-30,4000,95000\n", "prices.csv: row 5, column time: '2024-02-30' is not a time: w"),
        (PRICES + "12:00,4000,95000\n", "prices.csv: row 5, column time: '12:00' is not a time: write e.g."),
        (PRICES + "45366,4000,95000\n", "row 5, column time: '45366' is not a time of the epoch: write e.g."),
        (PRICES + "2024-03-15 CET,4000,95000\n", "row 5, column time: '2024-03-15 CET' is not a time: write"),
        ("time,time,wstETH,cbBTC\n2024-03-12,0,1,1\n", "prices.csv: row 1: the column 'time' is there twice"),
        ("time,wstETH,cbBTC\n2024-03-12,1,\n2024-03-13,1,\n", "has no prices of cbBTC; there are wstETH"),
    ],
)  # fmt: skip
def test_a_malformed_file_of_prices_is_one_line(tmp_path, prices, said) -> None:
    assert said in told(tmp_path, BOOK, prices)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--like", "compound"), "mapping 'compound' is unknown; expected one of aave, crvusd, events, liqu"),
        (("--like", "aave"), "book.csv: the columns are missing: 'user.id', 'reserve.symbol', 'currentAToke"),
        (("--column", "owner"), "--column: 'owner' is invalid; expected NAME=VALUE"),
        (("--column", "holder=owner"), "columns: 'holder' is not one of: owner, collateral, locked, debt"),
        (("--decimals", "locked=token"), "book.csv: the column is missing: 'token'; there are owner"),
        (("--decimals", "debt=owner"), "book.csv: row 2, column owner: 'a' is not a number of decimals: wri"),
        (("--only", "status=open"), "book.csv: the column is missing: 'status'; there are owner, collateral"),
        (("--only", "owner=z"), "book.csv: has no positions: write a row for each under the header"),
        (("--asset", "wstETH=steth"), "prices.csv: the column is missing: 'steth'; there are time, wstETH, "),
        (("--long", "coin,usd", "--asset", "wstETH=steth"), "columns: are for a file with a column for each"),
        (("--long", "coin"), "--long: 'coin' is invalid; expected two columns, as coin,usd"),
        (("--ratio", "DAI=150%"), "'DAI' is not one of the book's: "),
        (("--ratio", "wstETH=90%"), "ratios: wstETH: '90%' is not between 100% and 595%"),
        (("--ratio", "wstETH=150"), "ratios: wstETH: '150' is not a ratio; write e.g. '150%'"),
        (("--rows", "under_floor=open"), "rows: 'under_floor: open' is not one of: refuse, drop, raise, mer"),
        (("--rows", "small=drop"), "rows: 'small' is not one of: duplicate, no_collateral, under_water, uns"),
        (("--duration", "long"), "duration: 'long' is not a duration; write e.g. '140 min'"),
        (("--use", "replay", "--duration", "9 d"), "duration: prices.csv can be replayed for 48 h, n"),
        (("--block-time", "7 min"), "block_time: 420 s and the 86400 s between prices: one must be a multip"),
        (("--gas-token", "ETH"), "'ETH' is not one of the book's: "),
    ],
)  # fmt: skip
def test_a_flag_that_does_not_fit_is_one_line(tmp_path, flags, said) -> None:
    assert said in told(tmp_path, BOOK, PRICES, *flags)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("no.csv", "file no.csv not found"),
        (".", ". is a directory: give a file in it"),
        (
            "https://example.org/book.csv",
            "https://example.org/book.csv cannot be read: Unrecognized filesystem",
        ),
        ("nonsense://a/b.csv", "nonsense://a/b.csv cannot be read: Unrecognized filesystem type in URI"),
        ("file:///no/such.parquet", "file file:///no/such.parquet not found"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_line(tmp_path, address, said) -> None:
    result = CliRunner(mix_stderr=False).invoke(cli, ["--book", address, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert said in result.stderr and not (tmp_path / "out").exists()


def test_flags_of_a_scenario_without_prices_are_refused(tmp_path) -> None:
    (tmp_path / "book.csv").write_text(BOOK)
    result = CliRunner(mix_stderr=False).invoke(
        cli, ["--book", str(tmp_path / "book.csv"), "--ratio", "wstETH=150%", "--out", str(tmp_path / "out")]
    )
    assert result.stderr == "Error: --ratio: is for a scenario, which needs --prices\n"
