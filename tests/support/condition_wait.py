"""To wait for what another process does: files, nodes and pages tell nobody, so one looks again."""

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
    """Until something is so: by default as long as it takes where nothing else runs, twenty times over.

    Fails, with what is told, once that is over, or the process has ended that was to bring it about.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, told()
        assert time.monotonic() < deadline, told()
        time.sleep(PAUSE)
