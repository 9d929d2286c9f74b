"""Measured laws of prices and markets, as a scenario's file writes them, with the sources of figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PriceLaw:
    """Measured model of one price in the words of a scenario file, with sources of its figures."""

    volatility: str  # "68.42% a year"
    degrees: int = 0
    jumps: str = ""  # "{every: 9 d, mean: -4%, deviation: 3%, cause: market}"
    told: tuple[str, ...] = ()  # a comment each


@dataclass(frozen=True)
class MarketEstimate:
    """Measured market of one asset; an empty text keeps the template's value."""

    depth: int  # whole stablecoins
    fee: str = ""
    recovery: int = 0  # seconds
    depth_after_fall: str = ""  # "{within: 1 h, fall: 5.2%, depth: 46%}"; an empty text leaves it out
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class CalibratedValues:
    """Results of a calibration: price models and markets by symbol, correlations by pair."""

    laws: Mapping[str, PriceLaw]
    correlation: Mapping[str, str] = field(default_factory=dict)
    markets: Mapping[str, MarketEstimate] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()  # what was measured, and in which file
    assumptions: tuple[str, ...] = ()
