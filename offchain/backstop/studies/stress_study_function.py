"""A stress study as one function, for notebooks and scripts."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.parallel.worker_backend_selection import select_workers
from backstop.simulation.run_metadata import build_run_metadata
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.studies.assumption_record import list_stress_options, list_study_assumptions, write_assumptions
from backstop.studies.risk_questions.loss_drivers import (
    PATHS as MOST_PATHS,
)
from backstop.studies.risk_questions.loss_drivers import (
    build_driver_cases,
    estimate_drivers,
    open_driver_studies,
)
from backstop.studies.stress.engines import ENGINES, Task
from backstop.studies.stress.resumable_path_study import Study, run_all
from backstop.studies.stress.stress_summary import LEVELS, build_stress_summary
from backstop.studies.stress.tail_confirmation import confirm_worst_paths as run_again

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StressStudy:
    """Result of a stress study: the content of summary.json, and a table with a row per path."""

    summary: dict[str, Any]
    paths: pd.DataFrame


def study(
    scenario: str | Path | Scenario = "stress-day",
    paths: int = 1_000,
    *,
    seed: int = 1,
    engine: str = "fast",
    workers: int = 1,
    confirm: int = 0,
    drivers: bool | None = None,
    out: str | Path | None = None,
) -> StressStudy:
    """Run many paths of a scenario, as the command `stress` does, and return their outcomes.

    - `scenario`: name, file or Scenario.
    - `paths`, `seed`: number of paths, and the seed of all draws.
    - `engine`: "fast", "exact" (contracts and model) or "model".
    - `workers`: number of processes.
    - `confirm`: number of the worst paths that are run again on the contracts.
    - `drivers`: whether the first paths are run again under each changed assumption that may make the
      tail, which takes several times as long. By default only with the fast engine.
    - `out`: folder in which everything is kept. The command `report` makes its page from it. The same
      call resumes an interrupted study there.

    The result has these fields:

    - `summary`: content of summary.json, with estimates of bad debt, payers, times and the worst path.
    - `paths`: table with a row for each path. Its columns are `path`, `liquidations`, `liquidated_debt`,
      `bad_debt`, `outstanding`, `unsold`, `covered_STAGE`, `first_loss_at`, `covered_at`, `lowest_ratio`,
      `buyers_left`, `depth_missing` and `bad_debt_TYPE`. Money is in millionths of a stablecoin. Times
      are in seconds from the start, -1 for never. The ratio is in basis points.

    Raises BackstopError for an unknown engine and for fewer than two paths.
    """
    import pandas as pd

    if engine not in ENGINES:
        raise BackstopError(f"engine {engine!r} is unknown; expected one of {', '.join(ENGINES)}")
    if paths < 2:
        raise BackstopError(f"a study needs two paths or more, not {paths}")
    loaded = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    called = loaded.name if isinstance(scenario, Scenario) else str(scenario)
    task = Task(loaded, seed, engine)
    has_drivers = engine == "fast" if drivers is None else drivers
    cases, missing = build_driver_cases(task) if has_drivers else ([], [])
    compared = min(paths, MOST_PATHS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="backstop-study-") as temporary:
        folder = Path(out or temporary)
        made = Study.open_or_resume(task, paths, folder)
        studies = [made, *open_driver_studies(task, cases, compared, folder)]
        rows, *changed = run_all(
            studies, select_workers(workers, None), lambda done, total, text: None, lambda: False
        )
        again = run_again(task, rows, confirm, lambda done, total, text: None, lambda: False)
        found = estimate_drivers(task, rows[:compared], cases, changed, missing) if has_drivers else None
        summary = build_stress_summary(task, called, rows, again, None, found)
        if out is not None:
            named = list_study_assumptions(loaded, seed, engine, paths)
            asked_for = list_stress_options(LEVELS, len(again), compared if has_drivers else 0)
            write_assumptions(made.out, "stress", named | asked_for)
            made.write_results(summary, build_run_metadata(engine, "", made.out, time.monotonic() - began))
    return StressStudy(summary, pd.DataFrame(rows, columns=list(made.columns.names)))
