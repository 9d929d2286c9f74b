"""How much bad debt there is, how likely, for each type and together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario
from backstop.studies.questions.setup import PATHS, Runner, column, loaded
from backstop.studies.stress.statistics import Estimate, mean, quantile, share, shortfall
from backstop.studies.stress.summary import LEVELS, estimate
from backstop.studies.tables import frame_of

if TYPE_CHECKING:
    import pandas as pd


def at_risk(
    scenario: str | Path | Scenario,
    paths: int = PATHS,
    *,
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    runner: Runner | None = None,
) -> pd.DataFrame:
    """Return chance, average and tail of bad debt: of all types, of each, of what nobody paid or bought.

    Value at risk is what so many paths do not exceed, expected shortfall the average of the others. Intervals
    are of 95%; an end that the paths do not bound is missing.
    """
    run = runner or Runner(paths, seed, engine, workers)
    day = loaded(scenario)
    (rows,) = run.outcomes([day])
    named = {"all": "bad_debt", **{symbol: f"bad_debt_{symbol}" for symbol in day.parameters.type_names}}
    found: list[dict[str, Any]] = []
    for of, name in {**named, "outstanding": "outstanding", "unsold": "unsold"}.items():
        sample = column(day, rows, name)
        hit = share(int(np.count_nonzero(sample)), len(sample))
        for level in LEVELS:
            part = level / BASIS_POINTS
            found.append(
                {"of": of, "level_bps": level}
                | named_estimate("chance", hit, "bps", BASIS_POINTS)
                | named_estimate("mean", mean(sample), "micro")
                | named_estimate("at_risk", quantile(sample, part), "micro")
                | named_estimate("shortfall", shortfall(sample, part), "micro")
            )
    return frame_of(found)


def named_estimate(name: str, found: Estimate, unit: str, scale: int = 1) -> dict[str, int | None]:
    """Return an estimate as three columns: `mean_micro`, `mean_low_micro`, `mean_high_micro`."""
    values = list(estimate(found, unit, scale).values())
    return dict(zip((f"{name}_{unit}", f"{name}_low_{unit}", f"{name}_high_{unit}"), values, strict=True))
