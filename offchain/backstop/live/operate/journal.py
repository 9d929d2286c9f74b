"""A journal of what an account signed and what became of it, on disk before anything is sent.

A keeper that was killed finds what may be on its way. A line for each change, the last one of a nonce counts;
a line that was cut off says nothing, as nothing was sent for it. The file is locked while a keeper uses it.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from backstop.errors import BackstopError
from backstop.files.whole import plain_int

SCHEMA_VERSION = 1
_MOST_LINES = 10_000


@dataclass(frozen=True)
class Attempt:
    """A signed transaction; several with one nonce replace each other, so one of them is mined at most."""

    hash: str
    raw: str
    most: int  # wei a gas
    tip: int  # wei a gas
    withdraws: bool = False  # it does nothing but use up the nonce


@dataclass
class Entry:
    """A nonce of an account, from signing until its block is deep enough."""

    nonce: int
    keeper: str
    label: str  # the call in a few words
    about: tuple[Any, ...]  # what the keeper remembers it by
    to: str
    data: str
    gas: int
    token: str = ""  # the contract of the token it may spend
    spends: int = 0  # wad
    attempts: list[Attempt] = field(default_factory=list)
    block: int | None = None  # where it was mined
    ok: bool = False  # whether it then did what it was to do


class Journal:
    """The entries of one account on one chain; `folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None, chain_id: int, genesis: str, account: str) -> None:
        # Chains of one id are told apart by their first block: a devnet may be started anew.
        name = f"{chain_id}-{genesis[2:10]}-{account}.jsonl"
        self.path = None if folder is None else folder / name
        self.account = account
        self.entries: list[Entry] = []
        self._lock: IO[str] | None = None
        self._file: IO[str] | None = None
        self._lines = 0

    def open(self) -> None:
        """Lock the file and read it."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path.with_suffix(".lock"))
            if self.path.exists():
                self._read(self.path.read_text(encoding="utf-8"))
            self._rewrite()
        except BlockingIOError:
            raise BackstopError(
                f"another keeper uses {self.account}: only one may decide its nonces ({self.path})"
            ) from None
        except OSError as error:
            raise BackstopError(f"the journal {self.path} cannot be kept: {error.strerror}") from None

    def put(self, entry: Entry) -> None:
        """Keep an entry as it is now; it is on disk when this returns."""
        if entry not in self.entries:
            self.entries.append(entry)
        self._write({"entry": _plain(entry)})
        if self._file is not None:
            os.fdatasync(self._file.fileno())

    def note(self, entry: Entry) -> None:
        """Keep what became of an entry; if this is lost, the chain tells it again."""
        self._write({"entry": _plain(entry)})

    def drop(self, entry: Entry) -> None:
        """Drop an entry that is final, or never was."""
        self.entries.remove(entry)
        self._write({"gone": entry.nonce})

    def close(self) -> None:
        """Let others use the account; remove a journal that has nothing in it."""
        if self.path is None or self._file is None or self._lock is None:
            return
        self._file.close()
        if not self.entries:
            self.path.unlink(missing_ok=True)
        self.path.with_suffix(".lock").unlink(missing_ok=True)
        self._lock.close()
        self._file = self._lock = None

    def _read(self, text: str) -> None:
        lines = text.split("\n")
        try:
            version = json.loads(lines[0])["schema_version"]
            found: dict[int, Entry] = {}
            # What follows the last line feed was cut off.
            for line in lines[1:-1]:
                change = json.loads(line)
                if "gone" in change:
                    found.pop(change["gone"], None)
                else:
                    entry = _entry(change["entry"])
                    found[entry.nonce] = entry
        except (KeyError, TypeError, ValueError) as error:
            raise BackstopError(f"{self.path} is not a whole journal ({error!r}): move it away") from None
        if version != SCHEMA_VERSION:
            raise BackstopError(
                f"{self.path} has schema version {version}, this program reads {SCHEMA_VERSION}: move it away"
            )
        self.entries = list(found.values())

    def _write(self, change: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(change) + "\n")
            self._file.flush()
            self._lines += 1
            if self._lines > _MOST_LINES:
                self._rewrite()
        except OSError as error:
            raise BackstopError(f"stopped: the journal {self.path} cannot be written: {error}") from None

    def _rewrite(self) -> None:
        """Write only what still counts, in one step."""
        assert self.path is not None
        if self._file is not None:
            self._file.close()
        temporary = self.path.with_suffix(".part")
        self._file = temporary.open("w", encoding="utf-8")
        self._lines = len(self.entries)
        head = {"schema_version": SCHEMA_VERSION}
        for line in (head, *({"entry": _plain(entry)} for entry in self.entries)):
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(temporary, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _locked(path: Path) -> IO[str]:
    """Open a file and lock it; BlockingIOError if another process has it."""
    while True:
        file = path.open("w")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its owner may have removed it in between: then the lock is on a file that nobody else finds.
        if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
        file.close()


def _plain(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"spends": plain_int(entry.spends)}


def _entry(content: dict[str, Any]) -> Entry:
    attempts = [Attempt(**each) for each in content["attempts"]]
    changed = {"about": _tuples(content["about"]), "spends": int(content["spends"]), "attempts": attempts}
    return Entry(**(content | changed))


def _tuples(value: Any) -> Any:
    """Turn JSON's lists into the tuples that a keeper's memory has."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
