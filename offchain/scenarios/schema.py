"""What a scenario is made of, in integers. Times are seconds from the scenario's start."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from offchain.chain.words import State
from offchain.deployment import Parameters

BLOCK_GAS = 12_500_000

ROLES = (
    *("reporter", "poker", "accruer", "liquidator", "flash_taker", "bidder", "crank", "coverer"),
    *("recap_bidder", "surplus_bidder", "treasurer", "recogniser", "settler", "member"),
    *("ceilings", "breaker", "caller", "owners", "debtor", "borrower", "exploiter", "bridge", "guardian"),
)


@dataclass(frozen=True)
class Fact:
    """Something published, and where."""

    statement: str
    source: str


@dataclass(frozen=True)
class Series:
    """A figure that changes at given times and holds in between."""

    times: tuple[int, ...]
    values: tuple[int, ...]

    def at(self, time: int) -> int:
        """The value at a time; the first one before the first time."""
        return self.values[max(0, bisect_right(self.times, time) - 1)]


@dataclass(frozen=True)
class PricePath:
    """Points that the price goes through (ray), which of them are published, and what moves it in between."""

    points: Mapping[int, int]
    published: frozenset[int]
    volatility: int  # basis points for the square root of an hour


@dataclass(frozen=True)
class GeneratedBook:
    """Vaults of one collateral type to be drawn by lot."""

    vaults: int
    debt: tuple[int, int]  # wad, lowest and highest
    ratio: tuple[int, int]  # basis points at the opening price


@dataclass(frozen=True)
class Vault:
    """One vault to open."""

    owner: str  # account name
    symbol: str
    locked: int  # wad
    debt: int  # wad


@dataclass(frozen=True)
class MarketDepth:
    """A constant-product market, and how fast the world outside pulls it back to its price."""

    depth: int  # wad of stablecoin on one side
    every: int  # seconds between two visits of the outside world
    recovery: int  # seconds in which a gap closes
    tolerance: int  # basis points of gap that nobody bothers about


@dataclass(frozen=True)
class GasPolicy:
    """What a keeper pays for gas: a fixed price, or the block's price `lag` ago times a factor, capped."""

    fixed: int | None = None  # wei
    factor: int = 11_000  # basis points
    lag: int = 0
    cap: int | None = None  # wei

    def bid(self, clearing: Series, now: int) -> int:
        """Wei a gas."""
        if self.fixed is not None:
            return self.fixed
        price = clearing.at(now - self.lag) * self.factor // 10_000
        return price if self.cap is None else min(price, self.cap)


@dataclass(frozen=True)
class Outage:
    """A span in which a keeper does nothing, its waiting transactions are lost."""

    start: int
    end: int


@dataclass(frozen=True)
class Order:
    """What a guardian does at a time: halt a market, raise the mode, announce a domain's debt as lost."""

    at: int
    halt: str = ""  # symbol of the market
    raise_to: int = 0  # mode
    announce: str = ""  # name of the domain


@dataclass(frozen=True)
class KeeperGroup:
    """Keepers of one role. Options that a role does not know keep their defaults."""

    name: str
    role: str
    count: int
    gas: GasPolicy
    capital: int = 0  # wad of stablecoin, or of equity for those who pay with it
    minimum_profit: int = 0  # wad, after gas
    latency: int = 0  # seconds from decision to everybody's seeing it
    outages: tuple[Outage, ...] = ()
    deviation: int = 100  # reporter: basis points that make it report
    heartbeat: int = 3_600  # reporter, accruer, coverer: seconds after which it acts anyway
    noise: int = 0  # reporter: basis points by which its view of the price may be off
    takes_at: int = 10_000  # bidder: basis points of the market price it pays at most
    strategy: str = ""  # taker, bidder, recap_bidder: module:Class that says what things are worth
    most: int = 5  # actions it sends for one block
    pool: str = "savings"  # member: where its capital is
    leaves_at: int = 0  # member: basis points of the pool's assets that it sees lost and leaves; 0 stays
    refuses_at: int = 0  # reporter: ray; a source at or under it is at its bound, and not reported
    answers: int = 10_000  # owners, debtor: basis points of called vaults whose owners answer
    instalments: int = 4  # debtor: in how many it pays, if there may be as many
    collateral: str = ""  # borrower, exploiter: symbol of what it locks
    each: int = 0  # borrower, exploiter, bridge: wad that it draws at once, until it has drawn its capital
    domain: str = ""  # bridge: name of the domain
    to: str = ""  # bridge: address that gets what it draws; the market if empty
    ratio: int = 0  # borrower, exploiter: basis points of its debt that it locks at the feed's price
    pays: int | None = None  # borrower: ray a second, the fee above which it draws no more; None is any
    schedule: tuple[Order, ...] = ()  # guardian: what it does when

    @property
    def asset(self) -> str:
        """The contract of the token that its capital is."""
        stakes = self.role == "member" and self.pool == "staked_equity"
        return "Equity" if stakes or self.role == "surplus_bidder" else "Stablecoin"

    @property
    def endowment(self) -> int:
        """What of its capital it begins with: nothing, if it is going to draw it."""
        return 0 if self.collateral or self.domain else self.capital

    def names(self) -> tuple[str, ...]:
        """The names of its keepers, which are those of their accounts."""
        if self.count == 1 and self.role != "reporter":
            return (self.name,)
        return tuple(f"{self.name}_{i + 1}" for i in range(self.count))


@dataclass(frozen=True)
class Opening:
    """The whole state that a run begins with, instead of opening its vault book."""

    timestamp: int
    state: State


@dataclass(frozen=True)
class Scenario:
    """A whole scenario, checked."""

    name: str
    title: str
    description: str
    facts: tuple[Fact, ...]
    assumptions: tuple[str, ...]
    start: int  # seconds of the epoch
    duration: int
    block_time: int
    opened_before: int  # how long before the start the book was opened
    parameters: Parameters
    prices: Mapping[str, PricePath]
    equity_price: PricePath | None  # of the equity token, if one may be deployed
    gas_token: str  # the collateral type in whose coin gas is paid
    vaults: tuple[Vault, ...]  # those that are given one by one
    generated: Mapping[str, GeneratedBook]
    markets: Mapping[str, MarketDepth]
    members: Mapping[str, Mapping[str, int]]  # pool -> account name -> wad of its asset
    keepers: tuple[KeeperGroup, ...]
    gas_prices: Series  # wei
    gas_share: Series  # basis points of a block's gas that the protocol's transactions can get
    block_gas: int = BLOCK_GAS
    published_gas: frozenset[int] = field(default_factory=frozenset)
    feed_prices: Mapping[str, PricePath] = field(default_factory=dict)  # what reporters see instead
    opened_at: Mapping[str, int] = field(default_factory=dict)  # prices (ray) at which the book is opened
    opening: Opening | None = None

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return self.duration // self.block_time

    @property
    def symbols(self) -> tuple[str, ...]:
        """The collateral types, in order."""
        return tuple(each.symbol for each in self.parameters.collateral_types)
