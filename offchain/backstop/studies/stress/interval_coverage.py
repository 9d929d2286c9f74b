"""Coverage of the intervals: how often small studies contain the exact engine's true figure.

A large study on the exact engine is the truth. Small ones draw their paths from it by lot: once as the exact
engine had them, and once as the fast engine has the same paths, so that its error counts as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from backstop.parallel.unordered_job_workers import Workers, run_in_process
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.engine_agreement import ignore_progress, run_on_workers
from backstop.studies.stress.engines import Task
from backstop.studies.stress.fast import FastEngine
from backstop.studies.stress.path_statistics import (
    Estimate,
    Sample,
    estimate_mean_with_interval,
    estimate_quantile,
    estimate_share,
    estimate_shortfall,
)

SCENARIO = "severe-day"
SIZES = 250, 1_000
"""Paths of the small studies."""

_LEVELS = 0.95, 0.99
_CHUNK = 50


class Coverage(NamedTuple):
    """Share of small studies with an interval that contains the true value, on both engines."""

    figure: str
    paths: int  # of a small study
    exact: float  # share of the small studies on the exact engine whose interval holds
    fast: float  # the same share on the fast engine
    studies: int  # small studies of each engine, without those that have no interval
    error: float  # relative error of the fast engine's figure over all paths


def build_shrunken_severe_day() -> Scenario:
    """Return the scenario "severe-day" shortened to six hours, at a tenth of its size.

    Vaults, depth, deposits and capital shrink. One path takes about 20 milliseconds.
    """
    day = load_scenario(SCENARIO)
    return replace(
        day,
        duration=6 * 3_600,
        generated={symbol: replace(book, vaults=book.vaults // 10) for symbol, book in day.generated.items()},
        markets={symbol: replace(market, depth=market.depth // 10) for symbol, market in day.markets.items()},
        members={
            pool: {name: deposit // 10 for name, deposit in deposits.items()}
            for pool, deposits in day.members.items()
        },
        keepers=tuple(replace(group, capital=group.capital // 10) for group in day.keepers),
    )


def sample_bad_debt_on_both_engines(
    paths: int, seed: int = 1, workers: Workers = run_in_process, progress: Progress = ignore_progress
) -> tuple[Sample, Sample]:
    """Run the same paths on both engines, and return their bad debts as (exact, fast).

    The bad debts are in millionths of a stablecoin, one entry per path.
    """
    scenario = build_shrunken_severe_day()
    tasks = [Task(scenario, seed, "model")]
    (rows,) = run_on_workers(tasks, paths, _CHUNK, workers, progress, "a large study, exactly")
    losses = OutcomeColumns.from_parameters(scenario.parameters).get_index("bad_debt")
    return rows[:, losses], FastEngine(scenario, seed).run_paths(0, paths)[:, losses]


def measure_coverage(
    exact: Sample, fast: Sample, studies: int, sizes: Sequence[int] = SIZES, seed: int = 1
) -> list[Coverage]:
    """Return how often intervals of small studies contain the exact engine's figure over all paths.

    `exact` and `fast` are the bad debts of the same paths on each engine. For each size in `sizes`, `studies`
    samples are drawn from these paths with replacement. A figure without any interval is left out.
    """
    random, found = np.random.default_rng(seed), []
    for size in sizes:
        drawn = random.integers(len(exact), size=(studies, size))
        for name, estimate in _build_estimators_by_figure().items():
            truth, own = estimate(exact).value, estimate(fast).value
            held, held_by_fast = (
                _list_interval_hits(estimate, values[drawn], truth) for values in (exact, fast)
            )
            if held and held_by_fast:
                error = own / truth - 1
                found.append(
                    Coverage(
                        name,
                        size,
                        _compute_held_share(held),
                        _compute_held_share(held_by_fast),
                        len(held),
                        error,
                    )
                )
    return found


def _build_estimators_by_figure() -> dict[str, Callable[[Sample], Estimate]]:
    figures: dict[str, Callable[[Sample], Estimate]] = {
        "probability of a loss": _estimate_loss_probability,
        "average": estimate_mean_with_interval,
    }
    for level in _LEVELS:
        figures[f"value at risk {level:.0%}"] = partial(estimate_quantile, level=level)
    for level in _LEVELS:
        figures[f"expected shortfall {level:.0%}"] = partial(estimate_shortfall, level=level)
    return figures


def _estimate_loss_probability(sample: Sample) -> Estimate:
    return estimate_share(int((sample > 0).sum()), len(sample))


def _compute_held_share(intervals_held: list[bool]) -> float:
    return sum(intervals_held) / len(intervals_held)


def _list_interval_hits(estimate: Callable[[Sample], Estimate], samples: Sample, truth: float) -> list[bool]:
    """Return whether the interval of each sample contains `truth`.

    Samples without an interval are left out. An open end of an interval contains every value.
    """
    found = [estimate(sample) for sample in samples]
    return [
        (low is None or low <= truth) and (high is None or truth <= high)
        for _, low, high in found
        if low is not None or high is not None
    ]
