"""The newest followed blocks and their writes, from which the model is rolled back after a reorg."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from itertools import pairwise
from typing import Any, NamedTuple

from backstop.contract_base import MISSING, Table, World, Written
from backstop.hosts import storage_layout
from backstop.hosts.world_storage_json import format_table_key, parse_key


class FollowedBlock(NamedTuple):
    """Followed block, with the positions after it in the model's write journal and in the trace."""

    number: int
    hash: str
    timestamp: int
    written: int
    steps: int
    to_configure: int


class ReorgBuffer:
    """Buffer of the newest followed blocks and their writes, from which the model is rolled back.

    At most `depth` blocks can be rolled back. The model's write journal is cut off before the oldest block.
    `FollowedBlock.written` counts the entries that were cut off, too.
    """

    def __init__(self, world: World, depth: int) -> None:
        self.blocks: deque[FollowedBlock] = deque()
        self.touched: set[Written] = set()
        """Slots that may hold something else since this was last cleared."""
        self._world = world
        self._depth = depth
        self._forgotten = 0  # entries of the journal that were cut off
        self._noted = 0  # up to where the journal is in `touched`

    @classmethod
    def from_records(cls, world: World, depth: int, records: list[dict[str, Any]]) -> ReorgBuffer:
        """Return a buffer made from `to_records`, and restore the write journal of the model's world."""
        past = cls(world, depth)
        for each in records:
            if past.blocks:
                world.journal += [_decode_journal_table_key_value(world, *entry) for entry in each["before"]]
            written = len(world.journal)
            past.blocks.append(FollowedBlock(each["number"], each["hash"], each["timestamp"], written, 0, 0))
        past._noted = len(world.journal)
        return past

    def to_records(self) -> list[dict[str, Any]]:
        """Return the blocks and the values that they overwrote, in a form for JSON."""
        return [
            {
                "number": kept.number,
                "hash": kept.hash,
                "timestamp": kept.timestamp,
                "before": [
                    _convert_journal_entry_to_texts(*each) for each in self._get_old_values(i).items()
                ],
            }
            for i, kept in enumerate(self.blocks)
        ]

    def list_undo_entries(self, contract: str, path: str) -> list[tuple[int, str, dict[Hashable, Any]]]:
        """Return the undo entries of one storage table, block by block.

        For each block that can be rolled back: the number and the hash of the block before it, and the old
        values of the keys that it wrote (None: no value).
        """
        return [
            (
                before.number,
                before.hash,
                {
                    slot.key: None if old is MISSING else old
                    for slot, old in self._get_old_values(i).items()
                    if slot[:2] == (contract, path)
                },
            )
            for i, (before, _) in enumerate(pairwise(self.blocks), 1)
        ]

    def append_block_and_forget_oldest(
        self, number: int, block_hash: str, timestamp: int, *, steps: int = 0, to_configure: int = 0
    ) -> None:
        """Add the block that was just followed, and drop the oldest block if there are too many.

        `steps` and `to_configure` are the lengths of the trace and of the remaining configuration after the
        block.
        """
        self._add_new_writes_to_touched()
        self.blocks.append(
            FollowedBlock(number, block_hash, timestamp, self._journal_end, steps, to_configure)
        )
        if len(self.blocks) > self._depth + 1:
            self.blocks.popleft()
            cut = self.blocks[0].written - self._forgotten
            del self._world.journal[:cut]
            self._forgotten += cut

    def assign_new_writes_to_block(self, block_number: int) -> None:
        """Assign the writes since the newest block to that block, if it has this number."""
        self._add_new_writes_to_touched()
        if self.blocks and self.blocks[-1].number == block_number:
            self.blocks[-1] = self.blocks[-1]._replace(written=self._journal_end)

    def restore_newest_kept_block(self) -> FollowedBlock:
        """Roll the model's world back to the newest block in the buffer, and return that block."""
        self._add_new_writes_to_touched()
        kept, world = self.blocks[-1], self._world
        self._mark_journal_slots_touched(kept.written)
        world.roll_back((kept.written - self._forgotten, 0))
        self._noted = kept.written
        world.timestamp, world.block_number = kept.timestamp, kept.number
        return kept

    @property
    def _journal_end(self) -> int:
        """Position of the end of the write journal, including entries that were cut off."""
        return self._forgotten + len(self._world.journal)

    def _add_new_writes_to_touched(self) -> None:
        """Add the slots written since the last call to `touched`."""
        self._mark_journal_slots_touched(self._noted)
        self._noted = self._journal_end

    def _mark_journal_slots_touched(self, journal_position: int) -> None:
        for table, key, _ in self._world.journal[journal_position - self._forgotten :]:
            self.touched.add(Written(table.contract, table.path, key))

    def _get_old_values(self, i: int) -> dict[Written, Any]:
        """Return the values that the slots written by block `i` had before it.

        Nothing is known of the first block.
        """
        found: dict[Written, Any] = {}
        if i:
            first, last = (self.blocks[j].written - self._forgotten for j in (i - 1, i))
            for table, key, old in self._world.journal[first:last]:
                found.setdefault(Written(table.contract, table.path, key), old)
        return found


def _convert_journal_entry_to_texts(slot: Written, old_value: Any) -> tuple[str, str, str, str | None]:
    """Return a journal entry as contract, path, key and old word in hex (None: no value)."""
    word = None if old_value is MISSING else hex(storage_layout.encode_word(old_value))
    return slot.contract, slot.path, format_table_key(slot.key), word


def _decode_journal_table_key_value(
    world: World, contract: str, path: str, key: str, word: str | None
) -> tuple[Table, Hashable, Any]:
    table = world.contracts[contract].tables[path]
    return (
        table,
        parse_key(key),
        MISSING if word is None else storage_layout.decode_word(int(word, 16), table.default),
    )
