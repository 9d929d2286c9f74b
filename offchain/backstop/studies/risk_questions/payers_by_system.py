"""Payers of bad debt under the rules of each system, on the same paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario
from backstop.studies.comparison.presets import apply_preset, load_presets
from backstop.studies.data_frames import build_frame
from backstop.studies.risk_questions.bad_debt_at_risk import build_estimate_columns
from backstop.studies.risk_questions.path_runner import PathRunner, get_column, load_with_changes
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.path_statistics import estimate_mean_with_interval, estimate_share
from backstop.studies.stress.stress_summary import sum_payments_by_loss_bearer

if TYPE_CHECKING:
    import pandas as pd

OWN = "as it is"
PATHS = 50
"""Fewer than of other questions: presets with equity need an engine that runs every call."""


def payers(
    scenario: str | Path,
    presets: str = "all",
    paths: int = PATHS,
    *,
    seed: int = 1,
    engine: str = "model",
    workers: int = 1,
    runner: PathRunner | None = None,
) -> pd.DataFrame:
    """Estimate how much each group pays of the bad debt, by the scenario's rules and by presets.

    All rules meet the same paths. A path ends with its last auction. A later call may still pay the loss of
    that auction.

    - `scenario`: name or file.
    - `presets`: preset names with commas between them, or a group: "all", "systems" or "margin".
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `runner`: PathRunner to use instead of `paths`, `seed`, `engine` and `workers`.

    The table has a row for each preset and group, with the columns:

    - `preset`, `payer`: "as it is" stands for the scenario's own rules. The payer "holders" stands for
      amounts that are unpaid at a path's end.
    - `mean_micro`: average payment in millionths of a stablecoin, with its 95% interval (`_low_`,
      `_high_`).
    - `share_bps`: share of all bad debt under the preset, rounded down.
    - `chance_bps`: share of paths with a payment, with its 95% interval.
    """
    if isinstance(scenario, Scenario):
        raise BackstopError("presets are laid over a scenario's file: give its name or path")
    run = runner or PathRunner(paths, seed, engine, workers)
    days = {OWN: load_with_changes(scenario)}
    days |= {preset.name: apply_preset(preset, scenario) for preset in load_presets(presets)}
    rows: list[dict[str, Any]] = []
    for (name, day), outcomes in zip(days.items(), run.run_outcomes(list(days.values())), strict=True):
        lost = int(np.sum(get_column(day, outcomes, "bad_debt")))
        for group, paid in sum_payments_by_loss_bearer(
            OutcomeColumns.from_parameters(day.parameters), outcomes
        ).items():
            hit = estimate_share(int(np.count_nonzero(paid)), len(paid))
            rows.append(
                {"preset": name, "payer": group}
                | build_estimate_columns("mean", estimate_mean_with_interval(paid), "micro")
                | {"share_bps": int(np.sum(paid)) * BASIS_POINTS // lost if lost else 0}
                | build_estimate_columns("chance", hit, "bps", BASIS_POINTS)
            )
    return build_frame(rows)
