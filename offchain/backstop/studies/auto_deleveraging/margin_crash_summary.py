"""Figures of a crash of a perpetual market, as its folder keeps them."""

from __future__ import annotations

from typing import Any

from backstop.studies.auto_deleveraging.adl_position_closing import EXECUTING, SHARING, SUBMITTING, AdlResult
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


def build_crash_summary(
    crash_result: CrashResult,
    policy: str,
    markets: int,
    seed: int,
    host: str,
    small_crash_result: CrashResult | None = None,
) -> dict[str, Any]:
    """Return the content of deleverage.json.

    `owed_wad` is the sum of the paid amounts and the unpaid one. `small_crash_result` is a smaller crash of
    the same kind, to show that gas per account does not depend on the number of accounts.
    """
    paid = crash_result.paid
    return {
        "schema_version": SCHEMA_VERSION,
        "title": "A crash of a perpetual market",
        "policy": policy,
        "markets": markets,
        "seed": seed,
        "host": host,
        "prices": [list(falls) for falls in FALLS[:markets]],
        "accounts": crash_result.accounts,
        "insolvent": crash_result.insolvent,
        "winners": crash_result.winners,
        "gas_from": MEASURED if crash_result.measured else TABLE,
        "block_gas": BLOCK_GAS,
        "block_seconds": BLOCK_SECONDS,
        "fullest_block_gas": crash_result.fullest,
        "phases": [_build_phase_figures(each) for each in crash_result.phases.values() if each.calls],
        "work_blocks": sum(each.blocks for each in crash_result.phases.values() if each.name in WORK),
        "closing_blocks": sum(
            each.blocks
            for each in crash_result.phases.values()
            if each.name in (SUBMITTING, EXECUTING, SHARING)
        ),
        "beside": None if small_crash_result is None else _build_small_crash_figures(small_crash_result),
        "old": OLD,
        "seized_after_seconds": crash_result.times.seized,
        "booked_after_seconds": crash_result.times.booked,
        "closed_after_seconds": crash_result.times.closed or None,
        "final_after_seconds": crash_result.times.final,
        "owed_wad": str(paid.owed),
        "insurance_wad": str(paid.insurance),
        "winners_wad": str(paid.winners),
        "unvested_wad": str(paid.unvested),
        "later_wad": str(paid.later),
        "protocol_wad": str(paid.protocol),
        "nobody_wad": str(paid.nobody),
        "margins_wad": str(crash_result.margins),
        "gained_wad": str(crash_result.gained),
        "most_taken_bps": crash_result.most_taken,
        "nobodys_lots": crash_result.nobodys,
        "closings": [_compute_closing_figures(each) for each in crash_result.closings],
        "tried": crash_result.tried,
        "liquidated": crash_result.liquidated,
        "dodging": None if crash_result.escape is None else _build_evasion_figures(crash_result.escape),
        "steps": crash_result.steps,
        "fields_compared": crash_result.fields,
        "differences": 0,  # the first one would have stopped it
    }


def list_phase_microseconds_per_account(crash_result: CrashResult) -> list[dict[str, Any]]:
    """Return the processor time per account in the two halves of each phase [microseconds]."""
    found = []
    for each in crash_result.phases.values():
        first, last = each.measure_account_microseconds_by_half()
        if first and last:
            found.append({"phase": each.name, "first_half": round(first), "second_half": round(last)})
    return found


def _build_phase_figures(phase: Phase) -> dict[str, Any]:
    return {
        "phase": phase.name,
        "calls": phase.calls,
        "accounts": phase.accounts,
        "least": phase.least,
        "mean": phase.gas // max(1, phase.accounts),
        "most": phase.most,
        "gas": phase.gas,
        "blocks": phase.blocks,
    }


def _build_small_crash_figures(small_crash_result: CrashResult) -> dict[str, Any]:
    phases = {name: small_crash_result.phases[name] for name in PER_ACCOUNT}
    return {
        "accounts": small_crash_result.accounts,
        "winners": small_crash_result.winners,
        "phases": [_build_phase_figures(each) for each in phases.values()],
    }


def _compute_closing_figures(adl_result: AdlResult) -> dict[str, Any]:
    """Return the closed lots of a market and their excess over the unassigned lots.

    The same figures are given for greedy closing, which takes whole positions by rank.
    """
    closed = sum(adl_result.did.values())
    return {
        "market": adl_result.market,
        "nobodys": adl_result.nobodys,
        "closed": closed,
        "left": adl_result.left,
        "accounts": len(adl_result.did),
        "excess": closed - (adl_result.nobodys - adl_result.left),
        "greedy": adl_result.whole,
        "greedy_accounts": adl_result.whole_accounts,
        "greedy_excess": max(0, adl_result.whole - adl_result.nobodys),
    }


def _build_evasion_figures(evasion_result: EvasionResult) -> dict[str, Any]:
    tried, went = evasion_result.dodges.tried, evasion_result.dodges.went
    return {
        "dodgers": len(evasion_result.dodges.dodgers),
        "ways": [{"way": way, "tried": tried[way], "went": went[way]} for way in sorted(tried)],
        "fees_wad": str(sum(each.fees for each in evasion_result.dodges.dodgers)),
        "escaped_wad": str(evasion_result.money),
        "most_escaped_wad": str(evasion_result.most),
        "lots": evasion_result.lots,
        "missed": evasion_result.missed,
    }
