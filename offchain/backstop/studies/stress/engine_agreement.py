"""Agreement of the engines: how far the fast one is from the exact one on the same paths.

Random scenarios run through both. The exact side is the model, which equals the contracts to 0 wei and is
faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from backstop.deployment.parameter_dataclasses import (
    CollateralParameters,
    DiscountParameters,
    StabilityPoolParameters,
    StageParameters,
)
from backstop.keepers.keeper_group_settings import KeeperGroup, RandomOutages
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.parallel.unordered_job_workers import Workers, run_in_process
from backstop.randomness import SeededRandom
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.owner_behavior import BILLION, OwnerAction, OwnerBehavior
from backstop.simulation.scenario.scenario_random_processes import FeedFault, PriceCrash
from backstop.simulation.scenario.scenario_records import (
    DAY,
    DepthAfterFall,
    GeneratedBook,
    StabilityPoolMember,
)
from backstop.studies.stress.chunks import Chunk, run_chunk
from backstop.studies.stress.columns import NEVER, OutcomeColumns, Rows
from backstop.studies.stress.engines import Task
from backstop.studies.stress.exact_bytecode_engine import ExactEngine
from backstop.studies.stress.fast import FastEngine

SCENARIO = "stress-day"
_STAGES = ("buffer", "reserve", "junior", "redistribution", "savings")


def ignore_progress(done: int, total: int, text: str) -> None:
    """Ignore a progress report: default for callers that show no progress."""


class Agreement(NamedTuple):
    """Means of one outcome column on the exact and the fast engine, and the fast engine's error."""

    column: str
    exact: float  # mean
    fast: float  # mean
    error: float  # mean of the absolute differences, relative to the exact mean
    bound: float  # stated limit of the error
    most: float  # the largest difference, relative to the exact mean
    equal: float  # share of paths without a difference of more than a thousandth

    @property
    def bias(self) -> float:
        """Mean of the fast engine minus that of the exact engine, relative to the exact mean."""
        return (self.fast - self.exact) / max(1.0, self.exact)

    @property
    def is_count_column(self) -> bool:
        """True if the column holds counts, times or ratios. Other columns hold millionths of a stablecoin."""
        return self.column in COUNTS

    @property
    def holds(self) -> bool:
        """True if the fast engine's mean error is within the bound stated for this column."""
        return self.error <= self.bound


BOUNDS = {
    "liquidations": 0.03,
    "liquidated_debt": 0.01,
    "bad_debt": 0.02,
    "outstanding": 0.08,
    "unsold": 0.15,
    "covered": 0.03,
    "first_loss_at": 0.01,
    "covered_at": 0.02,
    "lowest_ratio": 0.001,
} | {f"covered_{stage}": 0.05 for stage in _STAGES}
"""Largest relative error of each column over many random scenarios.

`covered` is the sum of all stages' payments. Events that never happened count as happening at the end.
"""

COLUMNS = tuple(BOUNDS)

POOL_KINDS = {
    "large pools": (3_000, 5_000, False),
    "short pools, auctions": (50, 500, False),
    "short pools, write-offs": (50, 500, True),
}
"""Kinds of stability pools by name: bounds of the part of the debt that members put in, has_write_off."""

COUNTS = "liquidations", "first_loss_at", "covered_at", "lowest_ratio"
"""Columns that are no money."""


def random_scenarios(count: int, seed: int, vaults: int = 150) -> Iterator[Scenario]:
    """Yield `count` random variants of the stress day, with `vaults` vaults per collateral type.

    Each variant draws its own terms, stages, prices, markets, keepers, feed faults and owners from the seed.
    """
    base = load_scenario(SCENARIO)
    for number in range(count):
        yield _vary_scenario(base, SeededRandom(seed, "agreement", number), vaults)


def random_discount_scenarios(count: int, seed: int, vaults: int = 150) -> Iterator[Scenario]:
    """Yield the variants of `random_scenarios` with liquidation at a fixed discount for most types.

    The draws cover each kind of bonus, and each rule for the repaid amount.
    """
    for number, scenario in enumerate(random_scenarios(count, seed, vaults)):
        dice = SeededRandom(seed, "discounts", number)
        types = tuple(
            replace(each, discount=_draw_discount(each, dice)) if dice.draw_index(4) else each
            for each in scenario.parameters.collateral_types
        )
        yield replace(scenario, parameters=replace(scenario.parameters, collateral_types=types))


