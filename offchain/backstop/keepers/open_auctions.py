"""The open auctions of collateral, without changes by time alone: carried from block to block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backstop.model import collateral_auction


class OpenLot(NamedTuple):
    """Open collateral auction as stored, without its current price."""

    id: int
    collateral_type: int
    lot: int  # wad
    target: int  # wad
    top: int  # ray
    started_at: int
    principal: int  # rad
    reward_budget: int  # wad
    version: int  # of its terms


class AuctionBatch:
    """Auctions of one collateral type with the same start, starting price and terms.

    Their current prices are always equal. The number of batches is bounded by the number of blocks that
    started or reset an auction.
    """

    def __init__(self, collateral_type: int, top: int, started_at: int, version: int) -> None:
        self.collateral_type = collateral_type
        self.top = top  # ray
        self.started_at = started_at
        self.version = version
        self._lots: dict[int, OpenLot] = {}
        # Made once somebody asks after a change.
        self._sorted: list[OpenLot] | None = None
        self._most: tuple[int, int] | None = None

    def __bool__(self) -> bool:
        return bool(self._lots)

    @property
    def lots(self) -> list[OpenLot]:
        """Auctions of the batch, the oldest first."""
        if self._sorted is None:
            self._sorted = [self._lots[auction_id] for auction_id in sorted(self._lots)]
        return self._sorted

    @property
    def largest_lot_and_largest_target(self) -> tuple[int, int]:
        """Largest lot and largest target of the batch, possibly of two different auctions [wad]."""
        if self._most is None:
            lots = self._lots.values()
            self._most = max(each.lot for each in lots), max(each.target for each in lots)
        return self._most

    def add_or_replace_lot(self, lot: OpenLot) -> None:
        """Add an auction to the batch, or replace the auction with the same id."""
        self._lots[lot.id] = lot
        self._sorted = self._most = None

    def drop_lot(self, auction_id: int) -> None:
        """Remove an auction from the batch."""
        del self._lots[auction_id]
        self._sorted = self._most = None


class OpenAuctionIndex:
    """Index of the open collateral auctions of a deployment, updated after each write."""

    TABLES = ("lots", "tops", "owners")

    def __init__(self, tables: Mapping[str, Mapping[Any, Any]]) -> None:
        self._tables = tables
        self._open: dict[int, OpenLot] = {}
        self._batches: dict[tuple[int, int, int, int], AuctionBatch] = {}
        self._empty: dict[int, OpenLot] = {}
        self._written = set(tables["lots"])

    def handle_written_record(self, auction_id: int) -> None:
        """Mark an auction as written; the index reads it again at the next query.

        One call writes several records of the same auction, so reading is deferred.
        """
        self._written.add(auction_id)

    def get_open_lots(self) -> Mapping[int, OpenLot]:
        """Return the open auctions by id, the oldest first."""
        self._apply_written()
        return self._open

    def get_batches(self) -> Iterable[AuctionBatch]:
        """Return the batches of equally priced auctions; auctions with an empty lot are in no batch."""
        self._apply_written()
        return self._batches.values()

    def list_empty_lots(self) -> list[OpenLot]:
        """Return the open auctions with an empty lot, the oldest first."""
        self._apply_written()
        return sorted(self._empty.values())

    def _apply_written(self) -> None:
        """Read all auctions again that were written since the last query."""
        if not self._written:
            return
        latest, late = next(reversed(self._open), 0), False
        for auction_id in sorted(self._written):
            before = self._open.get(auction_id)
            if before is not None:
                self._drop_lot(before)
            lot: collateral_auction.Lot = self._tables["lots"][auction_id]
            if lot.target == 0:
                self._open.pop(auction_id, None)
                continue
            # A foreclosed workout is sold under the id that it entered with.
            late = late or (auction_id < latest and before is None)
            left, target, started_at, c, version = lot
            top, owner = self._tables["tops"][auction_id], self._tables["owners"][auction_id]
            principal = collateral_auction.compute_lot_principal_left(lot, top)
            found = OpenLot(
                auction_id, c, left, target, top.top, started_at, principal, owner.reward_budget, version
            )
            self._open[auction_id] = found
            self._index_lot(found)
        if late:
            self._open = dict(sorted(self._open.items()))
        self._written.clear()

    def _index_lot(self, lot: OpenLot) -> None:
        if lot.lot == 0:
            self._empty[lot.id] = lot
            return
        key = lot.collateral_type, lot.top, lot.started_at, lot.version
        batch = self._batches.get(key)
        if batch is None:
            batch = self._batches[key] = AuctionBatch(*key)
        batch.add_or_replace_lot(lot)

    def _drop_lot(self, lot: OpenLot) -> None:
        if lot.lot == 0:
            del self._empty[lot.id]
            return
        key = lot.collateral_type, lot.top, lot.started_at, lot.version
        batch = self._batches[key]
        batch.drop_lot(lot.id)
        if not batch:
            del self._batches[key]
