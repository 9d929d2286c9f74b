"""The open auctions of collateral, without what time alone changes: carried from block to block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backstop.model import collateral_auction


class OpenLot(NamedTuple):
    """An open auction as it is stored."""

    id: int
    collateral_type: int
    lot: int  # wad
    target: int  # wad
    top: int  # ray
    started_at: int
    principal: int  # rad
    reward_budget: int  # wad


class Lots:
    """The open auctions of a deployment, kept up to date from what was written."""

    TABLES = ("lots", "tops", "owners")

    def __init__(self, tables: Mapping[str, Mapping[Any, Any]]) -> None:
        self._tables = tables
        self._open: dict[int, OpenLot] = {}
        self._written = set(tables["lots"])

    def update(self, id: int) -> None:
        """Look again at an auction, when it is asked for next: an action writes most of its records."""
        self._written.add(id)

    def open(self) -> Mapping[int, OpenLot]:
        """Return the open auctions by id, the oldest first."""
        latest, late = next(reversed(self._open), 0), False
        for id in sorted(self._written):
            lot: collateral_auction.Lot = self._tables["lots"][id]
            if lot.started_at == 0:
                self._open.pop(id, None)
                continue
            # A foreclosed workout is sold under the id that it entered with.
            late = late or (id < latest and id not in self._open)
            left, target, started_at, c = lot
            top, owner = self._tables["tops"][id], self._tables["owners"][id]
            principal = collateral_auction.principal_left(lot, top)
            self._open[id] = OpenLot(id, c, left, target, top.top, started_at, principal, owner.reward_budget)
        if late:
            self._open = dict(sorted(self._open.items()))
        self._written.clear()
        return self._open
