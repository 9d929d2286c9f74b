"""Vault books: drawn within their ranges, or read from CSV (mistakes in one: test_inputs.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import build_vault_book, load_scenario

PRICES = {"ETH": 195 * RAY, "WBTC": 7_940 * RAY, "XAUT": 1_640 * RAY}


def with_csv(tmp_path: Path, text: str):
    (tmp_path / "book.csv").write_text(text)
    (tmp_path / "day.yaml").write_text("extends: black-thursday\nvault_book: {file: book.csv}\n")
    return load_scenario(tmp_path / "day.yaml")


def test_a_drawn_book_keeps_to_its_ranges() -> None:
    scenario = load_scenario("black-thursday")
    book = build_vault_book(scenario, 1, PRICES)
    assert book == build_vault_book(scenario, 1, PRICES) != build_vault_book(scenario, 2, PRICES)
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
        tmp_path, "owner,collateral,locked,debt\nanna,ETH,52.5,5000\n\nben, WBTC ,1.5,5000.25\n"
    )
    anna, ben = build_vault_book(scenario, 1, PRICES)
    assert (anna.owner, anna.symbol, anna.locked, anna.debt) == ("anna", "ETH", 525 * WAD // 10, 5_000 * WAD)
    assert ben.debt == 500_025 * WAD // 100


def test_no_such_csv(tmp_path) -> None:
    (tmp_path / "day.yaml").write_text("extends: black-thursday\nvault_book: {file: none.csv}\n")
    with pytest.raises(BackstopError) as caught:
        load_scenario(tmp_path / "day.yaml")
    assert str(caught.value).startswith("day.yaml:2: vault_book.file: none.csv cannot be read")
