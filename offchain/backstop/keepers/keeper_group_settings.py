"""A group of keepers of one role, and its settings: gas, money, outages, plans."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class StepSeries:
    """Piecewise constant series: a value that changes at given times."""

    times: tuple[int, ...]
    values: tuple[int, ...]

    def get_value(self, time: int) -> int:
        """Return the value in force at a time; before the first time it is the first value."""
        return self.values[max(0, bisect_right(self.times, time) - 1)]


@dataclass(frozen=True)
class GasPolicy:
    """Rule for a keeper's gas price: fixed, or a capped multiple of the block price `lag` seconds ago."""

    fixed: int | None = None  # wei
    factor: int = 11_000  # basis points
    lag: int = 0
    cap: int | None = None  # wei

    def compute_gas_price(self, clearing: StepSeries, now: int) -> int:
        """Return the gas price to offer at time `now` [wei].

        `clearing` is the series of the blocks' gas prices [wei].
        """
        if self.fixed is not None:
            return self.fixed
        price = clearing.get_value(now - self.lag) * self.factor // 10_000
        return price if self.cap is None else min(price, self.cap)


@dataclass(frozen=True)
class Outage:
    """Time span in which a keeper sends nothing and its pending transactions are lost."""

    start: int
    end: int


@dataclass(frozen=True)
class GuardianInstruction:
    """Entry of a guardian's schedule: halt a market, raise the mode, or announce a facilitator's loss."""

    at: int
    halt: str = ""  # symbol of the market
    force_mode: int = 0  # mode
    announce: str = ""  # name of the facilitator


IN_POOL = ("ask", "leave", "enter", "donate")
OF_COLLATERAL = ("draw", "repay", "liquidate", "buy", "reset", "cover")
MOVES = (*IN_POOL, *OF_COLLATERAL)
"""The moves of an attacker, in its pool and with its collateral type."""


@dataclass(frozen=True)
class AttackMove:
    """Entry of an attacker's plan: time, kind of move, and the share of its means to use."""

    at: int
    do: str  # one of MOVES
    share: int = 10_000  # basis points


@dataclass(frozen=True)
class KeeperGroup:
    """Settings of a group of keepers with the same role.

    Options that a role does not use keep their defaults.
    """

    name: str
    role: str
    count: int
    gas: GasPolicy
    capital: int = 0  # wad of stablecoin, or of equity for those who pay with it
    minimum_profit: int = 0  # wad, after gas
    latency: int = 0  # seconds from decision to everybody's seeing it
    outages: tuple[Outage, ...] = ()
    deviation: int = 100  # reporter, poker: basis points that make it report
    heartbeat: int = 3_600  # reporter, accruer, coverer: seconds after which it acts anyway
    signs: str = ""  # reporter: the file in which it puts what it signs, instead of sending it
    reports: tuple[str, ...] = ()  # poker: files and addresses with signed reports, which it brings
    noise: int = 0  # reporter: basis points by which its view of the price may be off
    takes_at: int = 10_000  # bidder: basis points of the market price it pays at most
    strategy: str = ""  # taker, bidder, recap_bidder: module:Class that says what things are worth
    most: int = 5  # actions it sends for one block
    pool: str = "savings"  # member: where its capital is; attacker: where its stake is
    stake: int = 0  # attacker: wad that it has in its pool from the start on
    leaves_at: int = 0  # member: basis points of the pool's assets that it sees lost and leaves; 0 stays
    refuses_at: int = 0  # reporter: ray; a source at or under it is at its bound, and not reported
    answers: int = 10_000  # owners, debtor: basis points of called vaults whose owners answer
    instalments: int = 4  # debtor: in how many it pays, if there may be as many
    collateral: str = ""  # borrower, exploiter, attacker: symbol of what it locks
    each: int = 0  # borrower, exploiter, bridge: wad that it draws at once, until it has drawn its capital;
    # attacker: that it draws at most
    facilitator: str = ""  # bridge: name of the facilitator
    to: str = ""  # bridge: address that gets what it draws; the market if empty
    # borrower, exploiter, attacker: basis points of its debt that it locks at the feed's price
    ratio: int = 0
    pays: int | None = None  # borrower: ray a second, the fee above which it draws no more; None is any
    schedule: tuple[GuardianInstruction, ...] = ()  # guardian: what it does when
    # margin_crank, deleverager: gas that one of their calls for many accounts may take. The default gets in
    # where the protocol has 3% of a block of 45M gas.
    call_gas: int = 1_250_000
    # margin_liquidator: basis points of its equity for which it takes lots of debtors
    relieves: int = 0
    # pool_buyer: basis points over what a position is worth outside that it is worth to it
    premium: int = 0
    orders: str = "orders.jsonl"  # matcher: the file that signed orders are in
    plan: tuple[AttackMove, ...] = ()  # attacker: what it does when, in the order of time
    fails: RandomOutages | None = None  # outages that are drawn, besides those that are given
    runs: int = 0  # member: seconds until it leaves whatever it sees, on average; 0 never
    leaves_from: int | None = None  # member: the time of the epoch from when on it does

    @property
    def asset(self) -> str:
        """Name of the token contract in which the group's capital is held: Equity or Stablecoin."""
        stakes = self.role == "member" and self.pool == "staked_equity"
        return "Equity" if stakes or self.role == "surplus_bidder" else "Stablecoin"

    @property
    def endowment(self) -> int:
        """Capital with which each keeper starts [wad]; 0 if the keeper is going to draw its capital."""
        drawn = self.role != "attacker" and (self.collateral or self.facilitator)
        return 0 if drawn else self.capital

    def list_keeper_names(self) -> tuple[str, ...]:
        """Return the names of the group's keepers, which are also the names of their accounts."""
        if self.count == 1 and self.role != "reporter":
            return (self.name,)
        return tuple(f"{self.name}_{i + 1}" for i in range(self.count))


@dataclass(frozen=True)
class RandomOutages:
    """Outages at random times, by their average interval and average length [seconds].

    Outages with the same cause occur at the same times.
    """

    every: int
    lasts: int
    cause: str = ""
