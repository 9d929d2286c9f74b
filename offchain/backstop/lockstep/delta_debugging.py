"""Delta debugging: a failing trace made small, over its steps, their values and times.

Every candidate is played and has to fail in the same way. Nothing here is random: a trace always shrinks
to the same one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from backstop.errors import BackstopError
from backstop.lockstep.replayable_trace import Trace, TraceStep
from backstop.lockstep.rollback_trace_tester import Failure, TraceTester, split_creations
from backstop.system import Action

HOUR, DAY = 3_600, 86_400
# So few steps are left out two at a time.
PAIRS = 30
# So few steps get each other's numbers.
UNIFIED = 6
# Values that are read at a glance, beside 0 and 1.
ROUND_VALUES = (10**18, 10**22, 10**27)


class TraceShrinker(ABC):
    """Shrinker of a failing trace by delta debugging: it drops steps and simplifies values and times.

    A subclass defines how the contracts are deployed, and which other parts can be dropped or simplified.
    """

    def __init__(
        self,
        trace: Trace,
        people: Sequence[str] = (),
        stopped: Callable[[], bool] = lambda: False,
        show: Callable[[int], None] = lambda steps: None,
    ) -> None:
        """Replay the trace once to find its failure; raise BackstopError if it does not fail.

        `people` are accounts that may be merged: an earlier one may take the place of a later one. `stopped`
        ends the shrinking. `show` is called with the present number of steps.
        """
        self.origin = trace
        self.people = people
        self.stopped, self.show = stopped, show
        self.creations, rest = split_creations(trace)
        tester = self.deploy_tester(self.creations)
        failure = tester.find_failure_after_first(len(self.creations), rest)
        if failure is None:
            raise BackstopError("this trace does not fail: there is nothing to shrink")
        self.failure = failure
        cut = max(0, trace.opening - len(self.creations))
        self.opening, self.body = rest[:cut], rest[cut : failure.steps - len(self.creations)]
        # What only the last look at the whole storage finds needs that look every time.
        self.audit = tester.find_failure_in_steps(rest) is None

    def shrink_trace(self) -> tuple[Trace, Failure]:
        """Return a minimal trace with the same kind of failure, and its failure.

        Once `stopped` returns true, the smallest trace so far is returned.
        """
        while not self.stopped():
            before = repr(self.build_trace())
            self._shrink_body()
            self._drop_opening_steps()
            self.shrink_deployment()
            if repr(self.build_trace()) == before:
                break
        small = self.build_trace()
        first, rest = split_creations(small)
        found = self.deploy_tester(first).find_failure_after_first(len(first), rest)
        return small, found or self.failure

    def build_trace(self) -> Trace:
        """Return the steps that are left, as a trace."""
        first = [*self.creations, *self.opening]
        return replace(self.origin, steps=[*first, *self.body], opening=len(first))

    # --------------------------------------------------------------- for subclasses

    @abstractmethod
    def deploy_tester(self, first_steps: Sequence[TraceStep]) -> TraceTester:
        """Deploy the contracts of the trace, play the first steps, and return a tester for more steps."""

    @abstractmethod
    def shrink_deployment(self) -> None:
        """Drop or simplify parts of the deployment, while the trace still fails."""

    def drop_related_steps(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Return the steps without groups that can only be dropped together; here, all steps."""
        return steps

    should_bisect_waits = False
    """Whether a wait becomes as short as it can, rather than round."""

    def iter_shorter_waits(self, gap: int) -> Iterator[int]:
        """Yield the waits to try in place of a wait of `gap`, simplest first [seconds]."""
        yield from (0, HOUR, DAY, gap // DAY * DAY, gap // HOUR * HOUR)

    # ------------------------------------------------------------------ passes

    def _shrink_body(self) -> None:
        ground = self._deploy_tester_if_possible([*self.creations, *self.opening])
        if ground is None:
            return

        def is_same_failure(body: list[TraceStep]) -> bool:
            found = self.is_failing(ground, body)
            if found:
                self.show(len(body))
            return found

        self.body = self._drop_chunks(self.body, is_same_failure)
        self.body = self._merge_people(self.body, is_same_failure)
        self.body = self.drop_related_steps(self.body, is_same_failure)
        self.body = self._drop_pairs(self.body, is_same_failure)
        self.body = self._shorten_waits(self.body, is_same_failure)
        for i in range(len(self.body)):
            for simpler in self._iter_simpler_steps(self.body[i]):
                candidate = [*self.body[:i], simpler, *self.body[i + 1 :]]
                if self.stopped():
                    return
                if is_same_failure(candidate):
                    self.body = candidate
                    break
        self.body = self._simplify_equal_values(self.body, is_same_failure)
        self.body = self._drop_steps_of_parts(self.body, is_same_failure)
        self.body = self._drop_chunks(self.body, is_same_failure)

    def _drop_opening_steps(self) -> None:
        ground = self._deploy_tester_if_possible(self.creations)
        if ground is None:
            return
        body = self.body
        self.opening = self._drop_chunks(
            self.opening, lambda opening: self.is_failing(ground, [*opening, *body])
        )

    def _drop_chunks(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Return the steps without chunks that the failure does not need; large chunks are tried first."""
        size = len(steps)
        while size >= 1:
            end = len(steps)
            while end > 0:
                if self.stopped():
                    return steps
                start = max(0, end - size)
                candidate = steps[:start] + steps[end:]
                if fails(candidate):
                    steps = candidate
                end = start
            size = min(size // 2, max(1, len(steps) // 2)) if size > 1 else 0
        return steps

    def _merge_people(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Replace an account by an earlier one wherever the steps still fail.

        With fewer accounts, steps such as approvals become unnecessary and are dropped.
        """
        for i, gone in enumerate(self.people):
            for other in self.people[:i]:
                candidate = [_replace_account(step, gone, other) for step in steps]
                if candidate == steps or self.stopped():
                    break
                if fails(candidate):
                    steps = self._drop_chunks(candidate, fails)
                    break
        return steps

    def _drop_pairs(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Return the steps without pairs that can only be dropped together."""
        i = len(steps) - 1 if len(steps) <= PAIRS else 0
        while i > 0:
            for j in range(i - 1, -1, -1):
                candidate = steps[:j] + steps[j + 1 : i] + steps[i + 1 :]
                if self.stopped():
                    return steps
                if fails(candidate):
                    steps = candidate
                    i = len(steps)
                    break
            i -= 1
        return steps

    def _shorten_waits(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Shorten or round the wait before each step; later steps move by the same time."""
        for i in range(len(steps)):
            start = steps[i - 1].timestamp if i else self._get_opening_end_timestamp()
            gap = steps[i].timestamp - start
            too_short = 0
            for shorter in self.iter_shorter_waits(gap):
                if not shorter < gap or self.stopped():
                    continue
                candidate = steps[:i] + move_earlier(steps, i, gap, shorter)
                if fails(candidate):
                    steps, gap = candidate, shorter
                    break
                too_short = max(too_short, shorter)
            while self.should_bisect_waits and gap - too_short > 1 and not self.stopped():
                half = (too_short + gap) // 2
                candidate = steps[:i] + move_earlier(steps, i, gap, half)
                if fails(candidate):
                    steps, gap = candidate, half
                else:
                    too_short = half
        return steps

    def _simplify_equal_values(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Replace a number by a simpler one in all calls that have it, wherever the steps still fail."""
        for value in _list_numbers(steps):
            for simpler in _iter_simpler_values(value):
                candidate = [_replace_number(step, value, simpler) for step in steps]
                if self.stopped():
                    return steps
                if fails(candidate):
                    steps = candidate
                    break
        return steps

    def _drop_steps_of_parts(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Drop a step if the others still fail once one of their numbers replaces another.

        For example, one transfer of the whole amount replaces two transfers of parts.
        """
        i = 0
        while i < len(steps) <= UNIFIED:
            rest = [*steps[:i], *steps[i + 1 :]]
            for candidate in _iter_unified_numbers(rest):
                if self.stopped():
                    return steps
                if fails(candidate):
                    steps = self._simplify_equal_values(candidate, fails)
                    i = -1
                    break
            i += 1
        return steps

    # ----------------------------------------------------------------- helpers

    def _get_opening_end_timestamp(self) -> int:
        first = [*self.creations, *self.opening]
        return first[-1].timestamp if first else self.origin.started_at

    def _deploy_tester_if_possible(self, first_steps: Sequence[TraceStep]) -> TraceTester | None:
        """Return a tester after the first steps; None if these steps raise."""
        try:
            return self.deploy_tester(first_steps)
        except Exception:  # any error: steps were left out that others, or the model, rely on
            return None

    def is_failing(self, ground: TraceTester, steps: list[TraceStep]) -> bool:
        """Return whether the steps fail with the same kind of failure as the whole trace."""
        # A difference that is there at the end shows there; a violation may pass.
        failure = ground.find_failure_in_steps(
            steps, self.audit, should_compare_each=self.failure.kind != "difference"
        )
        return failure is not None and failure.kind == self.failure.kind

    def _iter_simpler_steps(self, step: TraceStep) -> Iterator[TraceStep]:
        """Yield the step with the first account as its sender, then with one argument simplified."""
        action = step.step
        if not isinstance(action, Action):
            return
        for first in self.people[:1]:
            if action.sender in self.people and action.sender != first:
                yield step._replace(step=action._replace(sender=first))
        for i, value in enumerate(action.args):
            for simpler in _iter_simpler_values(value):
                args = (*action.args[:i], simpler, *action.args[i + 1 :])
                yield step._replace(step=action._replace(args=args))


def move_earlier(steps: list[TraceStep], i: int, gap: int, shorter: int) -> list[TraceStep]:
    """Return the steps from index `i` on, moved earlier so that a wait of `gap` becomes `shorter`.

    The blocks within the wait are reduced pro rata.
    """
    later, here = steps[i:], steps[i].blocks
    if here is not None:
        between = here - ((steps[i - 1].blocks or 0) if i else 0)
        fewer = between - between * shorter // gap
        later = [each._replace(blocks=(each.blocks or 0) - fewer) for each in later]
    return [each._replace(timestamp=each.timestamp - gap + shorter) for each in later]


def _replace_account(step: TraceStep, gone: str, other: str) -> TraceStep:
    """Return the step with the account `other` wherever the account `gone` occurs."""
    action = step.step
    if not isinstance(action, Action):
        return step
    args = tuple(other if value == gone else value for value in action.args)
    return step._replace(
        step=action._replace(args=args, sender=other if action.sender == gone else action.sender)
    )


def _iter_simpler_values(value: Any) -> Iterator[Any]:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return
    for simpler in (0, 1, *ROUND_VALUES):
        if simpler < value:
            yield simpler
    digits = len(str(value))
    for kept in (1, 2, 4):
        unit = 10 ** max(0, digits - kept)
        if value % unit:
            yield value // unit * unit


def _list_numbers(steps: Sequence[TraceStep]) -> list[int]:
    """Return the distinct integer arguments of all calls, in order of appearance."""
    actions = [step.step for step in steps if isinstance(step.step, Action)]
    values = [value for action in actions for value in action.args]
    return list(dict.fromkeys(v for v in values if isinstance(v, int) and not isinstance(v, bool)))


def _replace_number(step: TraceStep, gone: int, other: int) -> TraceStep:
    """Return the step with the number `other` wherever an argument is the number `gone`."""
    action = step.step
    if not isinstance(action, Action):
        return step
    args = tuple(other if type(value) is int and value == gone else value for value in action.args)
    return step._replace(step=action._replace(args=args))


def _iter_unified_numbers(steps: list[TraceStep]) -> Iterator[list[TraceStep]]:
    """Yield the steps with one integer argument replaced by a number that another call has."""
    numbers = _list_numbers(steps)
    for i, step in enumerate(steps):
        action = step.step
        if not isinstance(action, Action):
            continue
        for place, value in enumerate(action.args):
            if type(value) is not int:
                continue
            for other in numbers:
                if other != value:
                    args = (*action.args[:place], other, *action.args[place + 1 :])
                    yield [*steps[:i], step._replace(step=action._replace(args=args)), *steps[i + 1 :]]
