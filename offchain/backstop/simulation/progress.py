"""How far a long command has come, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from backstop.errors import BackstopError

Progress = Callable[[int, int, str], None]


class Interrupted(BackstopError):
    """The run was asked to stop; what it had is kept."""
