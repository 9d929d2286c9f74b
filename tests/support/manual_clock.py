"""A clock that a test moves on."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class ManualClock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance_clock(self, seconds: float, result: T) -> T:
        """Advance the clock before a result."""
        self.now += seconds
        return result
