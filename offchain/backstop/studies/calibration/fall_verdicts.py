"""Verdicts of a history on a price drop of the law: words that pages count, apart from computations."""

from __future__ import annotations

HOLDS, TOO_MILD, TOO_HARSH = "holds", "the law is too mild", "the law is too harsh"
CANNOT_TELL = "the data cannot tell"


def choose_verdict(law: float, low: float | None, high: float | None) -> str:
    """Return whether the history's interval contradicts the law's price drop: a verdict in words.

    `low` and `high` are the ends of the interval; an end of None contradicts nothing.
    """
    if low is None and high is None:
        return CANNOT_TELL
    if low is not None and law < low:
        return TOO_MILD
    return TOO_HARSH if high is not None and law > high else HOLDS
