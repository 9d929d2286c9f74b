"""The progress of a long command, and the error by which it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from backstop.errors import BackstopError

Progress = Callable[[int, int, str], None]


class RunInterruptedError(BackstopError):
    """Raised when a run is stopped on request; its results so far are kept."""
