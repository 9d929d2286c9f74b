"""A campaign, played: random calls on fresh deployments until the budget is spent or something differs."""

from __future__ import annotations

import hashlib
import re
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, count
from pathlib import Path
from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Parameter
from backstop.lockstep.campaign import MAX_UINT256, Campaign, Draw, Wait
from backstop.lockstep.campaign_lockstep import CampaignLockstep, iter_declared_calls, list_function_names
from backstop.lockstep.campaign_regression import (
    describe_failure_in_names,
    iter_named_steps,
    write_campaign_regression,
)
from backstop.lockstep.campaign_result import CallCoverage, CampaignFailure, CampaignResult
from backstop.lockstep.campaign_trace import read_campaign_trace, write_campaign_trace
from backstop.lockstep.contract_artifacts import ProjectArtifact
from backstop.lockstep.delta_debugging import TraceShrinker
from backstop.lockstep.project_artifacts import ProjectArtifacts
from backstop.lockstep.replayable_trace import Trace, TraceStep
from backstop.lockstep.rollback_trace_tester import Failure, TraceTester, describe_failure
from backstop.lockstep.user_code_error import UserCodeError
from backstop.system import Action

# Steps between two looks at the whole storage.
_AUDIT_EVERY = 250
# Turns in a row in which no action has anything to do.
_IDLE_TURNS = 1_000
_OUTSIDE = (
    "the model or an invariant remembers something beside the attributes of a model (a global?), which no "
    "revert and no fresh deployment takes back"
)


def load_campaign_artifacts(
    campaign: Campaign, compiled: Mapping[str, ProjectArtifact] | None = None
) -> ProjectArtifacts:
    """Return the compiled contracts of a campaign's project, which load at first use."""
    return ProjectArtifacts(campaign.root, campaign.artifacts, compiled)


def run_campaign(
    campaign: Campaign,
    seed: int = 1,
    steps: int | None = None,
    seconds: float | None = None,
    out: Path | None = None,
    shrink_seconds: float = 30,
    compiled: Mapping[str, ProjectArtifact] | None = None,
    name: str = "campaign",
) -> CampaignResult:
    """Play a campaign for a number of steps or seconds, and return its result.

    Equal seeds play equal steps. The first failure ends the campaign; its trace is shrunk for at most
    `shrink_seconds`. If `out` is given, the trace and a test are written there; both name the campaign by
    `name`, "file::name". `compiled` holds contracts that another tool has compiled. Raises UserCodeError if
    the declared code itself raises.
    """
    artifacts = load_campaign_artifacts(campaign, compiled)
    started = time.monotonic()
    result = CampaignResult(seed, 0, 0.0, CallCoverage())
    wanted = steps if steps is not None else None if seconds is not None else campaign.steps
    for run in count():
        left = campaign.run_length if wanted is None else min(campaign.run_length, wanted - result.steps)
        if left <= 0 or (seconds is not None and run and time.monotonic() - started > seconds):
            break
        end = None if seconds is None else started + seconds
        played = _CampaignRun(campaign, artifacts, f"{seed}/{run}", result.coverage)
        try:
            for _ in played.play_steps(left, end):
                result.steps += 1
        except UserCodeError:
            raise
        except Exception as error:
            result.seconds = time.monotonic() - started
            failure = describe_failure(error, len(played.lockstep.trace))
            result.failure = _shrink_failure(played, artifacts, failure, seed, out, shrink_seconds, name)
            if result.failure is None:
                raise  # of the deployment, or of what draws calls
            return result
    result.seconds = time.monotonic() - started
    return result


