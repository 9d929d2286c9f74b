"""A book: the vaults of a mirror in the order of the index, and a file of what the mirror has followed.

The file is a snapshot of `ape run index`, with two tables more: the model's words, and where the mirror was.
A keeper that is started with it goes on from there.
"""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts import layout
from backstop.hosts.words import key_text
from backstop.live.follow.mirror import Mirror
from backstop.live.index.index import DEPTH, Index, Undo
from backstop.live.index.snapshot import Snapshot
from backstop.live.index.vaults import Record
from backstop.model.interfaces import Vault
from backstop.model.state import Written

_ENGINE, _VAULTS = "VaultEngine", "vaults"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS mirror (position TEXT)",
    "CREATE TABLE IF NOT EXISTS words (contract TEXT, path TEXT, key TEXT, word TEXT, "
    "PRIMARY KEY (contract, path, key)) WITHOUT ROWID",
)


class Book:
    """A mirror's index, kept up by `update`. `path` is the file; without one nothing is kept."""

    def __init__(self, mirror: Mirror, path: Path | None, say: Callable[[str], None]) -> None:
        self.mirror = mirror
        self.index = Index(mirror.block, mirror.hash)
        self._model: object = None
        self._snapshot = None if path is None else Snapshot(path, mirror.deployment)
        self._path = path
        self._say = say
        self._dirty: set[Written] = set()
        self._stored = ""  # the position in the file, as it was written here

    def load(self) -> bool:
        """Have the mirror go on from the file, if it holds something that the chain still has.

        Return whether it does.

        Raises UnusableSnapshot if it is another deployment's, or no snapshot.
        """
        if self._snapshot is None:
            return False
        state = self._snapshot.look(_read)
        if state is None:
            return False
        try:
            resumed = self.mirror.resume(state)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(
                f"{self._path} is no whole snapshot ({error!r}): start from nothing with --cold"
            ) from None
        if resumed:
            self._say(f"going on after block {self.mirror.block}")
        else:
            self._say(f"block {state['block']} of {self._path} is no longer part of the chain: replaying")
        return resumed

    def update(self) -> None:
        """Take over what the mirror has followed, or taken back."""
        mirror, touched = self.mirror, self.mirror.touched
        vaults = mirror.model.world.contracts[_ENGINE].tables[_VAULTS]
        if mirror.model is not self._model:  # it began anew
            self._model, self.index, self._stored = mirror.model, Index(mirror.block, mirror.hash), ""
            self._put((key, vaults[key]) for key in vaults)
        else:
            self._put(
                (slot.key, vaults[slot.key])
                for slot in touched
                if slot.path == _VAULTS and slot.contract == _ENGINE
            )
        self.index.number, self.index.hash = mirror.block, mirror.hash
        if self._snapshot is not None:
            self._dirty |= touched
        touched.clear()

    def save(self) -> None:
        """Bring the file up to the mirror, in one transaction; keep what is in doubt out of it."""
        if self._snapshot is None or not self.mirror.complete or self.mirror.differences:
            return
        self.update()
        undone = [
            Undo(number, hash, {self._row(key): _record(old or Vault()) for key, old in rows.items()})
            for number, hash, rows in self.mirror.undone(_ENGINE, _VAULTS)
        ]
        self.index.journal = deque(undone, maxlen=DEPTH)
        contracts = self.mirror.model.world.contracts
        paths = {name: list(contract.tables) for name, contract in contracts.items()}
        position = json.dumps(self.mirror.position() | {"paths": paths})
        self._snapshot.save(self.index, lambda file: self._write(file, position))
        self._stored = position
        self._dirty.clear()

    def _put(self, vaults: Iterable[tuple[Any, Vault]]) -> None:
        for key, vault in vaults:
            c, row = self._row(key)
            self.index.types[c].put(row, _record(vault))

    def _row(self, key: Any) -> tuple[int, int]:
        c, owner = key
        return c, self.index.vaults(c).row(bytes.fromhex(owner[2:]))

    def _write(self, file: sqlite3.Connection, position: str) -> None:
        for table in _TABLES:
            file.execute(table)
        found = file.execute("SELECT position FROM mirror").fetchone()
        contracts = self.mirror.model.world.contracts
        written: Iterable[Written] = self._dirty
        if found is None or found[0] != self._stored:  # somebody else's, or of an earlier process
            file.execute("DELETE FROM words")
            written = (
                Written(name, path, key)
                for name, contract in contracts.items()
                for path, table in contract.tables.items()
                for key in table
            )
        rows = [
            (name, path, key_text(key), layout.encode(contracts[name].tables[path][key]))
            for name, path, key in written
        ]
        file.executemany(
            "DELETE FROM words WHERE contract = ? AND path = ? AND key = ?",
            [row[:3] for row in rows if not row[3]],
        )
        file.executemany(
            "INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?)",
            [(*row[:3], hex(row[3])) for row in rows if row[3]],
        )
        file.execute("DELETE FROM mirror")
        file.execute("INSERT INTO mirror VALUES (?)", (position,))


def _read(file: sqlite3.Connection) -> dict[str, Any] | None:
    """Return a mirror's state; None if the file has only an index."""
    (tables,) = file.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'mirror'").fetchone()
    if not tables:
        return None
    state: dict[str, Any] = json.loads(file.execute("SELECT position FROM mirror").fetchone()[0])
    words: dict[str, dict[str, dict[str, str]]] = {
        name: {path: {} for path in paths} for name, paths in state["paths"].items()
    }
    for contract, path, key, word in file.execute("SELECT * FROM words"):
        words[contract][path][key] = word
    return state | {"words": words}


def _record(vault: Vault) -> Record:
    return Record(vault.locked_collateral, vault.normalized_debt, vault.called_at)
