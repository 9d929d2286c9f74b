"""One measured figure, with how many times another way's it is."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One figure; `times` is how many times the first of its kind it is."""

    what: str
    way: str
    value: str
    times: str
