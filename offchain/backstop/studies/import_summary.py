"""Results of an import: the treatment of the file's rows, the source of each figure, and assumptions.

`import.json` has them; the page of the folder is drawn from it. Amounts in wad are text, as in every JSON
file of this program; shares are rounded down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.quantity_units import format_duration_text
from backstop.simulation.scenario.scenario_records import TypeAssets, Vault
from backstop.simulation.scenario.vault_books import ImportedBook, repair_imported_book
from backstop.simulation.sources.book_changes import READ
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.price_reader import PriceHistory, format_utc_time
from backstop.simulation.sources.scenario_builder import FLOOR, ROWS
from backstop.simulation.sources.type_liquidation_terms import (
    TypeTerms,
    choose_type_terms,
    list_terms_sources,
)
from backstop.studies.data_frames import list_records
from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import (
    list_largest_debtors,
    sum_owner_debts,
)
from backstop.studies.risk_questions.liquidations_at_price_drop import falls

SCHEMA_VERSION = 1
FILE = "import.json"

_IN_FILE = "scenario.yaml"


def build_import_summary(
    book: VaultBook, prices: PriceHistory, scenario: Scenario, use: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of import.json for a scenario that was written from a book and prices.

    `use` says how the prices are used. `options` are the arguments of `write_scenario`, by name.
    """
    vaults = [vault for vault in scenario.vaults if vault.debt]
    fallen = falls(scenario)
    terms = choose_type_terms(book, options.get("ratios") or {})
    owed, counts = sum_owner_debts(vaults)
    return {
        "schema_version": SCHEMA_VERSION,
        "title": f"{book.name} at the prices of {prices.name}",
        "scenario": scenario.name,
        "book": book.name,
        "prices": prices.name,
        "use": use,
        "first": format_utc_time(prices.first_common_time),
        "last": format_utc_time(prices.last_common_time),
        "every_seconds": prices.every,
        "debt_wad": str(sum(vault.debt for vault in vaults)),
        "vaults": len(vaults),
        "owners": len(owed),
        "read_columns": list(book.read_columns),
        "ignored_columns": list(book.ignored_columns),
        "changes": [*_iter_file_changes(book), *_iter_repairs(book, scenario, options)],
        "notes": [*book.told, *prices.told],
        "types": list(_iter_types(terms, book, vaults, scenario)),
        "sources": list_terms_sources(terms.values()),
        "columns": {"falls": list(fallen.columns)},
        "tables": {"falls": list_records(fallen), "owners": list(_iter_owners(owed, counts))},
        "assumed": list(_iter_assumed(scenario, use, options)),
        "assumptions": list(scenario.assumptions),
    }


def _iter_file_changes(book: VaultBook) -> Iterator[dict[str, Any]]:
    """Yield what happened to the file's rows: outcome, count, debt, and its share of all debt read."""
    whole = sum(each.debt or 0 for each in book.changes if each.outcome == READ)
    for each in book.changes:
        yield {
            "outcome": each.outcome,
            "subject": each.subject,
            "count": each.number,
            "debt_wad": None if each.debt is None else str(each.debt),
            "share_bps": None if each.debt is None or not whole else each.debt * BASIS_POINTS // whole,
        }


