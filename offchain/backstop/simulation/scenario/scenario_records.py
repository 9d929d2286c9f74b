"""The parts of a scenario, in integers. Times are seconds from the scenario's start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.hosts.world_storage_json import RawState
from backstop.keepers.keeper_group_settings import KeeperGroup, StepSeries
from backstop.simulation.scenario.owner_behavior import OwnerBehavior
from backstop.simulation.scenario.scenario_random_processes import FeedFault, GasSpike, PriceModel

BLOCK_GAS = 12_500_000
DAY = 86_400
LONGEST = 366 * DAY  # a scenario
RUN_ON = DAY  # for which a path goes on, prices standing still, while something is left to sell


@dataclass(frozen=True)
class SourcedFact:
    """Published fact with its source."""

    statement: str
    source: str


@dataclass(frozen=True)
class PricePath:
    """Price over time: given points [ray], which of them are published, and the moves in between."""

    points: Mapping[int, int]
    published: frozenset[int]
    volatility: int  # basis points for the square root of an hour
    model: PriceModel | None = None  # what draws it instead, from the one point at the start


class TypeAssets(NamedTuple):
    """Assets that define a collateral type's price: the collateral, and the asset of its debt."""

    collateral: str
    debt: str = ""  # "" is the stablecoin, or dollars


@dataclass(frozen=True)
class GeneratedBook:
    """Ranges from which the vaults of one collateral type are drawn at random."""

    vaults: int
    debt: tuple[int, int]  # wad, lowest and highest
    ratio: tuple[int, int]  # basis points at the opening price


@dataclass(frozen=True)
class Vault:
    """Vault that a run opens before its start."""

    owner: str  # account name
    symbol: str
    locked: int  # wad
    debt: int  # wad


@dataclass(frozen=True)
class MarginPairs:
    """Ranges from which pairs of margin accounts are drawn: a long and a short of the same size."""

    count: int
    notional: tuple[int, int]  # wad at the opening price, lowest and highest
    longs: tuple[int, int]  # basis points: notional over equity
    shorts: tuple[int, int]
    spread: int = 0  # basis points of the opening price that a pair's own price is off at most
    large: int = 0  # basis points of pairs that are larger
    times: int = 1  # so many times


@dataclass(frozen=True)
class MarginPosition:
    """Position that a margin account opens with, at the opening price unless it has its own."""

    symbol: str
    lots: int  # under zero for shorts
    price: int | None = None  # ray


@dataclass(frozen=True)
class MarginAccount:
    """Account of the margin market at the opening of a run."""

    name: str
    cash: int  # wad
    positions: tuple[MarginPosition, ...] = ()
    takes_out: int | None = None  # when its owner takes out all that its initial margin leaves


@dataclass(frozen=True)
class PoolMember:
    """Depositor of the backstop pool, which takes over positions of the margin market."""

    name: str
    money: int  # wad, at the opening
    asks: int | None = None  # when it asks to leave with all that it has


@dataclass(frozen=True)
class StabilityPoolMember:
    """Depositor of a collateral type's stability pool at the opening of a run."""

    symbol: str
    name: str
    amount: int = 0  # wad
    debt_share: int = 0  # basis points of the type's debt at the opening, instead of an amount
    leaves_at: int | None = None  # seconds from the start, from which on all coins are asked for


@dataclass(frozen=True)
class MarginTrade:
    """Trade between two accounts of the margin market during a run."""

    at: int  # seconds from the start
    symbol: str
    long: str  # account name
    short: str
    lots: int


@dataclass(frozen=True)
class Delisting:
    """Announcement by the admin that a perpetual market will end."""

    at: int  # seconds from the start
    symbol: str
    ends: int  # seconds from the start: when its final price begins to be made


@dataclass(frozen=True)
class MarginBook:
    """Accounts of the margin market at the start of a run, and their later trades."""

    pairs: Mapping[str, MarginPairs] = field(default_factory=dict)  # by symbol
    accounts: tuple[MarginAccount, ...] = ()
    trades: tuple[MarginTrade, ...] = ()  # in the order of time
    delistings: tuple[Delisting, ...] = ()
    dodgers: int = 0  # basis points of the winners of a crash who try to bear less
    dodges: bool = True  # or they do nothing, and it is counted what they come to
    leaves: int | None = None  # when everybody takes out all that may leave, seconds from the start


@dataclass(frozen=True)
class DepthAfterFall:
    """Rule by which a market loses depth as the outside price falls, linearly up to `fall`."""

    within: int  # seconds: the fall is from the highest price in them
    fall: int  # basis points of the highest price, from which on only `depth` is left
    depth: int  # basis points of the whole depth


