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
    """Interface of the engines that run paths of one study.

    The row of a path depends only on the study and the path's number.
    """

    def run_paths(self, first: int, count: int) -> Rows:
        """Return the outcome rows of the paths `first` to `first + count - 1`."""
        ...


@dataclass(frozen=True)
class Task:
    """Input of one study: scenario, seed and name of the engine. Each worker receives it once."""

    scenario: Scenario
    seed: int
    engine: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 hash of scenario, seed and engine [hex]. Tasks with equal hashes have equal rows."""
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
    """Return the engine of a task, cached for the current thread.

    The engine is rebuilt if the thread's last call was for another task.
    """
    if getattr(_here, "digest", "") != task.digest:
        with translate_missing_extra_errors():
            _here.engine, _here.digest = _ENGINES[task.engine](task), task.digest
    found: Engine = _here.engine
    return found
