"""Outcomes of a file's rows: each line has its count and its debt, and debts add up to the file's total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

import backstop
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.sources.book_changes import BookChange
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.type_liquidation_terms import ASSUMED, choose_type_terms, list_terms_sources

NAMES = {"owner": "owner", "collateral": "coin", "locked": "held", "debt": "owed"}


def read(rows: Sequence[tuple[str, ...]], **options) -> VaultBook:
    frame = pd.DataFrame(rows, columns=["owner", "coin", "held", "owed", *options.pop("more", ())])
    return backstop.read_book(frame, columns={**NAMES, **options.pop("columns", {})}, **options)


def test_rows_are_read_and_left_out_with_their_debt() -> None:
    rows = [
        ("a", "WETH", "9", "5000"),
        ("b", "WETH", "0", "0"),
        ("c", "WETH", "8", "x"),
        ("d", "WBTC", "1", "70"),
    ]
    book = read(rows, bad_rows="drop-any", only={"coin": "WETH"})
    assert book.changes == (
        BookChange("read", "rows", 4, 5_000 * WAD),
        BookChange("left out", "rows that --only does not name", 1, None),
        BookChange("left out", "rows that cannot be read", 1, None),
        BookChange("left out", "rows that lock nothing and owe nothing", 1, 0),
    )


def test_what_is_read_is_the_book_and_what_was_left_out() -> None:
    rows = [("a", "WETH", "9", "5000"), ("a", "wstETH", "9", "1"), ("b", "WETH", "0", "300")]
    book = read(rows, accounts="pooled", prices={"WETH": 10**30, "wstETH": 10**30})
    change = {(each.outcome, each.subject): each for each in book.changes}
    assert change["split", "accounts of several collaterals or debts"][2:] == (1, 5_001 * WAD)
    assert change["left out", "accounts that lock nothing"][2:] == (1, 300 * WAD)
    assert change["read", "rows"].debt == book.debt + 300 * WAD == 5_301 * WAD


@pytest.mark.parametrize(
    ("debts", "outcome", "subject"),
    [
        ("assets", "priced in what is owed", "debts of WETH"),
        ("dollars", "counted as dollars", "debts of other tokens"),
    ],
)
def test_debts_of_another_asset_are_priced_in_it_or_in_dollars(
    debts: str, outcome: str, subject: str
) -> None:
    rows = [("a", "wstETH", "9", "2", "WETH", "3000"), ("b", "wstETH", "9", "500", "USDC", "1")]
    columns = {"debt_token": "token", "debt_price": "price"}
    book = read(rows, more=("token", "price"), columns=columns, debts=debts)
    assert book.changes[1:] == (BookChange(outcome, subject, 1, 6_000 * WAD),)


def test_merged_thresholds_have_the_debt_of_their_vaults() -> None:
    rows = [(f"o{i}", "WETH", "9", str(9_000 - i), str(8_000 - i)) for i in range(34)]
    book = read(rows, more=("limit",), columns={"threshold": "limit"}, decimals={"threshold": 4})
    owed = (9_000 - 32) + (9_000 - 33)
    assert book.changes[-1] == BookChange("merged", "vaults of the smallest thresholds", 2, owed * WAD)
    assert len(book.symbols) == 32


def test_terms_say_where_they_are_from() -> None:
    rows = [("a", "ETH-A", "9", "5000"), ("b", "ETH-B", "9", "4000"), ("c", "XYZ-A", "9", "3000")]
    book = read(rows)
    terms = choose_type_terms(replace(book, system="maker"), {"ETH-B": "120%"})
    source = "Maker (mat, chop), 2025-07-03"
    guessed = "assumed: half of what the ratio is above 100%, at most 13%"
    told = {name: each[:4] for name, each in terms.items()}
    assert told == {
        "ETH-A": (14_500, 1_300, source, source),
        "ETH-B": (12_000, 1_000, "given: --ratio", guessed),
        "XYZ-A": (15_000, 1_300, ASSUMED, guessed),
    }
    (only,) = list_terms_sources(terms.values())
    assert only["date"] == "2025-07-03" and only["address"].startswith("https://github.com/makerdao/")
    with pytest.raises(BackstopError, match="ratios: ETH-A: '90%' is not between 100% and"):
        choose_type_terms(book, {"ETH-A": "90%"})