@dataclass(frozen=True)
class MarketDepth:
    """Constant-product market of a collateral type, and how fast arbitrage restores its price."""

    depth: int  # wad of stablecoin on one side
    every: int  # seconds between two visits of the outside world
    recovery: int  # seconds in which a gap closes
    tolerance: int  # basis points of gap that nobody bothers about
    debt_to_depth: int = 0  # basis points; 0 if the depth is given
    depth_after_fall: DepthAfterFall | None = None  # as deep at any price without it


@dataclass(frozen=True)
class OpeningState:
    """Exported state with which a run begins, instead of opening a vault book."""

    timestamp: int
    state: RawState


@dataclass(frozen=True)
class Scenario:
    """Complete and checked definition of a run: parameters, prices, vaults, keepers, blocks."""

    name: str
    title: str
    description: str
    facts: tuple[SourcedFact, ...]
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
    gas_prices: StepSeries  # wei
    gas_share: StepSeries  # basis points of a block's gas that the protocol's transactions can get
    block_gas: int = BLOCK_GAS
    published_gas: frozenset[int] = field(default_factory=frozenset)
    feed_prices: Mapping[str, PricePath] = field(default_factory=dict)  # what reporters see instead
    opened_at: Mapping[str, int] = field(default_factory=dict)  # prices (ray) at which the book is opened
    opening: OpeningState | None = None
    book_total: int = 0  # wad of debt that the book is scaled to; 0 leaves it as it is
    correlation: Mapping[tuple[str, str], int] = field(default_factory=dict)  # of models' moves, billionths
    faults: Mapping[str, tuple[FeedFault, ...]] = field(
        default_factory=dict
    )  # by symbol, of what reporters see
    spike: GasSpike | None = None  # of gas prices
    shifts: Mapping[str, int] = field(default_factory=dict)  # basis points that a price jumps at the start
    scarcity: int = 0  # basis points: 10000 is a demand of so many dollars whatever the supply
    # By symbol: what a type's price is made of; and the prices of these assets, of which it follows.
    assets: Mapping[str, TypeAssets] = field(default_factory=dict)
    asset_prices: Mapping[str, PricePath] = field(default_factory=dict)
    has_accounts: bool = False  # vaults of one owner are parts of one account
    reserve: int = 0  # wad that the reserve holds at the start, besides fees
    insurance: int = 0  # wad that the margin market's fund is given at the opening
    pool_money: int = 0  # wad that is put into the pool that takes over positions, at the opening
    pool_members: tuple[PoolMember, ...] = ()  # of that pool, besides the market maker
    stability_pool_members: tuple[StabilityPoolMember, ...] = ()
    margin_book: MarginBook = field(default_factory=MarginBook)
    aftermath: int = 0  # seconds that a run goes on after the last block, prices standing still
    unsafe: Mapping[str, str] = field(default_factory=dict)  # rules of settings broken on purpose, and why
    # Seconds between the prices that are drawn, a multiple of the block time: prices of blocks in between are
    # drawn so that those stay. 0 draws every block's.
    price_interval: int = 0
    owners: OwnerBehavior | None = None  # how owners of vaults react; None if they stand still
    owner_key: int = 0  # of the owners' draws; 0 until a path is drawn
    # Where it was read, by which questions change its fields; no part of what it is.
    source: str = field(default="", compare=False, repr=False)

    @property
    def first_prices(self) -> dict[str, int]:
        """Prices at the start, by symbol [ray]."""
        return {symbol: next(iter(path.points.values())) for symbol, path in self.prices.items()}

    @property
    def has_random_draws(self) -> bool:
        """True if the scenario has random elements, so that a path must be drawn before a run.

        Brownian bridges between given prices do not count.
        """
        paths = [*self.prices.values(), *([] if self.equity_price is None else [self.equity_price])]
        return (
            any(path.model is not None for path in paths)
            or any(group.fails is not None or group.runs for group in self.keepers)
            or any(market.debt_to_depth for market in self.markets.values())
            or self.spike is not None
            or (self.owners is not None and not self.owner_key)
            or bool(self.faults)
        )

    @property
    def deployed_at(self) -> int:
        """Timestamp of the deployment: early enough to open the book, or that of the opening state."""
        return self.start - (0 if self.opening is not None else self.opened_before)

    @property
    def blocks(self) -> int:
        """Number of blocks in the scenario's duration."""
        return self.duration // self.block_time

    @property
    def extra_block_count(self) -> int:
        """Largest number of blocks for which a run may continue after the scenario's end."""
        return RUN_ON // self.block_time

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the collateral types, in the order of their numbers."""
        return tuple(each.symbol for each in self.parameters.collateral_types)

    @property
    def price_names(self) -> tuple[str, ...]:
        """Names of the prices that are drawn: shared assets if types have any, else the collateral types."""
        return tuple(self.asset_prices) or self.symbols

    @property
    def margin_symbols(self) -> tuple[str, ...]:
        """Symbols of the perpetual markets, in the order of their ids; empty without a margin market."""
        margin = self.parameters.margin
        return () if margin is None else tuple(each.symbol for each in margin.markets)
