"""Backoff: the delay before a failing peer is tried again, since each try may cost a whole timeout."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST = 5.0  # seconds, as of a node


class Backoff:
    """A rest that is twice as long after each failure in a row, up to `longest` seconds."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether there is none now."""
        return self._clock() >= self._until

    def start_pause(self, failures: int, wanted: float = 0.0) -> float:
        """Begin the one after so many failures, no shorter than is wanted; return its seconds."""
        pause = max(wanted, min(_FIRST * 2 ** min(failures - 1, 30), self._longest))
        self._until = self._clock() + pause
        return pause
