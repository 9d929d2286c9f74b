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
    """Failure of a trace's steps. Two failures of the same `kind` count as the same when shrinking."""

    kind: str  # "difference", "property 7", or a fault of the model by its exception
    text: str
    steps: int  # how many were played, the failing one included


class TraceTester:
    """Deployment after some first steps, on which further steps can be tried and reverted."""

    def __init__(self, lockstep: Lockstep, first: Sequence[TraceStep]) -> None:
        self.lockstep = lockstep
        for step in first:
            lockstep.play_step(step)

    def find_failure_in_steps(
        self, steps: Sequence[TraceStep], should_audit_storage: bool = False, should_compare_each: bool = True
    ) -> Failure | None:
        """Play steps, return their failure or None, and revert them.

        With `should_compare_each`, all state is compared after each step, otherwise only after the last one.
        With `should_audit_storage`, the whole storage is compared at the end, unknown slots included.
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
        """Play steps and compare all storage at their end; return their failure or None.

        The failure's number of steps includes the `first_count` steps played before.
        """
        found = self.find_failure_in_steps(steps, should_audit_storage=True)
        return None if found is None else found._replace(steps=first_count + found.steps)


def describe_failure(error: Exception, played_count: int) -> Failure:
    """Return the failure that an error of a lockstep stands for.

    An unexpected exception counts as an error of the model.
    """
    if isinstance(error, ViolationError):
        return Failure(f"property {error.property_name}", str(error), played_count)
    if isinstance(error, DivergenceError):
        return Failure("difference", str(error), played_count)
    if isinstance(error, BackstopError):
        return Failure("error", str(error), played_count)
    return Failure(type(error).__name__, describe_located_error("the model", error), played_count)


def split_creations(trace: Trace) -> tuple[list[TraceStep], list[TraceStep]]:
    """Split a trace into its leading contract creations and all later steps.

    Raises BackstopError if a contract is created after other steps.
    """
    steps = list(trace.steps)
    count = next((i for i, step in enumerate(steps) if not isinstance(step.step, Creation)), len(steps))
    if any(isinstance(step.step, Creation) for step in steps[count:]):
        raise BackstopError("this trace creates contracts among its steps: only replay can run it")
    return steps[:count], steps[count:]
