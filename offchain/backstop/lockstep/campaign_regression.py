"""A failing trace of a campaign as a test file, in the names of accounts and deployments; and its playing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Any, NoReturn

from backstop.files.atomic_files import write_text
from backstop.lockstep.campaign import Call, Campaign, find_account_name
from backstop.lockstep.campaign_lockstep import CampaignLockstep
from backstop.lockstep.campaign_result import CampaignFailure
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.lockstep.project_artifacts import ProjectArtifacts
from backstop.lockstep.replayable_trace import Trace
from backstop.lockstep.rollback_trace_tester import describe_failure
from backstop.system import Action


class RegressionRun:
    """Fresh deployment of a campaign for a regression test: calls raise if model and chain differ."""

    def __init__(self, campaign: Campaign, artifacts: ProjectArtifacts) -> None:
        self.lockstep = CampaignLockstep(campaign, artifacts, check_every=1)

    def apply_call(self, target: str, *arguments: Any, sender: str) -> None:
        """Apply a call ("deployment.function") to model and chain; raise AssertionError if they differ.

        A violated invariant raises AssertionError too.
        """
        __tracebackhide__ = True
        action = self.lockstep.resolve_call(Call(target, *arguments, sender=sender))
        try:
            self.lockstep.apply(action)
        except Exception as error:
            self._raise_named_error(error)

    def advance_time(self, seconds: int) -> None:
        """Let a number of seconds pass on model and chain."""
        self.lockstep.advance(seconds)

    def compare_all_storage(self) -> None:
        """Compare the whole storage of model and chain; raise AssertionError if a slot differs."""
        __tracebackhide__ = True
        try:
            self.lockstep.audit_storage()
        except DivergenceError as error:
            self._raise_named_error(error)

    def _raise_named_error(self, error: Exception) -> NoReturn:
        __tracebackhide__ = True
        text = describe_failure(error, self.lockstep.steps).text
        raise AssertionError(describe_failure_in_names(text, self.lockstep.addresses)) from None


def write_campaign_regression(
    trace: Trace,
    failure: CampaignFailure,
    campaign: Campaign,
    artifacts: ProjectArtifacts,
    name: str,
    folder: Path,
) -> Path:
    """Write a pytest file that replays a failing trace, and return its path.

    The test fails as long as the trace fails, and passes once the fault is mended.
    """
    body = list(_iter_source_lines(trace, campaign, artifacts))
    people = [name for name in _list_people(trace) if re.search(rf"\b{name}\b", "\n".join(body))]
    body = [f'{name} = account("{name}")' for name in people] + body
    last = trace.steps[-1].step if trace.steps else None
    what = f"{last.contract}_{last.method}" if isinstance(last, Action) else "deployment"
    digest = hashlib.sha256("\n".join([name, *body]).encode()).hexdigest()[:8]
    code = "\n".join(body)
    used = [word for word in ("account", "at") if re.search(rf"\b{word}\(", code)]
    told = failure.text.replace("\\", "/").replace('"""', "'''")
    imports = f"from backstop.lockstep import {', '.join(used)}\n\n\n" if used else "\n"
    text = (
        f'"""Found by lockstep ({failure.kind}); the model is right until shown otherwise.\n\n{told}\n"""\n\n'
        f"{imports}def test_{what}_{digest}(lockstep_campaign):\n"
        f'    run = lockstep_campaign("{name}")\n' + "".join(f"    {line}\n" for line in body)
    )
    path = folder / f"test_{what}_{digest}.py"
    write_text(text, path)
    return path


def _list_people(trace: Trace) -> list[str]:
    """Return the names of a trace's accounts that can be Python variables, in order of appearance."""
    actions = [step.step for step in trace.steps]
    values = [value for action in actions for value in (*action.args, action.sender)]
    names = [find_account_name(value) for value in values if isinstance(value, str)]
    return [name for name in dict.fromkeys(names) if name is not None and _is_variable_name(name)]


def _is_variable_name(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name) and name not in ("run", "account", "at")


def _iter_source_lines(trace: Trace, campaign: Campaign, artifacts: ProjectArtifacts) -> Iterator[str]:
    """Yield the source lines of the test's body. A comment has the model's revert reason of a call."""
    model = CampaignLockstep(campaign, artifacts).model
    names = {address: f'at("{name}")' for name, address in model.addresses.items()}
    for timestamp, step, _ in trace.steps:
        if timestamp != model.timestamp:
            yield f"run.advance_time({timestamp - model.timestamp:_})"
            model.advance(timestamp - model.timestamp)
        assert isinstance(step, Action)
        arguments = "".join(f", {_render_value(value, names)}" for value in step.args)
        call = f'run.apply_call("{step.contract}.{step.method}"{arguments}, '
        call += f"sender={_render_value(step.sender, names)})"
        try:
            reason = model.apply(step).reason
        except Exception:  # the model itself is at fault: its word is worth nothing
            reason = None
        yield call if reason is None else f"{call}  # the model reverts: {reason!r}"
    yield "run.compare_all_storage()"


def _render_value(value: Any, names_by_address: Mapping[str, str]) -> str:
    if isinstance(value, str):
        name = find_account_name(value)
        if value in names_by_address or name is None:
            return names_by_address.get(value) or repr(value)
        return name if _is_variable_name(name) else f'account("{name}")'
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    if isinstance(value, list | tuple):
        return "(" + "".join(f"{_render_value(each, names_by_address)}, " for each in value).strip() + ")"
    return repr(value)


def iter_named_steps(trace: Trace, addresses: Mapping[str, str]) -> Iterator[str]:
    """Yield a text for each call of a trace, with names for addresses and the seconds before the call."""
    names = {address: name for name, address in addresses.items()}
    before = trace.started_at
    for timestamp, step, _ in trace.steps:
        assert isinstance(step, Action)
        waited = f" after {timestamp - before:,} s" if timestamp > before else ""
        before = timestamp
        values = ", ".join(_name_addresses(str(value), names) for value in step.args)
        yield f"{step.contract}.{step.method}({values}) from {_name_addresses(step.sender, names)}{waited}"


def describe_failure_in_names(text: str, addresses: Mapping[str, str]) -> str:
    """Return the text of a failure with names for addresses, and with outcomes in words."""
    names = {address: name for name, address in addresses.items()}
    lines = []
    for line in _name_addresses(text, names).splitlines():
        if outcome := _REASON.fullmatch(line):
            model, chain = map(_describe_outcome, outcome.groups()[1:])
            line = f"  {outcome[1]} outcome: model {model}, chain {chain}"
        lines.append(_UNTRACED.sub(r"\1", line))
    return "\n".join(lines)


_REASON = re.compile(r"  (\S+) reason: model (.*), chain (.*)")
_UNTRACED = re.compile(r"( at step \d+), .*: no trace$")
_ADDRESS = re.compile(r"""(['"]?)(0x[0-9a-f]{40})(?![0-9a-f])\1""")


def _describe_outcome(reason: str) -> str:
    if reason == "None":
        return "succeeds"
    return "reverts without a reason" if reason == "''" else f"reverts with {reason}"


def _name_addresses(text: str, names_by_address: Mapping[str, str]) -> str:
    def name_address(found: re.Match[str]) -> str:
        address = found[2]
        return names_by_address.get(address) or find_account_name(address) or found[0]

    return _ADDRESS.sub(name_address, text)
