"""A snapshot: an index on disk, in SQLite.

Each save writes the changes since the last, in one transaction. If the process is killed at any moment, the
file holds the index of the last save that ended.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, TypeVar

from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.live.index.address_row_table import LENGTH
from backstop.live.index.collateral_type_vaults import WORD, TypeVaults, VaultRecord
from backstop.live.index.vault_index_state import UndoEntry, VaultIndex

T = TypeVar("T")

SCHEMA_VERSION = 1
# Tells SQLite's files apart: "BSvi".
_APPLICATION = 0x42537669  # "BSvi"
# Where SQLite keeps it in the head of a file.
_APPLICATION_AT, _HEAD = 68, 100
# Seconds to wait for another process's save.
_PATIENCE = 10.0
# A word is locked collateral, normalized debt and the time of the call, as in the contract's slot.
_TABLES = {
    "meta": "(chain_id INTEGER, deployment TEXT, number INTEGER, hash TEXT, depth INTEGER, vaults INTEGER)",
    "vaults": "(collateral_type INTEGER, row INTEGER, owner BLOB, word BLOB, "
    "PRIMARY KEY (collateral_type, row)) WITHOUT ROWID",
    "journal": "(position INTEGER PRIMARY KEY, number INTEGER, hash TEXT)",
    "undo": "(position INTEGER, collateral_type INTEGER, row INTEGER, word BLOB)",
}


class UnusableSnapshotError(BackstopError):
    """Error raised if a file is not a complete snapshot of this deployment's index."""


class _Meta(NamedTuple):
    chain_id: int
    deployment: str
    number: int
    hash: str
    depth: int
    vaults: int


