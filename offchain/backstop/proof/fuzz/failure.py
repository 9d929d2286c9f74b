"""Failures of steps: looked for so often that one deployment tries all of them and takes them back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from backstop.deployment.parameters import Parameters
from backstop.deployment.plan import Creation
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.proof.difference import Divergence
from backstop.proof.lockstep import Lockstep, lockstep
from backstop.proof.properties import Violation
from backstop.proof.trace import Step, Trace
from backstop.system import Action


class Failure(NamedTuple):
    """A failure of some steps. Those of one `kind` are taken for the same when steps are left out."""

    kind: str  # "difference", "property 7", or a fault of the model by its exception
    text: str
    steps: int  # how many were played, the failing one included


class Ground:
    """A deployment on revm after some first steps, on which others can be tried.

    What was tried last stands until something else is, as a future in a future for each step: what the next
    has in common with it is not played again.
    """

    def __init__(
        self, parameters: Parameters, started_at: int, first: Sequence[Step], artifacts: Artifacts
    ) -> None:
        self.both: Lockstep = lockstep(
            RevmHost(started_at), parameters, artifacts=artifacts, check_every=0, traces=None
        )
        for step in first:
            self.both.play(step)
        self._played: list[tuple[Step, AbstractContextManager[Lockstep]]] = []

    def failure(self, steps: Sequence[Step], audit: bool = False, each: bool = True) -> Failure | None:
        """Play steps, all state compared after each (or the last, but what each writes).

        With `audit` the whole storage is compared after the last one, unknown slots included.
        """
        pairs = zip(self._played, steps, strict=False)
        self._go_back(next((i for i, ((old, _), new) in enumerate(pairs) if old is not new), len(steps)))
        failure = self._play(steps, audit, each)
        if failure is not None:
            self._go_back(len(self._played) - 1)
        return failure

    def _play(self, steps: Sequence[Step], audit: bool, each: bool) -> Failure | None:
        try:
            for step in steps[len(self._played) :]:
                future = self.both.imagine()
                future.__enter__()
                self._played.append((step, future))
                self.both.play(step)
                if each:
                    self.both.check(step.step if isinstance(step.step, Action) else None)
            if steps and not each:
                last = steps[-1].step
                self.both.check(last if isinstance(last, Action) else None)
            if audit:
                self.both.audit()
        except Violation as error:
            return Failure(f"property {error.number}", str(error), len(self._played))
        except Divergence as error:
            return Failure("difference", str(error), len(self._played))
        except BackstopError as error:
            return Failure("error", str(error), len(self._played))
        except Exception as error:  # a fault of the model
            return Failure(type(error).__name__, repr(error), len(self._played))
        return None

    def _go_back(self, length: int) -> None:
        """Take steps back until so many stand."""
        while len(self._played) > max(0, length):
            _, future = self._played.pop()
            future.__exit__(None, None, None)


def find_failure(trace: Trace, artifacts: Artifacts) -> Failure | None:
    """Return how a trace fails on a fresh deployment; None if it does not."""
    first, rest = split_creations(trace)
    ground = Ground(trace.parameters, trace.started_at, first, artifacts)
    found = ground.failure(rest, audit=True)
    return None if found is None else found._replace(steps=len(first) + found.steps)


def split_creations(trace: Trace) -> tuple[list[Step], list[Step]]:
    """Separate contracts added at the start from later steps; raises BackstopError if one is added later."""
    steps = list(trace.steps)
    count = next((i for i, step in enumerate(steps) if not isinstance(step.step, Creation)), len(steps))
    if any(isinstance(step.step, Creation) for step in steps[count:]):
        raise BackstopError("this trace creates contracts among its steps: only replay can run it")
    return steps[:count], steps[count:]
