"""The cells of the table that do not work today, each with the rule that it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from backstop.proof.faults.failure_modes import FAILS

WORD = "a leaver of a pool is not paid more because a stage states a false balance"
BUSY = "a stage that reserves without selling delays no other stage"
CLOSING = "a position can be closed while the policy and the prices of new risk fail"
SLASHED = "a stage has received the asset that it sells"
FUND = "a cycle ends while the fund fails"
STAKE = "members of a stake leave while its auction fails"

LARGE, AFTER = "cover a large loss", "cover after a sale"
SETTLE, SETTLE_LATER, SETTLE_SALE = "settle", "settle after a cover", "settle during a sale"
SETTLES = SETTLE, SETTLE_LATER, SETTLE_SALE
CLOSE = "close a position", "close and withdraw", "close and take out"

ONE, MOST = "says one", "says most"
LIES = "claims", "overpays", "keeps"

AUCTIONS = "StakeAuction", "MintAuction"


class Hole(NamedTuple):
    """One cell, and the rule it breaks."""

    part: str
    call: str
    way: str
    rule: str


def _holes() -> Iterator[Hole]:
    """Yield all of them: each rule with the parts, calls and ways of a block of the table."""
    blocks: list[tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = [
        (WORD, ("BufferStage", "ReserveStage", "ClawbackStage"), ("leave Junior",), LIES),
        # It says that its members have income to claw back, of one wei.
        (WORD, ("Senior",), ("leave Junior",), (ONE,)),
        (BUSY, AUCTIONS, (LARGE,), ("keeps",)),
        (BUSY, ("MintAuction",), (AFTER,), ("keeps",)),
        # One that says one marks the market at a wei, far from the price of any trade.
        (CLOSING, ("MarginPolicy",), (*CLOSE, "reduce by cycle"), (*FAILS, ONE, MOST)),
        (FUND, ("MarginFund",), ("roll with losses by cycle",), (*FAILS, ONE, MOST)),
        (STAKE, ("StakeAuction",), ("leave StakedEquity",), (*FAILS, ONE, MOST, *LIES)),
        (SLASHED, ("Equity",), (LARGE, SETTLE_LATER), ("no data",)),
        (SLASHED, ("Equity",), (AFTER, SETTLE_SALE), (ONE,)),
    ]
    for rule, parts, calls, ways in blocks:
        for part, call, way in product(parts, calls, ways):
            yield Hole(part, call, way, rule)


HOLES = tuple(_holes())
