"""Attempts of a margin market's winners to evade deleveraging, in one run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AdlEvader:
    """A winner, its second account, and the attempts of both."""

    name: str
    pal: str
    way: str
    tried: int = 0
    went: int = 0
    fees: int = 0  # wad, that both paid
    brought: int = 0  # wad, into the second account


@dataclass
class AdlEvasion:
    """The dodgers of a run, once they are chosen, and the cycle in which they have tried last."""

    dodgers: list[AdlEvader] = field(default_factory=list)
    cycle: int = 0
    rounds: int = 0
