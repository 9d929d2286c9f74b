"""A journal of an account's signed transactions and their outcomes, on disk before anything is sent.

A restarted keeper finds the transactions that may be pending, and the spending of the last day. Each change
is a line, and the last line of an entry counts. A line that was cut off has no effect, as its transaction was
not sent. The file is locked while a keeper uses it.

The cost of a nonce follows from its known state: its maximum until it is mined, then its actual cost. So no
crash loses or repeats a cost, and a reorg reverts it. A signed transaction can be mined even if a node
reported otherwise: it stays until its nonce is used up, and counts for a day.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from backstop.errors import BackstopError
from backstop.files.atomic_files import encode_json_integer, replace_file

SCHEMA_VERSION = 3
_READ = (1, 2, SCHEMA_VERSION)
"""Version 1 has no spending, version 2 no transactions that were given up."""
_MOST_LINES = 10_000
DAY = 86_400
_MINUTE = 60


@dataclass(frozen=True)
class Attempt:
    """Signed transaction of an entry.

    Several attempts with one nonce replace each other, so at most one of them is mined.
    """

    hash: str
    raw: str
    most: int  # wei a gas
    tip: int  # wei a gas
    withdraws: bool = False  # it does nothing but use up the nonce


class Spending(NamedTuple):
    """Cost of transactions (gas [wei], money at risk [wad]), and how many were done and failed."""

    gas: int = 0  # wei
    risk: int = 0  # wad of the token that the keeper pays with
    done: int = 0
    failed: int = 0

    def and_also(self, other: Spending) -> Spending:
        """Return the sum of this spending and another one, field by field."""
        return Spending(*(a + b for a, b in zip(self, other, strict=True)))


@dataclass
class Entry:
    """Journal entry of a call with a nonce of an account, from its signature until it is final."""

    nonce: int
    keeper: str
    label: str  # the call in a few words
    about: tuple[Any, ...]  # what the keeper remembers it by
    to: str
    data: str
    gas: int
    token: str = ""  # the contract of the token it may spend
    spends: int = 0  # wad
    gain: int | None = None  # wad of stablecoin before gas; None if it is not made for profit
    needs: int = 0  # gas that it took when it was tried
    attempts: list[Attempt] = field(default_factory=list)
    block: int | None = None  # where it was mined
    ok: bool = False  # whether it then did what it was to do
    at: int = 0  # when it was signed, given up, or seen to be mined, whichever was last, seconds
    paid: int = 0  # wei for gas, once it was mined
    failed: bool = False  # mined and reverted
    private_until: int = 0  # the last block that a relay may have it in; until then nobody else gets it
    given_up: bool = False  # nobody sends it any more, since `at`; its nonce may have another entry

    @property
    def first_transaction_hash(self) -> str:
        """Hash of the entry's first signed transaction, which identifies the entry."""
        return self.attempts[0].hash

    @property
    def actual_or_maximum_spending(self) -> Spending:
        """Actual cost of the mined transaction; before it is mined, the highest cost that it can have."""
        if self.block is None:
            return Spending(self.gas * max((each.most for each in self.attempts), default=0), self.spends)
        return Spending(self.paid, self.spends if self.ok else 0, int(self.ok), int(self.failed))


