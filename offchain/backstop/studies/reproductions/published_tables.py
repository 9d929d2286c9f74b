"""Published figures: small tables in published/, each with its source and its licence in its first line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "published"


@cache
def load_table(name: str) -> tuple[Mapping[str, str], ...]:
    """Return the rows of a CSV table in published/, by its name without extension."""
    lines = (FOLDER / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if not line.startswith("#")))


@cache
def load_figures(event: str) -> Mapping[str, Fraction]:
    """Return the published figures of an event from the table `shortfalls`, each in its own unit."""
    return {
        row["figure"]: Fraction(row["value"]) for row in load_table("shortfalls") if row["event"] == event
    }
