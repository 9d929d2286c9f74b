"""History of the last day: figures minute by minute, events, and keepers' calls and earnings.

The history is taken from blocks in their order and is rolled back with the chain. A mirror keeps it with its
state, so that a restarted mirror resumes it; a mirror without a checkpoint rebuilds it from the chain's past.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backstop.files.atomic_files import encode_json_integer
from backstop.live.mirror.chain_mirror import MinedCall
from backstop.live.monitor.call_descriptions import (
    DefaultNames,
    compute_call_gain_before_gas,
    describe_call,
    describe_event_kind_and_text,
)

DAY, HOUR = 86_400, 3_600
STEP = 60
"""Between two points of the last hour, of the chain's time [s]."""
SPARSE = 300
"""Between two points of the day before it; where they are replayed, each one costs a statement [s]."""
MOST = 5_000
"""The most events and calls that are kept of a day."""
ENDED = 500
"""Auctions that are known although they are over: a reorganisation may bring them back."""


class HistoryPoint(NamedTuple):
    """Figures after a block: debts and losses [rad], collateral ratio [bps], and stages' balances [rad].

    The ratio is None without debt. Stages are those of the loss waterfall, in their order.
    """

    block: int
    timestamp: int
    debt: int
    in_auction: int
    lost: int
    collateral: int | None
    stages: tuple[tuple[str, int], ...]


class ProtocolEvent(NamedTuple):
    """Event of the protocol with its kind and its description."""

    block: int
    timestamp: int
    kind: str
    text: str


class KeeperCall(NamedTuple):
    """Mined call of a keeper: its events in words, its cost [wei of gas] and its profit [wad]."""

    block: int
    timestamp: int
    who: str
    told: str
    call: str
    reason: str | None  # why it failed; None: it did not
    gas: int
    cost: int
    gained: int