class IndexSnapshot:
    """SQLite file that stores the vault index of one deployment."""

    def __init__(self, path: Path, deployment: Deployment) -> None:
        self.path = path
        self._chain_id = deployment.chain_id
        self._deployment = deployment_id(deployment)
        # What the file says if nobody else has written it since, and the index that it was.
        self._written: tuple[VaultIndex, _Meta] | None = None

    def load_index(self) -> VaultIndex | None:
        """Return the saved index; None if the file does not exist or holds no save yet.

        Its margin calls count as unconfirmed, since the chain goes on meanwhile. Raise UnusableSnapshotError
        for any other file, with the reason.
        """
        if not self.path.exists():
            return None
        try:
            # Not read-only: a save that was killed is undone first.
            with closing(self._connect_to_database("rw")) as file, file:
                file.execute("BEGIN")
                if _has_no_tables(file):
                    return None
                index, meta = self._read_index(file)
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
            raise self._build_unusable_error(f"is not a valid snapshot ({error})") from None
        self._written = index, meta
        return index

    def read_extra(self, read: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return the result of `read` for the file's further tables; None if there is no save.

        Raise UnusableSnapshotError as `load_index` does.
        """
        if not self.path.exists():
            return None
        try:
            with closing(self._connect_to_database("rw")) as file, file:
                file.execute("BEGIN")
                if _has_no_tables(file):
                    return None
                self._check_meta(file)
                return read(file)
        except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
            raise self._build_unusable_error(f"is not a valid snapshot ({error})") from None

    def save_index(
        self, index: VaultIndex, write_extra: Callable[[sqlite3.Connection], None] = lambda file: None
    ) -> None:
        """Save the changes of the index since it was last loaded or saved here, or else all of it.

        The save is one transaction, in which `write_extra` may write further tables. A damaged snapshot is
        replaced. A file that never was a snapshot is left alone, and raises BackstopError.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                meta = self._write_index_changes(index, write_extra)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._remove_damaged()
                meta = self._write_index_changes(index, write_extra)
        except (sqlite3.Error, OSError) as error:
            raise BackstopError(f"{self.path} cannot be written ({error})") from None
        for vaults in index.types.values():
            vaults.touched[:] = bytes(len(vaults))
        self._written = index, meta

    def _connect_to_database(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.resolve().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_PATIENCE)

    # -------------------------------------------------------------------- reading

    def _read_index(self, file: sqlite3.Connection) -> tuple[VaultIndex, _Meta]:
        meta = self._check_meta(file)
        index = VaultIndex(meta.number, meta.hash, meta.depth)
        types = file.execute("SELECT collateral_type, MAX(row) + 1, COUNT(*) FROM vaults GROUP BY 1")
        for c, rows, count in types.fetchall():
            if rows != count:
                raise ValueError(f"{count} of {rows} vaults of type {c}")
            index.types[c] = TypeVaults(*_read_owners_and_words(file, c))
        if len(index) != meta.vaults:
            raise ValueError(f"{len(index)} of {meta.vaults} vaults")
        for position, number, block_hash in file.execute(
            "SELECT * FROM journal ORDER BY position"
        ).fetchall():
            rows = file.execute("SELECT collateral_type, row, word FROM undo WHERE position = ?", (position,))
            undone = {(c, row): VaultRecord.from_word(word) for c, row, word in rows}
            index.journal.append(UndoEntry(number, block_hash, undone))
        index.mark_all_calls_unconfirmed()
        return index, meta

    def _check_meta(self, file: sqlite3.Connection) -> _Meta:
        if not _has_our_application_id(file):
            raise self._build_unusable_error("is not a snapshot of an index")
        (version,) = file.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise self._build_unusable_error(
                f"has schema version {version}, this program reads {SCHEMA_VERSION}"
            )
        (sound,) = file.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise ValueError(sound.splitlines()[-1])
        meta = _Meta(*file.execute("SELECT * FROM meta").fetchone())
        if meta.chain_id != self._chain_id:
            raise self._build_unusable_error(f"is of chain {meta.chain_id}, not of chain {self._chain_id}")
        if meta.deployment != self._deployment:
            raise self._build_unusable_error("is of another deployment")
        return meta

    def _build_unusable_error(self, why: str) -> UnusableSnapshotError:
        return UnusableSnapshotError(
            f"{self.path} {why}: start from nothing with --cold, or name another file"
        )

    # -------------------------------------------------------------------- writing

    def _write_index_changes(
        self, index: VaultIndex, write_extra: Callable[[sqlite3.Connection], None]
    ) -> _Meta:
        depth = index.journal.maxlen or 0
        meta = _Meta(self._chain_id, self._deployment, index.number, index.hash, depth, len(index))
        with closing(self._connect_to_database("rwc")) as file, file:
            file.execute("BEGIN IMMEDIATE")
            if not _has_no_tables(file) and not _has_our_application_id(file):
                raise self._build_foreign_file_error()
            changes_only = self._is_last_written_index(file, index)
            if not changes_only:
                for table in _TABLES:
                    file.execute(f"DROP TABLE IF EXISTS {table}")
                    file.execute(f"CREATE TABLE {table} {_TABLES[table]}")
                file.execute(f"PRAGMA application_id = {_APPLICATION}")
                file.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            for c, vaults in index.types.items():
                rows = _iter_touched_rows(vaults) if changes_only else range(len(vaults))
                file.executemany(
                    "INSERT OR REPLACE INTO vaults VALUES (?, ?, ?, ?)",
                    (
                        (c, row, vaults.owners.get_address(row), vaults.get_record(row).to_word_bytes())
                        for row in rows
                    ),
                )
            for table in ("meta", "journal", "undo"):
                file.execute(f"DELETE FROM {table}")
            file.execute("INSERT INTO meta VALUES (?, ?, ?, ?, ?, ?)", meta)
            for position, undo in enumerate(index.journal):
                file.execute("INSERT INTO journal VALUES (?, ?, ?)", (position, undo.number, undo.hash))
                file.executemany(
                    "INSERT INTO undo VALUES (?, ?, ?, ?)",
                    ((position, c, row, record.to_word_bytes()) for (c, row), record in undo.rows.items()),
                )
            write_extra(file)
        return meta

    def _is_last_written_index(self, file: sqlite3.Connection, index: VaultIndex) -> bool:
        """Return whether the file holds this index as last saved here, so that changed rows suffice."""
        if self._written is None or self._written[0] is not index or _has_no_tables(file):
            return False
        return bool(file.execute("SELECT * FROM meta").fetchone() == self._written[1])

    def _remove_damaged(self) -> None:
        """Remove a damaged snapshot file; raise BackstopError if this program did not write it.

        The head of the file shows that.
        """
        with self.path.open("rb") as file:
            head = file.read(_HEAD)
        if head[_APPLICATION_AT : _APPLICATION_AT + 4] != _APPLICATION.to_bytes(4, "big"):
            raise self._build_foreign_file_error()
        self.path.unlink()
        self.path.with_name(self.path.name + "-journal").unlink(missing_ok=True)

    def _build_foreign_file_error(self) -> UnusableSnapshotError:
        return UnusableSnapshotError(
            f"{self.path} is not a snapshot of an index and stays as it is: name another file"
        )


def deployment_id(deployment: Deployment) -> str:
    """Return the identifier of a deployment: a hash of its first block and its contracts' addresses."""
    text = "\n".join(f"{each.name} {each.kind} {each.address}" for each in deployment.creations)
    return hashlib.sha256(f"{deployment.block}\n{text}".encode()).hexdigest()


def _has_no_tables(database: sqlite3.Connection) -> bool:
    """Return whether the file has no tables, because no save has ended yet."""
    (tables,) = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    return bool(tables == 0)


def _has_our_application_id(database: sqlite3.Connection) -> bool:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    return bool(application == _APPLICATION)


def _read_owners_and_words(database: sqlite3.Connection, collateral_type: int) -> tuple[bytes, bytes]:
    """Return the owner addresses and the vault words of a type, each concatenated in row order."""
    rows = database.execute(
        "SELECT owner, word FROM vaults WHERE collateral_type = ? ORDER BY row", (collateral_type,)
    )
    owners, words = bytearray(), bytearray()
    for owner, word in rows:
        if len(owner) != LENGTH or len(word) != WORD:
            raise ValueError(f"a vault of type {collateral_type} has another width")
        owners += owner
        words += word
    return bytes(owners), bytes(words)


def _iter_touched_rows(vaults: TypeVaults) -> Iterator[int]:
    row = vaults.touched.find(1)
    while row >= 0:
        yield row
        row = vaults.touched.find(1, row + 1)