class _CampaignRun:
    """One fresh deployment of a campaign, and the random calls made on it."""

    def __init__(
        self, campaign: Campaign, artifacts: ProjectArtifacts, seed: str, coverage: CallCoverage
    ) -> None:
        self.campaign = campaign
        self.lockstep = CampaignLockstep(campaign, artifacts)
        self.coverage = coverage
        self.draw = Draw(seed)
        self.draw.accounts = campaign.accounts
        coverage.add_functions(list_function_names(self.lockstep))
        coverage.notes |= self.lockstep.describe_uncompared()

    def play_steps(self, step_count: int, end: float | None) -> Iterator[Action]:
        """Play the setup and a number of random calls, fewer if the time `end` is over.

        Raises at the first difference or violated invariant.
        """
        self.lockstep.compare_views()
        self.lockstep.audit_storage()
        self._play_setup()
        for done, action in enumerate(self._draw_actions(), 1):
            self._apply_counted(action)
            yield action
            if done % _AUDIT_EVERY == 0:
                self.lockstep.audit_storage()
            if done == step_count or (end is not None and time.monotonic() > end):
                break
        self.lockstep.compare_state()
        self.lockstep.audit_storage()

    def _play_setup(self) -> None:
        lockstep = self.lockstep
        for call in iter_declared_calls(self.campaign.setup, lockstep.state, "the setup"):
            reason = lockstep.apply(lockstep.resolve_call(call)).reason
            if reason is not None:
                raise BackstopError(f"the setup of the campaign fails: {call} reverts with {reason!r}")
        lockstep.opening = len(lockstep.trace)

    def _draw_actions(self) -> Iterator[Action]:
        campaign, lockstep, draw = self.campaign, self.lockstep, self.draw
        weights = list(accumulate(each.weight for each in campaign.actions))
        idle, has_waited = 0, False
        while True:
            chosen = campaign.actions[bisect(weights, draw.random() * weights[-1], hi=len(weights) - 1)]
            idle += 1
            for what in chosen.iter_calls(draw, lockstep.state):
                if isinstance(what, Wait):
                    lockstep.advance(max(what.seconds, 0))
                    has_waited = True
                    continue
                action = lockstep.resolve_call(what)
                if action.sender in lockstep.chain.names:
                    continue  # a contract sends nothing by itself
                if draw.random() < campaign.invalid_share:
                    action = self._spoil_action(action)
                if not has_waited:
                    lockstep.advance(draw.choice(campaign.waits))
                idle, has_waited = 0, False
                yield action
            if idle > _IDLE_TURNS:
                raise BackstopError(
                    f"no action of the campaign makes a call any more, after {lockstep.steps} steps: "
                    "one of them has to"
                )

    def _apply_counted(self, action: Action) -> None:
        function = self.lockstep.chain.get_function(action.contract, action.method, len(action.args))
        outcome = self.lockstep.apply(action)
        if not function.view:
            calls = self.coverage.calls.setdefault(f"{action.contract}.{function.signature}", Counter())
            calls[outcome.reason] += 1

    def _spoil_action(self, action: Action) -> Action:
        """Return the same call from another sender, or with one argument replaced."""
        draw = self.draw
        if not action.args or draw.random() < 0.25:
            return action._replace(sender=draw.choice(self._list_senders()))
        inputs = self.lockstep.chain.get_function(action.contract, action.method, len(action.args)).inputs
        place = draw.randrange(len(inputs))
        value = self._spoil_value(inputs[place], action.args[place])
        return action._replace(args=(*action.args[:place], value, *action.args[place + 1 :]))

    def _list_senders(self) -> list[str]:
        """Return the accounts that may send calls: the campaign's accounts and the deployers."""
        return [*self.campaign.accounts, *dict.fromkeys(each.sender for each in self.campaign.deployments)]

    def _spoil_value(self, parameter: Parameter, value: Any) -> Any:
        draw, type_ = self.draw, parameter.type
        if found := re.fullmatch(r"(u?)int(\d+)", type_):
            bits = int(found[2])
            low, high = (0, (1 << bits) - 1) if found[1] else (-1 << bits - 1, (1 << bits - 1) - 1)
            other = draw.choice((0, 1, value - 1, value + 1, 2 * value, value // 2, 2**128, MAX_UINT256))
            return min(max(other, low), high)
        if type_ == "address":
            return draw.choice([ZERO_ADDRESS, *self._list_senders(), *self.lockstep.addresses.values()])
        return not value if type_ == "bool" else value


class CampaignShrinker(TraceShrinker):
    """Shrinker that makes the trace of a campaign's failure smaller, within a time limit."""

    should_bisect_waits = True

    def __init__(self, trace: Trace, campaign: Campaign, artifacts: ProjectArtifacts, seconds: float) -> None:
        self.campaign, self.artifacts = campaign, artifacts
        end = time.monotonic() + seconds
        super().__init__(trace, campaign.accounts, lambda: time.monotonic() > end)

    def deploy_tester(self, first_steps: Sequence[TraceStep]) -> TraceTester:
        return TraceTester(CampaignLockstep(self.campaign, self.artifacts, check_every=0), first_steps)

    def shrink_deployment(self) -> None:
        """Do nothing, since a campaign declares its deployment as a whole."""

    def iter_shorter_waits(self, gap: int) -> Iterator[int]:
        yield from (0, 1)


def _shrink_failure(
    played: _CampaignRun,
    artifacts: ProjectArtifacts,
    failure: Failure,
    seed: int,
    out: Path | None,
    shrink_seconds: float,
    name: str,
) -> CampaignFailure | None:
    """Shrink a failure's trace, and write the trace and a test if `out` is given.

    Return None if the failure is an error of the deployment or of code that draws calls. Raises BackstopError
    if the same calls do not fail on a fresh deployment.
    """
    campaign = played.campaign
    trace = replace(played.lockstep.build_trace(), seed=seed)
    before = len(trace.steps) - trace.opening
    try:
        shrinker = CampaignShrinker(trace, campaign, artifacts, shrink_seconds)
    except BackstopError:
        if failure.kind == "error":
            return None
        text = describe_failure_in_names(failure.text, played.lockstep.addresses)
        raise BackstopError(f"{text}\nthe same calls do not fail on a fresh deployment: {_OUTSIDE}") from None
    whole, first, note = shrinker.build_trace(), shrinker.failure, ""
    small, _ = shrinker.shrink_trace()
    found = _find_trace_failure(small, campaign, artifacts)
    if found is None or found.kind != first.kind:
        small, found = whole, first
        note = f"not shrunk: the smaller trace does not fail on a fresh deployment: {_OUTSIDE}"
    failure = found
    text = describe_failure_in_names(failure.text, played.lockstep.addresses)
    calls = tuple(iter_named_steps(small, played.lockstep.addresses))
    after = len(small.steps) - small.opening
    told = CampaignFailure(failure.kind, text, failure.steps, before, after, calls, note=note)
    if out is None:
        return told
    small = replace(small, reason=text)
    stem = re.sub(r"\W+", "_", name.rpartition("::")[2])
    digest = hashlib.sha256(repr((name, small.steps)).encode()).hexdigest()[:8]
    path = out / f"{stem}_{digest}.json"
    write_campaign_trace(small, name, path)
    test = write_campaign_regression(small, told, campaign, artifacts, name, out)
    return told._replace(trace=path, test=test)


def _find_trace_failure(trace: Trace, campaign: Campaign, artifacts: ProjectArtifacts) -> Failure | None:
    """Return the failure of a trace on a fresh deployment; None if the trace does not fail."""
    tester = TraceTester(CampaignLockstep(campaign, artifacts, check_every=0), ())
    return tester.find_failure_after_first(0, trace.steps)


def replay_campaign_trace(
    campaign: Campaign, path: Path, compiled: Mapping[str, ProjectArtifact] | None = None
) -> CampaignFailure | None:
    """Replay a trace file on a fresh deployment, and return its failure; None if it does not fail."""
    artifacts = load_campaign_artifacts(campaign, compiled)
    trace = read_campaign_trace(path, campaign, artifacts)
    tester = TraceTester(CampaignLockstep(campaign, artifacts, check_every=0), ())
    failure = tester.find_failure_after_first(0, trace.steps)
    if failure is None:
        return None
    length, addresses = len(trace.steps) - trace.opening, tester.lockstep.addresses
    text = describe_failure_in_names(failure.text, addresses)
    calls = tuple(iter_named_steps(trace, addresses))
    return CampaignFailure(failure.kind, text, failure.steps, length, length, calls, path)
