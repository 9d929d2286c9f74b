"""Result of a campaign: steps, calls by function and outcome, the failure if there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class CampaignFailure(NamedTuple):
    """Failure of a campaign: its kind and text, the calls that show it, and the files written.

    `before` and `after` are the calls after the setup, before and after the trace was shrunk. `calls` are the
    shrunk trace's calls as text, setup included. `note` says why the trace was not shrunk.
    """

    kind: str
    text: str
    steps: int
    before: int = 0
    after: int = 0
    calls: tuple[str, ...] = ()
    trace: Path | None = None
    test: Path | None = None
    note: str = ""


@dataclass
class CallCoverage:
    """Counts of calls to each state-changing function, by outcome: a revert reason, or None.

    None stands for success. `notes` lists, by deployment, the storage that is not compared.
    """

    calls: dict[str, Counter[str | None]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add_functions(self, functions: Iterable[str]) -> None:
        """Add functions with a count of zero, such as "token.transfer(address,uint256)"."""
        for function in functions:
            self.calls.setdefault(function, Counter())

    def add_coverage(self, other: CallCoverage) -> None:
        """Add the counts and notes of another coverage to this one, in place."""
        for function, outcomes in other.calls.items():
            self.calls.setdefault(function, Counter()).update(outcomes)
        self.notes |= other.notes

    def list_never_called(self) -> list[str]:
        """Return the functions that no call has reached."""
        return [function for function, outcomes in self.calls.items() if not outcomes]

    def list_never_succeeded(self) -> list[str]:
        """Return the functions that were called but reverted each time."""
        return [name for name, outcomes in self.calls.items() if outcomes and not outcomes[None]]

    def format_table(self) -> list[str]:
        """Return the lines of a text table: each function's successes, reverts and revert reasons."""
        width = max(len("function"), *map(len, self.calls))
        lines = [f"{'function':<{width}} {'succeeded':>9} {'reverted':>9}  reasons"]
        for function, outcomes in self.calls.items():
            counted = Counter[str]()
            for reason, count in outcomes.items():
                if reason is not None:
                    counted[_drop_error_arguments(reason)] += count
            reasons = sorted(
                ((count, name) for name, count in counted.items()), key=lambda each: (-each[0], each[1])
            )
            told = ", ".join(f"{name or '(none)'} {count:,}" for count, name in reasons[:4])
            if len(reasons) > 4:
                told += f", {len(reasons) - 4} more"
            reverted = sum(count for count, _ in reasons)
            lines.append(f"{function:<{width}} {outcomes[None]:>9,} {reverted:>9,}  {told}".rstrip())
        for wanted, names in (
            ("never called", self.list_never_called()),
            ("never succeeded", self.list_never_succeeded()),
        ):
            if names:
                lines.append(f"{wanted}: {', '.join(names)}")
        lines += [f"{name}: {note}" for name, note in self.notes.items()]
        return lines

    def to_json(self) -> dict[str, Any]:
        calls = {name: [[*pair] for pair in outcomes.items()] for name, outcomes in self.calls.items()}
        return {"calls": calls, "notes": self.notes}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CallCoverage:
        calls = {
            name: Counter({reason: count for reason, count in outcomes})
            for name, outcomes in content["calls"].items()
        }
        return cls(calls, dict(content["notes"]))


def _drop_error_arguments(reason: str) -> str:
    """Return a revert reason without the arguments of a custom error, which differ in each call."""
    name, bracket, _ = reason.partition("(")
    return name if bracket and name.isidentifier() else reason


@dataclass
class CampaignResult:
    """Result of a campaign: its seed, steps, seconds and call coverage, and its failure if any."""

    seed: int
    steps: int
    seconds: float
    coverage: CallCoverage
    failure: CampaignFailure | None = None
