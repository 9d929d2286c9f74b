"""Vaults of a run after its first block, from its events: the data of the charts of the book."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from backstop.report.run_frames import get_first_value, get_table, iter_rows_by_collateral_type
from backstop.simulation.run_directory import Run
from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import find_owner_of_numbered_vault
from backstop.studies.risk_questions.liquidations_at_price_drop import Position


class BookType(NamedTuple):
    """Collateral type of a run: first and lowest feed price [ray], liquidation ratio [basis points]."""

    symbol: str
    price: int
    lowest: int
    ratio: int


class VaultHolding(NamedTuple):
    """Vault in a run's opening book: its owner, type number, and collateral and debt."""

    owner: str
    number: int
    position: Position


class OpeningVaults(NamedTuple):
    """Vaults with debt after a run's first block, and their collateral types."""

    types: dict[int, BookType]
    vaults: list[VaultHolding]

    @property
    def positions(self) -> list[Position]:
        """Collateral and debt of every vault."""
        return [held.position for held in self.vaults]


def read_opening_book(run: Run) -> OpeningVaults | None:
    """Return the vaults after a run's first block; None if the run's tables do not record all of them.

    This is the case if a run continues a chain's state. None as well if margins grow with size, since then a
    price alone does not decide which vaults are unsafe.
    """
    state, events = get_table(run, "state"), get_table(run, "events")
    types = run.summary["collateral_types"]
    if state.empty or events.empty or any(each.get("margins_by_size") for each in types):
        return None
    found: dict[tuple[int, str], tuple[int, int]] = {}
    changed = events["event"].eq("VaultChanged") & events["timestamp"].le(int(state["timestamp"].min()))
    for text in events.loc[changed, "values"]:
        number, owner, locked, normalized = json.loads(text)
        found[number, owner] = int(locked), int(normalized)
    if any(_count_vaults_of_type(found, number) < each["opened_vaults"] for number, each in enumerate(types)):
        return None
    known, vaults, names = {}, [], _map_owner_names(run)
    for number, symbol, rows in iter_rows_by_collateral_type(state):
        ratio = types[number].get("liquidation_ratio_bps")
        mine = {owner: each for (c, owner), each in found.items() if c == number and each[1]}
        if not ratio or not mine:
            continue
        price, lowest = get_first_value(rows, "current_ray"), min(map(int, rows["current_ray"]))
        known[number] = BookType(symbol, price, lowest, ratio)
        # What a type's vaults owe, by their shares of it: the rate that fees have brought it to by now.
        owed, shares = (
            get_first_value(rows, "performing_rad"),
            sum(normalized for _, normalized in mine.values()),
        )
        vaults += [
            VaultHolding(
                names.get(owner, owner), number, Position(symbol, locked, owed * normalized // shares, ratio)
            )
            for owner, (locked, normalized) in mine.items()
        ]
    return OpeningVaults(known, vaults) if vaults else None


def _count_vaults_of_type(found_vaults: dict[tuple[int, str], tuple[int, int]], type_number: int) -> int:
    return sum(c == type_number for c, _ in found_vaults)


def _map_owner_names(run: Run) -> dict[str, str]:
    """Return owners' names by address; a numbered vault account is named after its owner."""
    actions = get_table(run, "actions")
    if actions.empty:
        return {}
    named = actions.loc[actions["sender_name"].notna(), ["sender", "sender_name"]].drop_duplicates("sender")
    pairs: Sequence[tuple[Any, Any]] = list(zip(named["sender"], named["sender_name"], strict=True))
    names = {str(name) for _, name in pairs}
    return {str(address): find_owner_of_numbered_vault(str(name), names) for address, name in pairs}
