"""What a scenario is made of, in integers. Times are seconds from the scenario's start."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from offchain.chain.words import State
from offchain.deployment import Parameters
from offchain.scenarios.processes import Fault, PriceModel, Spells, Spike

BLOCK_GAS = 12_500_000

ROLES = (
    *("reporter", "poker", "accruer", "liquidator", "flash_taker", "bidder", "crank", "coverer"),
    *("recap_bidder", "surplus_bidder", "treasurer", "recogniser", "settler", "member"),
    *("ceilings", "breaker", "caller", "owners", "debtor", "borrower", "exploiter", "bridge", "guardian"),
    *("attacker", "margin_liquidator", "deleverager", "matcher"),
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
    model: PriceModel | None = None  # what draws it instead, from the one point at the start


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
class MarginPairs:
    """Pairs of accounts of the margin market to be drawn by lot, each a long and a short of the same size."""

    count: int
    notional: tuple[int, int]  # wad at the opening price, lowest and highest
    longs: tuple[int, int]  # basis points: notional over equity
    shorts: tuple[int, int]
    spread: int = 0  # basis points of the opening price that a pair's own price is off at most
    large: int = 0  # basis points of pairs that are larger
    times: int = 1  # so many times


@dataclass(frozen=True)
class MarginPosition:
    """A position to open, at the opening price if it has none of its own."""

    symbol: str
    lots: int  # under zero for shorts
    price: int | None = None  # ray


@dataclass(frozen=True)
class MarginAccount:
    """An account of the margin market to open."""

    name: str
    cash: int  # wad
    positions: tuple[MarginPosition, ...] = ()
    takes_out: int | None = None  # when its owner takes out all that its initial margin leaves


@dataclass(frozen=True)
class MarginBook:
    """The accounts of the margin market at the start."""

    pairs: Mapping[str, MarginPairs] = field(default_factory=dict)  # by symbol
    accounts: tuple[MarginAccount, ...] = ()


@dataclass(frozen=True)
class MarketDepth:
    """A constant-product market, and how fast the world outside pulls it back to its price."""

    depth: int  # wad of stablecoin on one side
    every: int  # seconds between two visits of the outside world
    recovery: int  # seconds in which a gap closes
    tolerance: int  # basis points of gap that nobody bothers about
    debt_to_depth: int = 0  # basis points; 0 if the depth is given


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


IN_POOL = ("ask", "take_back", "leave", "enter", "donate")
OF_COLLATERAL = ("draw", "repay", "liquidate", "buy", "reset", "cover")
MOVES = (*IN_POOL, *OF_COLLATERAL)
"""What an attacker does, in its pool and with its collateral type."""


@dataclass(frozen=True)
class Move:
    """What an attacker does at a time, with a share of what it has for it."""

    at: int
    do: str  # one of MOVES
    share: int = 10_000  # basis points


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
    pool: str = "savings"  # member: where its capital is; attacker: where its stake is
    stake: int = 0  # attacker: wad that it has in its pool from the start on
    leaves_at: int = 0  # member: basis points of the pool's assets that it sees lost and leaves; 0 stays
    refuses_at: int = 0  # reporter: ray; a source at or under it is at its bound, and not reported
    answers: int = 10_000  # owners, debtor: basis points of called vaults whose owners answer
    instalments: int = 4  # debtor: in how many it pays, if there may be as many
    collateral: str = ""  # borrower, exploiter, attacker: symbol of what it locks
    each: int = 0  # borrower, exploiter, bridge: wad that it draws at once, until it has drawn its capital;
    # attacker: that it draws at most
    domain: str = ""  # bridge: name of the domain
    to: str = ""  # bridge: address that gets what it draws; the market if empty
    # borrower, exploiter, attacker: basis points of its debt that it locks at the feed's price
    ratio: int = 0
    pays: int | None = None  # borrower: ray a second, the fee above which it draws no more; None is any
    schedule: tuple[Order, ...] = ()  # guardian: what it does when
    call_gas: int = 10_000_000  # deleverager: gas that one of its calls may take
    orders: str = "orders.jsonl"  # matcher: the file that signed orders are in
    plan: tuple[Move, ...] = ()  # attacker: what it does when, in the order of time
    fails: Spells | None = None  # outages that are drawn, besides those that are given
    runs: int = 0  # member: seconds until it leaves whatever it sees, on average; 0 never
    leaves_from: int | None = None  # member: the time of the epoch from when on it does

    @property
    def asset(self) -> str:
        """The contract of the token that its capital is."""
        stakes = self.role == "member" and self.pool == "staked_equity"
        return "Equity" if stakes or self.role == "surplus_bidder" else "Stablecoin"

    @property
    def endowment(self) -> int:
        """What of its capital it begins with: nothing, if it is going to draw it."""
        drawn = self.role != "attacker" and (self.collateral or self.domain)
        return 0 if drawn else self.capital

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
    book_total: int = 0  # wad of debt that the book is scaled to; 0 leaves it as it is
    correlation: Mapping[tuple[str, str], int] = field(default_factory=dict)  # of models' moves, billionths
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)  # by symbol, of what reporters see
    spike: Spike | None = None  # of gas prices
    shifts: Mapping[str, int] = field(default_factory=dict)  # basis points that a price jumps at the start
    scarcity: int = 0  # basis points: 10000 is a demand of so many dollars whatever the supply
    insurance: int = 0  # wad that the margin market's fund is given at the opening
    margin_book: MarginBook = field(default_factory=MarginBook)
    aftermath: int = 0  # seconds that a run goes on after the last block, prices standing still

    @property
    def left_to_chance(self) -> bool:
        """Whether a run needs a path drawn first; the bridges between given prices need none."""
        paths = [*self.prices.values(), *([] if self.equity_price is None else [self.equity_price])]
        return (
            any(path.model is not None for path in paths)
            or any(group.fails is not None or group.runs for group in self.keepers)
            or any(market.debt_to_depth for market in self.markets.values())
            or self.spike is not None
            or bool(self.faults)
        )

    @property
    def deployed_at(self) -> int:
        """When a run begins: as long before the start as its book needs, or with the state it opens with."""
        return self.start - (0 if self.opening is not None else self.opened_before)

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return self.duration // self.block_time

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The collateral types, in order."""
        return tuple(each.symbol for each in self.parameters.collateral_types)

    @property
    def margin_symbols(self) -> tuple[str, ...]:
        """The perpetual markets by their symbols, in order; none without a margin market."""
        margin = self.parameters.margin
        return () if margin is None else tuple(each.symbol for each in margin.markets)
