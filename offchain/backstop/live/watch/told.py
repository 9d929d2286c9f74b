"""What a mined call did, in words: "took 4.65 ETH at 113 of auction 7, earned 31"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.report.amounts import compact
from backstop.system import Outcome


class Names(dict[int, str]):
    """Names by number; what has none yet is called by what it is."""

    def __init__(self, known: Mapping[int, str], otherwise: str) -> None:
        super().__init__(known)
        self._otherwise = otherwise

    def __missing__(self, number: int) -> str:
        return self._otherwise


def told(outcome: Outcome, types: Names, auctions: Names) -> str:
    """Say what the events of a call mean, in their order; empty where none of them is known.

    `types` are symbols by collateral type, `auctions` those by the number of an auction.
    """
    said = []
    for log in outcome.logs:
        tell = _TOLD.get((log.contract, log.event)) or _TOLD.get(("", log.event))
        if tell is not None:
            said.append(tell(log.values, types, auctions))
    return ", ".join(said)


_Values = tuple[Any, ...]
_Tell = Callable[[_Values, Names, Names], str]


def _taken(values: _Values, types: Names, auctions: Names) -> str:
    auction, _, bought, paid, _ = values
    price = f" at {compact(paid * RAY // bought, RAY)}" if bought else ""
    return f"took {compact(bought, WAD)} {auctions[auction]}{price} of auction {auction}"


def _liquidated(values: _Values, types: Names, auctions: Names) -> str:
    auction, c, owner, collateral, principal, reward = values
    what = f"{compact(collateral, WAD)} {types[c]} for a debt of {compact(principal, RAD)}"
    paid = f", rewarded {compact(reward, WAD)}" if reward else ""
    return f"liquidated {owner[:10]}…: {what}, auction {auction}{paid}"


def _reset(values: _Values, types: Names, auctions: Names) -> str:
    auction, top, reward = values
    paid = f", rewarded {compact(reward, WAD)}" if reward else ""
    return f"started auction {auction} again at {compact(top, RAY)}{paid}"


def _closed(values: _Values, types: Names, auctions: Names) -> str:
    auction, _, lost, _ = values
    return f"closed auction {auction} with {compact(lost, RAD)} not raised"


_TOLD: Mapping[tuple[str, str], _Tell] = {
    ("CollateralAuction", "Taken"): _taken,
    ("CollateralAuction", "AuctionReset"): _reset,
    ("CollateralAuction", "AuctionEnded"): lambda values, _, __: f"which ended auction {values[0]}",
    ("CollateralAuction", "AuctionClosed"): _closed,
    ("LiquidationEngine", "Liquidated"): _liquidated,
    ("LiquidationEngine", "MarginCalled"): lambda values, types, _: (
        f"called {values[1][:10]}…, which has {types[values[0]]}"
    ),
    ("LossWaterfall", "LossRecognised"): lambda values, types, _: (
        f"{compact(values[2], RAD)} of bad debt of {types[values[0]]} recognised"
    ),
    ("LossWaterfall", "LossCovered"): lambda values, types, _: (
        f"{compact(values[3], RAD)} of bad debt of {types[values[0]]} paid"
    ),
    ("", "FlashTaken"): lambda values, _, __: f"earned {compact(values[2], WAD)}",
}
"""What an event means, by its contract, or of any contract, and its name."""
