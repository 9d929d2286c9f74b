"""Deleveraging against unassigned lots, of all accounts that gained, each by the same share of its gain.

R are the lots that are unassigned, or were closed here in this cycle. With T a side's gain in it and G an
account's, its part is floor(R*G/T), in any order of calls. The market decides separately which accounts
absorb the losses.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    Contract,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model.interfaces import Gains, IPerpetualMarket, IPerpetualTrading


@declare_record_slot_bit_widths(32, 64)
class ClosedLots(NamedTuple):
    """Number of lots that deleveraging closed, and the cycle (period of losses and gains) of the closing."""

    cycle: int = 0
    lots: int = 0

    def in_cycle(self, cycle: int) -> int:
        """Return the closed lots if the record belongs to this cycle, otherwise 0."""
        return self.lots if self.cycle == cycle else 0


class ProRataDeleveraging(Contract):
    """Auto-deleveraging that closes lots pro rata to gains (model of contracts/ProRataDeleveraging.vy).

    Lots of accounts that gained are closed against unassigned lots, which were seized from insolvent
    accounts.
    """

    KIND = "ProRataDeleveraging"

    market_address = immutable("MARKET", str)
    trading_address = immutable("TRADING", str)

    def __init__(self, world: World, name: str, address: str, market: str, trading: str) -> None:
        super().__init__(world, name, address)
        self.market_address = market
        self.trading_address = trading
        # By market and side.
        self.totals = self.table("totals", ClosedLots())
        # By those and the owner.
        self.parts = self.table("parts", ClosedLots())

    @property
    def market(self) -> IPerpetualMarket:
        return cast(IPerpetualMarket, self.world.at(self.market_address))

    @property
    def trading(self) -> IPerpetualTrading:
        return cast(IPerpetualTrading, self.world.at(self.trading_address))

    @external
    def share(self, sender: str, market: int, side: int, accounts: tuple[str, ...]) -> int:
        """Close each account's pro rata part of the unassigned lots; return the lots that stay unassigned.

        Unassigned lots were seized from insolvent accounts. An account's part follows from its share of the
        side's gain in the last period (pending cycle). Lots closed earlier in the period count. The accounts
        must be in ascending order. Raises RevertError if no lot is closed.
        """
        require(side < 2, "deleveraging: no such side")
        cycle = self.market.clock_of(self.address).cycle - 1
        gained = self.market.cycle_of(self.address, market, cycle)[0][side]
        require(gained != 0, "deleveraging: nobody gained")
        lots = self.market.lots_of(self.address, market)
        total = self.totals[market, side].in_cycle(cycle)
        whole = total + lots[side] - min(lots)
        most, last = [], 0
        for owner in accounts:
            require(int(owner, 16) > last, "deleveraging: out of order")
            last = int(owner, 16)
            part = whole * _get_side_gain(self.market.gains_of(self.address, owner, market), side) // gained
            most.append(max(0, part - self.parts[market, side, owner].in_cycle(cycle)))
        closed, left = self.trading.deleverage(
            self.address, market, side, accounts, tuple(most), sender, sender
        )
        for owner, some in zip(accounts, closed, strict=True):
            if some:
                done = self.parts[market, side, owner].in_cycle(cycle)
                self.parts[market, side, owner] = ClosedLots(cycle, done + some)
        require(any(closed), "deleveraging: no lots to close")
        self.totals[market, side] = ClosedLots(cycle, total + sum(closed))
        self.emit("Shared", market, side, sum(closed), left)
        return left

    @view
    def part_of(self, sender: str, market: int, side: int, owner: str) -> ClosedLots:
        """Return how many lots of an account's position were closed last, and in which cycle.

        A cycle is a period for which gains absorb losses.
        """
        return cast(ClosedLots, self.parts[market, side, owner])

    @view
    def total_of(self, sender: str, market: int, side: int) -> ClosedLots:
        """Return how many lots of a market side were closed last, and in which cycle.

        A cycle is a period for which gains absorb losses.
        """
        return cast(ClosedLots, self.totals[market, side])


def _get_side_gain(gains: Gains, side: int) -> int:
    return gains.short if side else gains.long
