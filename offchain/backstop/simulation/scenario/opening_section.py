"""The opening of a scenario: vaults, members of pools, or the state of a live deployment."""

from __future__ import annotations

from collections.abc import Callable

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.deployment.deployment_file import parameters_from_json
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json
from backstop.hosts.world_storage_json import RawState
from backstop.model import bounds
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.book_repairs import TREATMENTS
from backstop.simulation.scenario.price_and_depth_sections import read_symbol_entries
from backstop.simulation.scenario.scenario_records import GeneratedBook, OpeningState, TypeAssets
from backstop.simulation.scenario.vault_books import ImportedBook, read_book
from backstop.simulation.scenario.yaml_document_reader import Field

OPENING_VERSION = 1


def read_exported_state(field: Field, parameters: Parameters, start: int) -> OpeningState:
    """Read the state exported from a live deployment with which a run begins.

    Raises BackstopError if the state has other parameters or another time than the scenario.
    """
    file = field.read_section(("file",))["file"]
    path = file.find_local_file()
    mend = "take out `opening` to open the vault book anew"
    try:
        content = read_versioned_json(path, "state", OPENING_VERSION, "export it again", "export it again")
        of = parameters_from_json(content["parameters"])
        timestamp, words = content["timestamp"], content["words"]
        number = content.get("block_number", 1)  # without in states of old
    except BackstopError as error:
        file.raise_error(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        file.raise_error(f"{file.text} is not a valid state ({error!r}): export it again")
    if of != parameters:
        field.raise_error(f"is a state of other parameters than these: {mend}")
    if timestamp != start:
        field.raise_error(f"is a state of another time than `start`: {mend}")
    return OpeningState(timestamp, RawState(words, number))


def read_vault_book_and_prices(
    field: Field, symbols: tuple[str, ...]
) -> tuple[ImportedBook | None, dict[str, GeneratedBook], int, dict[str, int]]:
    """Read the vault book: imported vaults or ranges to draw from, total debt, and opening prices.

    All debts are scaled to the total [wad]; 0 means no scaling. If no opening prices are given, types open at
    their first prices.
    """
    section = field.read_section((), ("file", "rows", "generated", "total", "opened_at", "accounts"))
    total = (
        section["total"].read_bounded(quantity_units.read_stablecoin, 10**18, 10**28)
        if "total" in section
        else 0
    )
    opened_at = {}
    if "opened_at" in section:
        prices = read_symbol_entries(section["opened_at"], symbols)
        opened_at = {
            symbol: entry.read_bounded(quantity_units.read_price_as_ray, 1, bounds.MAX_PRICE)
            for symbol, entry in prices.items()
        }
    if field.find_given_exclusive_key("file", "generated") == "file":
        file = section["file"]
        treatments = read_refused_row_treatments(section["rows"]) if "rows" in section else {}
        return read_book(file.find_local_file(), symbols, treatments, file.raise_error), {}, total, opened_at
    if "rows" in section:
        section["rows"].raise_error(
            "says what becomes of a file's rows, and this book is generated: remove it"
        )
    entries = section["generated"].read_mapping_entries()
    for symbol, entry in entries.items():
        if symbol not in symbols:
            entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
    return None, {symbol: _read_generated_book(entry) for symbol, entry in entries.items()}, total, opened_at


def read_refused_row_treatments(field: Field) -> dict[str, str]:
    """Read how to treat book rows that the contracts would refuse, by kind of row."""
    section = field.read_section((), tuple(TREATMENTS))
    return {kind: section[kind].read_choice(TREATMENTS[kind]) for kind in section}


def _read_generated_book(field: Field) -> GeneratedBook:
    """Read the number of vaults and the ranges from which their debts and ratios are drawn."""
    section = field.read_section(("vaults", "debt", "ratio"))
    return GeneratedBook(
        vaults=section["vaults"].read_bounded(quantity_units.read_whole_number, 1, 1_000_000),
        debt=_read_range(section["debt"], quantity_units.read_stablecoin, 10**18, 10**27),
        ratio=_read_range(section["ratio"], quantity_units.read_basis_points, 10_000, 1_000_000),
    )


def _read_range(field: Field, reader: Callable[[str], int], least: int, most: int) -> tuple[int, int]:
    section = field.read_section(("from", "to"))
    lowest = section["from"].read_bounded(reader, least, most)
    return lowest, section["to"].read_bounded(reader, lowest, most)


def read_member_deposits_by_pool(field: Field) -> dict[str, dict[str, int]]:
    """Read the deposits of pool members, by pool and account name.

    A pool of the section that is not deployed gets no deposits in a run.
    """
    section = field.read_section((), tuple(POOLS))
    return {
        pool: {
            name: entry.read_bounded(quantity_units.get_pool_amount_reader(pool), 1, 10**27)
            for name, entry in section[pool].read_mapping_entries().items()
        }
        for pool in section
    }


def read_reserve(field: Field) -> int:
    """Read the reserve's balance at the start, in addition to fees [wad].

    Buffers have no such setting, because only fees can fill them.
    """
    return field.read_section(("reserve",))["reserve"].read_bounded(quantity_units.read_stablecoin, 0, 10**27)


def read_accounts(field: Field) -> bool:
    """Return True if the vaults of one owner form one account (`pooled`), False if each is separate."""
    section = field.read_mapping_entries()
    return "accounts" in section and section["accounts"].read_choice(("apart", "pooled")) == "pooled"


def read_assets(field: Field, symbols: tuple[str, ...]) -> dict[str, TypeAssets]:
    """Read the asset that prices each collateral type, and the asset in which its debt is.

    Types with the same assets share one price.
    """
    found = {symbol: TypeAssets(symbol) for symbol in symbols}
    for symbol, entry in field.read_mapping_entries().items():
        if symbol not in symbols:
            entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.read_section(("collateral",), ("debt",))
        debt = section["debt"].text if "debt" in section else ""
        found[symbol] = TypeAssets(section["collateral"].text, debt)
    return found
