"""A command that kills itself with SIGKILL at a named point of its work: the n-th time that it gets there.

python -m backstop.live.chaos.crash_points "sent" 2 keeper --network ...
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from backstop.hosts.rpc_client import NodeClient
from backstop.live.operate import transaction_journal
from backstop.live.operate.outbox import Outbox
from backstop.live.operate.transaction_journal import Journal


class CrashPoint(NamedTuple):
    """Place in a keeper's code at which it kills itself: before or after a call of a method."""

    owner: Any
    method: str
    when: str  # before or after
    asks: str = ""  # only calls of this method of a node


POINTS = {
    "decided": CrashPoint(Journal, "put_entry", "before"),
    "in the journal": CrashPoint(NodeClient, "request", "before", "eth_sendRawTransaction"),
    "sent": CrashPoint(NodeClient, "request", "after", "eth_sendRawTransaction"),
    "before it settles": CrashPoint(Outbox, "_collect_from_blocks", "before"),
    "outcome read": CrashPoint(Journal, "note_outcome", "before"),
    "outcome noted": CrashPoint(Journal, "note_outcome", "after"),
    "final": CrashPoint(Journal, "drop_final_entry_keep_spending", "before"),
    "forgotten": CrashPoint(Journal, "drop_final_entry_keep_spending", "after"),
    "half a line": CrashPoint(Journal, "_write_line", "before"),
    "journal rewritten": CrashPoint(transaction_journal.os, "replace", "before"),
}


def kill_process() -> None:
    """End this process by SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm_crash_point(name: str, count: int) -> None:
    """Make this process kill itself the `count`-th time that it reaches a crash point of its code.

    `name` is a key of POINTS. The method at that point is replaced by a wrapper.
    """
    point = POINTS[name]
    original: Callable[..., Any] = getattr(point.owner, point.method)
    left = count

    def reached(*args: Any, **named: Any) -> Any:
        nonlocal left
        if point.asks and point.asks not in args:
            return original(*args, **named)
        left -= 1
        if left == 0 and point.when == "before":
            if name == "half a line":
                _write_half_journal_line(*args)
            kill_process()
        result = original(*args, **named)
        if left == 0:
            kill_process()
        return result

    setattr(point.owner, point.method, reached)


def _write_half_journal_line(journal: Journal, change: dict[str, Any]) -> None:
    if journal._file is not None:
        line = json.dumps(change)
        journal._file.write(line[: len(line) // 2])
        journal._file.flush()


if __name__ == "__main__":
    _, wanted, times, command, *flags = sys.argv
    arm_crash_point(wanted, int(times))
    sys.argv = [command, *flags]
    importlib.import_module(f"backstop.cli.{command}").cli()
