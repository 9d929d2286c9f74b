"""Published results, played again here: their figures beside ours, with a bound that ours should meet.

Each module reproduces one result and says what it compares; `ape run reproduce` prints the tables,
docs/know/reproductions.md holds them and says what differs and why.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from backstop.errors import BackstopError
from backstop.studies.reproductions.table import Reproduction

NAMES = ("arithmetic", "black-thursday", "bitfinex", "october-2025", "spiral", "shocks")
"""In the order in which they are printed."""


def reproduce(name: str, seed: int = 1) -> Reproduction:
    """One result played again; the seed decides whatever is drawn. BackstopError for a name that is none."""
    if name not in NAMES:
        raise BackstopError(f"there is no reproduction {name!r}: take one of {', '.join(NAMES)}")
    module = import_module(f"backstop.studies.reproductions.{name.replace('-', '_')}")
    return cast(Callable[[int], Reproduction], module.reproduce)(seed)
