"""Figures of a crash of a margin market that nobody liquidates, as its folder keeps them."""

from __future__ import annotations

from typing import Any

from backstop.hosts.host import CALL_GAS
from backstop.studies.deleveraging.crash import FALL, Freeze, Result

SCHEMA_VERSION = 1
FILE = "deleverage.json"
POLICIES = ("greedy", "ranked", "shared")


def summarise(result: Result, policy: str, seed: int, host: str) -> dict[str, Any]:
    """Build deleverage.json: `loss == taken + posted + unpaid`, beyond margins and insurance [wad]."""
    freezes = result.freezes
    loss, taken = sum(each.loss for each in freezes), sum(each.taken for each in freezes)
    return {
        "schema_version": SCHEMA_VERSION,
        "title": "A crash that nobody liquidates",
        "policy": policy,
        "seed": seed,
        "host": host,
        "prices": list(FALL),
        "accounts": result.accounts,
        "insured_wad": str(result.insured),
        "loss_wad": str(loss),
        "taken_wad": str(taken),
        "posted_wad": str(result.posted),
        "unpaid_wad": str(loss - taken - result.posted),
        "left_alone": result.left_alone,
        "steps": result.steps,
        "fields_compared": result.fields,
        "differences": 0,  # the first one would have stopped it
        "freezes": [_freeze(each) for each in freezes],
        "policies": [_policy(name, freezes, result.largest) for name in POLICIES if freezes],
        "largest": _largest(result),
        "block_gas": CALL_GAS,
    }


def _freeze(each: Freeze) -> dict[str, Any]:
    tolls = {name: getattr(each, name) for name in POLICIES}
    return {
        "lots": each.lots,
        "loss_wad": str(each.loss),
        "taken_wad": str(each.taken),
        "others": each.others,
        **{f"{name}_wad": str(toll.taken) for name, toll in tolls.items()},
        **{f"{name}_charged": toll.charged for name, toll in tolls.items()},
    }


def _policy(name: str, freezes: list[Freeze], largest: Freeze | None) -> dict[str, Any]:
    """Sum what a policy would take in the same freezes; `charged` are accounts of a freeze, rounded down."""
    tolls = [getattr(each, name) for each in freezes]
    most = getattr(largest, name)
    return {
        "policy": name,
        "taken_wad": str(sum(each.taken for each in tolls)),
        "charged": sum(each.charged for each in tolls) // len(tolls),
        "largest_wad": str(most.taken),
        "largest_charged": most.charged,
        "largest_bps": most.most,
    }


def _largest(result: Result) -> dict[str, Any] | None:
    if result.largest is None or result.calls is None:
        return None
    calls = result.calls
    return {
        "lots": result.largest.lots,
        "taken_wad": str(result.largest.taken),
        "others": result.largest.others,
        "submit": calls.submit,
        "execute": calls.execute,
        "most_gas": calls.most_gas,
        "all_gas": calls.all_gas,
    }
