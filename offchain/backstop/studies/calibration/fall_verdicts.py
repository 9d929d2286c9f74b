"""What a history says of a fall of the law: words that pages count, apart from what computes falls."""

from __future__ import annotations

HOLDS, TOO_MILD, TOO_HARSH = "holds", "the law is too mild", "the law is too harsh"
CANNOT_TELL = "the data cannot tell"


def choose_verdict(law: float, low: float | None, high: float | None) -> str:
    """Say what the history says of the law's fall; an end that is not bounded contradicts nothing."""
    if low is None and high is None:
        return CANNOT_TELL
    if low is not None and law < low:
        return TOO_MILD
    return TOO_HARSH if high is not None and law > high else HOLDS