def random_pool_scenarios(kind: str, count: int, seed: int, vaults: int = 150) -> Iterator[Scenario]:
    """Yield the variants of `random_scenarios` with a stability pool for most collateral types.

    `kind` is a key of POOL_KINDS, which gives the bounds of deposits and whether unpaid debt is written off.
    """
    least, most, has_write_off = POOL_KINDS[kind]
    for number, scenario in enumerate(random_scenarios(count, seed, vaults)):
        dice = SeededRandom(seed, kind, number)
        types = tuple(
            replace(each, stability_pool=_draw_stability_pool(each, dice, has_write_off))
            if dice.draw_index(4)
            else each
            for each in scenario.parameters.collateral_types
        )
        members = tuple(
            StabilityPoolMember(each.symbol, f"members of {each.symbol}", debt_share=share)
            for each, share in ((each, dice.draw_integer(least, most)) for each in types)
            if each.stability_pool is not None
        )
        parameters = replace(scenario.parameters, collateral_types=types)
        yield replace(scenario, parameters=parameters, stability_pool_members=members)


def run_both_engines(scenario: Scenario, seed: int, paths: int) -> tuple[Rows, Rows]:
    """Run the first `paths` paths on both engines, and return the rows as (exact, fast).

    The exact engine runs on the model alone, without the contracts' bytecode.
    """
    return ExactEngine(scenario, seed, on_bytecode=False).run_paths(0, paths), FastEngine(
        scenario, seed
    ).run_paths(0, paths)


def measure_agreement(
    scenarios: int,
    paths: int,
    seed: int = 1,
    workers: Workers = run_in_process,
    progress: Progress = ignore_progress,
) -> list[Agreement]:
    """Run `scenarios` random scenarios on both engines, and return the agreement of each column.

    `paths` is the number of paths of each scenario.
    """
    return compare_engines(list(random_scenarios(scenarios, seed)), paths, seed, workers, progress)


def compare_engines(
    scenarios: Sequence[Scenario],
    paths: int,
    seed: int = 1,
    workers: Workers = run_in_process,
    progress: Progress = ignore_progress,
    chunk: int | None = None,
) -> list[Agreement]:
    """Run paths of each scenario on both engines, and return the agreement of each column.

    `paths` is the number of paths of each scenario, beginning with the first. The workers run the exact
    engine on the model, `chunk` paths at a time (all paths if None). The fast engine runs in this process.
    """
    tasks = [Task(scenario, seed, "model") for scenario in scenarios]
    exact = run_on_workers(tasks, paths, chunk or paths, workers, progress, "paths on both engines")
    found = [
        (
            _build_compared_outcome_columns(rows, task.scenario),
            _build_compared_outcome_columns(
                FastEngine(task.scenario, seed).run_paths(0, paths), task.scenario
            ),
        )
        for task, rows in zip(tasks, exact, strict=True)
    ]
    one, other = (np.concatenate(each) for each in zip(*found, strict=True))
    return [_build_agreement(name, one[:, j], other[:, j]) for j, name in enumerate(COLUMNS)]


def join_agreements(agreements: Sequence[Sequence[Agreement]]) -> list[Agreement]:
    """Join comparisons with equally many paths into the agreement of each column over all paths."""
    joined = []
    for rows in zip(*agreements, strict=True):
        exact, fast = (float(np.mean([getattr(row, side) for row in rows])) for side in ("exact", "fast"))
        # Of each row back to amounts, which its own mean divided.
        weights = [max(1.0, row.exact) / max(1.0, exact) for row in rows]
        error = float(np.mean([row.error * weight for row, weight in zip(rows, weights, strict=True)]))
        most = max(row.most * weight for row, weight in zip(rows, weights, strict=True))
        equal = float(np.mean([row.equal for row in rows]))
        joined.append(rows[0]._replace(exact=exact, fast=fast, error=error, most=most, equal=equal))
    return joined


def run_on_workers(
    tasks: Sequence[Task], paths: int, chunk: int, workers: Workers, progress: Progress, text: str
) -> list[Rows]:
    """Run the first `paths` paths of every task on the workers, and return the rows of each task.

    The workers run `chunk` paths at a time. `text` describes the work to `progress`.
    """
    chunks = [
        Chunk(place, first, min(chunk, paths - first))
        for place in range(len(tasks))
        for first in range(0, paths, chunk)
    ]
    found: dict[Chunk, Rows] = {}
    with closing(workers(run_chunk, tasks, chunks)) as results:
        for result in results:
            if result is not None:
                found[result[0]] = result[1]
                progress(len(found), len(chunks), text)
    return [
        np.concatenate([found[each] for each in chunks if each.task == place]) for place in range(len(tasks))
    ]


