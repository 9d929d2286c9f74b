"""One value that the model and the chain do not share, and the error that lists them."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

from backstop.contract_base import Log
from backstop.errors import BackstopError
from backstop.files.installation import format_command_as_started
from backstop.hosts.contract_creation import Creation
from backstop.system import Action, Outcome

VIEWER = "a view"
"""The sender that a difference names for a view: no account calls it."""


class Difference(NamedTuple):
    """One value that differs between model and chain.

    `path` is a storage path, or "reason", "value" or "logs" for an outcome. `field` is the record's field, if
    any.
    """

    step: int
    action: Action | Creation | None
    contract: str
    path: str
    key: Hashable
    field: str
    model: Any
    chain: Any

    def __str__(self) -> str:
        key = "" if self.key == () else f"[{self.key}]"
        field = f".{self.field}" if self.field else ""
        return f"{self.contract} {self.path}{key}{field}: model {self.model!r}, chain {self.chain!r}"


class DivergenceError(BackstopError):
    """Error that lists the differences between model and chain at a step, and the trace file."""

    def __init__(self, differences: list[Difference], trace: Path | None) -> None:
        first = differences[0]
        action = first.action
        if isinstance(action, Action):
            call = f"{action.contract}.{action.method}({', '.join(map(repr, action.args))})"
            what = f"the view {call}" if action.sender == VIEWER else f"{call} from {action.sender}"
        else:
            what = "the deployment" if action is None else f"the creation of {action.name}"
        lines = [f"model and chain differ at step {first.step}, {what}:"]
        lines += [f"  {difference}" for difference in differences[:10]]
        if len(differences) > 10:
            lines.append(f"  and {len(differences) - 10} more")
        if trace is not None:
            lines.append(f"run it again with: {format_command_as_started('replay')} {trace}")
        super().__init__("\n".join(lines))
        self.differences = differences
        self.trace = trace


def convert_to_tuples(value: Any) -> Any:
    """Return a value with lists and records as tuples, the form in which the ABI codec decodes."""
    if isinstance(value, list | tuple):
        return tuple([convert_to_tuples(item) for item in value])
    return value


def list_first_outcome_difference(
    step: int, action: Action, expected: Outcome, actual: Outcome
) -> list[Difference]:
    """Return the first difference of revert reason, return value and events; empty if all are equal.

    `expected` is the model's outcome and `actual` the chain's.
    """

    def build_difference(path: str, model: Any, chain: Any) -> list[Difference]:
        return [Difference(step, action, action.contract, path, (), "", model, chain)]

    if expected.reason != actual.reason:
        return build_difference("reason", expected.reason, actual.reason)
    if expected.value != actual.value:
        value = convert_to_tuples(expected.value)
        if value != actual.value:
            return build_difference("value", value, actual.value)
    if expected.logs != actual.logs:
        logs = tuple(Log(log.contract, log.event, convert_to_tuples(log.values)) for log in expected.logs)
        if logs != actual.logs:
            return build_difference("logs", logs, actual.logs)
    return []
