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
    """Functions, revert reasons and events that calls to one contract can reach.

    The contract's modules are included as far as the contract uses them. `constructor_reasons` can be met
    only at deployment. `functions` are the external functions that may change state.
    """

    reasons: list[str]
    constructor_reasons: list[str]
    events: list[str]
    functions: list[str]


def list_reachable_items(artifacts: Artifacts, kinds: Iterable[str] = ()) -> dict[str, ReachableItems]:
    """Return all that calls to each contract can reach, keyed by contract name.

    `kinds` limits the result to some contracts. An empty `kinds` means all contracts.
    """
    marked = InstrumentedArtifacts(artifacts)
    wanted = list(kinds) or list(marked.paths)
    marked.load_surveys(wanted)
    surveys = {kind: marked.get_survey(kind) for kind in wanted}
    return {
        kind: ReachableItems(survey.reasons, survey.constructor_reasons, survey.events, survey.functions)
        for kind, survey in surveys.items()
    }


class DecisionCounts(NamedTuple):
    """Counts of one contract's decisions: all, and those with both, one or neither outcome reached."""

    decisions: int
    both: int
    one: int
    never: int


class MissingOutcome(NamedTuple):
    """Outcome of a decision in a contract's source that no trace reached."""

    contract: str
    decision: Decision
    outcome: str

    def __str__(self) -> str:
        decision = self.decision
        return f"{self.contract} {decision.file}:{decision.line} {decision.text}: {self.outcome}"


class DecisionCoverage:
    """Outcomes of the decisions in the contracts' source that were reached, by contract."""

    def __init__(self, decisions: Mapping[str, list[Decision]]) -> None:
        self.decisions = dict(decisions)
        self._reached: dict[str, set[int]] = {kind: set() for kind in decisions}

    def record_reached_outcomes(self, kind: str, outcome_marks: Iterable[int]) -> None:
        """Record outcomes of one contract's decisions as reached.

        Mark 2*i is the first outcome of decision i, and mark 2*i + 1 is its second outcome.
        """
        self._reached[kind].update(outcome_marks)

    def merge_coverage(self, other: DecisionCoverage) -> None:
        """Add the reached outcomes of another coverage to this one, in place.

        Raises BackstopError if the two coverages have different decisions.
        """
        if other.decisions != self.decisions:
            raise BackstopError("these coverages are of different contracts: replay both on the same")
        for kind, marks in other._reached.items():
            self.record_reached_outcomes(kind, marks)

    def list_decisions(self, kind: str) -> list[tuple[Decision, bool, bool]]:
        """Return each decision of a contract, and whether its first and second outcome were reached."""
        marks = self._reached[kind]
        return [
            (decision, 2 * i in marks, 2 * i + 1 in marks) for i, decision in enumerate(self.decisions[kind])
        ]

    def count_decisions_by_contract(self) -> dict[str, DecisionCounts]:
        """Count, for each contract, the decisions with both, one or neither of their outcomes reached."""
        found = {}
        for kind in self.decisions:
            ways = [yes + no for _, yes, no in self.list_decisions(kind)]
            found[kind] = DecisionCounts(len(ways), ways.count(2), ways.count(1), ways.count(0))
        return found

    def iter_missing_outcomes(self) -> Iterator[MissingOutcome]:
        """Yield each outcome that was not reached, by contract and in the order of its source."""
        for kind in self.decisions:
            for decision, yes, no in sorted(self.list_decisions(kind)):
                if not yes:
                    yield MissingOutcome(kind, decision, decision.yes)
                if not no:
                    yield MissingOutcome(kind, decision, decision.no)

    def format_table(self) -> str:
        """Return a text table with the decision counts of each contract that has at least one decision."""
        lines = [f"{'contract':<20} {'decisions':>9} {'both ways':>9} {'one way':>9} {'never':>9}"]
        for kind, figures in self.count_decisions_by_contract().items():
            if figures.decisions:
                lines.append(f"{kind:<20} " + " ".join(f"{figure:>9}" for figure in figures))
        return "\n".join(lines)


def measure_decision_coverage(traces: Iterable[ProtocolTrace], artifacts: Artifacts) -> DecisionCoverage:
    """Replay traces on revm and return the outcomes of source decisions that they reached.

    The calls that configure the deployment count too. A trace has no view calls, so a view counts only if a
    contract calls it. Each step is also compared with the model, to prove that the probes do not change
    behaviour. Raises DivergenceError if chain and model differ.
    """
    marked = InstrumentedArtifacts(artifacts)
    coverage = make_empty_coverage(marked)
    for trace in traces:
        for kind, marks in cover_trace(trace, marked).items():
            coverage.record_reached_outcomes(kind, marks)
    return coverage


def make_empty_coverage(marked: InstrumentedArtifacts) -> DecisionCoverage:
    """Return a coverage that has all decisions of all contracts, none of them reached."""
    marked.load_surveys(marked.paths)
    return DecisionCoverage({kind: marked.get_survey(kind).decisions for kind in marked.paths})


def cover_trace(trace: ProtocolTrace, marked: InstrumentedArtifacts) -> dict[str, set[int]]:
    """Replay one trace on instrumented contracts and return the marks it reached, by contract.

    Mark 2*i is the first outcome of decision i, and mark 2*i + 1 is its second outcome.
    """
    host = RevmHost(trace.started_at, code_limit=_MARKED_SIZE)
    chain = replay_trace_in_lockstep(trace, host, artifacts=marked, check_every=0).chain
    accounts = host.list_touched_accounts()
    reached: dict[str, set[int]] = {}
    for name, address in chain.addresses.items():
        reached.setdefault(chain.kinds[name], set()).update(find_coverage_marks(address, accounts))
    return reached


def write_decision_coverage(coverage: DecisionCoverage, path: Path) -> None:
    """Write a coverage to a JSON file, atomically."""
    contracts = {
        kind: [[*decision, yes, no] for decision, yes, no in coverage.list_decisions(kind)]
        for kind in coverage.decisions
    }
    write_json({"schema_version": SCHEMA_VERSION, "contracts": contracts}, path)


def read_decision_coverage(path: Path) -> DecisionCoverage:
    """Read a coverage from a file that `write_decision_coverage` wrote.

    Raises BackstopError if the file is missing or not a valid coverage.
    """
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