def _build_compared_outcome_columns(rows: Rows, scenario: Scenario) -> np.ndarray:
    """Return the compared columns of outcomes as floats, one row per path.

    A time of NEVER becomes the scenario's duration. A stage that the scenario lacks has payments of 0.
    """
    names = OutcomeColumns.from_parameters(scenario.parameters).names
    column = {name: rows[:, i].astype(np.float64) for i, name in enumerate(names)}
    nothing = np.zeros(len(rows))
    column |= {f"covered_{stage}": column.get(f"covered_{stage}", nothing) for stage in _STAGES}
    column["covered"] = np.sum([column[f"covered_{stage}"] for stage in _STAGES], axis=0)
    for name in ("first_loss_at", "covered_at"):
        column[name] = np.where(column[name] == NEVER, scenario.duration, column[name])
    return np.array([column[name] for name in COLUMNS]).T


def _build_agreement(name: str, exact: np.ndarray, fast: np.ndarray) -> Agreement:
    off, mean = abs(fast - exact), max(1.0, exact.mean())
    equal = (off <= np.maximum(abs(exact) / 1_000, 1 if name in COUNTS else 10**6)).mean()
    return Agreement(
        name, exact.mean(), fast.mean(), off.mean() / mean, BOUNDS[name], off.max() / mean, equal
    )


# ------------------------------------------------------------- random scenarios


