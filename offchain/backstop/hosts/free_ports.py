"""Ports for processes of our own."""

from __future__ import annotations

import random
import socket

_OURS = range(20_000, 32_000)
"""Below those from which systems take ports for outgoing connections (32,768 on Linux, 49,152 elsewhere): a
process that is killed and started again finds its port as it left it."""


def find_free_non_ephemeral_port() -> int:
    """Return a port of this machine that nobody listens on, and that no connection is given by itself."""
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_OURS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
