"""Messages to this process's supervisor: systemd's `Type=notify` and `WatchdogSec=`."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_SOCKET = "NOTIFY_SOCKET"


def has_supervisor() -> bool:
    """Return whether a supervisor such as systemd waits for notifications (NOTIFY_SOCKET is set)."""
    return _SOCKET in os.environ


def send_systemd_heartbeat() -> None:
    """Notify systemd that this process is ready and alive (READY=1, WATCHDOG=1).

    A failed notification is ignored.
    """
    where = os.environ.get(_SOCKET, "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, suppress(OSError):  # one beat less
        # An @ stands for a name that is in no file system.
        told.sendto(b"READY=1\nWATCHDOG=1", "\0" + where[1:] if where.startswith("@") else where)