def _vary_scenario(base: Scenario, dice: SeededRandom, vaults: int) -> Scenario:
    parameters = base.parameters
    stages = tuple(
        StageParameters(
            name,
            cap_absolute=None,
            cap_bps=(10_000, 10_000, dice.draw_integer(1, 10) * 1_000)[dice.draw_index(3)],
        )
        for name in _STAGES
        if dice.draw_index(4)
    ) or (StageParameters("buffer"),)
    types = tuple(_vary_type(each, dice) for each in parameters.collateral_types)
    limit = sum(each.auction_limit for each in types) * dice.draw_integer(6, 12) // 10
    prices = {}
    for symbol, path in base.prices.items():
        assert path.model is not None
        crash = PriceCrash(dice.draw_integer(0, 350) * 10**6, recovery=(0, 7_200)[dice.draw_index(2)])
        volatility = path.model.volatility * dice.draw_integer(3, 20) // 10
        prices[symbol] = replace(path, model=replace(path.model, volatility=volatility, crash=crash))
    ratios = 15_500, dice.draw_integer(30, 60) * 1_000
    book = GeneratedBook(vaults, debt=(20_000 * WAD, 1_000_000 * WAD), ratio=ratios)
    fault = ("stuck", "delayed", "wrong")[dice.draw_index(3)]
    by = {"stuck": 0, "delayed": 3_600, "wrong": dice.draw_integer(100, 3_000)}[fault]
    varied = replace(
        base,
        parameters=replace(parameters, collateral_types=types, stages=stages, global_auction_limit=limit),
        prices=prices,
        generated=dict.fromkeys(base.symbols, book),
        markets={
            symbol: replace(market, depth=market.depth * dice.draw_integer(1, 15) // 20)
            for symbol, market in base.markets.items()
        },
        faults={"ETH": (FeedFault(fault, RandomOutages(43_200, 3_600), by),)} if dice.draw_index(2) else {},
        scarcity=(0, 0, 5_000, 10_000)[dice.draw_index(4)],
        keepers=tuple(_vary_keeper_group(each, dice) for each in base.keepers),
    )
    markets = {
        symbol: replace(market, depth_after_fall=_draw_depth_after_fall(dice))
        for symbol, market in varied.markets.items()
    }
    owners = _draw_owner_behavior(dice, base.block_time) if dice.draw_index(2) else None
    return replace(varied, markets=markets, owners=owners)


def _draw_owner_behavior(dice: SeededRandom, block_time: int) -> OwnerBehavior:
    """Draw a behavior of owners that act often, so that most paths of a day have defence and release."""
    defend = OwnerAction(
        distances=(0, dice.draw_integer(100, 2_000)),
        chances=(
            dice.draw_integer(1, BILLION),
            dice.draw_integer(1, BILLION),
            dice.draw_integer(1, BILLION // 10),
        ),
        ways=(BILLION // 2, BILLION // 4, BILLION // 4),
        sizes=tuple(range(0, 2_200, 200)),
        least=dice.draw_integer(0, 1_000),
    )
    release = OwnerAction(
        distances=(3_000,),
        chances=(0, dice.draw_integer(1, BILLION // 10)),
        ways=(BILLION // 2, BILLION // 2),
        sizes=tuple(range(0, 2_200, 200)),
        least=dice.draw_integer(0, 1_000),
    )
    return OwnerBehavior(
        every=3_600 // block_time * block_time,
        idle=dice.draw_integer(0, BILLION // 2),
        within=DAY,
        falls=(0, 1_000),
        factors=(10_000, dice.draw_integer(10_000, 40_000)),
        large_debt=500_000 * WAD,
        large_factor=dice.draw_integer(5_000, 20_000),
        defend=defend,
        release=release,
    )


def _draw_depth_after_fall(dice: SeededRandom) -> DepthAfterFall | None:
    """Draw how the market's depth falls with the price.

    None (constant depth) with probability one half.
    """
    if dice.draw_index(2):
        return None
    return DepthAfterFall(
        within=(600, 3_600, 14_400)[dice.draw_index(3)],
        fall=dice.draw_integer(2, 20) * 100,
        depth=dice.draw_integer(10, 90) * 100,
    )


def _vary_type(base: CollateralParameters, dice: SeededRandom) -> CollateralParameters:
    ratio = dice.draw_integer(115, 150) * 100
    auction = replace(
        base.auction,
        curve=dice.draw_index(3),
        period=(9_000, 90)[base.auction.curve == 1],
        buf=dice.draw_integer(105, 130) * 100,
        cusp=dice.draw_integer(20, 60) * 100,
        tail=dice.draw_integer(60, 180) * 60,
        penalty=min(BASIS_POINTS + dice.draw_integer(3, 15) * 100, ratio - 100),
    )
    # What falls by 1% every 90 seconds falls by about 0.011% every second.
    periods = {0: auction.tail * 12 // 10, 1: 90, 2: 1}
    cuts = {0: RAY // 2, 1: RAY * 99 // 100, 2: RAY * 99_989 // 100_000}
    auction = replace(auction, period=periods[auction.curve], cut=cuts[auction.curve])
    step = dice.draw_integer(1, 12) * 300
    return replace(
        base,
        liquidation_ratio=ratio,
        initial_ratio=ratio + 500,
        debt_floor=dice.draw_integer(1, 10) * 1_000,
        auction_limit=dice.draw_integer(1, 10) * 2_000_000,
        auction=auction,
        feed=replace(base.feed, step=step, window=dice.draw_integer(1, 6) * 3_600),
    )


def _draw_discount(collateral: CollateralParameters, dice: SeededRandom) -> DiscountParameters:
    """Draw terms for liquidation at a discount that the contract accepts.

    The largest bonus stays below the liquidation ratio.
    """
    most = min(bounds.MAX_LIQUIDATION_BONUS, collateral.liquidation_ratio - BASIS_POINTS - 100)
    base = dice.draw_integer(0, min(most, 1_000))
    grown = {
        "base_bonus": base,
        "max_bonus": dice.draw_integer(base, most),
        "full_bonus_health": dice.draw_integer(80, 99) * 100,
    }
    bonus = (
        grown,
        {"base_bonus": 0, "max_bonus": 0, "max_discount": dice.draw_integer(5, 20) * 100},
        {"base_bonus": 0, "max_bonus": most, "cursor": dice.draw_integer(10, 90) * 100},
    )[dice.draw_index(3)]
    factor = {
        "target_health": 0,
        "close_factor": (2_500, 5_000, BASIS_POINTS)[dice.draw_index(3)],
        "whole_close_health": dice.draw_integer(90, 99) * 100,
        "small_position": dice.draw_integer(0, 20) * 1_000,
    }
    amount = ({"target_health": dice.draw_integer(101, 150) * 100}, factor)[dice.draw_index(2)]
    return DiscountParameters(**bonus, **amount, fee=(0, 1_000, 5_000)[dice.draw_index(3)])


def _draw_stability_pool(
    collateral: CollateralParameters, dice: SeededRandom, has_write_off: bool
) -> StabilityPoolParameters:
    """Draw terms of a stability pool that the contract accepts.

    The penalty stays below the liquidation ratio, and the keeper's reward leaves a gain to the depositors.
    """
    penalty = dice.draw_integer(
        100, min(bounds.MAX_LIQUIDATION_BONUS, collateral.liquidation_ratio - BASIS_POINTS - 100)
    )
    most = BASIS_POINTS - -(-(BASIS_POINTS**2) // (BASIS_POINTS + penalty))
    reward = dice.draw_integer(0, min(most, 300))
    return StabilityPoolParameters(penalty=penalty, reward=reward, has_write_off=has_write_off)


def _vary_keeper_group(base: KeeperGroup, dice: SeededRandom) -> KeeperGroup:
    fails = None if base.fails is None or dice.draw_index(2) else replace(base.fails, every=28_800)
    if base.role == "liquidator":
        latency = (0, 0, 600)[dice.draw_index(3)]
        return replace(
            base, fails=fails, count=dice.draw_integer(1, 4), most=dice.draw_integer(2, 10), latency=latency
        )
    if base.role == "bidder":
        takes_at = base.takes_at * dice.draw_integer(8, 10) // 10
        return replace(
            base, fails=fails, takes_at=takes_at, capital=base.capital * dice.draw_integer(1, 5) // 10
        )
    if base.role == "reporter":
        return replace(base, deviation=dice.draw_integer(20, 200), noise=(0, 10)[dice.draw_index(2)])
    return replace(base, fails=fails)
