"""Failures of steps: looked for so often that one deployment tries all of them and takes them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.hosts.contract_creation import Creation
from backstop.lockstep.engine import Lockstep
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.lockstep.property_violation import ViolationError
from backstop.lockstep.replayable_trace import Trace, TraceStep
from backstop.lockstep.user_code_error import describe_located_error
from backstop.system import Action


class Failure(NamedTuple):
    """A failure of some steps. Those of one `kind` are taken for the same when steps are left out."""

    kind: str  # "difference", "property 7", or a fault of the model by its exception
    text: str
    steps: int  # how many were played, the failing one included


class TraceTester:
    """A fresh deployment after some first steps, on which others can be tried."""

    def __init__(self, lockstep: Lockstep, first: Sequence[TraceStep]) -> None:
        self.lockstep = lockstep
        for step in first:
            lockstep.play_step(step)

    def find_failure_in_steps(
        self, steps: Sequence[TraceStep], should_audit_storage: bool = False, should_compare_each: bool = True
    ) -> Failure | None:
        """Play steps, comparing all state after each (or the last, but each step's writes), and revert them.

        With `audit` the whole storage is compared after the last one, unknown slots included.
        """
        played = 0
        with self.lockstep.fork_state(should_watch_history=True):
            try:
                for step in steps:
                    played += 1
                    self.lockstep.play_step(step)
                    if should_compare_each or played == len(steps):
                        self.lockstep.compare_state(step.step if isinstance(step.step, Action) else None)
                if should_audit_storage:
                    self.lockstep.audit_storage()
            except Exception as error:
                return describe_failure(error, played)
        return None

    def find_failure_after_first(self, first_count: int, steps: Sequence[TraceStep]) -> Failure | None:
        """Return how steps fail, all storage compared at the end; the first count as played."""
        found = self.find_failure_in_steps(steps, should_audit_storage=True)
        return None if found is None else found._replace(steps=first_count + found.steps)


def describe_failure(error: Exception, played_count: int) -> Failure:
    """Return the failure that an error of a lockstep is; an unexpected one is the model's fault."""
    if isinstance(error, ViolationError):
        return Failure(f"property {error.property_name}", str(error), played_count)
    if isinstance(error, DivergenceError):
        return Failure("difference", str(error), played_count)
    if isinstance(error, BackstopError):
        return Failure("error", str(error), played_count)
    return Failure(type(error).__name__, describe_located_error("the model", error), played_count)


def split_creations(trace: Trace) -> tuple[list[TraceStep], list[TraceStep]]:
    """Separate contracts added at the start from later steps; raises BackstopError if one is added later."""
    steps = list(trace.steps)
    count = next((i for i, step in enumerate(steps) if not isinstance(step.step, Creation)), len(steps))
    if any(isinstance(step.step, Creation) for step in steps[count:]):
        raise BackstopError("this trace creates contracts among its steps: only replay can run it")
    return steps[:count], steps[count:]
