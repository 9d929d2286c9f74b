"""Reproductions: published results beside ours, each with a bound for our figure.

Each module reproduces one result and names the compared figures. `ape run reproduce` prints the tables;
docs/explanation/reproductions/README.md holds them and explains the differences.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from backstop.errors import BackstopError, describe_choices
from backstop.studies.reproductions.figure_comparison import Reproduction

NAMES = (
    *("arithmetic", "black-thursday", "bitfinex", "liquity-may-2021", "aave-crv-2022", "october-2025"),
    *("aave-october-2025", "fixed-oracles-november-2025"),
    *("spiral", "shocks", "forecasts"),
)
"""Names of the reproductions, in the order in which they are printed."""

EPISODES = (
    *("black-thursday", "liquity-may-2021", "aave-crv-2022", "aave-october-2025"),
    "fixed-oracles-november-2025",
)
"""Names of the crashes with published outcomes, each under its system, by date."""

_STEMS = {
    "arithmetic": "fee_and_auction_arithmetic",
    "shocks": "crvusd_risk_ranking",
    "spiral": "deleveraging_spiral",
}


def run_reproduction(name: str, seed: int = 1) -> Reproduction:
    """Run the reproduction of a published result, and return its table of figures.

    `name` is one of NAMES; other names raise BackstopError. `seed` decides all draws.
    """
    if name not in NAMES:
        known = describe_choices(name, NAMES, "docs/explanation/reproductions/README.md")
        raise BackstopError(f"reproduction {name!r} is unknown; {known}")
    module = import_module(f"backstop.studies.reproductions.{_STEMS.get(name, name.replace('-', '_'))}")
    return cast(Callable[[int], Reproduction], module.reproduce_result)(seed)
