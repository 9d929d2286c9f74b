"""Gain of the pair by a market's terms: on a grid of moments, and at the worst moments.

The moments of the grid are blind: the pair opens every so many minutes, at any price. The chosen ones are
those of an owner with knowledge of the price at the next check. They are the seconds at which that price will
be furthest from the oldest mark that can still be opened at. The pair's gain is a loss of others: the winners
against the failed account, and the insurance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS
from backstop.randomness import SeededRandom
from backstop.studies.self_hedge.hedge_pair import INSOLVENT, PairOpening, PairOutcome, simulate_hedge_pair
from backstop.studies.self_hedge.pair_market import ALLOWED, LIBRARY, HedgePairMarket
from backstop.studies.self_hedge.second_prices_from_bars import (
    SERIES,
    SYNTHETIC,
    largest_move,
    list_prices_for_every_second,
)

_WEAK = {"maintenance": 200, "initial": 400, "open_rate": 0}
"""Terms under which pairs fail often enough to show the effect of other terms."""
GROUPS: dict[str, tuple[dict[str, int], ...]] = {
    "margins": (
        {"maintenance": 200, "initial": 400},
        {"maintenance": 500, "initial": 1_000},
        {"maintenance": 500, "initial": 2_000},
        {"maintenance": 1_000, "initial": 1_500},
        {"initial": ALLOWED},
        {"maintenance": 2_000, "initial": 3_000},
    ),
    "age of a mark": ({"mark_age": 30}, {"mark_age": 60}, {"mark_age": 300}, {"mark_age": 600}),
    "a look every": ({"reaction": 60}, {"reaction": 300}),
    "more for a large account": ({"open_rate": 0, "share_rate": 500}, {**_WEAK, "share_rate": 500}),
    "more in a large market": (
        {"open_rate": 0},
        {"open_rate": 1_000},
        _WEAK,
        {**_WEAK, "open_rate": 500},
        {**_WEAK, "open_rate": 1_000},
    ),
    "fees": (
        {"maker_fee": 0, "taker_fee": 0},
        {"maker_fee": 5, "taker_fee": 5},
        {**_WEAK, "maker_fee": 0, "taker_fee": 0},
        {**_WEAK, "maker_fee": 30, "taker_fee": 30},
    ),
    "insurance in a day": ({"cap": 0}, {**_WEAK, "cap": 0}, {**_WEAK, "cap": 10_000}),
}
"""Changed terms of each group of settings."""
NOTIONAL = 1_000_000
"""Whole stablecoins, of each of the pair's accounts."""
SHARES = (500, 8_000)
"""Bounds of the pair's drawn share of open interest [basis points]; a choosing pair has the least."""
CHOSEN = 12
"""Number of moments of each path that an owner chooses with knowledge of the next check."""
APART = 60
"""Seconds between two of these at least."""


class StudyScope(NamedTuple):
    """Seeds, times and holding period that the study runs for each setting."""

    seeds: tuple[int, ...]
    every: int  # seconds between two moments of the grid
    hold: int  # seconds that a pair holds at most


class GainStatistics(NamedTuple):
    """Statistics of the gains of many pairs, each one owner's long and short."""

    pairs: int
    failed: int  # of which an account became insolvent
    earned: int  # that gained anything
    mean: int  # wad
    mean_share: int  # millionths of notional
    most: int  # wad
    most_share: int  # millionths of notional


class GainRow(NamedTuple):
    """Gains of pairs of long and short under one setting, on one series or on all series.

    `blind` has pairs that open at regular times, `chosen` pairs that open at the best times in hindsight.
    """

    group: str
    setting: dict[str, int]
    series: str  # empty for all
    blind: GainStatistics
    chosen: GainStatistics


def iter_settings() -> Iterator[tuple[str, dict[str, int]]]:
    """Yield (group, changed terms): the library's setting first, then those of all groups."""
    yield "library", {}
    for group, changes in GROUPS.items():
        for change in changes:
            yield group, change


