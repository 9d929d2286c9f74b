"""Descriptions of mined calls and their profit, as in "took 4.65 ETH at 113 of auction 7, earned 31"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backstop.contract_base import Log
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.report.amounts import format_compact
from backstop.system import Outcome


class DefaultNames(dict[int, str]):
    """Names by number, with a default name for numbers that have none."""

    def __init__(self, known: Mapping[int, str], otherwise: str) -> None:
        super().__init__(known)
        self._otherwise = otherwise

    def __missing__(self, number: int) -> str:
        return self._otherwise


def describe_call(
    outcome: Outcome, types: DefaultNames, auctions: DefaultNames, earned: int = 0, sender: str = ""
) -> str:
    """Return a description of a call by its events, in their order; empty if no event is known.

    `types` holds symbols by collateral type, and `auctions` symbols by auction number. `earned` [wad] is
    added for a purchase with events that do not include it. With its `sender`, liquidations through a
    stability pool are described, too.
    """
    said = []
    offsets = _list_pool_offsets(outcome.logs, sender)
    for log in outcome.logs:
        tell = _TOLD.get((log.contract, log.event)) or _TOLD.get(("", log.event))
        if log in offsets:
            tell = _describe_pool_offset
        if tell is not None:
            said.append(tell(log.values, types, auctions))
    events = {log.event for log in outcome.logs}
    if {"Taken", "CollateralSold"} & events and "FlashTaken" not in events and earned:
        said.append(f"earned {format_compact(earned, WAD)} at the feed's price")
    return ", ".join(said)


def compute_call_gain_before_gas(
    outcome: Outcome,
    type_by_auction: Mapping[int, int],
    price_by_type: Mapping[int, int],
    sender: str = "",
) -> int:
    """Return the gain of a call's sender before gas, as far as its events show it [wad], rounded down.

    The gain is rewards, plus stablecoin left from a purchase through a market, plus the worth of purchased
    collateral less its payment. Collateral, and the reward of a stability pool, are valued at the feed's
    price. Shares of pools and equity are left out: no feed has their price. `price_by_type` is the feed's
    price [ray].
    """
    logs = outcome.logs
    flash = [log.values[2] for log in logs if log.event == "FlashTaken"]
    offsets = _list_pool_offsets(logs, sender)
    total = sum(flash) + _compute_pool_reward(logs, offsets, price_by_type, sender)
    for log in logs:
        if log in offsets:
            continue
        if (log.contract, log.event) == ("LiquidationEngine", "Liquidated"):
            total += log.values[5]
        elif (log.contract, log.event) == ("CollateralAuction", "AuctionReset"):
            total += log.values[2]
        elif (log.contract, log.event) == ("CollateralAuction", "Taken") and not flash:
            auction, _, bought, paid, _ = log.values
            price = price_by_type.get(type_by_auction.get(auction, -1))
            total += 0 if price is None else bought * price // RAY - paid
        elif (log.contract, log.event) == ("LiquidationEngine", "CollateralSold") and not flash:
            c, _, _, collateral, fee, paid, _ = log.values
            price = price_by_type.get(c)
            total += 0 if price is None else (collateral - fee) * price // RAY - paid
    return total


def _list_pool_offsets(logs: Sequence[Log], sender: str) -> list[Log]:
    """Return the events of collateral sold to a stability pool; empty without a sender.

    The buyer in such an event is the pool. A flash taker also buys for its caller, but has an event of its
    own.
    """
    sales = [log for log in logs if (log.contract, log.event) == ("LiquidationEngine", "CollateralSold")]
    is_flash = any(log.event == "FlashTaken" for log in logs)
    return [] if is_flash or not sender else [log for log in sales if log.values[2] != sender]


def _compute_pool_reward(
    logs: Sequence[Log], offsets: Sequence[Log], price_by_type: Mapping[int, int], sender: str
) -> int:
    """Return the reward that a stability pool sent to the liquidator, at the feed's price [wad].

    Token transfers are in the token's smallest unit, protocol events in wad. The collateral that the pool got
    appears in transfers and events, which gives the conversion factor.
    """
    if not offsets:
        return 0
    c, _, pool, *_ = offsets[0].values
    moves = [log.values for log in logs if log.event == "Transfer" and log.contract != "Stablecoin"]
    got = sum(amount for _, receiver, amount in moves if receiver == pool)
    sent_on = sum(amount for source, receiver, amount in moves if (source, receiver) == (pool, sender))
    sold = sum(log.values[3] - log.values[4] for log in offsets)
    return sold * sent_on // max(1, got) * price_by_type.get(c, 0) // RAY


def describe_event_kind_and_text(log: Log, types: DefaultNames) -> tuple[str, str] | None:
    """Return the kind and the description of a protocol event; None for a routine event."""
    tell = _EVENTS.get((log.contract, log.event))
    return None if tell is None else tell(log.values, types)


_Values = tuple[Any, ...]
_Tell = Callable[[_Values, DefaultNames, DefaultNames], str]


def _describe_take(values: _Values, types: DefaultNames, auctions: DefaultNames) -> str:
    auction, _, bought, paid, _ = values
    price = f" at {format_compact(paid * RAY // bought, RAY)}" if bought else ""
    return f"took {format_compact(bought, WAD)} {auctions[auction]}{price} of auction {auction}"


def _describe_liquidation(values: _Values, types: DefaultNames, auctions: DefaultNames) -> str:
    auction, c, owner, collateral, principal, reward = values
    what = f"{format_compact(collateral, WAD)} {types[c]} for a debt of {format_compact(principal, RAD)}"
    paid = f", rewarded {format_compact(reward, WAD)}" if reward else ""
    return f"liquidated {owner[:10]}…: {what}, auction {auction}{paid}"


def _describe_discount_sale(values: _Values, types: DefaultNames, auctions: DefaultNames) -> str:
    c, owner, _, collateral, fee, paid, principal = values
    sent = collateral - fee
    price = f" at {format_compact(paid * RAY // sent, RAY)}" if sent else ""
    lost = principal - min(principal, paid * RAY)
    short = f", {format_compact(lost, RAD)} of it not repaid" if lost else ""
    return (
        f"bought {format_compact(sent, WAD)} {types[c]}{price} from the vault of {owner[:10]}… for a debt of "
        f"{format_compact(principal, RAD)}{short}"
    )


def _describe_pool_offset(values: _Values, types: DefaultNames, auctions: DefaultNames) -> str:
    c, owner, _, collateral, fee, paid, principal = values
    lost = principal - min(principal, paid * RAY)
    short = f", {format_compact(lost, RAD)} of it not repaid" if lost else ""
    return (
        f"had a stability pool repay a debt of {format_compact(principal, RAD)} of {owner[:10]}… for "
        f"{format_compact(collateral - fee, WAD)} {types[c]}{short}"
    )


def _describe_reset(values: _Values, types: DefaultNames, auctions: DefaultNames) -> str:
    auction, top, reward = values
    paid = f", rewarded {format_compact(reward, WAD)}" if reward else ""
    return f"started auction {auction} again at {format_compact(top, RAY)}{paid}"


def _describe_closed_auction(values: _Values, types: DefaultNames, auctions: DefaultNames) -> str:
    auction, _, lost, _ = values
    return f"closed auction {auction} with {format_compact(lost, RAD)} not raised"


_TOLD: Mapping[tuple[str, str], _Tell] = {
    ("CollateralAuction", "Taken"): _describe_take,
    ("CollateralAuction", "AuctionReset"): _describe_reset,
    ("CollateralAuction", "AuctionEnded"): lambda values, _, __: f"which ended auction {values[0]}",
    ("CollateralAuction", "AuctionClosed"): _describe_closed_auction,
    ("LiquidationEngine", "Liquidated"): _describe_liquidation,
    ("LiquidationEngine", "MarginCalled"): lambda values, types, _: (
        f"called {values[1][:10]}…, which has {types[values[0]]}"
    ),
    ("LiquidationEngine", "CollateralSold"): _describe_discount_sale,
    ("LiquidationEngine", "MechanismSet"): lambda values, types, _: (
        f"set {values[1][:10]}… to sell unsafe vaults of {types[values[0]]}"
    ),
    ("LossWaterfall", "LossRecognised"): lambda values, types, _: (
        f"{format_compact(values[2], RAD)} of bad debt of {types[values[0]]} recognised"
    ),
    ("LossWaterfall", "LossCovered"): lambda values, types, _: (
        f"{format_compact(values[3], RAD)} of bad debt of {types[values[0]]} paid"
    ),
    ("", "EntriesAdmitted"): lambda values, _, __: (
        f"admitted {format_compact(values[0], WAD)} to a stability pool"
    ),
    ("", "FlashTaken"): lambda values, _, __: f"earned {format_compact(values[2], WAD)}",
}
"""The description of an event, by its contract, or for any contract, and its name."""

_MODES = ("normal", "caution", "emergency")
_EVENTS: Mapping[tuple[str, str], Callable[[_Values, DefaultNames], tuple[str, str]]] = {
    ("LiquidationEngine", "Liquidated"): lambda values, types: (
        "liquidation",
        f"{format_compact(values[3], WAD)} {types[values[1]]} liquidated for a debt of "
        f"{format_compact(values[4], RAD)}",
    ),
    ("LiquidationEngine", "CollateralSold"): lambda values, types: (
        "liquidation",
        f"{format_compact(values[3], WAD)} {types[values[0]]} sold for a debt of "
        f"{format_compact(values[6], RAD)}",
    ),
    ("CollateralAuction", "AuctionClosed"): lambda values, types: (
        "loss",
        f"auction {values[0]} of {types[values[1]]} closed with {format_compact(values[2], RAD)} not raised",
    ),
    ("LossWaterfall", "LossRecognised"): lambda values, types: (
        "loss",
        f"{format_compact(values[2], RAD)} of bad debt of {types[values[0]]} recognised",
    ),
    ("LossWaterfall", "LossCovered"): lambda values, types: (
        "payment",
        f"{format_compact(values[3], RAD)} of bad debt of {types[values[0]]} paid",
    ),
    ("LossWaterfall", "StageFailed"): lambda values, types: (
        "loss",
        f"a stage failed to pay for {types[values[0]]}",
    ),
    ("CircuitBreaker", "ModeChanged"): lambda values, _: (
        "mode",
        f"the mode went from {_MODES[values[0]]} to {_MODES[values[1]]}",
    ),
    ("Settlement", "Begun"): lambda _, __: ("mode", "settlement began"),
}
"""Protocol events that are marked in charts, by contract and event."""
