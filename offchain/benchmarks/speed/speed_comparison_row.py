"""Row of a table of speeds: a figure, and how many times the first of its kind it is."""

from __future__ import annotations

from typing import NamedTuple


class SpeedRow(NamedTuple):
    """One figure, as text; `times` is its ratio to the first of its kind."""

    what: str
    way: str
    value: str
    times: str
