"""The counts of a campaign; those of several processes add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backstop.proof.fuzz.fuzz_run import RunStep


class CountedCall(NamedTuple):
    """Key under which a campaign counts a call: move, Vyper file, method and revert reason.

    The reason is None for a call that succeeded.
    """

    move: str
    contract: str
    method: str
    reason: str | None


@dataclass
class CampaignCounts:
    """Counts of a fuzz campaign: calls, events, covers of losses by paying stages, and properties.

    Only counterfactual properties that applied to a state are counted.
    """

    calls: Counter[CountedCall] = field(default_factory=Counter)
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    covers: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)

    @property
    def steps(self) -> int:
        return self.calls.total()

    def count_step(self, run_step: RunStep, kinds: Mapping[str, str]) -> None:
        """Add one step's call and events, and the stages that paid in a `cover` call, to the counts.

        `cover` pays a loss from the stages of the waterfall. `kinds` maps the name of each deployed contract
        to its Vyper file.
        """
        action, outcome = run_step.action, run_step.outcome
        self.calls[CountedCall(run_step.move, kinds[action.contract], action.method, outcome.reason)] += 1
        for log in outcome.logs:
            self.events[kinds[log.contract], log.event] += 1
        if action.method == "cover" and outcome.ok:
            self.covers[format_paying_stage_indices(run_step)] += 1

    def add_counts(self, other: CampaignCounts) -> None:
        """Add all counts of another campaign or process to these counts, in place."""
        self.calls.update(other.calls)
        self.events.update(other.events)
        self.covers.update(other.covers)
        self.questions.update(other.questions)

    @property
    def reached_feature_set(self) -> set[tuple[str, ...]]:
        """Set of all features reached: revert reasons, events, and sets of stages that paid a loss."""
        return {
            *(("reason", call.contract, call.reason) for call in self.calls if call.reason is not None),
            *(("event", *event) for event in self.events),
            *(("cover", stages) for stages in self.covers),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "calls": [[*call, count] for call, count in sorted(self.calls.items(), key=repr)],
            "events": [[*event, count] for event, count in sorted(self.events.items())],
            "covers": dict(sorted(self.covers.items())),
            "questions": dict(sorted(self.questions.items())),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CampaignCounts:
        return cls(
            Counter({CountedCall(*call): count for *call, count in content["calls"]}),
            Counter({(contract, event): count for contract, event, count in content["events"]}),
            Counter(content["covers"]),
            Counter(content["questions"]),
        )


def format_paying_stage_indices(run_step: RunStep) -> str:
    """Return the indices of the waterfall stages that paid for a loss in a `cover` call, such as `0+2`.

    Return `nobody` if no stage paid.
    """
    stages = [str(log.values[2]) for log in run_step.outcome.logs if log.event == "LossCovered"]
    return "+".join(stages) or "nobody"
