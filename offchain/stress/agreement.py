"""How far the fast engine is from the exact one: the same paths of random scenarios through both.

The exact side is the model, which equals the contracts to 0 wei and is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from offchain.deployment import CollateralParameters, StageParameters
from offchain.model.arithmetic import BASIS_POINTS, RAY, WAD
from offchain.scenarios import Scenario, load_scenario
from offchain.scenarios.processes import Crash, Fault, Spells
from offchain.scenarios.randomness import Dice
from offchain.scenarios.schema import GeneratedBook, KeeperGroup
from offchain.stress.exact import Exact
from offchain.stress.fast import Fast
from offchain.stress.outcome import Rows

SCENARIO = "stress-day"
_STAGES = ("buffer", "reserve", "junior", "redistribution", "savings")


class Agreement(NamedTuple):
    """A column of both engines over many paths: its mean, and the error of the fast one."""

    column: str
    exact: float  # mean
    fast: float  # mean
    error: float  # mean of the absolute differences, over the exact mean
    most: float  # the largest difference, over the exact mean
    equal: float  # share of paths without a difference of more than a thousandth


def random_scenarios(count: int, seed: int, vaults: int = 150) -> Iterator[Scenario]:
    """A day that is drawn, with everything changed that the fast engine knows."""
    base = load_scenario(SCENARIO)
    for number in range(count):
        yield _varied(base, Dice(seed, "agreement", number), vaults)


def both(scenario: Scenario, seed: int, paths: int) -> tuple[Rows, Rows]:
    """The outcomes of the first paths: exact, fast."""
    return Exact(scenario, seed, on_bytecode=False).rows(0, paths), Fast(scenario, seed).rows(0, paths)


COLUMNS = ("liquidations", "liquidated_debt", "bad_debt", "outstanding", "covered", "lowest_ratio")
"""What is compared; `covered` is what all stages paid."""


def measure(
    scenarios: int, paths: int, seed: int = 1, progress: Callable[[int, int, str], None] | None = None
) -> list[Agreement]:
    """Over random scenarios, so many paths of each."""
    exact: list[np.ndarray] = []
    fast: list[np.ndarray] = []
    for number, scenario in enumerate(random_scenarios(scenarios, seed)):
        if progress is not None:
            progress(number, scenarios, "the same paths on both engines")
        names = Fast(scenario, seed).columns.names
        for rows, kept in zip(both(scenario, seed, paths), (exact, fast), strict=True):
            kept.append(_compared(rows, names))
    return _agreements(np.concatenate(exact), np.concatenate(fast))


def _compared(rows: Rows, names: Sequence[str]) -> np.ndarray:
    found = [rows[:, names.index(name)] for name in COLUMNS if name != "covered"]
    stages = [i for i, name in enumerate(names) if name.startswith("covered_") and name != "covered_at"]
    found.insert(COLUMNS.index("covered"), rows[:, stages].sum(axis=1))
    return np.array(found, dtype=np.float64).T


def _agreements(exact: np.ndarray, fast: np.ndarray) -> list[Agreement]:
    found = []
    for j, column in enumerate(COLUMNS):
        one, other = exact[:, j], fast[:, j]
        off, mean = abs(other - one), max(1.0, one.mean())
        equal = (off <= np.maximum(abs(one) / 1_000, 10**6 if "debt" in column else 1)).mean()
        found.append(Agreement(column, one.mean(), other.mean(), off.mean() / mean, off.max() / mean, equal))
    return found


# ------------------------------------------------------------- random scenarios


def _varied(base: Scenario, dice: Dice, vaults: int) -> Scenario:
    parameters = base.parameters
    stages = tuple(
        StageParameters(
            name, cap_absolute=None, cap_bps=(10_000, 10_000, dice.between(1, 10) * 1_000)[dice.below(3)]
        )
        for name in _STAGES
        if dice.below(4)
    ) or (StageParameters("buffer"),)
    types = tuple(_varied_type(each, dice) for each in parameters.collateral_types)
    limit = sum(each.auction_limit for each in types) * dice.between(6, 12) // 10
    prices = {}
    for symbol, path in base.prices.items():
        assert path.model is not None
        crash = Crash(dice.between(0, 350) * 10**6, recovery=(0, 7_200)[dice.below(2)])
        volatility = path.model.volatility * dice.between(3, 20) // 10
        prices[symbol] = replace(path, model=replace(path.model, volatility=volatility, crash=crash))
    ratios = 15_500, dice.between(30, 60) * 1_000
    book = GeneratedBook(vaults, debt=(20_000 * WAD, 1_000_000 * WAD), ratio=ratios)
    fault = ("stuck", "delayed", "wrong")[dice.below(3)]
    by = {"stuck": 0, "delayed": 3_600, "wrong": dice.between(100, 3_000)}[fault]
    return replace(
        base,
        parameters=replace(parameters, collateral_types=types, stages=stages, global_auction_limit=limit),
        prices=prices,
        generated=dict.fromkeys(base.symbols, book),
        markets={
            symbol: replace(market, depth=market.depth * dice.between(1, 15) // 20)
            for symbol, market in base.markets.items()
        },
        faults={"ETH": (Fault(fault, Spells(43_200, 3_600), by),)} if dice.below(2) else {},
        scarcity=(0, 0, 5_000, 10_000)[dice.below(4)],
        keepers=tuple(_varied_group(each, dice) for each in base.keepers),
    )


def _varied_type(base: CollateralParameters, dice: Dice) -> CollateralParameters:
    ratio = dice.between(115, 150) * 100
    auction = replace(
        base.auction,
        curve=dice.below(3),
        period=(9_000, 90)[base.auction.curve == 1],
        buf=dice.between(105, 130) * 100,
        cusp=dice.between(20, 60) * 100,
        tail=dice.between(60, 180) * 60,
        penalty=BASIS_POINTS + dice.between(3, 15) * 100,
    )
    # What falls by 1% every 90 seconds falls by about 0.011% every second.
    periods = {0: auction.tail * 12 // 10, 1: 90, 2: 1}
    cuts = {0: RAY // 2, 1: RAY * 99 // 100, 2: RAY * 99_989 // 100_000}
    auction = replace(auction, period=periods[auction.curve], cut=cuts[auction.curve])
    step = dice.between(1, 12) * 300
    return replace(
        base,
        liquidation_ratio=ratio,
        initial_ratio=ratio + 500,
        debt_floor=dice.between(1, 10) * 1_000,
        auction_limit=dice.between(1, 10) * 2_000_000,
        auction=auction,
        feed=replace(base.feed, step=step, window=dice.between(1, 6) * 3_600),
    )


def _varied_group(base: KeeperGroup, dice: Dice) -> KeeperGroup:
    fails = None if base.fails is None or dice.below(2) else replace(base.fails, every=28_800)
    if base.role == "liquidator":
        latency = (0, 0, 600)[dice.below(3)]
        return replace(base, fails=fails, count=dice.between(1, 4), most=dice.between(2, 10), latency=latency)
    if base.role == "bidder":
        takes_at = base.takes_at * dice.between(8, 10) // 10
        return replace(base, fails=fails, takes_at=takes_at, capital=base.capital * dice.between(1, 5) // 10)
    if base.role == "reporter":
        return replace(base, deviation=dice.between(20, 200), noise=(0, 10)[dice.below(2)])
    return replace(base, fails=fails)
