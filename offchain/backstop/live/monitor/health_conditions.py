"""Troubles by name: health answers with them, alerts are sent of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from backstop.live.monitor.status_facts_and_board import COIN, ChainStatus, StatusBoard
from backstop.live.node.rpc_node import TEST_CHAINS
from backstop.model.arithmetic import RAD, WAD
from backstop.report.amounts import format_fixed

SCHEMA_VERSION = 1
ALERTS = {
    "difference": "model and chain differ; it clears when the process is started again",
    "unsettled": "the node tells another word than the model, and nothing proves whose is right",
    "lie": "a node told what is refuted; it clears when the process is started again",
    "node gone": "no node can be asked",
    "stalled": "the node answers, and no new block comes",
    "old blocks": "the newest block is too old by its own time: the node is syncing, or a clock is wrong",
    "hangs": "the chain was not looked at for half a minute, or as long as all who are asked may take",
    "failures": "three transactions in a row failed",
    "role stopped": "a limit or the operator stops a role, as far as the text says",
    "burning": "a budget would not last for half of its time at the latest rate",
    "fees too high": "gas costs more than the cap, so nothing is sent",
    "signer gone": "the signer cannot be asked, or signs something else, so nothing of its accounts is sent",
    "empty wallet": "an account has less than a million gas costs now",
    "insolvent": "the debt to cover is more than the stages would pay",
    "not insured": "markets that ask for insurance have more open than it covers: nothing more is opened",
    "mode": "the circuit breaker is not at normal, or settlement has begun",
    "stopped": "the keeper ended with an error; it never clears",
}
STALE = 120.0
"""Seconds without a new block."""

_FAILURES = 3


class HealthIssue(NamedTuple):
    """Health issue: its code, a key of ALERTS, and the account, role or mode that it concerns."""

    alert: str
    subject: str = ""


def find_health_issues(board: StatusBoard, stale: float) -> dict[HealthIssue, str]:
    """Return the present health issues with a sentence on each.

    `stale` is the time without a new block that counts as an issue [seconds]; 0 turns this off.
    """
    found: dict[HealthIssue, str] = {}
    if board.gone:
        found[HealthIssue("node gone")] = board.gone
    facts = board.facts
    if facts is None:
        return found
    if facts.found:
        text = f"model and chain differ in {facts.found} places"
        found[HealthIssue("difference")] = text + "".join(f": {each}" for each in facts.differences[:1])
    if facts.unsettled:
        found[HealthIssue("unsettled")] = describe_unsettled_slots(facts.unsettled)
    if facts.lies:
        found[HealthIssue("lie")] = f"{facts.lies} words that nodes told were refuted"
    age = time.monotonic() - facts.block_at
    if stale and age > stale and not board.gone:
        found[HealthIssue("stalled")] = f"no new block after block {facts.block} of the node at {facts.node}"
    old = time.time() - facts.timestamp
    if stale and old > stale and facts.chain_id not in TEST_CHAINS:
        text = f"block {facts.block} of the node at {facts.node} is {old:.0f} s old by its own time"
        found[HealthIssue("old blocks")] = text
    if (silent := time.monotonic() - board.looked_at) > board.silent and not board.gone:
        found[HealthIssue("hangs")] = f"the chain was last looked at {silent:.0f} s ago"
    return found | _find_solvency_issues(facts) | _find_keeper_work_issues(facts)


def describe_unsettled_slots(slot_count: int) -> str:
    """Return a sentence on the number of slots for which model and node differ without proof."""
    return (
        f"{slot_count} slots: the node tells another word than the model, and neither a proof nor "
        "another node "
        "settles it: nothing is sent"
    )


def _find_solvency_issues(chain_status: ChainStatus) -> dict[HealthIssue, str]:
    found: dict[HealthIssue, str] = {}
    if chain_status.statement is None:
        return found
    uncovered = int(chain_status.statement["coverage"]["uncovered_rad"])
    if uncovered:
        found[HealthIssue("insolvent")] = (
            f"no stage would pay {format_fixed(uncovered, RAD, 0)} of the debt to cover"
        )
    if (margin := chain_status.statement["margin"]) is not None:
        asked, has = int(margin["stress"]["asked_wad"]), int(margin["payable_wad"])
        if asked > has:
            found[HealthIssue("not insured")] = (
                f"what is open asks for {format_fixed(asked, WAD, 0)} of insurance, "
                f"{format_fixed(has, WAD, 0)} is there"
            )
    mode = "settlement" if chain_status.statement["settling"] else str(chain_status.statement["mode"])
    if mode != "normal":
        found[HealthIssue("mode", mode)] = f"the protocol's mode is {mode}"
    return found


def _find_keeper_work_issues(chain_status: ChainStatus) -> dict[HealthIssue, str]:
    found: dict[HealthIssue, str] = {}
    work = chain_status.work
    if work is None:
        return found
    if work.failures_in_a_row >= _FAILURES:
        found[HealthIssue("failures")] = f"{work.failures_in_a_row} transactions in a row failed"
    if work.fees_too_high:
        found[HealthIssue("fees too high")] = "gas costs more than the cap: nothing is sent"
    if work.signer_gone:
        found[HealthIssue("signer gone")] = "the signer did not sign what it was asked for: nothing is sent"
    for (role, cause), why in work.stopped.items():
        found[HealthIssue("role stopped", f"{role}: {cause}")] = why
    for role, why in work.burning.items():
        found[HealthIssue("burning", role)] = why
    for (account, token), amount in work.capital.items():
        if token == COIN and amount < work.coins_needed:
            text = f"{account} has {format_fixed(amount, WAD, 6)} coins, a large transaction costs "
            found[HealthIssue("empty wallet", account)] = text + format_fixed(work.coins_needed, WAD, 6)
    return found


# With one of these it does not follow the chain; with one of those a start anew would help.
_UNREADY = ("node gone", "difference", "unsettled", "stalled", "old blocks", "hangs", "starting", "replaying")
_DEAD = ("hangs",)


def _find_all_issues(board: StatusBoard, stale: float) -> dict[HealthIssue, str]:
    """Return all health issues, including those of a process that is still starting or replaying."""
    found, facts = find_health_issues(board, stale), board.facts
    if facts is None:
        found[HealthIssue("starting")] = "starting"
    elif not facts.followed:
        found[HealthIssue("replaying")] = f"replaying: block {facts.block} of {facts.head}"
    return found


def _build_ok_and_reasons(
    health_issues: dict[HealthIssue, str], failing_codes: Sequence[str]
) -> dict[str, Any]:
    """Return `ok`, false if an issue has one of the failing codes, and those issues as `reasons`."""
    reasons = _convert_wanted_issues_to_json(health_issues, lambda code: code in failing_codes)
    return {"schema_version": SCHEMA_VERSION, "ok": not reasons, "reasons": reasons}


def _convert_wanted_issues_to_json(
    health_issues: dict[HealthIssue, str], is_wanted_code: Callable[[str], bool]
) -> list[dict[str, str]]:
    return [
        {"code": code, "subject": subject, "text": text}
        for (code, subject), text in health_issues.items()
        if is_wanted_code(code)
    ]


def report_liveness(board: StatusBoard, stale: float) -> dict[str, Any]:
    """Return whether the process works at all (`ok`) and why not, for a supervisor that restarts it."""
    return _build_ok_and_reasons(_find_all_issues(board, stale), _DEAD)


def report_readiness(board: StatusBoard, stale: float) -> dict[str, Any]:
    """Return whether the process follows the chain (`ok`) and why not, so that its figures may be used."""
    return _build_ok_and_reasons(_find_all_issues(board, stale), _UNREADY)


def build_health_report(board: StatusBoard, stale: float) -> dict[str, Any]:
    """Return whether the process is ready, its issues in words, and the age of its knowledge.

    Issues that do not affect readiness are listed as `warnings`.
    """
    now, facts, found = time.monotonic(), board.facts, _find_all_issues(board, stale)
    content = _build_ok_and_reasons(found, _UNREADY)
    content["problems"] = [each["text"] for each in content["reasons"]]
    content["warnings"] = _convert_wanted_issues_to_json(found, lambda code: code not in _UNREADY)
    if facts is not None:
        content |= {
            "node": facts.node,
            "nodes": facts.nodes,
            "blocks_proven": facts.rooted,
            "block": facts.block,
            "head": facts.head,
            "timestamp": facts.timestamp,
            "block_age_seconds": round(now - facts.block_at, 3),
            "looked_seconds_ago": round(now - board.looked_at, 3),
            "differences": facts.found,
        }
    return content
