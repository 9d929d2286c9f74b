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
    """Return the vaults of a scenario at the opening prices (ray); refuse what the contracts do not open."""
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
    """Return the scenario with the vaults of a file that the contracts open, told what became of others."""
    found = repair_imported_book(scenario, imported_book)
    return replace(
        scenario,
        vaults=found.vaults,
        opened_at={**scenario.opened_at, **found.opened_at},
        book_total=0,
        assumptions=(*scenario.assumptions, *(found.describe_repairs() if imported_book.treatments else ())),
    )


def repair_imported_book(scenario: Scenario, imported_book: ImportedBook) -> RepairedBook:
    """Return the vaults of a file that the contracts open in a scenario, and the treatment of each other row.

    They fit also at a first price of nine digits, with which drawn paths begin.
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
    """Cut a price (ray) to its first nine digits."""
    tick = 10 ** max(0, len(str(price)) - 9)
    return price // tick * tick


def scale_debts(vaults: list[Vault], total: int, units_of: Mapping[str, int]) -> list[Vault]:
    """Scale the vaults' debts to a total, in whole coins; ratios stay, or rise by a unit."""
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
    """Draw a vault.

    Each doubling of the debt is as likely as the next. The ratio is a uniform number squared: low ones are
    common.
    """
    debt = draw_log_uniform(*book.debt, dice) // WAD * WAD
    uniform = dice.draw_index(1 << _BITS)
    ratio = book.ratio[0] + (book.ratio[1] - book.ratio[0]) * uniform * uniform // (1 << 2 * _BITS)
    locked = -(-debt * ratio * RAY // (BASIS_POINTS * price))
    return Vault(owner, symbol, -(-locked // unit) * unit, debt)


def draw_log_uniform(lowest: int, highest: int, dice: SeededRandom) -> int:
    """Draw lowest * (highest/lowest) ** (uniform number of 24 bits), by square roots."""
    position, value = dice.draw_index(1 << _BITS), lowest
    for bit, factor in _list_bit_roots(highest * _ONE // lowest):
        if position >> bit & 1:
            value = value * factor // _ONE
    return value


@lru_cache(maxsize=64)  # of a range, from which many are drawn
def _list_bit_roots(range_factor: int) -> list[tuple[int, int]]:
    """Return the places of 24 bits, the highest first, each with the root that it stands for."""
    found = []
    for bit in reversed(range(_BITS)):
        range_factor = isqrt(range_factor * _ONE)
        found.append((bit, range_factor))
    return found


@dataclass(frozen=True)
class ImportedBook:
    """Rows of a file, and the treatment of those that the contracts refuse, by their kind."""

    name: str
    rows: tuple[BookRow, ...]
    treatments: Mapping[str, str]


def read_book(
    path: Path, symbols: tuple[str, ...], treatments: Mapping[str, str], fail: Callable[[str], NoReturn]
) -> ImportedBook:
    """Read vaults from a CSV file with the columns owner, collateral, locked and debt."""
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