def _iter_repairs(
    book: VaultBook, scenario: Scenario, options: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield what happened to vaults that the contracts would refuse.

    Shares are of all vaults' debt.
    """
    symbols = set(scenario.symbols)
    rows = tuple(row for row in book.rows if row.vault.symbol in symbols)
    total = (options.get("total") or 0) * WAD
    treatments = {**ROWS, **(options.get("rows") or {})}
    before = replace(scenario, opened_at={}, book_total=total)
    found = repair_imported_book(before, ImportedBook(book.name, rows, treatments))
    for each in found.touched:
        yield {
            "outcome": each.outcome.removeprefix("are "),
            "subject": f"vaults {each.subject}",
            "count": len(each.rows),
            "debt_wad": str(each.debt),
            "share_bps": each.debt * BASIS_POINTS // found.debt if found.debt else None,
        }


def _iter_types(
    terms: Mapping[str, TypeTerms], book: VaultBook, vaults: Sequence[Vault], scenario: Scenario
) -> Iterator[dict[str, Any]]:
    """Yield each collateral type with its terms and their sources."""
    debts: dict[str, list[int]] = {symbol: [] for symbol in scenario.symbols}
    for vault in vaults:
        debts[vault.symbol].append(vault.debt)
    for each in scenario.parameters.collateral_types:
        assets = book.assets.get(each.symbol, TypeAssets(each.symbol))
        found = terms[each.symbol]
        yield {
            "symbol": each.symbol,
            "collateral": assets.collateral,
            "debt_asset": assets.debt,
            "vaults": len(debts[each.symbol]),
            "debt_wad": str(sum(debts[each.symbol])),
            "ratio_bps": found.ratio,
            "ratio_source": found.ratio_source,
            "penalty_bps": found.penalty,
            "penalty_source": found.penalty_source,
        }


def _iter_owners(owed: Mapping[str, int], counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for row in list_largest_debtors(owed, counts):
        yield row | {"debt_wad": str(row["debt_wad"])}


def _iter_assumed(scenario: Scenario, use: str, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each value that neither file has, with its option and whether that was given."""
    keepers = {each.name: each for each in scenario.keepers}
    types = scenario.parameters.collateral_types
    bidders = sum(keepers[name].count * keepers[name].capital for name in ("desk", "opportunist"))
    fails = [name for name, each in keepers.items() if each.fails is not None]
    rows = {**ROWS, **(options.get("rows") or {})}
    pools = options.get("pools") or {}
    total, floor = options.get("total"), options.get("floor", FLOOR)
    drawn = "a day is drawn on each path from the file's moves" if use == "history" else "as they are"
    listed = ", ".join(f"{kind.replace('_', ' ')}: {how}" for kind, how in rows.items())
    for what, value, option, is_given in (
        ("prices", drawn, "--use", use != "history"),
        ("duration", format_duration_text(scenario.duration), "--duration", bool(options.get("duration"))),
        (
            "blocks",
            format_duration_text(scenario.block_time),
            "--block-time",
            bool(options.get("block_time")),
        ),
        ("initial ratio", "5% above the liquidation ratio", f"initial_ratio in {_IN_FILE}", False),
        ("debt floor", _format_coins(floor * WAD), "--floor", floor != FLOOR),
        ("debt of all vaults", f"scaled to {total:,}" if total else "as in the file", "--total", bool(total)),
        ("rows that contracts refuse", listed, "--rows KIND=TREATMENT", bool(options.get("rows"))),
        ("stability fee", "none", f"stability_fee in {_IN_FILE}", False),
        ("markets", "as deep as a fifth of each type's debt", f"markets in {_IN_FILE}, or calibrate", False),
        ("reserve", _format_coins(scenario.reserve), "--reserve", options.get("reserve") is not None),
        *(
            (
                f"{pool} pool",
                _format_coins(sum(scenario.members[pool].values())),
                f"--pool {pool}=N",
                pool in pools,
            )
            for pool in ("junior", "savings")
        ),
        ("buyers of auctions have", _format_coins(bidders), f"keepers in {_IN_FILE}", False),
        ("keepers that fail", ", ".join(fails) or "none", "--outages", bool(options.get("outages"))),
        ("gas is paid in", scenario.gas_token, "--gas-token", bool(options.get("gas_token"))),
        ("an auction's step", f"{types[0].auction.period} s", f"auction in {_IN_FILE}", False),
    ):
        yield {"what": what, "value": value, "option": option, "is_given": is_given}


def _format_coins(wad: int) -> str:
    """Return an amount in whole stablecoins as text, rounded half up."""
    return f"{(wad + WAD // 2) // WAD:,} stablecoins"
