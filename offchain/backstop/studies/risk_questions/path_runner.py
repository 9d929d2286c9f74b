"""Inputs of every question: a scenario, its vaults, and the outcomes of its paths."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backstop.errors import BackstopError
from backstop.parallel.worker_backend_selection import select_workers
from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.scenario import Scenario, build_vault_book, quantity_units
from backstop.simulation.scenario.scenario_library import ORDERS, read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.simulation.scenario.scenario_records import Vault
from backstop.simulation.scenario.yaml_document_reader import Field, merge_documents
from backstop.studies.stress.columns import OutcomeColumns, Rows
from backstop.studies.stress.engines import ENGINES, Task, get_engine
from backstop.studies.stress.parameter_grid import build_field_changes
from backstop.studies.stress.path_statistics import LEAST_TAIL, Sample
from backstop.studies.stress.resumable_path_study import Study, run_all

PATHS = 1_000
LEVEL = 9_500
"""Level of value at risk and expected shortfall [bps]."""


class PathRunner:
    """Settings for runs of many paths: number, seed, engine and processes."""

    def __init__(
        self,
        paths: int = PATHS,
        seed: int = 1,
        engine: str = "fast",
        workers: int = 1,
        progress: Progress = lambda done, total, text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        if engine not in ENGINES:
            raise BackstopError(f"engine {engine!r} is unknown; expected one of {', '.join(ENGINES)}")
        if paths < 2:
            raise BackstopError(f"a question needs two paths or more, not {paths}")
        self.paths, self.seed, self.engine = paths, seed, engine
        self.workers, self.progress, self.stop = workers, progress, stop

    def run_outcomes(self, scenarios: Sequence[Scenario], seeds: Sequence[int] = ()) -> list[Rows]:
        """Run the same paths of each scenario, and return the outcome rows of each.

        `seeds` gives each scenario its own seed; by default all have the runner's seed.
        """
        tasks = [
            Task(scenario, seed, self.engine)
            for scenario, seed in zip(scenarios, seeds or [self.seed] * len(scenarios), strict=True)
        ]
        for task in tasks:
            get_engine(task)  # what it does not know shows before anything runs
        with tempfile.TemporaryDirectory(prefix="backstop-question-") as folder:
            studies = [
                Study.open_or_resume(task, self.paths, Path(folder) / str(i)) for i, task in enumerate(tasks)
            ]
            return run_all(studies, select_workers(self.workers, None), self.progress, self.stop)

    def need_tail(self, level: int) -> None:
        """Raise BackstopError if too few paths lie beyond a level [bps] for an interval."""
        least = -(-LEAST_TAIL * 10_000 // (10_000 - level))
        if self.paths < least:
            raise BackstopError(
                f"a shortfall at {level / 100:g}% needs {least:,} paths or more, not {self.paths:,}"
            )


def parse_basis_points(value: int | str, option_name: str) -> int:
    """Return a share in basis points: an integer unchanged, a text such as "95%" converted.

    Raises BackstopError, with `option_name`, for a text that is no share.
    """
    if isinstance(value, int):
        return value
    try:
        return quantity_units.read_basis_points(value)
    except ValueError as error:
        raise BackstopError(f"{option_name}: {error}") from None


def load_with_changes(
    scenario: str | Path | Scenario,
    changes: Mapping[str, str] | None = None,
    what: str = "proposal",
    *,
    with_book: bool = True,
) -> Scenario:
    """Load a scenario with new texts for the fields at these dotted paths.

    A recorded opening state is dropped, so that the vaults are opened anew. Without `with_book`, the vaults
    of a file are left out. `what` names the changes in error messages.
    """
    if isinstance(scenario, Scenario) and not changes:
        return scenario
    top, name = read_changed_document(scenario, changes or {}, what)
    return parse_scenario(top, name, drops_opening_state=True, with_book=with_book)


def read_changed_document(
    scenario: str | Path | Scenario, changes: Mapping[str, str], what: str = "proposal"
) -> tuple[Field, str]:
    """Return a scenario's unchecked document with some fields changed, and the scenario's name."""
    if isinstance(scenario, Scenario):
        if not scenario.source:
            raise BackstopError("fields are changed in a scenario's file: give its name or path")
        scenario = scenario.source
    top, name = read_unchecked_scenario_fields(scenario)
    if changes:
        fields = {path: Field(Path(what), 1, path, value, value == "null") for path, value in changes.items()}
        top = merge_documents(top, build_field_changes(top, fields), ORDERS)
    return top, name


def build_vaults(scenario: Scenario, seed: int) -> list[Vault]:
    """Return the scenario's vaults at its opening, as they are opened at the first prices."""
    return build_vault_book(scenario, seed, scenario.first_prices)


def get_column(scenario: Scenario, rows: Rows, name: str) -> Sample:
    """Return one column of a scenario's outcomes, one value per path."""
    return rows[:, OutcomeColumns.from_parameters(scenario.parameters).get_index(name)]
