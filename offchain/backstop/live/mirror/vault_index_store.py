"""A book: the vaults of a mirror in the order of the index, and a file of the mirror's state.

The file is a snapshot of `ape run index`, with two tables more: the model's words, and the mirror's position
on the chain. A keeper that is started with the file resumes from there.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from backstop.contract_base import Written
from backstop.errors import BackstopError
from backstop.hosts import storage_layout
from backstop.hosts.world_storage_json import format_table_key
from backstop.live.index.collateral_type_vaults import VaultRecord
from backstop.live.index.index_snapshot import IndexSnapshot
from backstop.live.index.vault_index_state import DEPTH, UndoEntry, VaultIndex
from backstop.live.mirror.chain_mirror import Mirror
from backstop.model.interfaces import Vault

_ENGINE, _VAULTS = "VaultEngine", "vaults"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS mirror (position TEXT)",
    "CREATE TABLE IF NOT EXISTS words (contract TEXT, path TEXT, key TEXT, word TEXT, "
    "PRIMARY KEY (contract, path, key)) WITHOUT ROWID",
)


class VaultIndexStore:
    """Vault index of a mirror, kept up to date and saved with the mirror's state to a snapshot file.

    Without `path` nothing is saved.
    """

    def __init__(self, mirror: Mirror, path: Path | None, say: Callable[[str], None]) -> None:
        self.mirror = mirror
        self.index = VaultIndex(mirror.block, mirror.hash)
        self._model: object = None
        self._snapshot = None if path is None else IndexSnapshot(path, mirror.deployment)
        self._path = path
        self._say = say
        self._dirty: set[Written] = set()
        self._stored = ""  # the position in the file, as it was written here

    def resume_mirror_from_file(self) -> bool:
        """Restore the mirror from the snapshot file; return whether it resumed.

        Return False if there is no file, or if the chain has none of its blocks any more. Raise
        UnusableSnapshotError if the file belongs to another deployment, or is not a snapshot.
        """
        if self._snapshot is None:
            return False
        state = self._snapshot.read_extra(_read_mirror_state)
        if state is None:
            return False
        try:
            resumed = self.mirror.restore_state(state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(
                f"{self._path} is not a valid snapshot ({error!r}): start from nothing with --cold"
            ) from None
        if resumed:
            self._say(f"going on after block {self.mirror.block}")
        else:
            self._say(f"block {state['block']} of {self._path} is no longer part of the chain: replaying")
        return resumed

    def update_index_from_mirror(self) -> None:
        """Update the index with the blocks that the mirror has followed or rolled back."""
        mirror, touched = self.mirror, self.mirror.touched_slots
        vaults = mirror.model.world.contracts[_ENGINE].tables[_VAULTS]
        if mirror.model is not self._model:  # it began anew
            self._model, self.index, self._stored = mirror.model, VaultIndex(mirror.block, mirror.hash), ""
            self._put_vaults_into_index((key, vaults[key]) for key in vaults)
        else:
            self._put_vaults_into_index(
                (slot.key, vaults[slot.key])
                for slot in touched
                if slot.path == _VAULTS and slot.contract == _ENGINE
            )
        self.index.number, self.index.hash = mirror.block, mirror.hash
        if self._snapshot is not None:
            self._dirty |= touched
        touched.clear()

    def save_state(self) -> None:
        """Save the changes of mirror and index to the snapshot file, in one transaction.

        Do nothing without a file, or while part of the mirror's state is in doubt.
        """
        if self._snapshot is None or not self.mirror.is_complete_and_settled or self.mirror.differences:
            return
        self.update_index_from_mirror()
        undone = [
            UndoEntry(
                number,
                block_hash,
                {
                    self._get_type_and_row_number(key): _convert_vault_to_record(old or Vault())
                    for key, old in rows.items()
                },
            )
            for number, block_hash, rows in self.mirror.list_undo_entries(_ENGINE, _VAULTS)
        ]
        self.index.journal = deque(undone, maxlen=DEPTH)
        contracts = self.mirror.model.world.contracts
        paths = {name: list(contract.tables) for name, contract in contracts.items()}
        position = json.dumps(self.mirror.export_block_and_undo_records() | {"paths": paths})
        self._snapshot.save_index(
            self.index, lambda file: self._write_model_words_and_position(file, position)
        )
        self._stored = position
        self._dirty.clear()

    def _put_vaults_into_index(self, vaults: Iterable[tuple[Any, Vault]]) -> None:
        for key, vault in vaults:
            c, row = self._get_type_and_row_number(key)
            self.index.types[c].put_record(row, _convert_vault_to_record(vault))

    def _get_type_and_row_number(self, vault_key: Any) -> tuple[int, int]:
        c, owner = vault_key
        return c, self.index.get_vaults(c).get_or_add_row(bytes.fromhex(owner[2:]))

    def _write_model_words_and_position(self, database: sqlite3.Connection, position: str) -> None:
        for table in _TABLES:
            database.execute(table)
        found = database.execute("SELECT position FROM mirror").fetchone()
        contracts = self.mirror.model.world.contracts
        written: Iterable[Written] = self._dirty
        if found is None or found[0] != self._stored:  # somebody else's, or of an earlier process
            database.execute("DELETE FROM words")
            written = (
                Written(name, path, key)
                for name, contract in contracts.items()
                for path, table in contract.tables.items()
                for key in table
            )
        rows = [
            (name, path, format_table_key(key), storage_layout.encode_word(contracts[name].tables[path][key]))
            for name, path, key in written
        ]
        database.executemany(
            "DELETE FROM words WHERE contract = ? AND path = ? AND key = ?",
            [row[:3] for row in rows if not row[3]],
        )
        database.executemany(
            "INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?)",
            [(*row[:3], hex(row[3])) for row in rows if row[3]],
        )
        database.execute("DELETE FROM mirror")
        database.execute("INSERT INTO mirror VALUES (?)", (position,))


def _read_mirror_state(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """Return the mirror's state from a snapshot file; None if the file has only an index."""
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'mirror'").fetchone()
    if not tables:
        return None
    state: dict[str, Any] = json.loads(connection.execute("SELECT position FROM mirror").fetchone()[0])
    words: dict[str, dict[str, dict[str, str]]] = {
        name: {path: {} for path in paths} for name, paths in state["paths"].items()
    }
    for contract, path, key, word in connection.execute("SELECT * FROM words"):
        words[contract][path][key] = word
    return state | {"words": words}


def _convert_vault_to_record(vault: Vault) -> VaultRecord:
    return VaultRecord(vault.locked_collateral, vault.normalized_debt, vault.called_at)
