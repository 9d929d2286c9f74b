"""Coverage of the decisions in the contracts' source: the outcomes that traces reached, of all outcomes.

The traces are played again, whole, on contracts with marks (`backstop.proof.fuzz.contract_instrumentation`
defines a decision). A decision in a module counts for every contract that uses the module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.revm import RevmHost
from backstop.proof.fuzz.contract_instrumentation import Decision, InstrumentedArtifacts, find_coverage_marks
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import ProtocolTrace

SCHEMA_VERSION = 1


# Marks make a contract larger than a chain would take.
_MARKED_SIZE = 2**17


class ReachableItems(NamedTuple):
    """The functions, reasons and events of one contract that calls can reach, its modules as far as used.

    `constructor_reasons` are those that only a deployment can meet; `functions` may change state.
    """

    reasons: list[str]
    constructor_reasons: list[str]
    events: list[str]
    functions: list[str]


def list_reachable_items(artifacts: Artifacts, kinds: Iterable[str] = ()) -> dict[str, ReachableItems]:
    """Return what calls to each contract can reach, by contract: of all, or of some."""
    marked = InstrumentedArtifacts(artifacts)
    wanted = list(kinds) or list(marked.paths)
    marked.load_surveys(wanted)
    surveys = {kind: marked.get_survey(kind) for kind in wanted}
    return {
        kind: ReachableItems(survey.reasons, survey.constructor_reasons, survey.events, survey.functions)
        for kind, survey in surveys.items()
    }


class DecisionCounts(NamedTuple):
    """The decisions of one contract, by how many of their two outcomes were reached."""

    decisions: int
    both: int
    one: int
    never: int


class MissingOutcome(NamedTuple):
    """An outcome that no trace reached."""

    contract: str
    decision: Decision
    outcome: str

    def __str__(self) -> str:
        decision = self.decision
        return f"{self.contract} {decision.file}:{decision.line} {decision.text}: {self.outcome}"


class DecisionCoverage:
    """The outcomes reached, by contract; the sum of two is the union of their outcomes."""

    def __init__(self, decisions: Mapping[str, list[Decision]]) -> None:
        self.decisions = dict(decisions)
        self._reached: dict[str, set[int]] = {kind: set() for kind in decisions}

    def record_reached_outcomes(self, kind: str, outcome_marks: Iterable[int]) -> None:
        """Count outcomes of one contract: 2*i is the first of decision i, 2*i + 1 the second."""
        self._reached[kind].update(outcome_marks)

    def merge_coverage(self, other: DecisionCoverage) -> None:
        """Add the outcomes of another coverage; raises BackstopError if it is of other contracts."""
        if other.decisions != self.decisions:
            raise BackstopError("these coverages are of different contracts: replay both on the same")
        for kind, marks in other._reached.items():
            self.record_reached_outcomes(kind, marks)

    def list_decisions(self, kind: str) -> list[tuple[Decision, bool, bool]]:
        """Return every decision of a contract and whether each outcome was reached."""
        marks = self._reached[kind]
        return [
            (decision, 2 * i in marks, 2 * i + 1 in marks) for i, decision in enumerate(self.decisions[kind])
        ]

    def count_decisions_by_contract(self) -> dict[str, DecisionCounts]:
        """Count how much was reached, by contract."""
        found = {}
        for kind in self.decisions:
            ways = [yes + no for _, yes, no in self.list_decisions(kind)]
            found[kind] = DecisionCounts(len(ways), ways.count(2), ways.count(1), ways.count(0))
        return found

    def iter_missing_outcomes(self) -> Iterator[MissingOutcome]:
        """List the outcomes that were not reached, in the order of the source."""
        for kind in self.decisions:
            for decision, yes, no in sorted(self.list_decisions(kind)):
                if not yes:
                    yield MissingOutcome(kind, decision, decision.yes)
                if not no:
                    yield MissingOutcome(kind, decision, decision.no)

    def format_table(self) -> str:
        """Return the figures as text, a line for each contract that decides anything."""
        lines = [f"{'contract':<20} {'decisions':>9} {'both ways':>9} {'one way':>9} {'never':>9}"]
        for kind, figures in self.count_decisions_by_contract().items():
            if figures.decisions:
                lines.append(f"{kind:<20} " + " ".join(f"{figure:>9}" for figure in figures))
        return "\n".join(lines)


def measure_decision_coverage(traces: Iterable[ProtocolTrace], artifacts: Artifacts) -> DecisionCoverage:
    """Replay traces on revm, all their steps, and return the outcomes that they reached.

    The calls that configure the deployment count too. Traces have no views: a view that no contract reads is
    not reached. Every step is compared with the model, so the marks change nothing: raises DivergenceError
    where the two differ.
    """
    marked = InstrumentedArtifacts(artifacts)
    coverage = make_empty_coverage(marked)
    for trace in traces:
        for kind, marks in cover_trace(trace, marked).items():
            coverage.record_reached_outcomes(kind, marks)
    return coverage


def make_empty_coverage(marked: InstrumentedArtifacts) -> DecisionCoverage:
    """Return what there is to reach, with nothing reached yet."""
    marked.load_surveys(marked.paths)
    return DecisionCoverage({kind: marked.get_survey(kind).decisions for kind in marked.paths})


def cover_trace(trace: ProtocolTrace, marked: InstrumentedArtifacts) -> dict[str, set[int]]:
    """Return the outcomes that one trace reached, by contract; `reach` says more."""
    host = RevmHost(trace.started_at, code_limit=_MARKED_SIZE)
    chain = replay_trace_in_lockstep(trace, host, artifacts=marked, check_every=0).chain
    accounts = host.list_touched_accounts()
    reached: dict[str, set[int]] = {}
    for name, address in chain.addresses.items():
        reached.setdefault(chain.kinds[name], set()).update(find_coverage_marks(address, accounts))
    return reached


def write_decision_coverage(coverage: DecisionCoverage, path: Path) -> None:
    """Write the file at once or not at all."""
    contracts = {
        kind: [[*decision, yes, no] for decision, yes, no in coverage.list_decisions(kind)]
        for kind in coverage.decisions
    }
    write_json({"schema_version": SCHEMA_VERSION, "contracts": contracts}, path)


def read_decision_coverage(path: Path) -> DecisionCoverage:
    """Read what `write_decision_coverage` wrote; raises BackstopError if it is not that."""
    content = read_versioned_json(
        path, "coverage", SCHEMA_VERSION, "check the path", "replay the traces again"
    )
    try:
        contracts: dict[str, list[list[Any]]] = content["contracts"]
        decisions = {kind: [Decision(*row[:-2]) for row in rows] for kind, rows in contracts.items()}
        coverage = DecisionCoverage(decisions)
        for kind, rows in contracts.items():
            for i, (*_, yes, no) in enumerate(rows):
                coverage.record_reached_outcomes(kind, [2 * i] * yes + [2 * i + 1] * no)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} is not a valid coverage ({error!r}): replay the traces again") from None
    return coverage
