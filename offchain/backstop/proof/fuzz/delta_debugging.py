"""Delta debugging: a failing trace made small, over its steps, their values and times, and the deployment.

Every candidate is played and has to fail in the same way. Nothing here is random: a trace always shrinks
to the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from backstop.deployment.parameter_dataclasses import AuctionParameters, Parameters
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.fuzz.generation_context import PEOPLE
from backstop.proof.fuzz.rollback_trace_tester import Failure, TraceTester, find_failure, split_creations
from backstop.proof.replayable_trace import Trace, TraceStep
from backstop.system import Action

HOUR, DAY = 3_600, 86_400
# So few steps are left out two at a time.
PAIRS = 30
# Functions whose first argument is an auction's id.
OF_AN_AUCTION = {
    ("CollateralAuction", "take"),
    ("CollateralAuction", "reset"),
    ("CollateralAuction", "close"),
    ("CollateralAuction", "unwind"),
    ("Workouts", "flag"),
    ("FlashTaker", "take_and_sell"),
}


def shrink_trace(
    trace: Trace,
    artifacts: Artifacts,
    stopped: Callable[[], bool] = lambda: False,
    show: Callable[[int], None] = lambda steps: None,
) -> tuple[Trace, Failure]:
    """Return a small trace that fails as this one does; the best so far when stopped.

    Raises BackstopError if the trace does not fail.
    """
    failure = find_failure(trace, artifacts)
    if failure is None:
        raise BackstopError("this trace does not fail: there is nothing to shrink")
    shrinker = _Shrinker(trace, failure, artifacts, stopped, show)
    shrinker.run_passes()
    small = shrinker.build_trace()
    return small, find_failure(small, artifacts) or failure


class _Shrinker:
    """The part of a trace that is left: added contracts, opening, body."""

    def __init__(
        self,
        trace: Trace,
        failure: Failure,
        artifacts: Artifacts,
        stopped: Callable[[], bool],
        show: Callable[[int], None],
    ) -> None:
        self.origin = trace
        self.kind = failure.kind
        self.artifacts = artifacts
        self.stopped, self.show = stopped, show
        self.parameters = trace.parameters
        self.creations, rest = split_creations(trace)
        cut = max(0, trace.opening - len(self.creations))
        self.opening, self.body = rest[:cut], rest[cut : failure.steps - len(self.creations)]
        # What only the last look at the whole storage finds needs that look every time.
        self.audit = self._deploy_tester(self.parameters, self.creations).find_failure_in_steps(rest) is None

    def _deploy_tester(self, parameters: Parameters, first: Sequence[TraceStep]) -> TraceTester:
        started_at, promises = self.origin.started_at, self.origin.promises
        return TraceTester(parameters, started_at, first, self.artifacts, promises)

    def build_trace(self) -> Trace:
        first = [*self.creations, *self.opening]
        return replace(
            self.origin,
            parameters=self.parameters,
            steps=[*first, *self.body],
            opening=len(first),
        )

    def run_passes(self) -> None:
        while not self.stopped():
            before = repr(self.build_trace())
            self._shrink_body()
            self._drop_opening_steps()
            self._shrink_deployment()
            if repr(self.build_trace()) == before:
                return

    # ------------------------------------------------------------------ passes

    def _shrink_body(self) -> None:
        ground = self._deploy_tester_if_possible([*self.creations, *self.opening])
        if ground is None:
            return

        def fails(body: list[TraceStep]) -> bool:
            found = self._is_failing(ground, body)
            if found:
                self.show(len(body))
            return found

        self.body = self._drop_chunks(self.body, fails)
        self.body = self._merge_people(self.body, fails)
        self.body = self._drop_auctions(self.body, fails)
        self.body = self._drop_pairs(self.body, fails)
        self.body = self._shorten_waits(self.body, fails)
        for i in range(len(self.body)):
            for simpler in _iter_simpler_steps(self.body[i]):
                candidate = [*self.body[:i], simpler, *self.body[i + 1 :]]
                if self.stopped():
                    return
                if fails(candidate):
                    self.body = candidate
                    break
        self.body = self._drop_chunks(self.body, fails)

    def _drop_opening_steps(self) -> None:
        ground = self._deploy_tester_if_possible(self.creations)
        if ground is None:
            return
        body = self.body
        self.opening = self._drop_chunks(
            self.opening, lambda opening: self._is_failing(ground, [*opening, *body])
        )

    def _shrink_deployment(self) -> None:
        """Leave out added contracts and collateral types, and make parameters usual."""
        steps = [*self.opening, *self.body]
        for creation in reversed(list(self.creations)):
            fewer = [each for each in self.creations if each is not creation]
            if self._is_failing_deployment(self.parameters, fewer, steps):
                self.creations = fewer
        for simpler in _SIMPLER_PARAMETERS:
            for parameters in simpler(self.parameters):
                if self._is_failing_deployment(parameters, self.creations, steps):
                    self.parameters = parameters
                    break

    def _drop_chunks(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Leave out chunks of steps, large ones first; the order of what stays is kept."""
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
        """Let one person do what two did: who owns all needs no allowance."""
        people = [get_account(role) for role in PEOPLE]
        for i, gone in enumerate(people):
            for other in people[:i]:
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
        """Leave out two at once, where each needs the other to go."""
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

    def _drop_auctions(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Leave out a liquidation and all that is done with its auction; later auctions get earlier ids."""
        i = len(steps) - 1
        while i >= 0:
            action = steps[i].step
            if isinstance(action, Action) and action.method == "liquidate":
                before = [each.step for each in steps[:i]]
                auction_id = 1 + sum(
                    isinstance(each, Action) and each.method == "liquidate" for each in before
                )
                candidate = _drop_auction([*steps[:i], *steps[i + 1 :]], auction_id)
                if self.stopped():
                    return steps
                if fails(candidate):
                    steps = candidate
                    i = len(steps)
            i -= 1
        return steps

    def _shorten_waits(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Let less time pass before each step, or a round one; later steps move along."""
        for i in range(len(steps)):
            start = steps[i - 1].timestamp if i else self._get_opening_end_timestamp()
            gap = steps[i].timestamp - start
            for shorter in (0, HOUR, DAY, gap // DAY * DAY, gap // HOUR * HOUR):
                if not shorter < gap or self.stopped():
                    continue
                candidate = steps[:i] + _move_earlier(steps, i, gap, shorter)
                if fails(candidate):
                    steps = candidate
                    break
        return steps

    # ----------------------------------------------------------------- helpers

    def _get_opening_end_timestamp(self) -> int:
        first = [*self.creations, *self.opening]
        return first[-1].timestamp if first else self.origin.started_at

    def _deploy_tester_if_possible(self, first_steps: Sequence[TraceStep]) -> TraceTester | None:
        """Deploy and play the first steps; None if they fail by themselves."""
        try:
            return self._deploy_tester(self.parameters, first_steps)
        except Exception:
            return None

    def _is_failing(self, ground: TraceTester, steps: list[TraceStep]) -> bool:
        # A difference that is there at the end shows there; a violation may pass.
        failure = ground.find_failure_in_steps(
            steps, self.audit, should_compare_each=self.kind != "difference"
        )
        return failure is not None and failure.kind == self.kind

    def _is_failing_deployment(
        self, parameters: Parameters, creations: Sequence[TraceStep], steps: list[TraceStep]
    ) -> bool:
        if self.stopped():
            return False
        try:
            ground = self._deploy_tester(parameters, creations)
        except Exception:
            return False
        return self._is_failing(ground, steps)


def _move_earlier(steps: list[TraceStep], i: int, gap: int, shorter: int) -> list[TraceStep]:
    """Return the steps from i on, so much earlier; of the blocks of the gap an equal part stays."""
    later, here = steps[i:], steps[i].blocks
    if here is not None:
        between = here - ((steps[i - 1].blocks or 0) if i else 0)
        fewer = between - between * shorter // gap
        later = [each._replace(blocks=(each.blocks or 0) - fewer) for each in later]
    return [each._replace(timestamp=each.timestamp - gap + shorter) for each in later]


def _drop_auction(steps: list[TraceStep], auction_id: int) -> list[TraceStep]:
    """Return the steps without those of an auction, the ids after it one lower."""
    kept = []
    for step in steps:
        action = step.step
        if isinstance(action, Action) and (action.contract, action.method) in OF_AN_AUCTION:
            if action.args[0] == auction_id:
                continue
            if action.args[0] > auction_id:
                step = step._replace(step=action._replace(args=(action.args[0] - 1, *action.args[1:])))
        kept.append(step)
    return kept


def _replace_account(step: TraceStep, gone: str, other: str) -> TraceStep:
    """Return the step with another person wherever one is named."""
    action = step.step
    if not isinstance(action, Action):
        return step
    args = tuple(other if value == gone else value for value in action.args)
    return step._replace(
        step=action._replace(args=args, sender=other if action.sender == gone else action.sender)
    )


def _iter_simpler_steps(step: TraceStep) -> Iterator[TraceStep]:
    """Yield the same step with one simpler value, the simplest first."""
    action = step.step
    if not isinstance(action, Action):
        return
    for role in PEOPLE[:1]:
        if action.sender in map(get_account, PEOPLE) and action.sender != get_account(role):
            yield step._replace(step=action._replace(sender=get_account(role)))
    for i, value in enumerate(action.args):
        for simpler in _iter_simpler_values(value):
            args = (*action.args[:i], simpler, *action.args[i + 1 :])
            yield step._replace(step=action._replace(args=args))


def _iter_simpler_values(value: Any) -> Iterator[Any]:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return
    for simpler in (0, 1, WAD, 10_000 * WAD, RAY):
        if simpler < value:
            yield simpler
    digits = len(str(value))
    for kept in (1, 2, 4):
        unit = 10 ** max(0, digits - kept)
        if value % unit:
            yield value // unit * unit


def _iter_parameter_default_variants(parameters: Parameters) -> Iterator[Parameters]:
    """Yield parameters with usual values for all but the types, then for one field."""
    usual = Parameters(parameters.collateral_types)
    if parameters != usual:
        yield usual
        for field in fields(Parameters)[1:]:
            if getattr(parameters, field.name) != getattr(usual, field.name):
                yield replace(parameters, **{field.name: getattr(usual, field.name)})


def _iter_default_auction_variants(parameters: Parameters) -> Iterator[Parameters]:
    """Replace the auctions of all types by usual ones."""
    types = tuple(replace(each, auction=AuctionParameters()) for each in parameters.collateral_types)
    if types != parameters.collateral_types:
        yield replace(parameters, collateral_types=types)


def _drop_types(parameters: Parameters) -> Iterator[Parameters]:
    """Keep the first types alone."""
    own = parameters.guards
    for count in range(1, len(parameters.collateral_types)):
        guards = own and replace(own, ceilings=own.ceilings[:count])
        yield replace(parameters, collateral_types=parameters.collateral_types[:count], guards=guards)


_SIMPLER_PARAMETERS = (_iter_parameter_default_variants, _iter_default_auction_variants, _drop_types)
