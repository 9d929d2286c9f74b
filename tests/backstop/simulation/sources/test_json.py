"""JSON and JSON lines: the tables of CSV, exact, nested objects by dotted names, faults with their line."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner

import backstop
from backstop.cli.import_book import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.sources.json_records import RecordNumber
from backstop.simulation.sources.table_reader import TableFaultsError, read_source_table
from tests.support.checkout_paths import ROOT

SAMPLES = ROOT / "docs" / "how-to" / "samples"
BIG = 2**70 + 1


def write_text(folder: Path, text: str, name: str = "book.json") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def nest(row: dict[str, str]) -> dict:
    """Undo the flattening of a sample's row: `reserve.symbol` is `symbol` in `reserve`."""
    found: dict = {}
    for column, cell in row.items():
        *sections, last = column.split(".")
        place = found
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = json.loads(cell) if cell in ("true", "false") else cell
    return found


@pytest.mark.parametrize("name", ["aave", "morpho", "maker", "liquity-v2"])
def test_a_nested_export_is_the_book_of_its_flat_one(tmp_path, name) -> None:
    with (SAMPLES / f"synthetic-{name}.csv").open() as file:
        rows = [nest(row) for row in csv.DictReader(file)]
    flat = backstop.read_book(SAMPLES / f"synthetic-{name}.csv", like=name)
    listed = write_text(tmp_path, json.dumps(rows, indent=2))
    lines = write_text(tmp_path, "\n".join(json.dumps(row) for row in rows) + "\n", "book.jsonl")
    packed = tmp_path / "book.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    for path in (listed, lines, packed):
        book = backstop.read_book(path, like=name)
        assert [vault for _, vault in book.rows] == [vault for _, vault in flat.rows]
        assert (book.ratios, book.told, book.ignored_columns) == (
            flat.ratios,
            flat.told,
            flat.ignored_columns,
        )


def test_figures_never_go_through_a_float(tmp_path) -> None:
    """Numbers and text alike: a float would have lost the last digits of each."""
    path = write_text(
        tmp_path,
        '[{"owner": "a", "collateral": "ETH", "locked": 0.123456789123456789, "debt": 1e3},'
        f'{{"owner": "b", "collateral": "ETH", "locked": "{BIG}e-18", "debt": 100000000000000000000000.1}}]',
    )
    assert [(each.locked, each.debt) for _, each in backstop.read_book(path).rows] == [
        (123_456_789_123_456_789, 1_000 * WAD),
        (BIG, (10**24 + 1) * WAD // 10),
    ]
    raw = f'{{"owner": "a", "collateral": "ETH", "locked": {BIG}, "debt": {BIG}}}'
    book = backstop.read_book(write_text(tmp_path, raw), decimals={"locked": 18, "debt": 18})
    assert book.debt == BIG


def test_prices_and_depths_are_read_too(tmp_path) -> None:
    prices = write_text(
        tmp_path,
        '{"t": 1710201600, "spot": {"usd": 3999.000000000000000000000000001}}\n'
        '{"t": 1710205200, "spot": {"usd": "4001"}}\n'
        '{"t": 1710208800, "spot": {"usd": null}}\n',
        "prices.jsonl",
    )
    read = backstop.read_prices(prices, time="t", columns={"ETH": "spot.usd"})
    assert read.series["ETH"].values == (3_999 * RAY + 1, 4_001 * RAY)
    assert read.told == ("Empty cells, where the price before holds: 1.",)
    depth = write_text(tmp_path, '[{"asset": "ETH", "venue": "x", "size": 1000, "impact": 0.004}]')
    (quote,) = backstop.read_depth(depth).quotes
    assert (quote.size, quote.impact) == (10**9, 4 * 10**6)


def test_lists_and_absent_members_are_cells(tmp_path) -> None:
    table = read_source_table(
        write_text(tmp_path, '{"a": [1, "x"], "b": {"c": null}}\n{"b": {"c": true, "d": -2}}')
    )
    assert table.columns == ("a", "b.c", "b.d")
    assert [row.cells for row in table.rows] == [
        {"a": '["1", "x"]', "b.c": "", "b.d": ""},
        {"a": "", "b.c": "true", "b.d": "-2"},
    ]


def test_a_fault_has_the_number_and_the_line_of_its_record(tmp_path) -> None:
    rows = [{"owner": "a", "collateral": "ETH", "locked": 1, "debt": each} for each in (1, "x", -3)]
    listed = write_text(tmp_path, json.dumps(rows, indent=1))
    with pytest.raises(TableFaultsError) as caught:
        backstop.read_book(listed)
    assert str(caught.value) == (
        "book.json: row 2 (line 8), column debt: 'x' is not an amount; write e.g. '12.5'; "
        "row 3 (line 14), column debt: '-3' is negative"
    )
    assert [fault.row for fault in caught.value.faults] == [2, 3]
    faults = ["--faults", str(tmp_path / "faults.csv"), "--out", str(tmp_path / "out")]
    result = CliRunner(mix_stderr=False).invoke(cli, ["--book", str(listed), *faults])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert (tmp_path / "faults.csv").read_text().splitlines()[1].startswith("book.json,2 (line 8),debt,")
    assert str(pickle.loads(pickle.dumps(RecordNumber(3, 14)))) == "3 (line 14)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "book.json: has no records: write a record for each position or price"),
        ("[{}]", "book.json: has no records: write a record for each position or price"),
        ('[{"a": 1}', "book.json: row 1 (line 1): after it the list does not end: it is cut off"),
        ('[\n{"a": 1},\n', "row 2 (line 3): is not JSON: line 3, column 1: expecting value; the file may"),
        ('[\n{"a": 1},\n{"a', "row 2 (line 3): is not JSON: line 3, column 2: unterminated string"),
        ('[\n{"a": 1}\n{"a": 2}]', "row 1 (line 2): after it a comma or the end of the list is missing"),
        ('[{"a": 1},]', "row 2 (line 1): is not JSON: line 1, column 11: expecting value"),
        ('[{"a": 1}] x', "line 1: something follows the list: write one list, a record for"),
        ('[{"a": 1}, 5]', "row 2 (line 1): is not an object: write a record for each position or price"),
        ('{"a": 1}\n{"a": 1,}\n', "row 2 (line 2): is not JSON: line 2, column 9: "),
        ('{"a": 1}\n[1]\n', "book.json: row 2 (line 2): is not an object: write a record for"),
        ('{"a": 1, "a": 2}', "book.json: row 1 (line 1): the column 'a' is there twice: remove one"),
        ('{"a": {"b": 1}, "a.b": 2}', "row 1 (line 1): the column 'a.b' is there twice: remove one"),
        ('{"data": {"troves": [{"a": 1}]}}', "is one object with a list under 'data.troves': give"),
        ("[" + '{"a":' * 100_000, "book.json: is nested too deep: write a record"),
        ('[{"owner": "a"}]', "the columns are missing: 'collateral', 'locked', 'debt'; there are owner: s"),
    ],
)  # fmt: skip
def test_malformed_json_is_one_line(tmp_path, text, said) -> None:
    with pytest.raises(BackstopError) as caught:
        backstop.read_book(write_text(tmp_path, text))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", ["NaN", "Infinity", "[1]", "true", '""', "null"])
def test_a_value_that_is_no_amount_is_a_fault(tmp_path, cell) -> None:
    path = write_text(tmp_path, f'{{"owner": "a", "collateral": "ETH", "locked": {cell}, "debt": 1}}\n' * 2)
    with pytest.raises(TableFaultsError, match=r"row 1 \(line 1\), column locked: .* is not an amount"):
        backstop.read_book(path)
