"""Failures of steps: looked for so often that one deployment tries all of them and takes them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import Creation
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.proof.lockstep import Lockstep, deploy_lockstep
from backstop.proof.lockstep_difference import DivergenceError
from backstop.proof.properties import PropertyViolationError
from backstop.proof.replayable_trace import Trace, TraceStep
from backstop.system import Action


class Failure(NamedTuple):
    """A failure of some steps. Those of one `kind` are taken for the same when steps are left out."""

    kind: str  # "difference", "property 7", or a fault of the model by its exception
    text: str
    steps: int  # how many were played, the failing one included


class TraceTester:
    """A deployment on revm after some first steps, on which others can be tried."""

    def __init__(
        self,
        parameters: Parameters,
        started_at: int,
        first: Sequence[TraceStep],
        artifacts: Artifacts,
        promises: bool = False,
    ) -> None:
        self.both: Lockstep = deploy_lockstep(
            RevmHost(started_at),
            parameters,
            artifacts=artifacts,
            check_every=0,
            traces=None,
            promises=promises,
        )
        for step in first:
            self.both.play_step(step)

    def find_failure_in_steps(
        self, steps: Sequence[TraceStep], should_audit_storage: bool = False, should_compare_each: bool = True
    ) -> Failure | None:
        """Play steps, all state compared after each (or the last, but what each writes), and take them back.

        With `audit` the whole storage is compared after the last one, unknown slots included.
        """
        played = 0
        with self.both.fork_state(should_watch_history=True):
            try:
                for step in steps:
                    played += 1
                    self.both.play_step(step)
                    if should_compare_each or played == len(steps):
                        self.both.compare_state(step.step if isinstance(step.step, Action) else None)
                if should_audit_storage:
                    self.both.audit_storage()
            except PropertyViolationError as error:
                return Failure(f"property {error.number}", str(error), played)
            except DivergenceError as error:
                return Failure("difference", str(error), played)
            except BackstopError as error:
                return Failure("error", str(error), played)
            except Exception as error:  # a fault of the model
                return Failure(type(error).__name__, repr(error), played)
        return None


def find_failure(trace: Trace, artifacts: Artifacts) -> Failure | None:
    """Return how a trace fails on a fresh deployment; None if it does not."""
    first, rest = split_creations(trace)
    ground = TraceTester(trace.parameters, trace.started_at, first, artifacts, trace.promises)
    found = ground.find_failure_in_steps(rest, should_audit_storage=True)
    return None if found is None else found._replace(steps=len(first) + found.steps)


def split_creations(trace: Trace) -> tuple[list[TraceStep], list[TraceStep]]:
    """Separate contracts added at the start from later steps; raises BackstopError if one is added later."""
    steps = list(trace.steps)
    count = next((i for i, step in enumerate(steps) if not isinstance(step.step, Creation)), len(steps))
    if any(isinstance(step.step, Creation) for step in steps[count:]):
        raise BackstopError("this trace creates contracts among its steps: only replay can run it")
    return steps[:count], steps[count:]
