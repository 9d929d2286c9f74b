"""Changes of a file's rows on their way to a book: their number, and the debt of each."""

from __future__ import annotations

from typing import NamedTuple

READ = "read"
LEFT_OUT = "left out"
SPLIT = "split"
MERGED = "merged"
PRICED = "priced in what is owed"
COUNTED_AS_DOLLARS = "counted as dollars"


class BookChange(NamedTuple):
    """Count of rows, accounts or thresholds with the same outcome on import, and their debt."""

    outcome: str
    subject: str
    number: int
    debt: int | None  # wad, rounded as it was read; None where no debt could be read