class Journal:
    """Journal of one account's signed transactions on one chain; `folder` None keeps it in memory only."""

    def __init__(self, folder: Path | None, chain_id: int, genesis: str, account: str) -> None:
        # Chains of one id are told apart by their first block: a devnet may be started anew.
        name = f"{chain_id}-{genesis[2:10]}-{account}.jsonl"
        self.path = None if folder is None else folder / name
        self.account = account
        self.entries: list[Entry] = []
        self._spent: dict[tuple[str, int], Spending] = {}  # by keeper and minute
        self._lock: IO[str] | None = None
        self._file: IO[str] | None = None
        self._lines = 0  # that only this process has added
        self._half = False
        """Whether the last line may be there in part, so that nothing may follow it."""

    def lock_and_read_file(self) -> None:
        """Lock the journal file against other processes and read its entries.

        Raise BackstopError if another process uses the account, or if the file cannot be used.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _open_locked(self.path.with_suffix(".lock"))
            if self.path.exists():
                self._read_lines(self.path.read_text(encoding="utf-8"))
            self._rewrite_file()
        except BlockingIOError:
            raise BackstopError(
                f"another keeper uses {self.account}: only one may decide its nonces ({self.path})"
            ) from None
        except OSError as error:
            raise BackstopError(f"the journal {self.path} cannot be kept: {error.strerror}") from None

    def put_entry(self, entry: Entry) -> None:
        """Write an entry's present state to disk before returning.

        Raise BackstopError if it cannot be written; a new entry is then not kept at all.
        """
        new = entry not in self.entries
        if new:
            self.entries.append(entry)
        try:
            self._write_line({"entry": _encode_entry(entry)}, at_once=True)
        except OSError as error:
            if new:
                self.entries.remove(entry)
            raise BackstopError(f"the journal {self.path} cannot be written: {error.strerror}") from None

    def note_outcome(self, entry: Entry) -> None:
        """Write an entry's outcome, ignoring errors: if it is lost, it is read from the chain again."""
        self._write_line_ignoring_errors({"entry": _encode_entry(entry)})

    def drop_unminable_entry(self, entry: Entry) -> None:
        """Drop an entry that can never be mined, and count no cost for it."""
        self.entries.remove(entry)
        self._write_line_ignoring_errors({"gone": entry.first_transaction_hash})

    def drop_final_entry_keep_spending(self, entry: Entry) -> None:
        """Drop an entry that is final, and keep its cost for a day, for the spending limits."""
        self.entries.remove(entry)
        self._add_spending(entry.keeper, entry.at // _MINUTE, entry.actual_or_maximum_spending)
        self._write_line_ignoring_errors(
            {
                "gone": entry.first_transaction_hash,
                "spent": _encode_spending_as_json_list(
                    entry.keeper, entry.at // _MINUTE, entry.actual_or_maximum_spending
                ),
            }
        )

    def iter_spending(self) -> Iterator[tuple[str, int, Spending]]:
        """Yield the actual and possible spending of the last day: keeper, time [seconds], amounts.

        Entries of a keeper with the same nonce count once, with the highest amounts, since at most one is
        mined. Times of dropped entries are rounded up to the minute.
        """
        now = int(time.time())
        mined = {entry.nonce for entry in self.entries if entry.block is not None}
        open_: dict[tuple[int, str], tuple[int, Spending]] = {}
        for entry in self.entries:
            if entry.block is not None:
                yield entry.keeper, entry.at, entry.actual_or_maximum_spending
            if entry.nonce in mined:
                continue
            # Of several with one nonce one is mined at most.
            at, most = open_.get((entry.nonce, entry.keeper), (0, Spending()))
            at = max(at, entry.at if entry.given_up else now)
            open_[entry.nonce, entry.keeper] = at, Spending(*map(max, most, entry.actual_or_maximum_spending))
        for (_, keeper), (at, most) in open_.items():
            yield keeper, at, most
        for (keeper, minute), spent in self._spent.items():
            # Rounded up, so that nothing leaves an hour before it is over.
            yield keeper, (minute + 1) * _MINUTE, spent

    def _add_spending(self, keeper: str, minute: int, spent: Spending) -> None:
        key = keeper, minute
        self._spent[key] = self._spent.get(key, Spending()).and_also(spent)

    def _forget_old_spending(self) -> None:
        """Forget spending more than a day old, measured both from now and from the newest record.

        So a clock that is ahead for a while erases nothing.
        """
        newest = max((minute for _, minute in self._spent), default=0) * _MINUTE
        oldest = (min(int(time.time()), newest) - DAY) // _MINUTE - 1
        self._spent = {key: spent for key, spent in self._spent.items() if key[1] >= oldest}

    def close(self) -> None:
        """Release the account's lock and close the file; delete a journal without content."""
        if self.path is None or self._file is None or self._lock is None:
            return
        self._forget_old_spending()
        if self._half:
            with suppress(OSError):
                self._rewrite_file()
        self._file.close()
        if not self.entries and not self._spent:
            self.path.unlink(missing_ok=True)
        self.path.with_suffix(".lock").unlink(missing_ok=True)
        self._lock.close()
        self._file = self._lock = None

    def _read_lines(self, text: str) -> None:
        lines = text.split("\n")
        try:
            version = json.loads(lines[0])["schema_version"]
            found: dict[str, Entry] = {}
            # What follows the last line feed was cut off.
            for line in lines[1:-1]:
                change = json.loads(line)
                if "spent" in change:
                    keeper, minute, *amounts = change["spent"]
                    self._add_spending(keeper, minute, Spending(*map(int, amounts)))
                if "gone" in change:
                    gone = change["gone"]  # a nonce before version 3
                    found = {key: each for key, each in found.items() if gone not in (key, each.nonce)}
                elif "entry" in change:
                    entry = _decode_entry(change["entry"])
                    found[entry.first_transaction_hash] = entry
        except (KeyError, TypeError, ValueError) as error:
            raise BackstopError(f"{self.path} is not a valid journal ({error!r}): move it away") from None
        if version not in _READ:
            raise BackstopError(
                f"{self.path} has schema version {version}, this program reads {SCHEMA_VERSION}: move it away"
            )
        self.entries = list(found.values())

    def _write_line_ignoring_errors(self, change: dict[str, Any]) -> None:
        """Write a line that may be lost; the whole file is rewritten once there is room."""
        with suppress(OSError):
            self._write_line(change)

    def _write_line(self, change: dict[str, Any], at_once: bool = False) -> None:
        if self._file is None:
            return
        if self._half or self._lines > _MOST_LINES:
            self._rewrite_file()
        self._half = True
        line = json.dumps(change).encode() + b"\n"
        if os.write(self._file.fileno(), line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if at_once:
            os.fdatasync(self._file.fileno())
        self._half = False
        self._lines += 1

    def _rewrite_file(self) -> None:
        """Replace the file atomically by one with only the entries and spending that still count."""
        assert self.path is not None
        temporary = self.path.with_suffix(".part")
        self._forget_old_spending()
        head = {"schema_version": SCHEMA_VERSION}
        entries = [{"entry": _encode_entry(entry)} for entry in self.entries]
        spent = [{"spent": _encode_spending_as_json_list(*key, each)} for key, each in self._spent.items()]
        file = _open_private(temporary)
        try:
            file.write("".join(json.dumps(line) + "\n" for line in (head, *entries, *spent)))
            file.flush()
            replace_file(temporary, self.path)
        except OSError:
            with suppress(OSError):  # what did not fit is tried again
                file.close()
            raise
        if self._file is not None:
            self._file.close()
        self._file, self._lines, self._half = file, 0, False


def _open_private(path: Path) -> IO[str]:
    """Open an empty file that only its owner may read, since signed transactions are in it."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(opened, "w", encoding="utf-8")


def _open_locked(path: Path) -> IO[str]:
    """Open a file and lock it; raise BlockingIOError if another process holds the lock."""
    while True:
        file = _open_private(path)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its owner may have removed it in between: then the lock is on a file that nobody else finds.
        if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
        file.close()


def _encode_entry(entry: Entry) -> dict[str, Any]:
    amounts = {name: encode_json_integer(getattr(entry, name)) for name in ("spends", "paid")}
    return asdict(entry) | amounts | {"gain": None if entry.gain is None else encode_json_integer(entry.gain)}


def _encode_spending_as_json_list(keeper: str, minute: int, spent: Spending) -> list[int | str]:
    return [keeper, minute, *map(encode_json_integer, spent)]


def _decode_entry(content: dict[str, Any]) -> Entry:
    attempts = [Attempt(**each) for each in content["attempts"]]
    changed = {
        "about": _lists_to_tuples(content["about"]),
        "spends": int(content["spends"]),
        "attempts": attempts,
    }
    changed["paid"] = int(content.get("paid", 0))
    gain = content.get("gain")
    changed["gain"] = None if gain is None else int(gain)
    return Entry(**(content | changed))


def _lists_to_tuples(value: Any) -> Any:
    """Return the value with all lists replaced by tuples, at any depth."""
    return tuple(map(_lists_to_tuples, value)) if isinstance(value, list) else value
