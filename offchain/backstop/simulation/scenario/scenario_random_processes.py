"""The chances in a scenario: how prices move, when keepers fail, blocks are full, a feed is off.

These are the figures of the file, in integers; `drawn` makes one path of each out of a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backstop.keepers.keeper_group_settings import RandomOutages
from backstop.simulation.scenario.deterministic_float import Floats

BILLIONTH = 10**9
"""Rates, drifts and correlations are in billionths: of one, or of one a year."""


@dataclass(frozen=True)
class PriceJumps:
    """Jumps of a price at random times: average interval, mean size and deviation, in logarithms."""

    every: int  # seconds
    mean: int  # billionths
    deviation: int  # billionths
    cause: str = ""  # prices with the same cause and `every` jump together, by the same normal number


@dataclass(frozen=True)
class PriceCrash:
    """Single crash in each path, at a random time that all prices share."""

    fall: int  # billionths of the price
    deviation: int = 0  # billionths of the price
    recovery: int = 0  # seconds in which what was lost comes back; 0 is never


@dataclass(frozen=True)
class PriceModel:
    """Random model of a price; drift and volatility are in billionths a year."""

    kind: str
    drift: int = 0
    volatility: int = 0
    degrees: int = 0  # of freedom of Student's t, where the moves of one block have its tails
    jumps: PriceJumps | None = None
    alpha: int = 0  # garch, billionths: what the last move adds to the variance
    beta: int = 0  # garch, billionths: what stays of the variance
    reversion: int = 0  # peg: seconds in which half of a gap closes
    crash: PriceCrash | None = None
    returns: tuple[float, ...] = ()  # bootstrap: logarithms of the moves of its file, block by block
    source: str = ""  # bootstrap: columns of one file are drawn together
    run: int = 0  # bootstrap: blocks that are drawn in a row

    @cached_property
    def return_array(self) -> Floats:
        """Historical logarithmic moves as an array, from which a bootstrap model draws."""
        return np.array(self.returns)


@dataclass(frozen=True)
class GasSpike:
    """Random periods of full blocks, with a higher gas price and a smaller share for the protocol."""

    spells: RandomOutages
    factor: int  # basis points of the gas price
    share: int  # basis points of the share


@dataclass(frozen=True)
class FeedFault:
    """Random periods in which a price feed's source is stuck, delayed or wrong."""

    kind: str  # stuck, delayed, wrong
    spells: RandomOutages
    by: int = 0  # delayed: seconds; wrong: basis points off, up or down


def build_correlation_matrix(
    symbols: Sequence[str], pairs: Mapping[tuple[str, str], int]
) -> list[list[float]]:
    """Return the correlation matrix of prices, from the correlations of pairs [billionths].

    Pairs that are not given have correlation 0.
    """
    matrix = [[float(one == other) for other in symbols] for one in symbols]
    for (one, other), value in pairs.items():
        if one in symbols and other in symbols:
            i, j = symbols.index(one), symbols.index(other)
            matrix[i][j] = matrix[j][i] = value / BILLIONTH
    return matrix
