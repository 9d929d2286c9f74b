"""Figures of a crash of a perpetual market, as its folder keeps them."""

from __future__ import annotations

from typing import Any

from backstop.studies.auto_deleveraging.adl_execution import EXECUTING, SHARING, SUBMITTING, AdlResult
from backstop.studies.auto_deleveraging.block_packing import BLOCK_GAS, BLOCK_SECONDS, Phase
from backstop.studies.auto_deleveraging.crash_accounts import FALLS
from backstop.studies.auto_deleveraging.margin_crash import (
    BOOKING,
    SEIZING,
    SETTLING,
    CrashResult,
    EvasionResult,
)

SCHEMA_VERSION = 2
FILE = "deleverage.json"
MEASURED, TABLE = "the chain", "the committed table"
PER_ACCOUNT = (SEIZING, BOOKING, SETTLING)
"""Phases that every account goes through that owes."""
WORK = (SEIZING, BOOKING, SUBMITTING, EXECUTING, SHARING)
"""Phases after which an insolvency is dealt with, but for time that has to pass."""
OLD = {
    "accounts": 10_000,
    "insolvent": 5_000,
    "ranked_blocks": 12_240,
    "ranked_hours": 41,
    "shared_gas": 1_813_000_000_000,
}
"""The margin market before, which froze for each insolvent account and ranked or charged all others."""


def build_summary(
    result: CrashResult, policy: str, markets: int, seed: int, host: str, beside: CrashResult | None = None
) -> dict[str, Any]:
    """Build deleverage.json; `owed_wad` is the sum of those who paid, and of what nobody did.

    `beside` is a small crash of the same kind, to show what does not depend on how many accounts there are.
    """
    paid = result.paid
    return {
        "schema_version": SCHEMA_VERSION,
        "title": "A crash of a perpetual market",
        "policy": policy,
        "markets": markets,
        "seed": seed,
        "host": host,
        "prices": [list(falls) for falls in FALLS[:markets]],
        "accounts": result.accounts,
        "insolvent": result.insolvent,
        "winners": result.winners,
        "gas_from": MEASURED if result.measured else TABLE,
        "block_gas": BLOCK_GAS,
        "block_seconds": BLOCK_SECONDS,
        "fullest_block_gas": result.fullest,
        "phases": [_describe_phase(each) for each in result.phases.values() if each.calls],
        "work_blocks": sum(each.blocks for each in result.phases.values() if each.name in WORK),
        "closing_blocks": sum(
            each.blocks for each in result.phases.values() if each.name in (SUBMITTING, EXECUTING, SHARING)
        ),
        "beside": None if beside is None else _describe_small_crash(beside),
        "old": OLD,
        "seized_after_seconds": result.times.seized,
        "booked_after_seconds": result.times.booked,
        "closed_after_seconds": result.times.closed or None,
        "final_after_seconds": result.times.final,
        "owed_wad": str(paid.owed),
        "insurance_wad": str(paid.insurance),
        "winners_wad": str(paid.winners),
        "unvested_wad": str(paid.unvested),
        "later_wad": str(paid.later),
        "protocol_wad": str(paid.protocol),
        "nobody_wad": str(paid.nobody),
        "margins_wad": str(result.margins),
        "gained_wad": str(result.gained),
        "most_taken_bps": result.most_taken,
        "nobodys_lots": result.nobodys,
        "closings": [_describe_closing(each) for each in result.closings],
        "tried": result.tried,
        "liquidated": result.liquidated,
        "dodging": None if result.escape is None else _describe_evasion(result.escape),
        "steps": result.steps,
        "fields_compared": result.fields,
        "differences": 0,  # the first one would have stopped it
    }


def list_paces(result: CrashResult) -> list[dict[str, Any]]:
    """Return the time of a processor that an account took in this process [microseconds]."""
    found = []
    for each in result.phases.values():
        first, last = each.measure_pace()
        if first and last:
            found.append({"phase": each.name, "first_half": round(first), "second_half": round(last)})
    return found


def _describe_phase(each: Phase) -> dict[str, Any]:
    return {
        "phase": each.name,
        "calls": each.calls,
        "accounts": each.accounts,
        "least": each.least,
        "mean": each.gas // max(1, each.accounts),
        "most": each.most,
        "gas": each.gas,
        "blocks": each.blocks,
    }


def _describe_small_crash(beside: CrashResult) -> dict[str, Any]:
    phases = {name: beside.phases[name] for name in PER_ACCOUNT}
    return {
        "accounts": beside.accounts,
        "winners": beside.winners,
        "phases": [_describe_phase(each) for each in phases.values()],
    }


def _describe_closing(each: AdlResult) -> dict[str, Any]:
    """Compute what was closed, and beyond what was nobody's; the same for whole positions by rank."""
    closed = sum(each.did.values())
    return {
        "market": each.market,
        "nobodys": each.nobodys,
        "closed": closed,
        "left": each.left,
        "accounts": len(each.did),
        "excess": closed - (each.nobodys - each.left),
        "greedy": each.whole,
        "greedy_accounts": each.whole_accounts,
        "greedy_excess": max(0, each.whole - each.nobodys),
    }


def _describe_evasion(escape: EvasionResult) -> dict[str, Any]:
    tried, went = escape.dodges.tried, escape.dodges.went
    return {
        "dodgers": len(escape.dodges.dodgers),
        "ways": [{"way": way, "tried": tried[way], "went": went[way]} for way in sorted(tried)],
        "fees_wad": str(sum(each.fees for each in escape.dodges.dodgers)),
        "escaped_wad": str(escape.money),
        "most_escaped_wad": str(escape.most),
        "lots": escape.lots,
        "missed": escape.missed,
    }
