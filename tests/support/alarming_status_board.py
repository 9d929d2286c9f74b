"""A board on which everything is wrong that facts can tell."""

from __future__ import annotations

import dataclasses
import json

from backstop.live.monitor.status_facts_and_board import StatusBoard


def publish_all_alarms_on_board(board: StatusBoard) -> None:
    """Put all of it up, of blocks that stay away for nine seconds and a look forty seconds ago."""
    facts = board.facts
    assert facts is not None and facts.work is not None
    statement = json.loads(json.dumps(facts.statement))
    statement["coverage"]["uncovered_rad"] = str(5 * 10**45)
    statement["mode"] = "caution"
    margin = dict.fromkeys(("held_wad", "unpaid_wad", "insurance_wad", "unvested_wad"), "0")
    jumps = {"shortfall_wad": "0", "two_largest_wad": "0", "asked_wad": str(7 * 10**18)}
    statement["margin"] = {**margin, "stress": jumps, "payable_wad": str(5 * 10**18)}
    work = dataclasses.replace(
        *(facts.work,),
        **{"failures_in_a_row": 3, "fees_too_high": True, "coins_needed": 2, "capital": {("0x1", "coin"): 1}},
        **{"stopped": {("crank", "gas"): "why"}, "burning": {"crank": "how"}, "signer_gone": True},
    )
    board.publish_status(
        dataclasses.replace(
            *(facts,),
            **{"statement": statement, "work": work, "found": 2, "differences": ("here",)},
            **{"block_at": facts.block_at - 9, "unsettled": 1, "lies": 1, "chain_id": 1, "timestamp": 1},
        )
    )
    board.looked_at -= 40
