"""Attempts of a margin market's winners to evade deleveraging, in one run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AdlEvader:
    """Winner in the margin market that evades deleveraging (ADL), with its second account and attempts."""

    name: str
    pal: str
    way: str
    tried: int = 0
    went: int = 0
    fees: int = 0  # wad, that both paid
    brought: int = 0  # wad, into the second account


@dataclass
class AdlEvasion:
    """State of deleveraging evasion in a run: the evaders and the cycle of their last attempt."""

    dodgers: list[AdlEvader] = field(default_factory=list)
    cycle: int = 0
    rounds: int = 0
