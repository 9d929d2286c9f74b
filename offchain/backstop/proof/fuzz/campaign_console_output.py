"""The results of a campaign, as tables or JSON; the last line sums them up."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.hosts.artifacts import Artifacts
from backstop.proof.fuzz.campaign_counts import CampaignCounts
from backstop.proof.fuzz.decision_coverage import ReachableItems, list_reachable_items
from backstop.proof.fuzz.fuzz_campaign import CampaignProgress
from backstop.proof.fuzz.model_branch_coverage import list_model_branches
from backstop.proof.fuzz.run_predicate_observer import list_state_predicate_names
from backstop.proof.fuzz.shrunk_failures import ShrunkFailure
from backstop.proof.fuzz.trace_coverage_process import PartialCoverage

DEVNET = "devnet"


def summary_line(progress: CampaignProgress) -> str:
    """Return the last line of a campaign's results: steps, steps a second, differences, violations."""
    steps, seconds = progress.tally.steps, max(progress.seconds, 1e-9)
    return (
        f"steps={steps} steps_per_s={steps / seconds:.0f} "
        f"differences={progress.differences} violations={progress.violations}"
    )


def count_revert_reasons_by_kind(
    tally: CampaignCounts, reachable_items_by_kind: dict[str, ReachableItems]
) -> dict[str, Counter[str]]:
    """Count how often calls reverted with each reason of each contract, by Vyper file.

    A revert reason counts for the called contract if that contract's source has it. Otherwise it counts for
    each contract that has the reason in its source, since a nested call may have reverted there.
    """
    found: dict[str, Counter[str]] = {kind: Counter() for kind in reachable_items_by_kind}
    for call, count in tally.calls.items():
        if call.reason is None:
            continue
        own = reachable_items_by_kind.get(call.contract)
        for kind, each in reachable_items_by_kind.items():
            theirs = own is not None and call.reason in own.reasons
            if call.reason in each.reasons and (kind == call.contract or not theirs):
                found[kind][call.reason] += count
    return found


def print_campaign(
    progress: CampaignProgress,
    findings: Sequence[ShrunkFailure],
    covered: PartialCoverage | None,
    artifacts: Artifacts,
    surveyed: bool,
    as_json: bool,
) -> None:
    """Print the results of a fuzz campaign to stdout, as tables or as JSON.

    The tables end with the summary line (see `summary_line`). Without `surveyed`, the functions, reasons and
    events that calls could reach are not listed, because computing them may take minutes.
    """
    protocol = {}
    if surveyed:
        each_kind = list_reachable_items(artifacts).items()
        protocol = {kind: each for kind, each in each_kind if _is_protocol(kind, artifacts)}
    if as_json:
        print(json.dumps(_as_json(progress, findings, covered, protocol), indent=2))
        return
    tally = progress.tally
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 140)
    console.print(_build_move_table(tally))
    if surveyed:
        console.print(_build_function_table(tally, protocol, progress.seconds))
    console.print(_build_cover_count_table(tally))
    for line in _list_coverage_report_lines(progress, covered, protocol):
        console.print(line, soft_wrap=True)
    for finding in findings:
        console.print(f"\n{finding}", soft_wrap=True)
    print(summary_line(progress))


def _is_protocol(kind: str, artifacts: Artifacts) -> bool:
    return artifacts.paths[kind].parent.name != DEVNET


def _build_move_table(tally: CampaignCounts) -> Table:
    table = Table("move", "steps", "share", "succeeded", title="moves", title_justify="left")
    steps, ok = Counter[str](), Counter[str]()
    for call, count in tally.calls.items():
        steps[call.move] += count
        ok[call.move] += count * (call.reason is None)
    for move, count in steps.most_common():
        table.add_row(move, f"{count:,}", f"{count / tally.steps:.2%}", f"{ok[move] / count:.0%}")
    table.add_section()
    table.add_row("all", f"{tally.steps:,}", "", f"{ok.total() / max(tally.steps, 1):.1%}")
    return table


def _build_function_table(
    tally: CampaignCounts, protocol: dict[str, ReachableItems], seconds: float
) -> Table:
    table = Table("function", "calls", "a second", "ok", "reverts by reason", title="functions")
    table.title_justify = "left"
    for kind, each in protocol.items():
        for function in each.functions:
            outcomes = Counter[str | None]()
            for call, count in tally.calls.items():
                if (call.contract, call.method) == (kind, function):
                    outcomes[call.reason] += count
            ok = outcomes.pop(None, 0)
            calls = ok + outcomes.total()
            reasons = ", ".join(f"{reason or 'no data'} {n:,}" for reason, n in outcomes.most_common())
            rate = f"{calls / max(seconds, 1e-9):,.1f}"
            table.add_row(f"{kind}.{function}", f"{calls:,}", rate, f"{ok:,}", reasons)
    return table


