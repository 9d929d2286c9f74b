"""Engines by name: each turns a scenario, a seed and path numbers into the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from threading import local
from typing import Protocol

from backstop.files.installation import translate_missing_extra_errors
from backstop.simulation.scenario import Scenario
from backstop.studies.stress.columns import Rows


class Engine(Protocol):
    """Runner of one study's paths; a row depends on the study and the path's number alone."""

    def run_paths(self, first: int, count: int) -> Rows:
        """Return the outcomes of paths first to first + count - 1."""
        ...


@dataclass(frozen=True)
class Task:
    """Input of a study, given to every worker once."""

    scenario: Scenario
    seed: int
    engine: str

    @cached_property
    def digest(self) -> str:
        """Hash of the task, which is equal where the rows are."""
        return sha256(repr((self.scenario, self.seed, self.engine)).encode()).hexdigest()


def _open_exact_bytecode_engine(task: Task) -> Engine:
    from backstop.studies.stress.exact_bytecode_engine import ExactEngine  # needs the extra `chain`

    return ExactEngine(task.scenario, task.seed)


def _open_model_engine(task: Task) -> Engine:
    from backstop.studies.stress.exact_bytecode_engine import ExactEngine  # needs the extra `chain`

    return ExactEngine(task.scenario, task.seed, on_bytecode=False)


def _open_fast(task: Task) -> Engine:
    # Numba takes seconds to load, and the other engines do without it.
    from backstop.studies.stress.fast.fast_engine import FastEngine

    return FastEngine(task.scenario, task.seed)


_ENGINES: dict[str, Callable[[Task], Engine]] = {
    "fast": _open_fast,
    "exact": _open_exact_bytecode_engine,
    "model": _open_model_engine,
}

ENGINES = tuple(_ENGINES)

CHUNKS = {"fast": 250, "exact": 10, "model": 10}
"""Paths given to a worker at once, which is the most that is lost when it dies."""


_here = local()


def get_engine(task: Task) -> Engine:
    """Return this thread's engine of the task, which keeps what its paths share."""
    if getattr(_here, "digest", "") != task.digest:
        with translate_missing_extra_errors():
            _here.engine, _here.digest = _ENGINES[task.engine](task), task.digest
    found: Engine = _here.engine
    return found
