"""Positions as others keep them: read exactly, mapped, split by a stated rule, all faults with their rows."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
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
from backstop.randomness import SeededRandom
from backstop.simulation.scenario.draw_scenario import draw_path_outcomes
from backstop.simulation.sources.book_reader import read_book
from backstop.simulation.sources.table_reader import TableFaultsError
from backstop.studies.stress.engine_agreement import run_both_engines
from tests.support.checkout_paths import ROOT

SAMPLES = ROOT / "docs" / "how-to" / "samples"
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
        TableFaultsError,
        match=r"row 1, column locked: 1.5 is a float: give text or integers, or give --floats",
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


@pytest.mark.parametrize("name", ["aave", "crvusd", "liquity", "liquity-v2", "maker", "morpho"])
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
        "1 debts are of tokens without a name, and count at their price, as dollars: map a column to "
        "`debt_token`.",
        "1 accounts have several collaterals or debts: their debt of 3,000 is split by what each collateral "
        "is worth, into 2 vaults.",
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
    assert (
        result.stdout.splitlines()[0]
        == "p.csv: 2 vaults of ETH, owing 2,000 stablecoins; written as book.csv"
    )
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
        {"wstETH-WETH": 2_400 * RAY},
        {"wstETH-WETH": 10_527},
    )
    assert book.assets == {"wstETH-WETH": ("wstETH", "WETH")}
    assert book.ignored_columns == ("note", "rate")
    result = CliRunner().invoke(cli, ["--book", str(file), "--out", str(tmp_path / "out")])
    assert result.stdout.startswith(
        f"{file.name}: 1 vaults of wstETH-WETH, owing 16,000 stablecoins; written as book.csv\n"
    )
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


LOOP = """owner,collateral,locked,debt,debt_token,debt_price,price,threshold
loop1,wstETH,134700,149100,WETH,1946,2378.34,0.95
loop2,wstETH,7728,8485,WETH,1946,2378.34,0.95
usd1,wstETH,71845,55274620,USDC,1,2378.34,0.81
usd2,wstETH,17784,20740771,USDC,1,2378.34,0.81
usd3,wstETH,100,1000,USDC,1,2378.34,0.72
"""
HOURS = 240


def write_quotes(folder):
    """Ten days in which ether and its staked form stand still."""
    rows = [(1_735_689_600 + 3_600 * i, "2378.34", "1946") for i in range(HOURS)]
    return backstop.read_prices(pd.DataFrame(rows, columns=["time", "wstETH", "WETH"]))


def test_each_threshold_and_debt_asset_is_a_type_of_its_own(tmp_path) -> None:
    """Before: the lowest threshold counted for all, and a debt of ether became a debt of dollars."""
    book = read_book(csv(tmp_path, LOOP))
    assert book.ratios == {"wstETH-WETH": 10_527, "wstETH": 12_346, "wstETH-72": 13_889}
    assert book.told == (
        "Debts of WETH worth 306,660,410 dollars are of types that are priced in it: wstETH-WETH.",
        "wstETH has several thresholds, each a type of its own: wstETH (81%), wstETH-72 (72%).",
    )
    day = backstop.write_scenario(book, write_quotes(tmp_path), tmp_path / "day")
    assert day.assets["wstETH-72"] == ("wstETH", "") and set(day.asset_prices) == {"wstETH", "WETH"}
    found = backstop.falls(day, ["20%", "40%"]).set_index(["falling", "fall_bps"])
    # Both fall by a fifth: no shortfall. By two fifths: a debt of dollars is unsafe, no loop.
    assert not found.loc[("all", 2_000), ["vaults", "missing_wad"]].any()
    assert found.loc[("all", 4_000), "debt_wad"] == 20_740_771 * WAD
    assert found.loc[("WETH", 2_000), "vaults"] == 0
    # Staked ether alone falls: the loops are short at once.
    assert found.loc[("wstETH", 2_000), "vaults"] == 2


def test_the_price_of_a_loop_is_one_asset_over_the_other(tmp_path) -> None:
    """In dollars of the start, at which its debts were counted: of a replay that is the first price."""
    rows = [(1_735_689_600 + 3_600 * i, 2_400 - i, 2_000 - i) for i in range(HOURS)]
    quotes = backstop.read_prices(pd.DataFrame(rows, columns=["time", "wstETH", "WETH"]))
    book, last = read_book(csv(tmp_path, LOOP)), HOURS - 1
    day = backstop.write_scenario(book, quotes, tmp_path / "replay", use="replay")
    points = day.prices["wstETH-WETH"].points
    assert points[0] == 2_400 * RAY
    assert points[day.duration] == (2_400 - last) * RAY * 2_000 // (2_000 - last)
    drawn = backstop.write_scenario(book, quotes, tmp_path / "history")
    assert drawn.first_prices["wstETH-WETH"] == drawn.first_prices["wstETH"] == (2_400 - last) * RAY
    with pytest.raises(BackstopError, match="has no prices of WETH, of which debts are; there are wstETH"):
        backstop.write_scenario(book, quotes.select_symbols(["wstETH"]), tmp_path / "none")


def test_debts_of_other_assets_count_as_dollars_on_request(tmp_path) -> None:
    book = read_book(csv(tmp_path, LOOP), debts="dollars")
    assert "2 debts are of other tokens, and count at their price, as dollars." in book.told
    assert {each.debt for each in book.assets.values()} == {""}


def test_types_of_equal_assets_have_one_price_on_each_path(tmp_path) -> None:
    rows, dice = [], SeededRandom(1, "moves")
    one, other = 2_378_000_000, 1_946_000_000
    for i in range(HOURS):
        one, other = (each * (10_000 + dice.draw_integer(-90, 90)) // 10_000 for each in (one, other))
        rows.append((1_735_689_600 + 3_600 * i, f"{one}e-6", f"{other}e-6"))
    quotes = backstop.read_prices(pd.DataFrame(rows, columns=["time", "wstETH", "WETH"]))
    book = read_book(csv(tmp_path, LOOP))
    measured = backstop.calibrate(book, quotes).measured
    for use, given in (("history", None), ("measured", measured)):
        day = backstop.write_scenario(book, quotes, tmp_path / use, use=use, measured=given)
        drawn = draw_path_outcomes(day, 1, 0).prices
        assert (drawn["wstETH"].ticks == drawn["wstETH-72"].ticks).all()
        assert (drawn["wstETH"].ticks != drawn["wstETH-WETH"].ticks).any()
        fallen = draw_path_outcomes(replace(day, shifts={"wstETH": -1_000, "WETH": -1_000}), 1, 0).prices
        assert (fallen["wstETH-WETH"].ticks == drawn["wstETH-WETH"].ticks)[0]
        # The first price is of the opening, so that both have fallen by as much from then on.
        assert np.allclose(fallen["wstETH-WETH"].ticks, drawn["wstETH-WETH"].ticks, rtol=1e-8)
        exact, fast = run_both_engines(day, 1, 1)
        assert exact[0, 2] == pytest.approx(fast[0, 2], rel=0.02, abs=10**6)


def test_an_account_is_judged_as_a_whole(tmp_path) -> None:
    """Before: one of two equal halves was unsafe after a fall that the account bears at a health of 1.34."""
    text = (
        "owner,collateral,locked,debt,price,threshold\n"
        "acc1,AAA,1200000,0,1,0.8\nacc1,BBB,1200000,0,1,0.8\nacc1,USD,0,1000000,1,0.8\nacc2,AAA,10000,4000,1,0.8\n"
    )
    book = read_book(csv(tmp_path, text), accounts="pooled")
    rows = [(1_735_689_600 + 3_600 * i, 1, 1) for i in range(HOURS)]
    quotes = backstop.read_prices(pd.DataFrame(rows, columns=["time", "AAA", "BBB"]))
    day = backstop.write_scenario(book, quotes, tmp_path / "day")
    assert day.has_accounts
    found = backstop.falls(day, ["60%"]).set_index("falling")
    assert found.loc["AAA", "debt_wad"] == 4_000 * WAD and found.loc["AAA", "missing_wad"] == 0
    assert found.loc["all", "debt_wad"] == 1_004_000 * WAD and found.loc["all", "missing_wad"] == 40_000 * WAD


def test_beyond_32_types_the_smallest_thresholds_are_merged(tmp_path) -> None:
    rows = [f"a{i},ETH,100,{1_000 * (i + 1)},0.{50 + i}" for i in range(40)]
    book = read_book(csv(tmp_path, "owner,collateral,locked,debt,threshold\n" + "\n".join(rows) + "\n"))
    assert len(book.symbols) == 32 and "ETH" in book.symbols
    assert book.told[-1] == (
        "8 thresholds of 36,000 stablecoins of debt (4.39%) are merged into the largest of their assets: a "
        "protocol has 32 types."
    )
    merged = [row.vault for row in book.rows if row.vault.symbol == "ETH"]
    assert len(merged) == 9 and book.ratios["ETH"] == 11_236
