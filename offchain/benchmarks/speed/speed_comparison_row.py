"""Row of a table of speeds: a figure, and how many times the first of its kind it is."""

from __future__ import annotations

from typing import NamedTuple


class SpeedRow(NamedTuple):
    """Row of a speed table: the quantity, the method, its figure, and a ratio, all as text.

    `times` is the ratio of the figure to the first figure of its kind.
    """

    what: str
    way: str
    value: str
    times: str
