"""Backoff: the delay before a failing peer is tried again, since each try may cost a whole timeout."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST = 5.0  # seconds, as of a node


class Backoff:
    """Exponential backoff: a pause that doubles after each failure in a row, up to `longest` seconds."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether no pause is running now."""
        return self._clock() >= self._until

    def start_pause(self, failures: int, wanted: float = 0.0) -> float:
        """Start the pause after the given number of failures in a row, and return its length [seconds].

        The pause is at least `wanted` seconds.
        """
        pause = max(wanted, min(_FIRST * 2 ** min(failures - 1, 30), self._longest))
        self._until = self._clock() + pause
        return pause
