"""A stranger's files: the accepted ones, and the one line that names an error and its repair."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.simulate import cli as simulate
from backstop.cli.stress import cli as stress
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario, load_scenario, quantity_units
from backstop.simulation.scenario.yaml_document_reader import read_document
from tests.support.checkout_paths import DATA

BASE = "extends: black-thursday\n"
OWN_BOOK = BASE + "vault_book: {file: book.csv}\n"
HEADER = "owner,collateral,locked,debt\n"
BOOK = HEADER + "anna,ETH,100,6000.5\n"
MODEL = "{kind: brownian, start: 195 USD, drift: 0% a year, volatility: 90% a year}"
PRICES = "time,price\n0,100\n1,101.5\n2,99\n3,102\n"
BOOTSTRAP = (
    BASE + "prices: {ETH: {model: {kind: bootstrap, start: 195 USD, file: prices.csv, column: price, "
    "every: 60 s, run: 60 s}}}\n"
)


def scenario(folder: Path, text: str | bytes, **tables: str | bytes) -> Scenario:
    """Return the scenario that a file is read as, with CSV files beside it."""
    for name, content in {"day.yaml": text, **{f"{name}.csv": each for name, each in tables.items()}}.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return load_scenario(folder / "day.yaml")


def problem(folder: Path, text: str | bytes, **tables: str | bytes) -> str:
    with pytest.raises(BackstopError) as caught:
        scenario(folder, text, **tables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --------------------------------------------------------------------- accepted


@pytest.mark.parametrize(
    ("file", "book"),
    [
        (OWN_BOOK, BOOK),
        (OWN_BOOK, b"\xef\xbb\xbf" + BOOK.encode()),
        (OWN_BOOK, BOOK.replace("\n", "\r\n")),
        (OWN_BOOK, BOOK.replace("\n", "\r")),
        (OWN_BOOK, b"\xef\xbb\xbf" + BOOK.replace("\n", "\r\n").encode()),
        (b"\xef\xbb\xbf" + OWN_BOOK.replace("\n", "\r\n").encode(), BOOK),
        (OWN_BOOK, "\n\n" + BOOK + "\n\n"),
        (OWN_BOOK, "debt, locked, collateral, owner\n 6000.5 , 100 , ETH , anna \n"),
        (OWN_BOOK, '"owner","collateral","locked","debt"\n"anna","ETH","100","6000.5"\n'),
        (BASE + "vault_book: {generated: null, file: book.csv}\n", BOOK),
        (BASE + "vault_book:\n  generated:\n  total: ~\n  file: book.csv\n", BOOK),
    ],
)
def test_a_book_of_ones_own_loads_at_the_first_try(tmp_path, file, book) -> None:
    (vault,) = scenario(tmp_path, file, book=book).vaults
    assert (vault.owner, vault.symbol, vault.locked, vault.debt) == (
        "anna",
        "ETH",
        100 * WAD,
        60_005 * WAD // 10,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2000.5", 20_005 * WAD // 10),
        ("2000.50000000000000000000000", 20_005 * WAD // 10),
        ("2000", 2_000 * WAD),
        ("2_000", 2_000 * WAD),
        ("2000.", 2_000 * WAD),
        (".5", WAD // 2),
        ("+2000.5", 20_005 * WAD // 10),
        ("'2000.5'", 20_005 * WAD // 10),
        ('"2000.5"', 20_005 * WAD // 10),
        ("2e3", 2_000 * WAD),
        ("2.0005E+3", 20_005 * WAD // 10),
        ("1e-18", 1),
        # A float has 17 digits: the last ones of these would be lost.
        ("123456789.123456789123456789", 123_456_789_123_456_789_123_456_789),
        ("0.1", WAD // 10),
    ],
)
def test_numbers_are_read_exactly(tmp_path, text, value) -> None:
    """In a table, and bare or in quotes in YAML."""
    if "'" not in text and '"' not in text:
        (vault,) = scenario(tmp_path, OWN_BOOK, book=f"{HEADER}anna,ETH,{text},0\n").vaults
        assert vault.locked == value
    (tmp_path / "number.yaml").write_text(f"amount: {text}\n")
    assert (
        read_document(tmp_path / "number.yaml")
        .read_mapping_entries()["amount"]
        .read_value(quantity_units.read_amount)
        == value
    )


def test_an_amount_in_yaml_may_be_bare_but_for_its_unit(tmp_path) -> None:
    for text in ("2000.5 USD", "'2000.5 USD'", "2.0005e3 USD"):
        found = scenario(tmp_path, BASE + f"prices: {{ETH: {{assumed: {{28:00: {text}}}}}}}\n")
        assert found.prices["ETH"].points[100_800] == 20_005 * 10**26


@pytest.mark.parametrize("key", ["feed_prices", "correlation", "scarcity", "tries", "opening"])
def test_null_is_as_good_as_missing(tmp_path, key) -> None:
    plain = scenario(tmp_path, BASE)
    assert scenario(tmp_path, BASE + f"{key}: null\n") == plain
    assert scenario(tmp_path, BASE + f"{key}:\n") == plain
    whole = (DATA / "compare" / "ten-vaults.yaml").read_text()
    if f"\n{key}:" not in whole:
        (tmp_path / "ten-vaults.csv").write_bytes((DATA / "compare" / "ten-vaults.csv").read_bytes())
        assert scenario(tmp_path, whole + f"\n{key}: null\n") == scenario(tmp_path, whole)


def test_a_type_that_is_taken_out_takes_with_it_what_is_said_of_it(tmp_path) -> None:
    """One null for each, not one in every section."""
    types = "parameters: {collateral_types: {WBTC: null, XAUT: null}}\n"
    found = scenario(tmp_path, OWN_BOOK + types, book=BOOK)
    assert found.symbols == tuple(found.prices) == tuple(found.markets) == ("ETH",)
    drawn = scenario(tmp_path, BASE + types)
    assert tuple(drawn.generated) == ("ETH",)
    still_there = BASE + types + "markets: {WBTC: {depth: 5 stablecoin}}\n"
    assert problem(tmp_path, still_there).startswith(
        "day.yaml:3: markets.WBTC: unknown field; known here: ETH"
    )


def test_another_way_to_say_it_takes_the_place_of_what_is_extended(tmp_path) -> None:
    path = scenario(tmp_path, BASE + f"prices: {{ETH: {{model: {MODEL}}}}}\n").prices["ETH"]
    assert path.model is not None
    deep = scenario(tmp_path, BASE + "markets: {ETH: {debt_to_depth: 5 x}}\n").markets["ETH"]
    assert (deep.depth, deep.debt_to_depth) == (0, 50_000)
    # What a study scales its own book to is nothing for another's.
    assert (
        scenario(tmp_path, "extends: liquidity-severe\n" + OWN_BOOK[len(BASE) :], book=BOOK).book_total == 0
    )


# ---------------------------------------------------------------------- refused

RATIOS = "{ETH: {vaults: 1, debt: {from: 1 stablecoin, to: 2 stablecoin}, ratio: {from: 200%, to: 300%}}}"
# Seven lines that stand for millions of fields.
BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 7))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "day.yaml:1: is empty: write a section of `name: value` lines"),
        ("# nothing yet\n", "day.yaml:1: is empty: write a section of `name: value` lines"),
        ("- a\n", "day.yaml:1: is not a section of `name: value` lines"),
        ("a: &a [*a]\n", "day.yaml:1: an alias (*) of it is part of what it stands for"),
        (BOMB, "day.yaml:1: its aliases (*) stand for 2,345,679 fields: write fewer"),
        ("a: [1\n", "day.yaml:2: is not YAML: did not find expected ',' or ']'"),
        (b"\xff\xfea\x00", "day.yaml: cannot be read: not UTF-8 text: save it as UTF-8"),
        ("extends: none.yaml\n", "day.yaml:1: extends: scenario file "),
        ("extends: s3://bucket/day.yaml\n", "day.yaml:1: extends: 's3://bucket/day.yaml' is a URL"),
        (BASE + "colour: red\n", "day.yaml:2: colour: unknown field; known here: schema_version,"),
        (BASE + "title: null\n", "'title' is missing"),
        (BASE + "title: [a]\n", "day.yaml:2: title: is a list: write a single value"),
        (BASE + "facts: {a: b}\n", "day.yaml:2: facts: is a section: write a list, each entry after `- `"),
        (BASE + "prices: 5\n", "day.yaml:2: prices: is the single value '5': write a section"),
        (BASE + "prices: {ETH: 200 USD}\n", "day.yaml:2: prices.ETH: is the single value '200 USD': write a"),
        (BASE + "prices: {DOGE: {}}\n", "day.yaml:2: prices.DOGE: unknown field; known here: ETH, WBTC, XAU"),
        (BASE + "start: 2020-03-12\n", "day.yaml:2: start: '2020-03-12' is not a time in UTC; write e.g."),
        (BASE + "start: 2020-13-40T00:00Z\n", "day.yaml:2: start: '2020-13-40T00:00Z' is not a time in UTC"),
        (BASE + "start: yesterday\n", "day.yaml:2: start: 'yesterday' is not a time in UTC; write e.g. '202"),
        (BASE + "prices: {ETH: {assumed: {25:61: 5 USD}}}\n", "ETH.assumed.25:61: '25:61' is not a time; wr"),
        (BASE + "prices: {ETH: {assumed: {28:00: -5 USD}}}\n", "ETH.assumed.28:00: '-5 USD' is negative"),
        (BASE + "prices: {ETH: {assumed: {28:00: 5}}}\n", "28:00: '5' is not a price; write e.g. '195.21 US"),
        (BASE + "prices: {ETH: {assumed: {28:00: 5e100 USD}}}\n", "'5e100 USD' is not a price; write e.g. '"),
        (BASE + "prices: {ETH: {assumed: {28:00: 1e-30 USD}}}\n", "finer than this field can hold: round it"),
        (
            BASE + "prices: {ETH: {assumed: {00:00: 5 USD}}}\n",
            "assumed.00:00: this time is under `published` too (black-thursday.yaml:",
        ),
        (
            BASE + f"vault_book: {{file: book.csv, generated: {RATIOS}}}\n",
            "day.yaml:2: vault_book: has `file` (day.yaml:2) and `generated` (day.yaml:2), which contradict "
            "each other: remove one of them",
        ),
        (
            BASE + f"prices: {{ETH: {{model: {MODEL}, assumed: {{00:00: 5 USD}}}}}}\n",
            "day.yaml:2: prices.ETH: has `model` (day.yaml:2) and `assumed` (day.yaml:2), which contradict",
        ),
        (
            BASE + "markets: {ETH: {depth: 5 stablecoin, debt_to_depth: 5 x}}\n",
            "day.yaml:2: markets.ETH: has `depth` (day.yaml:2) and `debt_to_depth` (day.yaml:2), which",
        ),
        (BASE + "vault_book: {generated: null}\n", "day.yaml:2: vault_book: needs either `file` or `generat"),
        (BASE + "vault_book: {file: no.csv}\n", "day.yaml:2: vault_book.file: no.csv cannot be read: No suc"),
        (BASE + "vault_book: {file: .}\n", "day.yaml:2: vault_book.file: '.' is a directory: give a file"),
        (BASE + "vault_book: {file: 's3://b/book.csv'}\n", "vault_book.file: 's3://b/book.csv' is a URL, an"),
        (BASE + "opening: {file: 's3://b/state.json'}\n", "opening.file: 's3://b/state.json' is a URL, and"),
        (BASE + "parameters: {collateral_types: {.ETH: {}}}\n", "'.ETH' is not a symbol: up to 32 letters,"),
        (BASE + "parameters: {collateral_types: {A B: {}}}\n", "'A B' is not a symbol: up to 32 letters, di"),
        (BASE + "parameters: {collateral_types: {eth: {}}}\n", "'eth' and 'ETH' differ in capitals alone"),
        (BASE + "parameters: {collateral_types: {equity: {}}}\n", "'equity' is what the protocol's own equi"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, text, said) -> None:
    assert said in problem(tmp_path, text)


@pytest.mark.parametrize(
    ("book", "said"),
    [
        ("", "book.csv: row 1: is empty: the columns must be owner, collateral, locked, debt"),
        ("\n\n", "book.csv: row 1: is empty: the columns must be owner, collateral, locked, debt"),
        (HEADER, "book.csv: has no vaults: write a row for each after the header"),
        (
            "owner,collateral,locked\nanna,ETH,1\n",
            "book.csv: row 1: the column 'debt' is missing: the columns must be owner, collateral, locked, "
            "debt; there are owner, collateral, locked",
        ),
        (BOOK.replace(",", ";"), "with commas between; there are owner;collateral;locked;debt"),
        ("owner,collateral,locked,debt,x\n", "row 1: the column 'x' is unknown: the columns must be owner,"),
        ("owner,collateral,locked,debt,debt\n", "row 1: the column 'debt' is there twice: remove one"),
        (HEADER + "\nanna,ETH,1\n", "book.csv: row 3: has 3 columns, and the header 4"),
        (HEADER + "anna,DOGE,1,1\n", "row 2, column collateral: 'DOGE' is not one of: ETH, WBTC, XAUT"),
        (HEADER + "anna,ETH,1,-1\n", "row 2, column debt: '-1' is negative"),
        (HEADER + "anna,ETH,,1\n", "row 2, column locked: '' is not an amount; write e.g. '12.5'"),
        (HEADER + 'anna,ETH,1,"1,000"\n', "row 2, column debt: '1,000' is not an amount; write e.g. '12.5'"),
        (HEADER + "anna,ETH,nan,1\n", "row 2, column locked: 'nan' is not an amount; write e.g. '12.5'"),
        (HEADER + "anna,ETH,1,1e99999\n", "row 2, column debt: '1e99999' is not an amount; write e.g. '12.5"),
        (HEADER + "anna,ETH,0.1234567890123456789,1\n", "finer than this field can hold: round it to 18 dec"),
        (HEADER + ",ETH,1,1\n", "row 2, column owner: is empty: name the owner"),
        (HEADER + "a,ETH,1,0\n\na,ETH,1,0\n", "1 of 2 rows cannot be opened: 1 of an owner with another va"),
        (HEADER + "a,ETH,1e60,0\n", "book.csv: row 2: is more than a vault holds: check the decimals"),
        (HEADER + 'anna,ETH,1,"1\n', "book.csv: row 2: is not CSV: unexpected end of data"),
        (b"\xff\xfeo\x00", "vault_book.file: book.csv cannot be read: not UTF-8 text: save it as CSV in UTF"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_book_is_one_line(tmp_path, book, said) -> None:
    assert said in problem(tmp_path, OWN_BOOK, book=book)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ("time,close\n0,1\n", "prices.csv: row 1: the column 'price' is missing: needs price; there are tim"),
        (PRICES + "4,-1\n", "prices.csv: row 6, column price: '-1' is not a price: write a number above 0"),
        ("time,price\n\n0,x\n", "prices.csv: row 3, column price: 'x' is not a price: write a number above"),
        ("time,price\n0,nan\n", "prices.csv: row 2, column price: 'nan' is not a price"),
        ("time,price\n0,1\n", "has prices for fewer than two blocks"),
        ("", "prices.csv: row 1: is empty: needs price"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_prices_is_one_line(tmp_path, prices, said) -> None:
    assert said in problem(tmp_path, BOOTSTRAP, prices=prices)


def test_prices_are_read_like_any_table(tmp_path) -> None:
    plain = scenario(tmp_path, BOOTSTRAP, prices=PRICES)
    other = b"\xef\xbb\xbf" + PRICES.replace("\n", "\r\n").encode()
    assert scenario(tmp_path, BOOTSTRAP, prices=other) == plain


@pytest.mark.parametrize(
    ("command", "args", "said"),
    [
        (simulate, ("--out", "s3://bucket/run"), "Error: --out: 's3:/bucket/run' is a URL, and only local f"),
        (stress, ("stress-day", "--out", "gs://bucket/run"), "Error: --out: 'gs:/bucket/run' is a URL, and"),
        (simulate, ("--scenario", "s3://bucket/day.yaml"), "Error: 's3://bucket/day.yaml' is a URL, and onl"),
        (simulate, ("--scenario", "."), "Error: '.' is a directory: give a .yaml file in it"),
        (simulate, ("--scenario", __file__), "test_inputs.py' is not a scenario file; expected a name that"),
        (simulate, ("--scenario", "no.yaml"), "Error: scenario file no.yaml not found"),
        (stress, ("no.yaml",), "Error: scenario file no.yaml not found"),
    ],
)  # fmt: skip
def test_a_command_refuses_at_the_start_in_one_line(tmp_path, monkeypatch, command, args, said) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner(mix_stderr=False).invoke(command, args)
    assert result.exit_code == 1 and said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
