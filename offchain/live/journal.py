"""What an account signed and what became of it, on disk before anything is sent: a keeper that was killed
finds what may be on its way. The file is replaced in one step, and locked while a keeper uses it.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from offchain.deployment import plain_int, read_json
from offchain.errors import BackstopError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Attempt:
    """One signed transaction; several with one nonce replace each other, so one of them is mined at most."""

    hash: str
    raw: str
    most: int  # wei a gas
    tip: int  # wei a gas
    withdraws: bool = False  # it does nothing but use up the nonce


@dataclass
class Entry:
    """One nonce of an account, from signing until its block is deep enough."""

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
        name = f"{chain_id}-{genesis[2:10]}-{account}.json"
        self.path = None if folder is None else folder / name
        self.account = account
        self.entries: list[Entry] = []
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Lock the file and read it."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path.with_suffix(".lock"))
        except BlockingIOError:
            raise BackstopError(
                f"another keeper uses {self.account}: only one may decide its nonces ({self.path})"
            ) from None
        except OSError as error:
            raise BackstopError(f"the journal {self.path} cannot be kept: {error.strerror}") from None
        if not self.path.exists():
            return
        content = read_json(self.path, "journal", SCHEMA_VERSION, "", "move it away")
        try:
            self.entries = [_entry(each) for each in content["entries"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BackstopError(f"{self.path} is not a whole journal ({error!r}): move it away") from None

    def save(self) -> None:
        """On disk when this returns."""
        if self.path is None:
            return
        content = {"schema_version": SCHEMA_VERSION, "entries": [_plain(entry) for entry in self.entries]}
        temporary = self.path.with_suffix(".part")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise BackstopError(f"stopped: the journal {self.path} cannot be written: {error}") from None

    def close(self) -> None:
        """Let others use the account; what has nothing in it is removed."""
        if self._lock is None or self.path is None:
            return
        if not self.entries:
            self.path.unlink(missing_ok=True)
        self.path.with_suffix(".lock").unlink(missing_ok=True)
        self._lock.close()
        self._lock = None


def _locked(path: Path) -> IO[str]:
    """A locked file; BlockingIOError if another process has it."""
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
    """JSON has lists where a keeper's memory has tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
