"""The progress of a long command, and the error by which it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from backstop.errors import BackstopError

Progress = Callable[[int, int, str], None]


class RunInterruptedError(BackstopError):
    """A run that was asked to stop; its results so far are kept."""
