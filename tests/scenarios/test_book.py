"""Vault books: drawn within their ranges, or read from CSV with row and column in every complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from offchain.errors import BackstopError
from offchain.model.arithmetic import RAY, WAD
from offchain.scenarios import load_scenario, vault_book

PRICES = {"ETH": 195 * RAY, "WBTC": 7_940 * RAY, "XAUT": 1_640 * RAY}


def with_csv(tmp_path: Path, text: str):
    (tmp_path / "book.csv").write_text(text)
    (tmp_path / "day.yaml").write_text(
        "extends: black-thursday\nvault_book: {generated: null, file: book.csv}\n"
    )
    return load_scenario(tmp_path / "day.yaml")


def test_a_drawn_book_keeps_to_its_ranges() -> None:
    scenario = load_scenario("black-thursday")
    book = vault_book(scenario, 1, PRICES)
    assert book == vault_book(scenario, 1, PRICES) != vault_book(scenario, 2, PRICES)
    for vault in book:
        drawn = scenario.generated[vault.symbol]
        ratio = vault.locked * PRICES[vault.symbol] * 10_000 // (vault.debt * RAY)
        assert drawn.debt[0] <= vault.debt <= drawn.debt[1]
        assert drawn.ratio[0] <= ratio <= drawn.ratio[1] + 1
        assert vault.debt % WAD == 0
    low = [each for each in book if each.symbol == "ETH" and each.debt < 110_000 * WAD]
    assert len(low) > 40  # sizes are even on a logarithmic scale


def test_a_csv_book(tmp_path) -> None:
    scenario = with_csv(
        tmp_path, "owner,collateral,locked,debt\nanna,ETH,12.5,1000\n\nben, WBTC ,0.5,2000.25\n"
    )
    anna, ben = vault_book(scenario, 1, PRICES)
    assert (anna.owner, anna.symbol, anna.locked, anna.debt) == ("anna", "ETH", 125 * WAD // 10, 1_000 * WAD)
    assert ben.debt == 200_025 * WAD // 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("owner,locked\n", "book.csv: row 1: the columns must be owner, collateral, locked, debt"),
        ("", "book.csv: row 1: the columns must be owner, collateral, locked, debt"),
        (
            "owner,collateral,locked,debt\nanna,ETH,abc,1\n",
            "book.csv: row 2, column locked: 'abc' is not an amount; write e.g. '12.5'",
        ),
        (
            "owner,collateral,locked,debt\nanna,ETH,1,1\nben,ETH,1,-1\n",
            "book.csv: row 3, column debt: '-1' is negative",
        ),
        (
            "owner,collateral,locked,debt\nanna,DOGE,1,1\n",
            "book.csv: row 2, column collateral: 'DOGE' is not one of: ETH, WBTC, XAUT",
        ),
        ("owner,collateral,locked,debt\n,ETH,1,1\n", "book.csv: row 2, column owner: is empty"),
        ("owner,collateral,locked,debt\nanna,ETH,1\n", "book.csv: row 2: has 3 columns, not 4"),
        ("owner,collateral,locked,debt\n", "book.csv: has no vaults"),
        (
            "owner,collateral,locked,debt\nanna,ETH,1,1\nanna,ETH,2,1\n",
            "book.csv: row 3, column owner: 'anna' has a ETH vault in row 2",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path, text, message) -> None:
    with pytest.raises(BackstopError) as caught:
        with_csv(tmp_path, text)
    assert str(caught.value) == message


def test_no_such_csv(tmp_path) -> None:
    (tmp_path / "day.yaml").write_text(
        "extends: black-thursday\nvault_book: {generated: null, file: none.csv}\n"
    )
    with pytest.raises(BackstopError) as caught:
        load_scenario(tmp_path / "day.yaml")
    assert str(caught.value).startswith("day.yaml:2: vault_book.file: none.csv cannot be read")
