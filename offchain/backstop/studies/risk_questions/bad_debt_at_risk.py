"""How much bad debt there is, how likely, for each type and together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.path_runner import PATHS, PathRunner, get_column, load_with_changes
from backstop.studies.stress.path_statistics import (
    Estimate,
    estimate_mean_with_interval,
    estimate_quantile,
    estimate_share,
    estimate_shortfall,
)
from backstop.studies.stress.stress_summary import LEVELS, convert_estimate_to_integers

if TYPE_CHECKING:
    import pandas as pd


def at_risk(
    scenario: str | Path | Scenario,
    paths: int = PATHS,
    *,
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    runner: PathRunner | None = None,
) -> pd.DataFrame:
    """Estimate chance, mean and tail of a scenario's bad debt over many paths.

    - `scenario`: name, file or Scenario.
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `runner`: PathRunner to use instead of `paths`, `seed`, `engine` and `workers`.

    The table has two rows (levels 95% and 99%) for all bad debt, for each type, and for outstanding and
    unsold debt. Its columns are:

    - `of`, `level_bps`: the estimated loss ("all", a type, "outstanding" or "unsold"), and the level.
    - `chance_bps`: share of paths with any amount.
    - `mean_micro`: average over all paths, in millionths of a stablecoin.
    - `at_risk_micro`: value at risk, the amount that a share `level_bps` of the paths does not exceed.
    - `shortfall_micro`: expected shortfall, the average of the worse paths.

    Each figure has columns for its 95% interval, for example `mean_low_micro` and `mean_high_micro`. An end
    that the paths do not bound is missing.
    """
    run = runner or PathRunner(paths, seed, engine, workers)
    day = load_with_changes(scenario)
    (rows,) = run.run_outcomes([day])
    named = {
        "all": "bad_debt",
        **{symbol: f"bad_debt_{symbol}" for symbol in day.parameters.collateral_and_facilitator_names},
    }
    found: list[dict[str, Any]] = []
    for of, name in {**named, "outstanding": "outstanding", "unsold": "unsold"}.items():
        sample = get_column(day, rows, name)
        hit = estimate_share(int(np.count_nonzero(sample)), len(sample))
        for level in LEVELS:
            part = level / BASIS_POINTS
            found.append(
                {"of": of, "level_bps": level}
                | build_estimate_columns("chance", hit, "bps", BASIS_POINTS)
                | build_estimate_columns("mean", estimate_mean_with_interval(sample), "micro")
                | build_estimate_columns("at_risk", estimate_quantile(sample, part), "micro")
                | build_estimate_columns("shortfall", estimate_shortfall(sample, part), "micro")
            )
    return build_frame(found)


def build_estimate_columns(name: str, found: Estimate, unit: str, scale: int = 1) -> dict[str, int | None]:
    """Return an estimate as three columns: `mean_micro`, `mean_low_micro` and `mean_high_micro`.

    The names start with `name` and end with `unit`. Values are multiplied by `scale` and rounded to integers.
    """
    values = list(convert_estimate_to_integers(found, unit, scale).values())
    return dict(zip((f"{name}_{unit}", f"{name}_low_{unit}", f"{name}_high_{unit}"), values, strict=True))
