"""The opening of a scenario: vaults, members of pools, or the state of a live deployment."""

from __future__ import annotations

from collections.abc import Callable

from backstop.deployment.contract_names import POOLS
from backstop.deployment.deployment_file import parameters_from_json
from backstop.deployment.deployment_parameters import Parameters
from backstop.errors import BackstopError
from backstop.files.atomic_files import read_json
from backstop.hosts.state_json import RawState
from backstop.model import bounds
from backstop.simulation.scenario import units
from backstop.simulation.scenario.book import GivenBook, read_book
from backstop.simulation.scenario.document import Field
from backstop.simulation.scenario.outside import by_symbol
from backstop.simulation.scenario.rows import TREATMENTS
from backstop.simulation.scenario.schema import GeneratedBook, Opening

OPENING_VERSION = 1


def opening_of(field: Field, parameters: Parameters, start: int) -> Opening:
    """Read the state that a live deployment had; fail if it is of other parameters or another time."""
    file = field.section(("file",))["file"]
    path = file.beside()
    mend = "take out `opening` to open the vault book anew"
    try:
        content = read_json(path, "state", OPENING_VERSION, "export it again", "export it again")
        of = parameters_from_json(content["parameters"])
        timestamp, words = content["timestamp"], content["words"]
        number = content.get("block_number", 1)  # without in states of old
    except BackstopError as error:
        file.fail(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        file.fail(f"{file.text} is not a whole state ({error!r}): export it again")
    if of != parameters:
        field.fail(f"is a state of other parameters than these: {mend}")
    if timestamp != start:
        field.fail(f"is a state of another time than `start`: {mend}")
    return Opening(timestamp, RawState(words, number))


def vault_book_of(
    field: Field, symbols: tuple[str, ...]
) -> tuple[GivenBook | None, dict[str, GeneratedBook], int, dict[str, int]]:
    """Read the vaults given one by one, or those drawn by lot, their total debt and their opening prices.

    All debts are scaled to the total, wad; 0 leaves them. Without opening prices the first ones count.
    """
    section = field.section((), ("file", "rows", "generated", "total", "opened_at"))
    total = section["total"].between(units.stablecoin, 10**18, 10**28) if "total" in section else 0
    opened_at = {}
    if "opened_at" in section:
        prices = by_symbol(section["opened_at"], symbols)
        opened_at = {
            symbol: entry.between(units.price, 1, bounds.MAX_PRICE) for symbol, entry in prices.items()
        }
    if field.either("file", "generated") == "file":
        file = section["file"]
        treatments = treatments_of(section["rows"]) if "rows" in section else {}
        return read_book(file.beside(), symbols, treatments, file.fail), {}, total, opened_at
    if "rows" in section:
        section["rows"].fail("says what becomes of a file's rows, and this book is generated: remove it")
    entries = section["generated"].entries()
    for symbol, entry in entries.items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
    return None, {symbol: _generated(entry) for symbol, entry in entries.items()}, total, opened_at


def treatments_of(field: Field) -> dict[str, str]:
    """Read what becomes of rows that the contracts refuse, by their kind."""
    section = field.section((), tuple(TREATMENTS))
    return {kind: section[kind].choice(TREATMENTS[kind]) for kind in section}


def _generated(field: Field) -> GeneratedBook:
    """Read the ranges from which vaults are drawn."""
    section = field.section(("vaults", "debt", "ratio"))
    return GeneratedBook(
        vaults=section["vaults"].between(units.count, 1, 1_000_000),
        debt=_range(section["debt"], units.stablecoin, 10**18, 10**27),
        ratio=_range(section["ratio"], units.basis_points, 10_000, 1_000_000),
    )


def _range(field: Field, reader: Callable[[str], int], least: int, most: int) -> tuple[int, int]:
    section = field.section(("from", "to"))
    lowest = section["from"].between(reader, least, most)
    return lowest, section["to"].between(reader, lowest, most)


def members_of(field: Field) -> dict[str, dict[str, int]]:
    """Read the deposits of members, by pool; a pool that is not deployed has none."""
    section = field.section((), tuple(POOLS))
    return {
        pool: {
            name: entry.between(units.of_pool(pool), 1, 10**27)
            for name, entry in section[pool].entries().items()
        }
        for pool in section
    }
