"""Vault books: drawn by lot from a seed, or read from a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isqrt
from pathlib import Path
from typing import NoReturn

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.randomness import SeededRandom
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.book_repairs import (
    BookRow,
    RepairedBook,
    build_vault_terms_by_type,
    check_vaults,
    repair_book,
)
from backstop.simulation.scenario.csv_table import read_table
from backstop.simulation.scenario.scenario_records import GeneratedBook, Scenario, Vault

COLUMNS = ("owner", "collateral", "locked", "debt")
_ONE = 10**36
_BITS = 24


def build_vault_book(scenario: Scenario, seed: int, prices: Mapping[str, int]) -> list[Vault]:
    """Return the vaults of a scenario, given and drawn, at the opening prices [ray].

    Raises BackstopError if the contracts would not open them.
    """
    vaults = list(scenario.vaults)
    units_of = {each.symbol: 10 ** (18 - each.decimals) for each in scenario.parameters.collateral_types}
    for symbol, book in scenario.generated.items():
        dice = SeededRandom(seed, "book", symbol)
        for i in range(book.vaults):
            owner = f"owner_{symbol.lower()}_{i + 1}"
            vaults.append(_draw_vault(book, dice, symbol, owner, units_of[symbol], prices[symbol]))
    if scenario.book_total:
        vaults = scale_debts(vaults, scenario.book_total, units_of)
    if scenario.opening is None:
        check_vaults(scenario, vaults, prices)
    return vaults


def repair_scenario_vaults(scenario: Scenario, imported_book: ImportedBook) -> Scenario:
    """Return the scenario with a book file's vaults, repaired so that the contracts open them.

    The repairs are described in the scenario's assumptions.
    """
    found = repair_imported_book(scenario, imported_book)
    return replace(
        scenario,
        vaults=found.vaults,
        opened_at={**scenario.opened_at, **found.opened_at},
        book_total=0,
        assumptions=(*scenario.assumptions, *(found.describe_repairs() if imported_book.treatments else ())),
    )


def repair_imported_book(scenario: Scenario, imported_book: ImportedBook) -> RepairedBook:
    """Return the repaired vaults of a book file, and the treatment of rows that would be refused.

    First prices are cut to nine digits, as in drawn paths, so that the vaults fit both.
    """
    rows = list(imported_book.rows)
    if scenario.book_total:
        units_of = {each.symbol: 10 ** (18 - each.decimals) for each in scenario.parameters.collateral_types}
        vaults = scale_debts([row.vault for row in rows], scenario.book_total, units_of)
        rows = [row._replace(vault=vault) for row, vault in zip(rows, vaults, strict=True)]
    prices = {symbol: cut_to_digits(price) for symbol, price in scenario.first_prices.items()}
    terms = build_vault_terms_by_type(scenario, prices)
    return repair_book(imported_book.name, rows, imported_book.treatments, terms)


def cut_to_digits(price: int) -> int:
    """Return a price with all digits after the ninth replaced by zeros."""
    tick = 10 ** max(0, len(str(price)) - 9)
    return price // tick * tick


def scale_debts(vaults: list[Vault], total: int, units_of: Mapping[str, int]) -> list[Vault]:
    """Scale the debts of vaults to a total [wad], each rounded down to whole coins.

    Collateral is scaled too, rounded up to the token's unit, so that no ratio falls.
    """
    drawn, found = sum(vault.debt for vault in vaults), []
    for vault in vaults:
        debt = vault.debt * total // drawn // WAD * WAD
        unit = units_of[vault.symbol]
        locked = -(-vault.locked * debt // (vault.debt * unit)) * unit if vault.debt else vault.locked
        found.append(Vault(vault.owner, vault.symbol, locked, debt))
    return found


def _draw_vault(
    book: GeneratedBook, dice: SeededRandom, symbol: str, owner: str, unit: int, price: int
) -> Vault:
    """Draw a vault with log-uniform debt; its ratio is quadratic in a uniform number, mostly low."""
    debt = draw_log_uniform(*book.debt, dice) // WAD * WAD
    uniform = dice.draw_index(1 << _BITS)
    ratio = book.ratio[0] + (book.ratio[1] - book.ratio[0]) * uniform * uniform // (1 << 2 * _BITS)
    locked = -(-debt * ratio * RAY // (BASIS_POINTS * price))
    return Vault(owner, symbol, -(-locked // unit) * unit, debt)


def draw_log_uniform(lowest: int, highest: int, dice: SeededRandom) -> int:
    """Draw a log-uniform integer between two bounds, with 24 random bits and integer square roots."""
    position, value = dice.draw_index(1 << _BITS), lowest
    for bit, factor in _list_bit_roots(highest * _ONE // lowest):
        if position >> bit & 1:
            value = value * factor // _ONE
    return value


@lru_cache(maxsize=64)  # of a range, from which many are drawn
def _list_bit_roots(range_factor: int) -> list[tuple[int, int]]:
    """Return pairs of bit and factor of a log-uniform draw, the highest bit first.

    The factor of a bit is the root of `range_factor` that the bit stands for.
    """
    found = []
    for bit in reversed(range(_BITS)):
        range_factor = isqrt(range_factor * _ONE)
        found.append((bit, range_factor))
    return found


@dataclass(frozen=True)
class ImportedBook:
    """Rows of a vault book file, and the treatment of rows that the contracts would refuse, by kind."""

    name: str
    rows: tuple[BookRow, ...]
    treatments: Mapping[str, str]


def read_book(
    path: Path, symbols: tuple[str, ...], treatments: Mapping[str, str], fail: Callable[[str], NoReturn]
) -> ImportedBook:
    """Read vaults from a CSV file with the columns owner, collateral, locked and debt.

    Raises BackstopError for an invalid row, or a file without vaults.
    """
    rows = tuple(
        BookRow(number, _parse_vault(path.name, number, cells, symbols))
        for number, cells in read_table(path, fail, COLUMNS)
    )
    if not rows:
        raise BackstopError(f"{path.name}: has no vaults: write a row for each after the header")
    return ImportedBook(path.name, rows, treatments)


def _parse_vault(file: str, number: int, cells: Mapping[str, str], symbols: tuple[str, ...]) -> Vault:
    def bad(column: str, problem: str) -> NoReturn:
        raise BackstopError(f"{file}: row {number}, column {column}: {problem}")

    if not cells["owner"]:
        bad("owner", "is empty: name the owner")
    if cells["collateral"] not in symbols:
        bad("collateral", f"{cells['collateral']!r} is not one of: {', '.join(symbols)}")
    figures: dict[str, int] = {}
    for column in ("locked", "debt"):
        try:
            figures[column] = quantity_units.read_amount(cells[column])
        except ValueError as error:
            bad(column, str(error))
    return Vault(cells["owner"], cells["collateral"], figures["locked"], figures["debt"])
