"""The protocol's failing traces made small: auctions, added contracts and parameters beside the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace

from backstop.deployment.parameter_dataclasses import AuctionParameters, Parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.lockstep.delta_debugging import TraceShrinker
from backstop.lockstep.replayable_trace import TraceStep
from backstop.lockstep.rollback_trace_tester import Failure, TraceTester, split_creations
from backstop.proof.fuzz.generation_context import PEOPLE
from backstop.proof.lockstep import deploy_lockstep
from backstop.proof.replayable_trace import ProtocolTrace
from backstop.system import Action

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
    trace: ProtocolTrace,
    artifacts: Artifacts,
    stopped: Callable[[], bool] = lambda: False,
    show: Callable[[int], None] = lambda steps: None,
) -> tuple[ProtocolTrace, Failure]:
    """Return a minimal trace with the same failure as `trace`, and that failure (delta debugging).

    Once `stopped` returns true, return the smallest trace so far. Raises BackstopError if `trace` does not
    fail.
    """
    small, failure = _ProtocolShrinker(trace, artifacts, stopped, show).shrink_trace()
    assert isinstance(small, ProtocolTrace)
    return small, failure


def find_failure(trace: ProtocolTrace, artifacts: Artifacts) -> Failure | None:
    """Replay a trace on a fresh deployment and return its failure; None if the trace does not fail."""
    first, rest = split_creations(trace)
    tester = _deploy_protocol_tester(trace, trace.parameters, first, artifacts)
    return tester.find_failure_after_first(len(first), rest)


def _deploy_protocol_tester(
    trace: ProtocolTrace, parameters: Parameters, first: Sequence[TraceStep], artifacts: Artifacts
) -> TraceTester:
    lockstep = deploy_lockstep(
        RevmHost(trace.started_at),
        parameters,
        artifacts=artifacts,
        check_every=0,
        traces=None,
        promises=trace.promises,
    )
    return TraceTester(lockstep, first)


class _ProtocolShrinker(TraceShrinker):
    """Shrinker that makes a failing protocol trace smaller: its steps and its deployment's parameters."""

    def __init__(
        self,
        trace: ProtocolTrace,
        artifacts: Artifacts,
        stopped: Callable[[], bool],
        show: Callable[[int], None],
    ) -> None:
        self.artifacts = artifacts
        self.protocol_trace = trace
        self.parameters = trace.parameters
        super().__init__(trace, [get_account(role) for role in PEOPLE], stopped, show)

    def build_trace(self) -> ProtocolTrace:
        small = super().build_trace()
        assert isinstance(small, ProtocolTrace)
        return replace(small, parameters=self.parameters)

    def deploy_tester(self, first_steps: Sequence[TraceStep]) -> TraceTester:
        return _deploy_protocol_tester(self.protocol_trace, self.parameters, first_steps, self.artifacts)

    def shrink_deployment(self) -> None:
        """Drop added contracts and types, and set parameters to defaults, while the trace fails."""
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

    def drop_related_steps(
        self, steps: list[TraceStep], fails: Callable[[list[TraceStep]], bool]
    ) -> list[TraceStep]:
        """Drop a liquidation with all calls on its auction, wherever the trace still fails.

        Auction ids are sequential, so calls on later auctions get an id that is one lower.
        """
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

    def _is_failing_deployment(
        self, parameters: Parameters, creations: Sequence[TraceStep], steps: list[TraceStep]
    ) -> bool:
        if self.stopped():
            return False
        try:
            ground = _deploy_protocol_tester(self.protocol_trace, parameters, creations, self.artifacts)
        except Exception:  # any error: a setting was changed, or a contract left out, that others rely on
            return False
        return self.is_failing(ground, steps)


def _drop_auction(steps: list[TraceStep], auction_id: int) -> list[TraceStep]:
    """Return the steps without those on one auction; higher auction ids are lowered by one."""
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


def _iter_parameter_default_variants(parameters: Parameters) -> Iterator[Parameters]:
    """Yield the parameters with all fields but the collateral types at defaults, then with one field."""
    usual = Parameters(parameters.collateral_types)
    if parameters != usual:
        yield usual
        for field in fields(Parameters)[1:]:
            if getattr(parameters, field.name) != getattr(usual, field.name):
                yield replace(parameters, **{field.name: getattr(usual, field.name)})


def _iter_default_auction_variants(parameters: Parameters) -> Iterator[Parameters]:
    """Yield the parameters with default auction terms for all collateral types, if they differ."""
    types = tuple(replace(each, auction=AuctionParameters()) for each in parameters.collateral_types)
    if types != parameters.collateral_types:
        yield replace(parameters, collateral_types=types)


def _drop_types(parameters: Parameters) -> Iterator[Parameters]:
    """Yield the parameters with only the first 1, 2, ... collateral types."""
    own = parameters.guards
    for count in range(1, len(parameters.collateral_types)):
        guards = own and replace(own, ceilings=own.ceilings[:count])
        yield replace(parameters, collateral_types=parameters.collateral_types[:count], guards=guards)


_SIMPLER_PARAMETERS = (_iter_parameter_default_variants, _iter_default_auction_variants, _drop_types)
