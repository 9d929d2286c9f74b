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
from backstop.studies.assumption_record import list_study_assumptions, write_assumptions
from backstop.studies.stress.engines import ENGINES, Task
from backstop.studies.stress.resumable_path_study import Study
from backstop.studies.stress.stress_summary import build_stress_summary
from backstop.studies.stress.tail_confirmation import confirm_worst_paths as run_again

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StressStudy:
    """The summary of a study, as in its summary.json, and a row of outcomes for each path."""

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
    out: str | Path | None = None,
) -> StressStudy:
    """Run many paths of a scenario, as the command `stress` does.

    `workers` is a number of processes; `confirm` runs so many of the worst paths again on the contracts. With
    `out` everything is kept in that folder, from which the command `report` writes its page, and the same
    call goes on where it was interrupted.
    """
    import pandas as pd

    if engine not in ENGINES:
        raise BackstopError(f"there is no engine {engine!r}: take one of {', '.join(ENGINES)}")
    if paths < 2:
        raise BackstopError(f"a study needs two paths or more, not {paths}")
    loaded = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    called = loaded.name if isinstance(scenario, Scenario) else str(scenario)
    task = Task(loaded, seed, engine)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="backstop-study-") as temporary:
        made = Study.open_or_resume(task, paths, Path(out or temporary))
        rows = made.run_missing_paths(select_workers(workers, None))
        again = run_again(task, rows, confirm, lambda done, total, text: None, lambda: False)
        summary = build_stress_summary(task, called, rows, again, None)
        if out is not None:
            named = list_study_assumptions(loaded, seed, engine, paths)
            write_assumptions(made.out, "stress", named)
            made.write_results(summary, build_run_metadata(engine, "", made.out, time.monotonic() - began))
    return StressStudy(summary, pd.DataFrame(rows, columns=list(made.columns.names)))
