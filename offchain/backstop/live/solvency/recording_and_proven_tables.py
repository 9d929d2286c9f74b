"""The slots that a figure depends on: tables that note what is read, tables that hold what is proven."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from backstop.contract_base import Table, World, Written
from backstop.live.node.storage_proofs import UnprovenError


class _RecordingTable(Table):
    """Storage table that records every key that is read, in the list `journal`."""

    __slots__ = ()

    def _record_read(self, key: Hashable) -> None:
        self.journal.append(Written(self.contract, self.path, key))

    def __getitem__(self, key: Hashable) -> Any:
        self._record_read(key)
        return super().__getitem__(key)

    def get(self, key: Hashable, default: Any = None) -> Any:
        self._record_read(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, Hashable)
        self._record_read(key)
        return super().__contains__(key)

    def __iter__(self) -> Iterator[Any]:
        for key in super().__iter__():
            self._record_read(key)
            yield key

    def keys(self) -> Any:
        return list(self)

    def values(self) -> Any:
        return [super(_RecordingTable, self).__getitem__(key) for key in self]

    def items(self) -> Any:
        return [(key, super(_RecordingTable, self).__getitem__(key)) for key in self]


class _ProvenTable(Table):
    """Storage table that holds proven slots only; reading any other key raises UnprovenError.

    A missing slot must not count as zero, since a dishonest file could leave it out.
    """

    __slots__ = ()

    def __missing__(self, key: Hashable) -> Any:
        where = "" if key == () else f"[{key}]"
        raise UnprovenError(f"{self.contract} {self.path}{where} is needed, and not proven")

    def get(self, key: Hashable, default: Any = None) -> Any:
        return self[key]

    def __contains__(self, key: object) -> bool:
        return bool(self[key])


def start_recording_reads_into_list(world: World) -> list[Written]:
    """Record all storage reads of a world's contracts from now on; return the growing list."""
    reads: list[Any] = []
    for contract in world.contracts.values():
        for table in contract.tables.values():
            table.__class__ = _RecordingTable
            table.journal = reads
    return reads


def refuse_reads_of_missing_slots(world: World) -> None:
    """Make reads of slots that the world does not hold raise UnprovenError from now on."""
    for contract in world.contracts.values():
        for table in contract.tables.values():
            table.__class__ = _ProvenTable
