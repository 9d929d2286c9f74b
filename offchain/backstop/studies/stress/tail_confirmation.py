"""Confirmation of a study's tail: its worst paths are run once more, on the contracts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstop.simulation.progress_and_interruption import Progress
from backstop.simulation.scenario import Scenario
from backstop.studies.stress.columns import OutcomeColumns, Rows
from backstop.studies.stress.engines import Task, get_engine
from backstop.studies.stress.stress_summary import worst_paths

CONFIRMED = 3
"""Worst paths that a fast study runs again on the contracts, unless it is said."""
MOST_VAULTS = 20_000
"""Vaults up to which it does: each takes about three milliseconds to open and to keep there."""


def choose_confirmed_paths(scenario: Scenario) -> int:
    """Return the default number of worst paths to run again on the contracts.

    0 if the scenario has more than MOST_VAULTS vaults, as the run would take too long.
    """
    vaults = len(scenario.vaults) + sum(book.vaults for book in scenario.generated.values())
    return CONFIRMED if vaults <= MOST_VAULTS else 0


def confirm_worst_paths(
    task: Task, rows: Rows, count: int, progress: Progress, stop: Callable[[], bool]
) -> list[dict[str, int]]:
    """Run the `count` worst paths on the exact engine, and return their bad debt [micro].

    Each dictionary has `path`, `engine_micro` (the study's engine) and `exact_micro`. `stop` ends the list
    early.
    """
    if not count:  # which needs no contracts
        return []
    columns = OutcomeColumns.from_parameters(task.scenario.parameters)
    place, found = columns.get_index("bad_debt"), []
    paths = worst_paths(columns, rows, count)
    exact = get_engine(replace(task, engine="exact"))
    for i, path in enumerate(paths):
        if stop():
            break
        progress(i, len(paths), "worst paths on the contracts")
        again = exact.run_paths(path, 1)[0]
        before = rows[rows[:, 0] == path][0]
        found.append({"path": path, "engine_micro": int(before[place]), "exact_micro": int(again[place])})
    return found
