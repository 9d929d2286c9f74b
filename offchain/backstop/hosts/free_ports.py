"""Ports for processes of our own."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

_OURS = range(20_000, 32_000)
"""Below those from which systems take ports for outgoing connections (32,768 on Linux, 49,152 elsewhere): a
process that is killed and started again finds its port as it left it."""
_SLICE = 100
"""Ports of one process: a free port is listened on only a moment later, so no other process may find it."""
_held: list[tuple[Sequence[int], IO[bytes]]] = []
os.register_at_fork(after_in_child=_held.clear)


def find_free_non_ephemeral_port() -> int:
    """Return a random local port without a listener, below the range of ephemeral ports.

    No other process that calls this function gets the port while this process lives.
    """
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_hold_own_ports())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _hold_own_ports() -> Sequence[int]:
    """Return the range of ports that this process has locked for its lifetime.

    If other processes hold all ranges, return all ports.
    """
    starts = [] if _held else random.SystemRandom().sample(_OURS[::_SLICE], len(_OURS[::_SLICE]))
    for start in starts:
        with suppress(OSError), ExitStack() as unless_held:
            # It belongs to another user, or another process of ours has it.
            path = Path(tempfile.gettempdir()) / f"backstop-ports-{start}.lock"
            lock = unless_held.enter_context(path.open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unless_held.pop_all()
            _held.append((range(start, start + _SLICE), lock))
            break
    return _held[0][0] if _held else _OURS
