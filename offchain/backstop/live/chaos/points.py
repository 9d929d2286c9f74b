"""A command that kills itself with SIGKILL at a named point of its work: the n-th time that it gets there.

python -m backstop.live.chaos.points "sent" 2 keeper --network ...
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from backstop.hosts.rpc import Client
from backstop.live.operate import journal
from backstop.live.operate.journal import Journal


class Point(NamedTuple):
    """A point before or after a method is called, or halfway through it."""

    owner: Any
    method: str
    when: str  # before or after
    asks: str = ""  # only calls of this method of a node


POINTS = {
    "decided": Point(Journal, "put", "before"),
    "in the journal": Point(Client, "request", "before", "eth_sendRawTransaction"),
    "sent": Point(Client, "request", "after", "eth_sendRawTransaction"),
    "before a receipt": Point(Client, "batch", "before", "eth_getTransactionReceipt"),
    "receipt read": Point(Journal, "note", "before"),
    "outcome noted": Point(Journal, "note", "after"),
    "final": Point(Journal, "finish", "before"),
    "forgotten": Point(Journal, "finish", "after"),
    "half a line": Point(Journal, "_write", "before"),
    "journal rewritten": Point(journal.os, "replace", "before"),
}


def die() -> None:
    """End this process by SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(name: str, count: int) -> None:
    """Have this process die at a point."""
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
                _write_half(*args)
            die()
        result = original(*args, **named)
        if left == 0:
            die()
        return result

    setattr(point.owner, point.method, reached)


def _write_half(kept: Journal, change: dict[str, Any]) -> None:
    if kept._file is not None:
        line = json.dumps(change)
        kept._file.write(line[: len(line) // 2])
        kept._file.flush()


if __name__ == "__main__":
    _, wanted, times, command, *flags = sys.argv
    arm(wanted, int(times))
    sys.argv = [command, *flags]
    importlib.import_module(f"backstop.cli.{command}").cli()