def _build_cover_count_table(tally: CampaignCounts) -> Table:
    table = Table("paid by the stages", "covers", title="waterfall: stages by their place in the order")
    table.title_justify = "left"
    for stages, count in sorted(tally.covers.items()):
        table.add_row(stages, f"{count:,}")
    return table


def _list_coverage_report_lines(
    progress: CampaignProgress, covered: PartialCoverage | None, protocol: dict[str, ReachableItems]
) -> list[str]:
    tally = progress.tally
    reasons = count_revert_reasons_by_kind(tally, protocol)
    lines = ["", "reached, of what there is:"]
    for kind, each in protocol.items():
        called = {call.method for call in tally.calls if call.contract == kind}
        emitted = {event for contract, event in tally.events if contract == kind}
        lines.append(
            f"  {kind}: functions {len(called & {*each.functions})}/{len(each.functions)}, "
            f"reasons {len(reasons[kind])}/{len(each.reasons)}, "
            f"events {len(emitted & {*each.events})}/{len(each.events)}"
        )
        lines += [f"    not reached: {name}" for name in _list_missing(called, emitted, reasons[kind], each)]
    branches = list_model_branches()
    if progress.branches:
        missing = [str(branch) for branch, mark in zip(branches, progress.branches, strict=True) if not mark]
        lines.append(f"  model: branches {len(branches) - len(missing)}/{len(branches)}")
        lines += [f"    not reached: {branch}" for branch in missing]
    lines += [f"  {line}" for line in progress.state_coverage.format_lines()]
    asked = ", ".join(f"property {number}: {n:,}" for number, n in sorted(tally.questions.items()))
    lines.append(f"  futures that had an answer: {asked or 'none'}")
    if covered is not None:
        some = "" if covered.traces == covered.of else f", {covered.traces} of {covered.of} of them so far"
        lines += [
            "",
            f"decisions of the contracts' source that the kept traces reach{some} (traces hold no views):",
            covered.coverage.format_table(),
            "what was not reached is listed in coverage.json",
        ]
    return [*lines, ""]


def _list_missing(
    called: set[str], emitted: set[str], reasons: Counter[str], each: ReachableItems
) -> list[str]:
    return [
        *(f"function {name}" for name in each.functions if name not in called),
        *(f"reason {name!r}" for name in each.reasons if name not in reasons),
        *(f"event {name}" for name in each.events if name not in emitted),
    ]


def _as_json(
    progress: CampaignProgress,
    findings: Sequence[ShrunkFailure],
    covered: PartialCoverage | None,
    protocol: dict[str, ReachableItems],
) -> dict[str, Any]:
    tally = progress.tally
    reasons = count_revert_reasons_by_kind(tally, protocol)
    return {
        "steps": tally.steps,
        "seconds": progress.seconds,
        "differences": progress.differences,
        "violations": progress.violations,
        **tally.to_json(),
        "reached": {
            kind: {
                "reasons": dict(sorted(reasons[kind].items())),
                "not_reached": [reason for reason in each.reasons if reason not in reasons[kind]],
            }
            for kind, each in protocol.items()
        },
        "model_branches": [sum(progress.branches), len(list_model_branches())],
        "states": _build_state_coverage_json(progress),
        "decisions": {}
        if covered is None
        else {
            kind: figures._asdict()
            for kind, figures in covered.coverage.count_decisions_by_contract().items()
        },
        "traces_covered": 0 if covered is None else covered.traces,
        "traces_kept": len(progress.corpus),
        "findings": [finding.to_json() for finding in findings],
    }


def _build_state_coverage_json(progress: CampaignProgress) -> dict[str, Any]:
    """Return how many state predicates and pairs of predicates held, and the named pairs missing.

    A pair is missing if its two predicates never held together.
    """
    states, names = progress.state_coverage, list_state_predicate_names()
    return {
        "predicates": [len(states.rows), len(names)],
        "pairs": states.count_pairs(),
        "missing_named_pairs": [[names[a], names[b]] for a, b in states.iter_missing_named_pairs()],
    }