class MonitorHistory:
    """History of a deployment's last day: figures over time, protocol events and keepers' calls.

    `symbols` are those of the collateral types, in order.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._types = DefaultNames(dict(enumerate(symbols)), "collateral")
        self.points: deque[HistoryPoint] = deque()
        self.events: deque[ProtocolEvent] = deque(maxlen=MOST)
        self.acts: deque[KeeperCall] = deque(maxlen=MOST)
        self._sold: dict[int, int] = {}  # auction -> collateral type
        self._auctions = DefaultNames({}, "collateral")  # auction -> symbol
        self._prices: dict[int, int] = {}  # collateral type -> the feed's price, ray
        self._looked_at = 0

    # ------------------------------------------------------------------- taking

    def add_call(self, seen: MinedCall, who: str | None, call: str) -> None:
        """Add a mined call, in the chain's order.

        `who` is the name of its keeper, None for any other sender. `call` is the call as text.
        """
        outcome = seen.outcome
        for log in outcome.logs:
            if (log.contract, log.event) == ("CollateralAuction", "AuctionStarted"):
                self._remember_auction_type(log.values[0], log.values[1])
            elif (log.contract, log.event) == ("PriceFeed", "Poked"):
                self._prices[log.values[0]] = log.values[1]
            if found := describe_event_kind_and_text(log, self._types):
                self.events.append(ProtocolEvent(seen.block, seen.timestamp, *found))
        if who is None:
            return
        earned = compute_call_gain_before_gas(outcome, self._sold, self._prices, seen.action.sender)
        words = describe_call(outcome, self._types, self._auctions, earned, seen.action.sender)
        cost = seen.gas * seen.gas_price
        self.acts.append(
            KeeperCall(seen.block, seen.timestamp, who, words, call, outcome.reason, seen.gas, cost, earned)
        )

    def is_point_due(self, timestamp: int, step: int = STEP) -> bool:
        """Return whether `step` seconds have passed since the last point, and if so, start the next step."""
        if self._looked_at and timestamp < self._looked_at + step:
            return False
        self._looked_at = timestamp
        return True

    def add_point(self, block: int, statement: Mapping[str, Any]) -> None:
        """Add the figures of a statement after a block, and forget entries older than a day."""
        sheet, stages = statement["balance_sheet"], statement["stages"]
        self.points.append(
            HistoryPoint(
                *(block, statement["timestamp"], int(sheet["performing_rad"]), int(sheet["in_auction_rad"])),
                *(int(sheet["deficit_rad"]), statement["coverage"]["collateral_bps"]),
                tuple((row["stage"], int(row["capacity_rad"])) for row in stages),
            )
        )
        for c, row in enumerate(statement["collateral_types"]):
            self._prices.setdefault(c, int(row["price_ray"]))
            for auction in statement["auctions"]:  # also of before it looked
                if auction["symbol"] == row["symbol"] and auction["id"] not in self._sold:
                    self._remember_auction_type(auction["id"], c)
        now = statement["timestamp"]
        lines: Sequence[deque[Any]] = (self.points, self.events, self.acts)
        for line in lines:
            while line and line[0].timestamp < now - DAY:
                line.popleft()
        self.points = _thin_points(self.points, now)
        opened = {auction["id"] for auction in statement["auctions"]}
        for auction in [each for each in self._sold if each not in opened][:-ENDED]:
            del self._sold[auction], self._auctions[auction]

    def _remember_auction_type(self, auction_id: int, collateral_type: int) -> None:
        self._sold[auction_id], self._auctions[auction_id] = collateral_type, self._types[collateral_type]

    def drop_reorged_blocks(self, last_kept_block: int) -> None:
        """Forget all entries of blocks after `last_kept_block`."""
        self.points = deque(each for each in self.points if each.block <= last_kept_block)
        self.events = deque((each for each in self.events if each.block <= last_kept_block), maxlen=MOST)
        self.acts = deque((each for each in self.acts if each.block <= last_kept_block), maxlen=MOST)
        self._looked_at = self.points[-1].timestamp if self.points else 0

    # ------------------------------------------------------------------ keeping

    def export_state(self) -> dict[str, Any]:
        """Return the whole history in a form for JSON."""
        return {
            "points": [
                [
                    *_convert_large_ints_to_strings(each[:-1]),
                    [[s, encode_json_integer(a)] for s, a in each.stages],
                ]
                for each in self.points
            ],
            "events": [_convert_large_ints_to_strings(each) for each in self.events],
            "acts": [_convert_large_ints_to_strings(each) for each in self.acts],
            "sold": sorted(self._sold.items()),
            "prices": [[c, encode_json_integer(price)] for c, price in sorted(self._prices.items())],
        }

    def restore_state(self, state: Mapping[str, Any], block: int) -> None:
        """Replace the history by an exported state, without entries after `block`.

        Raise KeyError, TypeError or ValueError if the state is not valid.
        """
        points = [
            HistoryPoint(
                *(int(block), int(at), int(debt), int(sold), int(lost)),
                None if ratio is None else int(ratio),
                tuple((str(stage), int(amount)) for stage, amount in stages),
            )
            for block, at, debt, sold, lost, ratio, stages in state["points"]
        ]
        events = [
            ProtocolEvent(int(at), int(time), str(kind), str(text))
            for at, time, kind, text in state["events"]
        ]
        acts = [
            KeeperCall(
                *(int(block), int(at), str(who), str(words), str(call)),
                None if reason is None else str(reason),
                *(int(gas), int(cost), int(earned)),
            )
            for block, at, who, words, call, reason, gas, cost, earned in state["acts"]
        ]
        for auction, c in state["sold"]:
            self._remember_auction_type(int(auction), int(c))
        self._prices = {int(c): int(price) for c, price in state["prices"]}
        self.points, self.events, self.acts = deque(points), deque(events, MOST), deque(acts, MOST)
        self.drop_reorged_blocks(block)


def _thin_points(points: Iterable[HistoryPoint], now: int) -> deque[HistoryPoint]:
    """Return the points of the last hour, and older points at least five minutes apart.

    All points are drawn at each block and written with each checkpoint, so their number is kept small.
    """
    kept: deque[HistoryPoint] = deque()
    for each in points:
        recent = each.timestamp >= now - HOUR
        if recent or not kept or each.timestamp >= kept[-1].timestamp + SPARSE:
            kept.append(each)
    return kept


def _convert_large_ints_to_strings(values: Iterable[Any]) -> list[Any]:
    return [encode_json_integer(each) if isinstance(each, int) else each for each in values]
