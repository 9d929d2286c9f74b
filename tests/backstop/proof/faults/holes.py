"""The cells of the table that do not work today, each with the rule that it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from backstop.proof.faults.ways import FAILS

DRY = "a stage that fails counts as dry: the others pay in their order, members leave, settlement ends"
WORD = "what a stage has paid is what the ledger says, and one that claims more has failed"
BUSY = "a stage is busy only while it holds what it has reserved, and never for ever"
ORDER = "what a stage pays does not depend on which type's loss is covered first"
POLICY = "a policy refuses new risk; repaying and liquidating do not need it, and a fee it names is bounded"
CLOSING = "a position can be closed, whatever becomes of the policy and the prices of new risk"
SLASHED = "a stage has received what it sells"

SMALL, LARGE, AFTER = "cover a small loss", "cover a large loss", "cover after a sale"
SETTLE, SETTLE_LATER, SETTLE_SALE = "settle", "settle after a cover", "settle during a sale"
SETTLES = SETTLE, SETTLE_LATER, SETTLE_SALE
LEAVE = "leave Junior", "leave Senior", "leave Savings", "leave StakedEquity"
CLOSE = "close a position", "close and withdraw", "close and take out"
REPAY, LIQUIDATE = ("repay WETH", "repay WBTC"), ("liquidate WETH", "liquidate WBTC")

# Who ignores what a transfer answers does not notice that it answers nothing.
FAILING_TOKEN = tuple(way for way in FAILS if way != "no data")
ONE, MOST = "says one", "says most"
LIES = "claims", "overpays", "keeps"

LEDGER_STAGES = "BufferStage", "ReserveStage"
POOLS = "Junior", "Senior", "Savings"
AUCTIONS = "StakeAuction", "MintAuction"
CLAIMS = tuple(f"{pool}.Claims" for pool in POOLS)


class Hole(NamedTuple):
    """One cell, and the rule it breaks."""

    part: str
    call: str
    way: str
    rule: str


def _holes() -> Iterator[Hole]:
    """Yield all of them: each rule with the parts, calls and ways of a block of the table."""
    blocks: list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = [
        (DRY, LEDGER_STAGES, (SMALL, LARGE, AFTER, *SETTLES, *LEAVE), FAILS),
        (DRY, ("ClawbackStage", *POOLS), (SMALL, LARGE, AFTER, *SETTLES, *LEAVE), FAILS),
        (DRY, ("Senior.Claims", "Savings.Claims"), (LARGE, AFTER, *SETTLES), (*FAILS, MOST)),
        (DRY, ("Junior.Claims",), (SMALL, LARGE, SETTLE, SETTLE_LATER), (*FAILS, MOST)),
        (DRY, AUCTIONS, (LARGE, AFTER), FAILS),
        (DRY, ("StakedEquity",), (LARGE,), (*FAILS, MOST)),
        (DRY, ("StakedEquity",), (AFTER,), ("no data", MOST)),
        (DRY, ("Equity",), (LARGE,), (*FAILING_TOKEN, MOST)),
        (DRY, ("PriceFeed",), (LARGE, AFTER), FAILS),
        (WORD, LEDGER_STAGES, (SMALL, LARGE, AFTER, *SETTLES), (ONE, *LIES)),
        (WORD, (*LEDGER_STAGES, "ClawbackStage"), ("leave Junior",), LIES),
        (WORD, ("ClawbackStage", "Junior", "Senior"), (SMALL, LARGE, AFTER, *SETTLES), (ONE, *LIES)),
        (WORD, ("Savings",), (SMALL, LARGE, AFTER, SETTLE_LATER), (ONE, *LIES)),
        (WORD, POOLS, LEAVE, LIES),
        (WORD, ("Savings",), (SETTLE, SETTLE_SALE), LIES),
        (WORD, AUCTIONS, (LARGE, AFTER), ("claims", "overpays")),
        (WORD, ("StakeAuction",), (AFTER,), (ONE,)),
        (WORD, ("StakeAuction",), (SETTLE_LATER,), ("claims",)),
        (BUSY, (*LEDGER_STAGES, "ClawbackStage", *POOLS), (SMALL, LARGE, AFTER, *SETTLES), (MOST,)),
        (BUSY, POOLS, LEAVE, (MOST,)),
        (BUSY, AUCTIONS, (LARGE, AFTER), (MOST, "keeps")),
        (BUSY, ("StakeAuction",), (SETTLE_SALE,), (*FAILS, ONE, MOST, *LIES)),
        (BUSY, ("StakeAuction",), (SETTLE_LATER,), (ONE, "keeps")),
        (BUSY, ("StakedEquity",), (SETTLE_LATER,), (ONE,)),
        (BUSY, ("StakedEquity",), (AFTER, SETTLE_SALE), FAILING_TOKEN),
        (BUSY, ("Equity",), (AFTER, SETTLE_SALE), (*FAILS, MOST)),
        (BUSY, ("Equity",), (SETTLE_LATER,), ("no data",)),
        (ORDER, ("Equity", "StakeAuction", "StakedEquity"), (SETTLE_SALE,), ("re-enters",)),
        (POLICY, ("RiskPolicy",), (*REPAY, *LIQUIDATE), (*FAILS, ONE, MOST)),
        (CLOSING, ("MarginPolicy",), CLOSE, (*FAILS, ONE, MOST)),
        (CLOSING, ("PriceFeed",), CLOSE, FAILS),
        (SLASHED, ("Equity",), (LARGE,), ("no data",)),
        (SLASHED, ("Equity",), (AFTER, SETTLE_SALE), (ONE,)),
    ]
    for rule, parts, calls, ways in blocks:
        for part, call, way in product(parts, calls, ways):
            if call != f"leave {part}":
                yield Hole(part, call, way, rule)


HOLES = tuple(_holes())
