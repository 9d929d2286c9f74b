"""Messages to this process's supervisor: systemd's `Type=notify` and `WatchdogSec=`."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_SOCKET = "NOTIFY_SOCKET"


def has_supervisor() -> bool:
    """Return whether a supervisor listens."""
    return _SOCKET in os.environ


def send_systemd_heartbeat() -> None:
    """Tell that this process has started, and works."""
    where = os.environ.get(_SOCKET, "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, suppress(OSError):  # one beat less
        # An @ stands for a name that is in no file system.
        told.sendto(b"READY=1\nWATCHDOG=1", "\0" + where[1:] if where.startswith("@") else where)
