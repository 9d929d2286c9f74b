"""Effects of historic episodes on a book: their prices, gas prices and outages, on the present book."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backstop.errors import BackstopError
from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.draw_scenario import set_depths_from_debts
from backstop.simulation.scenario.episode_overlay import list_episode_names, load_episode
from backstop.simulation.scenario.scenario_library import join_episode, split_episode
from backstop.simulation.sources.default_owner_behavior import read_default_owner_behavior
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.assumption_cases import REACTING_OWNERS, STILL_OWNERS
from backstop.studies.risk_questions.bad_debt_at_risk import build_estimate_columns
from backstop.studies.risk_questions.path_runner import PathRunner, get_column, load_with_changes
from backstop.studies.stress.path_statistics import estimate_mean_with_interval

if TYPE_CHECKING:
    import pandas as pd

PATHS = 100
"""Fewer than of other questions: prices are given, and paths differ only between them."""

REACTING, STILL = REACTING_OWNERS, STILL_OWNERS
HALF_DEPTH, NO_OUTAGE = "still, half the depth", "still, no outage"


def compare_episodes(
    scenario: str | Path,
    paths: int = PATHS,
    *,
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    runner: PathRunner | None = None,
) -> pd.DataFrame:
    """Estimate the losses of a scenario's vaults in each historic episode of the library.

    An episode brings its prices, gas prices and outages. Owners react by the scenario's law, or by the
    package's default.

    - `scenario`: name or file, without an episode.
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `runner`: PathRunner to use instead of `paths`, `seed`, `engine` and `workers`.

    The table has a row for each episode and case, with the columns:

    - `episode`, `case`: the cases are reacting owners, idle owners, idle owners with half the depth of
      markets, and idle owners without the episode's outages if it has any.
    - `deepest_fall_bps`: largest price drop of a collateral from the start.
    - `liquidations`: average number over the paths.
    - `liquidated_micro`, `bad_debt_micro`: averages over the paths in millionths of a stablecoin, each
      with its 95% interval (`_low_`, `_high_`).
    - `worst_micro`: bad debt of the worst path.
    """
    if isinstance(scenario, Scenario):
        raise BackstopError("episodes are laid over a scenario's file: give its name or path")
    if named := split_episode(str(scenario))[1]:
        raise BackstopError(f"{scenario}: all episodes are asked for: leave out @{named}")
    run = runner or PathRunner(paths, seed, engine, workers)
    cases = [
        (name, case, day)
        for name in list_episode_names()
        for case, day in _build_cases(load_with_changes(join_episode(str(scenario), name)), name, run.seed)
    ]
    found: list[dict[str, Any]] = []
    for (name, case, day), rows in zip(cases, run.run_outcomes([day for *_, day in cases]), strict=True):
        bad_debt = get_column(day, rows, "bad_debt")
        found.append(
            {
                "episode": name,
                "case": case,
                "deepest_fall_bps": compute_deepest_fall(day),
                "liquidations": round(float(np.mean(get_column(day, rows, "liquidations"))), 1),
            }
            | build_estimate_columns(
                "liquidated", estimate_mean_with_interval(get_column(day, rows, "liquidated_debt")), "micro"
            )
            | build_estimate_columns("bad_debt", estimate_mean_with_interval(bad_debt), "micro")
            | {"worst_micro": int(np.max(bad_debt))}
        )
    return build_frame(found)


def compute_deepest_fall(day: Scenario) -> int:
    """Return the largest price drop of a collateral from its first price [bps], rounded up.

    0 if none.
    """
    return max(
        -(-(first - min(path.points.values())) * BASIS_POINTS // first)
        for path in day.prices.values()
        for first in (path.points[0],)
    )


def _build_cases(day: Scenario, episode: str, seed: int) -> list[tuple[str, Scenario]]:
    day = set_depths_from_debts(day, seed)
    owners = day.owners or read_default_owner_behavior(day.block_time)
    still = replace(day, owners=None)
    found = [(REACTING, replace(day, owners=owners)), (STILL, still), (HALF_DEPTH, _halve_depth(still))]
    if "outages" in load_episode(episode).section:
        found.append((NO_OUTAGE, replace(still, keepers=_remove_outages(still))))
    return found


def _halve_depth(day: Scenario) -> Scenario:
    markets = {name: replace(each, depth=each.depth // 2) for name, each in day.markets.items()}
    return replace(day, markets=markets)


def _remove_outages(day: Scenario) -> tuple[KeeperGroup, ...]:
    return tuple(replace(group, outages=()) for group in day.keepers)
