"""The records of a table that stand; the table keeps those that are over as well."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any


class OngoingTableRecords:
    """Index of the records of a table that satisfy a predicate, updated after each write.

    `stands` is the predicate: it tells whether a record is still ongoing.
    """

    def __init__(self, table: Mapping[Any, Any], stands: Callable[[Any], Any]) -> None:
        self._table = table
        self._stands = stands
        self._places = {key: place for place, key in enumerate(table)}
        self._keys: set[Hashable] = {key for key, value in table.items() if stands(value)}

    def handle_written_record(self, key: Hashable) -> None:
        """Update the index for a record that was just written."""
        self._places.setdefault(key, len(self._places))
        if self._stands(self._table[key]):
            self._keys.add(key)
        else:
            self._keys.discard(key)

    def __len__(self) -> int:
        return len(self._keys)

    def iter_records(self) -> Iterator[tuple[Any, Any]]:
        """Yield key and record of each ongoing record, in the order in which keys were first written."""
        for key in self.sort_keys_by_first_write(self._keys):
            yield key, self._table[key]

    def sort_keys_by_first_write(self, keys: Iterable[Any]) -> list[Any]:
        """Return the keys sorted by the time of their first write to the table."""
        return sorted(keys, key=self._places.__getitem__)
