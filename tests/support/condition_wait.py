"""Waits for effects of other processes: files, nodes and pages send no notice, so the test polls."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

PAUSE = 0.02  # seconds


def wait_until_true(
    condition: Callable[[], object],
    process: subprocess.Popen[Any] | None = None,
    seconds: float = 60,
    told: Callable[[], object] = lambda: None,
) -> None:
    """Wait until a condition holds: by default twenty times as long as on an idle machine.

    Fails with the given message once that time is over, or once the process has ended that was to cause it.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, told()
        assert time.monotonic() < deadline, told()
        time.sleep(PAUSE)
