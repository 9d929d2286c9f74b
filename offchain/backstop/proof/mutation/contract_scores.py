"""The score of the tests on a contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from backstop.proof.mutation.contract_mutants import Mutant
from backstop.proof.mutation.mutant_results import MutantResult

# Percent of the mutants that are not equivalent, on each contract; of all mutants.
LEAST_KILLED = 95
MOST_EQUIVALENT = 5


@dataclass
class ContractScore:
    """Mutation score of one contract: its killed, surviving and equivalent mutants."""

    contract: str
    killed: list[tuple[Mutant, MutantResult]] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    equivalent: list[Mutant] = field(default_factory=list)

    def add_mutant(self, mutant: Mutant, result: MutantResult, argued: bool) -> None:
        """Count a tried mutant as killed, survived or equivalent.

        `argued` says that the mutant is argued to have no effect. A killed mutant counts as killed all the
        same.
        """
        if result.outcome == "killed":
            self.killed.append((mutant, result))
        elif result.outcome == "survived":
            (self.equivalent if argued else self.survived).append(mutant)

    @property
    def mutant_count(self) -> int:
        return len(self.killed) + len(self.survived) + len(self.equivalent)

    @property
    def percent(self) -> float:
        """Share of killed mutants among those that are not equivalent [percent]."""
        return 100 * len(self.killed) / max(1, len(self.killed) + len(self.survived))

    @property
    def enough(self) -> bool:
        killed, survived = len(self.killed), len(self.survived)
        return 100 * killed >= LEAST_KILLED * (killed + survived)

    def to_json(self, argued: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
        """Return the score as a JSON object, with the diffs of surviving and equivalent mutants.

        `argued` gives the argument for each equivalent mutant.
        """
        return {
            "contract": self.contract,
            "mutants": self.mutant_count,
            "killed": len(self.killed),
            "percent": round(self.percent, 1),
            "survived": [{"id": m.id, "operator": m.operator, "diff": m.make_diff()} for m in self.survived],
            "equivalent": [
                {"id": m.id, "why": argued[m.key], "diff": m.make_diff()} for m in self.equivalent
            ],
        }


def iter_score_complaints(
    scores: Iterable[ContractScore], argued: Mapping[tuple[str, ...], str]
) -> Iterator[str]:
    """Yield each reason for which a mutation run does not pass.

    Reasons are a low score, a killed mutant that is argued to be equivalent, and too many equivalent mutants.
    """
    scores = list(scores)
    for score in scores:
        if not score.enough:
            yield f"{score.contract}: {score.percent:.1f}% killed, at least {LEAST_KILLED}% have to be"
        for mutant, result in score.killed:
            if mutant.key in argued:
                yield f"{mutant.file}:{mutant.line} is argued to be equivalent, but {result.by} notices it"
    equivalent, every = sum(len(s.equivalent) for s in scores), sum(s.mutant_count for s in scores)
    if 100 * equivalent > MOST_EQUIVALENT * every:
        yield f"{equivalent} of {every} are argued to be equivalent, at most {MOST_EQUIVALENT}% may be"


def build_score_terminal_table(scores: Iterable[ContractScore]) -> Table:
    """Return a table with the mutation score of each contract."""
    found = Table(box=None, pad_edge=False)
    found.add_column("contract")
    for name in ("mutants", "killed", "survived", "equivalent", "score"):
        found.add_column(name, justify="right")
    for score in scores:
        parts = (score.mutant_count, len(score.killed), len(score.survived), len(score.equivalent))
        found.add_row(score.contract, *map(str, parts), f"{score.percent:.1f}%")
    return found