def iter_series_and_seeds(seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Yield (series, seed) for each seed of a series of bars.

    A series with published seconds has one seed, as nothing is drawn.
    """
    for series in SERIES:
        for seed in seeds if series in SYNTHETIC else seeds[:1]:
            yield series, seed


def measure_largest_moves(seeds: Sequence[int], windows: Sequence[int]) -> dict[str, dict[int, int]]:
    """Return the largest price move of each series within each window [bps], over all seeds.

    `windows` are in seconds.
    """
    found: dict[str, dict[int, int]] = {}
    for series, seed in iter_series_and_seeds(seeds):
        most = found.setdefault(series, dict.fromkeys(windows, 0))
        for window in windows:
            most[window] = max(most[window], largest_move(_load_path(series, seed), window))
    return found


def compute_hedge_gain_rows_of_setting(
    scope: StudyScope, group: str, setting: dict[str, int]
) -> list[GainRow]:
    """Simulate pairs of long and short under one setting, on all paths of prices.

    Return a row for all series together, then a row for each series.
    """
    terms = LIBRARY._replace(**setting)
    market = HedgePairMarket(terms)
    blind: dict[str, list[PairOutcome]] = {series: [] for series in SERIES}
    chosen: dict[str, list[PairOutcome]] = {series: [] for series in SERIES}
    for series, seed in iter_series_and_seeds(scope.seeds):
        path, dice = _load_path(series, seed), SeededRandom(seed, "share", series)
        for start in range(terms.mark_age, len(path) - terms.reaction, scope.every):
            opening = PairOpening(start, dice.draw_integer(*SHARES), NOTIONAL, scope.hold)
            blind[series].append(simulate_hedge_pair(market, path, opening))
        for start in find_largest_move_moments(series, seed, terms.mark_age, terms.reaction):
            chosen[series].append(
                simulate_hedge_pair(market, path, PairOpening(start, SHARES[0], NOTIONAL, scope.hold))
            )
    everything = [[each for plays in by.values() for each in plays] for by in (blind, chosen)]
    rows = [GainRow(group, setting, "", _summarise_gains(everything[0]), _summarise_gains(everything[1]))]
    for series in SERIES:
        rows.append(
            GainRow(group, setting, series, _summarise_gains(blind[series]), _summarise_gains(chosen[series]))
        )
    return rows


@cache
def find_largest_move_moments(series: str, seed: int, age: int, reaction: int) -> tuple[int, ...]:
    """Return the seconds at which the next check's price is furthest from the oldest usable mark.

    At most CHOSEN seconds are returned, at least APART seconds apart. `age` is the age of the oldest mark and
    `reaction` the time to the next check [seconds].
    """
    path = _load_path(series, seed)
    moves = sorted(
        (abs(path[at + reaction] - path[at - age]) * 10**9 // path[at - age], -at)
        for at in range(age, len(path) - reaction)
    )
    chosen: list[int] = []
    while moves and len(chosen) < CHOSEN:
        at = -moves.pop()[1]
        if all(abs(at - other) >= APART for other in chosen):
            chosen.append(at)
    return tuple(sorted(chosen))


def run_study(scope: StudyScope, log: Callable[[str], None], groups: Sequence[str] = ()) -> list[GainRow]:
    """Simulate pairs of long and short under the library's setting and those of the given groups.

    Return the rows of all settings. Without `groups`, all groups are run.
    """
    rows = []
    for group, setting in iter_settings():
        if not setting or not groups or group in groups:
            log(f"{group}: {describe_setting(setting)}")
            rows += compute_hedge_gain_rows_of_setting(scope, group, setting)
    return rows


def describe_setting(setting: dict[str, int]) -> str:
    """Return the terms of a setting that differ from the library's as text.

    "as it is" if none do.
    """
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in setting.items()) or "as it is"


@cache
def _load_path(series: str, seed: int) -> list[int]:
    return list_prices_for_every_second(series, seed)


def _summarise_gains(plays: Sequence[PairOutcome]) -> GainStatistics:
    most = max(plays, key=lambda each: each.gain)
    total, notional = sum(each.gain for each in plays), sum(each.notional for each in plays)
    return GainStatistics(
        len(plays),
        sum(each.ended == INSOLVENT for each in plays),
        sum(each.gain > 0 for each in plays),
        total // len(plays),
        total * BASIS_POINTS * 100 // notional,
        most.gain,
        most.gain * BASIS_POINTS * 100 // most.notional,
    )
