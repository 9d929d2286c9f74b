"""A deployment: its parameters, its contracts in creation order, its configuration, its file.

Every address is known before anything is deployed (CREATE from one account, in a fixed order), so the
contracts know each other from their constructors and nothing is wired later. The same creations and
the same configuration go to the model and to a chain.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rlp
from eth_utils.crypto import keccak

from backstop.errors import BackstopError
from backstop.hosts.host import CHAIN_ID, GENESIS
from backstop.hosts.model import ModelSystem
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD
from backstop.model.ledger_stage import BUFFER, REDISTRIBUTION, RESERVE
from backstop.model.roles import CEILINGS, GUARDIAN, MINTER, SHORTFALL, STAGE
from backstop.model.state import ZERO_ADDRESS, Contract, Revert, World
from backstop.system import Action, System

if TYPE_CHECKING:
    from backstop.hosts.artifacts import Artifacts
    from backstop.hosts.chain_system import ChainSystem
    from backstop.hosts.host import Host
from backstop.files import plain_int, read_json, write_json

SCHEMA_VERSION = 6


# Curves of an auction's price.
LINEAR, STAIRSTEP, EXPONENTIAL = 0, 1, 2


# The accounts of the mnemonic that local nodes share ("test test ... junk"), in its order, by role.
ACCOUNTS = {
    "admin": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "guardian": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "reporter_1": "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
    "reporter_2": "0x90f79bf6eb2c4f870365e785982e1f101e93b906",
    "reporter_3": "0x15d34aaf54267db7d7c367839aaf71a00a2c6a65",
    "liquidator": "0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc",
    "taker": "0x976ea74026e726554db657fa54763abd0c3a0aa9",
    "market_maker": "0x14dc79964da2c08b23698b3d3cc7ca32193d9955",
    "saver": "0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
    "borrower": "0xa0ee7a142d267c1f36714e4a8f75612f20a79720",
    "reporter_4": "0xbcd4042de499d14e55001ccbb24a551f3b954096",
    "reporter_5": "0x71be63f3384f5fb98995898a86b02fb2426c5788",
    "poker": "0xfabb0ac9d68b0b445fb7357272ff202c5651694a",
    "accruer": "0x1cbd3b2770909d4e10f157cabc84c7264073c9ec",
    "bidder": "0xdf3e18d64bc6a983f673ab319ccae4f1a57c7097",
    "crank": "0xcd3b766ccdd6ae721141f452c550ca635964ce71",
    "coverer": "0x2546bcd3c84621e976d8185a91a922ae77ecec30",
    "recogniser": "0xbda5747bfd65f08deb54cb465eb87d40e51b197e",
    "recap_bidder": "0xdd2fd4581271e230360230f9337d5c0430bf44c0",
    "surplus_bidder": "0x8626f6940e2eb28930efb4cef49b2d1f2c9c1199",
    "treasurer": "0x09db0a93b389bef724429898f539aeb7ac2dd55f",
    "settler": "0x02484cb50aac86eae85610d6f4bf026f30f6627d",
    "ceilings": "0x08135da0a343e492fa2d4282f2ae34c6c5cc1bbe",
    "breaker": "0x5e661b79fe2d3f6ce70f5aac07d8cd9abb2743f1",
    "caller": "0x61097ba76cd906d2ba4fd106e757f7eb455fc295",
    "bridge": "0xdf37f81daad2b0327a0a50003740e1c935c70913",
    "debtor": "0x553bc17a05702530097c3677091c5bb47a3a7931",
    "margin_liquidator": "0x87bdce72c06c21cd96219bd8521bdf1f42c78b5e",
    "deleverager": "0x40fc963a729c542424cd800349a7e4ecc4896624",
    "matcher": "0x9dcce783b6464611f38631e6c851bf441907c710",
}


@cache
def account(role: str) -> str:
    """The address of a role; an address is its own, any other name ("owner_17") stands for a derived one."""
    if role.startswith("0x") and len(role) == 42:
        return role.lower()
    return ACCOUNTS.get(role) or "0x" + keccak(text=f"backstop: {role}")[12:].hex()


@cache
def created_address(deployer: str, nonce: int) -> str:
    """Where a CREATE puts its contract."""
    return "0x" + keccak(rlp.encode([bytes.fromhex(deployer[2:]), nonce]))[12:].hex()


@dataclass(frozen=True)
class AuctionParameters:
    """How collateral is auctioned: the fields of CollateralAuction.add_terms, in its order."""

    curve: int = LINEAR
    period: int = 14_400  # seconds: the linear curve's length, the stairstep's step
    cut: int = RAY // 2  # ray: factor of one step, or of one second on the exponential curve
    tail: int = 14_400  # seconds until an auction needs a reset
    cusp: int = 4_000  # basis points of the starting price, under which it needs a reset
    buf: int = 12_000  # basis points of the feed price: where the price starts
    penalty: int = 11_300  # basis points of principal
    tip: int = 50  # whole stablecoins to whoever starts or resets
    chip: int = 10  # basis points of the target to the same


@dataclass(frozen=True)
class FeedParameters:
    """How prices come in, and their guards, which are off. Times in seconds."""

    reporters: int = 3
    quorum: int = 3
    step: int = 3_600
    max_age: int = 7_200
    stale_after: int = 14_400
    window: int = 3_600
    deviation: int = 0  # basis points of the time-weighted price; 0 is off
    confirmations: int = 1  # steps that a price beyond it waits longer
    grace: int = 0  # without liquidations after a gap; 0 is none
    dead_after: int = 0  # without a price until the last one counts; 0 is never

    @property
    def guarded(self) -> bool:
        """Whether any guard is on."""
        return bool(self.deviation or self.grace or self.dead_after)


@dataclass(frozen=True)
class MarketParameters:
    """A constant-product market of the collateral; its liquidity is set later."""

    fee: int = 30  # basis points


@dataclass(frozen=True)
class PolicyParameters:
    """What new risk of a type has to meet beyond its ratios, calls and fees: all of it off by default."""

    # (above, rate): debt above so many whole stablecoins needs so many basis points more.
    of_vaults: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    of_type: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    flow_cap: int = 0  # whole stablecoins that may flow out in a window; 0 is no limit
    flow_window: int = 86_400  # seconds
    growth_anchor: int = 0  # ray; 0 is no cap on the price's growth
    growth: int = 0  # basis points a year
    curve: tuple[int, int, int, int] = (0, 0, 0, 0)  # base, slopes, kink; a kink of 0 is the plain fee
    line: int = 0  # whole stablecoins that are full utilisation
    speed: int = 0  # times a year; 0 is a fixed curve
    call_ratio: int = 0  # basis points; 0 is no margin calls
    call_grace: int = 6 * 3_600  # seconds
    call_valid: int = 2 * 86_400  # seconds


@dataclass(frozen=True)
class CollateralParameters:
    """One collateral type."""

    symbol: str
    decimals: int
    debt_ceiling: int  # whole stablecoins
    debt_floor: int  # whole stablecoins
    liquidation_ratio: int  # basis points
    initial_ratio: int  # basis points
    stability_fee: int  # ray a second above RAY
    auction_limit: int  # whole stablecoins
    buffer_share: int = 5_000  # basis points of fees
    redistribution_cap: int = 500  # basis points of the rate for each epoch
    token: str = "Token"  # contract of the token: Token, SilentToken or FalseToken
    auction: AuctionParameters = AuctionParameters()
    feed: FeedParameters = FeedParameters()
    market: MarketParameters | None = MarketParameters()
    policy: PolicyParameters = PolicyParameters()  # counts with guards only


@dataclass(frozen=True)
class StageParameters:
    """A stage of the waterfall, by its name in STAGES, and what it pays at most for one loss event."""

    name: str
    cap_absolute: int | None = None  # rad
    cap_bps: int = 10_000  # basis points of its balance before the event's first payment


@dataclass(frozen=True)
class PoolParameters:
    """How members of a pool leave and earn. Times in seconds; a cooldown of 0 is no request at all."""

    cooldown: int = 86_400
    window: int = 2 * 86_400
    vesting: int = 7 * 86_400  # of income
    income_share: int = 0  # basis points of the surplus


@dataclass(frozen=True)
class EquityParameters:
    """The equity token, its price and its auctions."""

    supply: int = 1_000_000  # whole tokens, for the admin
    mint_cap: int = 100_000  # whole tokens for each epoch
    buf: int = 12_000  # basis points of the price: where auctions start
    floor: int = 5_000  # basis points of the time-weighted price: where they end
    duration: int = 2 * 86_400  # seconds
    surplus_lot: int = 10_000  # whole stablecoins
    conversion_price: int = 0  # ray of stablecoin claims for one token; 0 is no conversion
    feed: FeedParameters = FeedParameters()


@dataclass(frozen=True)
class TreasuryParameters:
    """How income is spent."""

    target: int = 100_000  # whole stablecoins of the reserve that are not surplus


@dataclass(frozen=True)
class SettlementParameters:
    """When the protocol may be wound up."""

    delay: int = 30 * 86_400  # seconds from the announcement
    bound: int = 1_000_000  # whole stablecoins of deficit
    epochs: int = 4  # that the deficit has to stay above the bound


@dataclass(frozen=True)
class AutoCeilingParameters:
    """How a type's debt ceiling follows its debt."""

    gap: int  # whole stablecoins
    max_line: int  # whole stablecoins; 0: it does not
    ttl: int  # seconds between two raises


@dataclass(frozen=True)
class BreakerParameters:
    """What raises the mode, to CAUTION and to EMERGENCY (0 is never), and how long it stays up."""

    losses: tuple[int, int] = (100_000, 1_000_000)  # whole stablecoins of uncovered deficits
    fall: tuple[int, int] = (1_500, 3_000)  # basis points under the time-weighted price
    silence: tuple[int, int] = (3_600, 21_600)  # seconds without a fresh price
    auctions: tuple[int, int] = (5_000, 9_000)  # basis points of the auction limit
    calm_period: int = 21_600  # seconds


@dataclass(frozen=True)
class WorkoutParameters:
    """The terms of a type's workouts: the fields of Workouts.set_terms, in its order."""

    discount: int = 2_000  # basis points of the lot's value that a sale in a hurry would cost
    ratio: int = 11_500  # basis points of the principal left, under which a lot is foreclosed
    premium: int = 200  # basis points of the principal
    instalments: int = 8  # at most
    interval: int = 86_400  # seconds between two
    period: int = 30 * 86_400  # seconds between two entries of a vault
    cap: int = 0  # whole stablecoins of principal; 0: nobody enters


@dataclass(frozen=True)
class GuardsParameters:
    """What prevents losses beside the ratios; each type has a policy of its own. What is not set is off."""

    ceilings: tuple[AutoCeilingParameters, ...] = ()  # of the first collateral types, in their order
    breaker: BreakerParameters | None = None
    workouts: tuple[WorkoutParameters, ...] = ()  # of the first collateral types, in their order
    caution_margin: int = 1_000  # basis points that new risk needs more in caution
    emergency_factor: int = 10_000  # basis points of the auction limits in an emergency


@dataclass(frozen=True)
class DomainParameters:
    """Debt drawn for somewhere else, through a bridge: a collateral type after the others."""

    name: str  # of its contract and its note
    line: int  # whole stablecoins that it may owe, and have lost
    delay: int = 86_400  # seconds from the announcement of a loss to its booking
    minter: str = "bridge"  # role of the account that draws
    flow_cap: int = 0  # whole stablecoins that may be drawn in a window; 0 is no limit; with guards only
    flow_window: int = 86_400  # seconds


@dataclass(frozen=True)
class PerpetualParameters:
    """A perpetual market, on the feed of a collateral type."""

    symbol: str  # of the collateral type whose price counts
    lot: int  # wad of the base asset
    initial: int = 1_000  # basis points of notional
    maintenance: int = 500  # basis points of notional
    discount: int = 10_000  # basis points of what margin is short of, to a liquidator
    haircut: int = 5_000  # basis points of realised gains that repay unpaid losses
    max_funding: int = 75  # basis points of the price in 8 hours
    # (above, rate): notional above so many whole stablecoins needs so many basis points more.
    of_accounts: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    of_market: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    open_limit: int = 10**9  # lots
    dust: int = 100  # whole stablecoins of notional


@dataclass(frozen=True)
class MarginParameters:
    """The margin market: perpetual markets with one margin for all positions of an account."""

    markets: tuple[PerpetualParameters, ...]
    domain: str = ""  # that bears what nobody else does, by its name; "": none
    deleveraging: str = "ranked"  # how gains pay, of DELEVERAGERS
    fee_share: int = 1_000  # basis points of a liquidator's reward that are insurance
    freeze_time: int = 3_600  # seconds that a market is frozen to deleverage, at most
    bucket: int = 86_400  # seconds in which withdrawn profits are counted as one
    buckets: int = 7  # that pass until they have vested
    cap: int = 1_000_000  # whole stablecoins of insurance that are spent in a bucket of time at most
    income_share: int = 0  # basis points of the surplus that insure it
    insurance_target: int = 0  # whole stablecoins of insurance, above which no surplus does


@dataclass(frozen=True)
class Parameters:
    """Everything that a deployment is made of; integers in the units of the setters."""

    collateral_types: tuple[CollateralParameters, ...]
    global_debt_ceiling: int = 150_000_000  # whole stablecoins
    global_auction_limit: int = 30_000_000  # whole stablecoins
    epoch_length: int = 7 * 86_400  # seconds
    cap_delay: int = 30 * 86_400  # seconds, longer than any cooldown
    mark_discount: int = 1_000  # basis points
    # The first to bear a loss comes first.
    stages: tuple[StageParameters, ...] = (
        StageParameters("buffer"),
        StageParameters("reserve"),
        StageParameters("clawback"),
        StageParameters("junior"),
        StageParameters("staked_equity", cap_bps=3_000),
        StageParameters("senior"),
        StageParameters("minted_equity"),
        StageParameters("savings", cap_bps=5_000),
    )
    junior: PoolParameters = PoolParameters()
    senior: PoolParameters = PoolParameters()
    savings: PoolParameters = PoolParameters()
    staked_equity: PoolParameters = PoolParameters()
    equity: EquityParameters | None = EquityParameters()  # None: no equity, no treasury
    treasury: TreasuryParameters = TreasuryParameters()
    settlement: SettlementParameters = SettlementParameters()
    guards: GuardsParameters | None = None  # None: no guards
    domains: tuple[DomainParameters, ...] = ()
    margin: MarginParameters | None = None  # None: no margin market

    @property
    def type_names(self) -> tuple[str, ...]:
        """What each type is called, by its id: collateral types by their symbols, then domains."""
        return (*(each.symbol for each in self.collateral_types), *(each.name for each in self.domains))

    def has_stage(self, name: str) -> bool:
        """Whether a stage is in the order."""
        return any(stage.name == name for stage in self.stages)


def with_stage(parameters: Parameters, name: str, **caps: Any) -> Parameters:
    """The same parameters with other caps of one stage."""
    stages = (replace(each, **caps) if each.name == name else each for each in parameters.stages)
    return replace(parameters, stages=tuple(stages))


def standard() -> Parameters:
    """Three collateral types: ether, bitcoin with 8 decimals, gold with 6."""
    return Parameters(
        collateral_types=(
            CollateralParameters(
                symbol="WETH",
                decimals=18,
                debt_ceiling=50_000_000,
                debt_floor=2_000,
                liquidation_ratio=14_500,
                initial_ratio=15_000,
                stability_fee=782_997_609_082_909_351,  # 2.5% a year
                auction_limit=10_000_000,
                auction=AuctionParameters(
                    curve=STAIRSTEP, period=90, cut=99 * RAY // 100, tail=8_400, cusp=4_000
                ),
            ),
            CollateralParameters(
                symbol="WBTC",
                decimals=8,
                debt_ceiling=50_000_000,
                debt_floor=2_000,
                liquidation_ratio=14_500,
                initial_ratio=15_000,
                stability_fee=627_937_192_491_029_810,  # 2% a year
                auction_limit=10_000_000,
                auction=AuctionParameters(
                    # 1% in 90 seconds
                    curve=EXPONENTIAL,
                    period=1,
                    cut=999_888_336_665_764_108_012_000_000,
                    tail=8_400,
                    cusp=4_000,
                ),
            ),
            CollateralParameters(
                symbol="XAU",
                decimals=6,
                debt_ceiling=20_000_000,
                debt_floor=2_000,
                liquidation_ratio=12_500,
                initial_ratio=13_000,
                stability_fee=315_522_921_573_372_069,  # 1% a year
                auction_limit=5_000_000,
                auction=AuctionParameters(curve=LINEAR, period=14_400, tail=10_800, cusp=3_000, buf=11_000),
            ),
        )
    )


def guarded() -> Parameters:
    """The standard deployment with everything on that prevents losses."""
    policies = (
        PolicyParameters(
            of_vaults=((1_000_000, 500), (5_000_000, 1_000)),
            of_type=((25_000_000, 500), (40_000_000, 1_500)),
            flow_cap=5_000_000,
            curve=(100, 300, 5_000, 9_000),
            line=50_000_000,
            call_ratio=14_800,
        ),
        PolicyParameters(
            of_vaults=((1_000_000, 500), (5_000_000, 1_000)),
            of_type=((25_000_000, 500), (40_000_000, 1_500)),
            flow_cap=5_000_000,
            # As Morpho's adaptive curve: 50 times a year, between 0.1% and 16.4%.
            curve=(10, 1_630, 0, 9_000),
            line=50_000_000,
            speed=50,
            call_ratio=14_800,
        ),
        PolicyParameters(
            of_vaults=((500_000, 500), (2_000_000, 1_000)),
            of_type=((10_000_000, 500), (15_000_000, 1_500)),
            flow_cap=2_000_000,
            curve=(50, 150, 3_000, 9_000),
            line=20_000_000,
            call_ratio=12_800,
        ),
    )
    plain = standard()
    ceilings = tuple(
        AutoCeilingParameters(gap=each.debt_ceiling // 10, max_line=each.debt_ceiling, ttl=28_800)
        for each in plain.collateral_types
    )
    workouts = tuple(WorkoutParameters(cap=each.auction_limit // 5) for each in plain.collateral_types)
    types = zip(plain.collateral_types, policies, strict=True)
    return replace(
        plain,
        collateral_types=tuple(replace(each, policy=policy) for each, policy in types),
        guards=GuardsParameters(ceilings, BreakerParameters(), workouts),
    )


def margined() -> Parameters:
    """The standard deployment with perpetual markets in ether and bitcoin, and a domain for their losses."""
    plain = standard()
    lots = {"WETH": WAD // 100, "WBTC": WAD // 1_000}
    markets = tuple(PerpetualParameters(symbol, lot) for symbol, lot in lots.items())
    domain = DomainParameters("Perpetuals", line=10_000_000)
    return replace(plain, domains=(domain,), margin=MarginParameters(markets, domain.name))


class StageContract(NamedTuple):
    """The contract of a stage: its name and kind, what the waterfall has to know of it."""

    contract: str
    kind: str
    pooled: bool  # one balance for all types, or one for each
    asynchronous: bool = False
    lifted: bool = False  # settlement lifts its caps


STAGES = {
    "scripted": StageContract("ScriptedStage", "ScriptedStage", pooled=False, asynchronous=True),
    "buffer": StageContract("BufferStage", "LedgerStage", pooled=False, lifted=True),
    "reserve": StageContract("ReserveStage", "LedgerStage", pooled=True, lifted=True),
    "clawback": StageContract("ClawbackStage", "ClawbackStage", pooled=True, lifted=True),
    "junior": StageContract("Junior", "Pool", pooled=True, lifted=True),
    "staked_equity": StageContract("StakeAuction", "EquityAuction", pooled=True, asynchronous=True),
    "senior": StageContract("Senior", "Pool", pooled=True, lifted=True),
    "minted_equity": StageContract("MintAuction", "EquityAuction", pooled=True, asynchronous=True),
    "redistribution": StageContract("RedistributionStage", "LedgerStage", pooled=False),
    "savings": StageContract("Savings", "Pool", pooled=True),
}
"""Every stage that there is, by its name in parameters; "scripted" does what it is told, for tests."""


POOLS = {
    "junior": ("Junior", "Backstop Junior", "jBSD"),
    "senior": ("Senior", "Backstop Senior", "nBSD"),
    "savings": ("Savings", "Backstop Savings", "sBSD"),
    "staked_equity": ("StakedEquity", "Staked Backstop Equity", "sBSE"),
}
"""The pools, by the names of their parameters: contract, name and symbol of its shares."""


DELEVERAGERS = {"ranked": "MarginDeleverager", "shared": "MarginSharer"}
"""Who pays of those who gained - the first in rank, or all by their scores - and the contract that takes it.

In a deployment either is called MarginDeleverager.
"""


def pools_of(parameters: Parameters) -> list[str]:
    """The pools of stablecoin that a deployment has, in the order in which they bear losses."""
    found = [stage.name for stage in parameters.stages if stage.name in ("junior", "senior", "savings")]
    # Savers are always welcome, whether they bear losses or not.
    return found if "savings" in found else [*found, "savings"]


def domains_of(parameters: Parameters) -> list[tuple[int, DomainParameters]]:
    """The domains with the ids of their types, which follow those of the collateral types."""
    return list(enumerate(parameters.domains, len(parameters.collateral_types)))


@dataclass(frozen=True)
class Creation:
    """One contract: its name in the deployment, its kind (the Vyper file), its constructor's arguments."""

    name: str
    kind: str
    args: tuple[Any, ...]
    address: str


@dataclass(frozen=True)
class Deployment:
    """Contracts in creation order, and what they are configured with; `block` is the last one before them."""

    parameters: Parameters
    creations: tuple[Creation, ...]
    deployer: str
    first_nonce: int = 0
    chain_id: int = CHAIN_ID
    block: int = 0
    accounts: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def account(self, role: str) -> str:
        """The address of a role: the deployment's own if it has one, else everybody's."""
        return self.accounts.get(role) or account(role)

    @property
    def addresses(self) -> dict[str, str]:
        """Name -> address."""
        return {creation.name: creation.address for creation in self.creations}

    @property
    def kinds(self) -> dict[str, str]:
        """Name -> kind."""
        return {creation.name: creation.kind for creation in self.creations}


def plan(
    parameters: Parameters,
    first_nonce: int = 0,
    chain_id: int = CHAIN_ID,
    accounts: Mapping[str, str] | None = None,
) -> Deployment:
    """The contracts of a deployment and their addresses; `accounts` replace those of roles."""
    accounts = dict(accounts or {})
    admin, taker, market_maker = (
        accounts.get(role) or account(role) for role in ("admin", "taker", "market_maker")
    )
    kinds = {
        "Stablecoin": "Stablecoin",
        "VaultEngine": "VaultEngine",
        "PriceFeed": "PriceFeed",
        "LiquidationEngine": "LiquidationEngine",
        "CollateralAuction": "CollateralAuction",
        "LossWaterfall": "LossWaterfall",
        "Settlement": "Settlement",
    }
    for stage in parameters.stages:
        if stage.name not in STAGES:
            raise BackstopError(f"there is no stage {stage.name}: choose of {', '.join(STAGES)}")
        kinds[STAGES[stage.name].contract] = STAGES[stage.name].kind
    kinds |= _pools_and_equity(parameters)
    kinds["FlashTaker"] = "FlashTaker"
    for collateral in parameters.collateral_types:
        if collateral.symbol in kinds:
            raise BackstopError(f"the name {collateral.symbol} is taken: give each collateral type its own")
        kinds[collateral.symbol] = collateral.token
    for collateral in parameters.collateral_types:
        if collateral.market is not None:
            kinds[f"Market.{collateral.symbol}"] = "ConstantProductMarket"
    kinds |= _guards(parameters)
    for domain in parameters.domains:
        if domain.name in kinds:
            raise BackstopError(f"the name {domain.name} is taken: give each domain its own")
        kinds[domain.name] = "Domain"
    kinds |= _margin(parameters)
    if len(parameters.collateral_types) + len(parameters.domains) > bounds.MAX_COLLATERAL_TYPES:
        raise BackstopError(f"there are more than {bounds.MAX_COLLATERAL_TYPES} types, domains included")
    at = {name: created_address(admin, first_nonce + i) for i, name in enumerate(kinds)}

    args: dict[str, tuple[Any, ...]] = {
        "Stablecoin": ("Backstop Dollar", "BSD", at["VaultEngine"]),
        "VaultEngine": (
            at["Stablecoin"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["CollateralAuction"],
            at["LossWaterfall"],
            at.get("Treasury", ZERO_ADDRESS),
            at["Settlement"],
            at.get("RiskPolicy", ZERO_ADDRESS),
            admin,
        ),
        "PriceFeed": (admin,),
        "LiquidationEngine": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["CollateralAuction"],
            at.get("RiskPolicy", ZERO_ADDRESS),
            at.get("Workouts", ZERO_ADDRESS),
        ),
        "RiskPolicy": (
            at["VaultEngine"],
            at["PriceFeed"],
            at.get("CircuitBreaker", ZERO_ADDRESS),
            admin,
        ),
        "CollateralAuction": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["Stablecoin"],
            at.get("Workouts", ZERO_ADDRESS),
            admin,
        ),
        "LossWaterfall": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["CollateralAuction"],
            admin,
            parameters.epoch_length,
            parameters.cap_delay,
        ),
        "Settlement": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["CollateralAuction"],
            at["LossWaterfall"],
            admin,
            *dataclasses.astuple(parameters.settlement),
        ),
        "ScriptedStage": (at["LossWaterfall"],),
        "BufferStage": (at["VaultEngine"], at["LossWaterfall"], BUFFER),
        "ReserveStage": (at["VaultEngine"], at["LossWaterfall"], RESERVE),
        "ClawbackStage": (at["LossWaterfall"], tuple(at[POOLS[name][0]] for name in pools_of(parameters))),
        "RedistributionStage": (at["VaultEngine"], at["LossWaterfall"], REDISTRIBUTION),
        "FlashTaker": (taker, at["CollateralAuction"], at["Stablecoin"]),
        "AutoCeiling": (at["VaultEngine"], admin),
        "CircuitBreaker": (at["VaultEngine"], at["PriceFeed"], at.get("RiskPolicy", ZERO_ADDRESS), admin),
        "Workouts": (
            at["VaultEngine"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["CollateralAuction"],
            at.get("RiskPolicy", ZERO_ADDRESS),
            admin,
        ),
    }
    for name in (*pools_of(parameters), "staked_equity"):
        pool, (contract, title, symbol) = getattr(parameters, name), POOLS[name]
        own_stage = name != "staked_equity"
        args[contract] = (
            title,
            symbol,
            at["Stablecoin"] if own_stage else at.get("Equity", ZERO_ADDRESS),
            at["VaultEngine"],
            at["LossWaterfall"],
            ZERO_ADDRESS if own_stage else at.get("StakeAuction", ZERO_ADDRESS),
            at.get("ClawbackStage", ZERO_ADDRESS) if own_stage else ZERO_ADDRESS,
            at.get(f"{contract}.Claims", ZERO_ADDRESS),
            pool.cooldown,
            pool.window,
            pool.vesting,
        )
    if parameters.equity is not None:
        args |= _equity_args(parameters, at, admin)
    for collateral in parameters.collateral_types:
        args[collateral.symbol] = (collateral.symbol, collateral.symbol, collateral.decimals)
        if collateral.market is not None:
            args[f"Market.{collateral.symbol}"] = (
                at[collateral.symbol],
                collateral.decimals,
                at["Stablecoin"],
                collateral.market.fee,
                market_maker,
            )
    for c, domain in domains_of(parameters):
        args[domain.name] = (
            domain.name,
            c,
            at["VaultEngine"],
            at["PriceFeed"],
            at["LiquidationEngine"],
            at["LossWaterfall"],
            at["Stablecoin"],
            admin,
            domain.delay,
        )
    if parameters.margin is not None:
        args |= _margin_args(parameters.margin, at, admin)
    creations = tuple(Creation(name, kind, args[name], at[name]) for name, kind in kinds.items())
    return Deployment(parameters, creations, admin, first_nonce, chain_id, accounts=accounts)


def stage_terms(deployment: Deployment) -> tuple[tuple[Any, ...], ...]:
    """The order of losses and its caps as LossWaterfall.set_stages takes them."""
    terms = []
    for stage in deployment.parameters.stages:
        contract, _, *kind = STAGES[stage.name]
        cap = MAX_UINT256 if stage.cap_absolute is None else stage.cap_absolute
        terms.append((deployment.addresses[contract], *kind, cap, stage.cap_bps))
    return tuple(terms)


def _equity_args(parameters: Parameters, at: Mapping[str, str], admin: str) -> dict[str, tuple[Any, ...]]:
    """The constructors' arguments of equity, claims on it, its auctions, and the treasury."""
    equity, pools = parameters.equity, pools_of(parameters)
    assert equity is not None
    prices = equity.floor, equity.buf, equity.duration
    auction = at["VaultEngine"], at["LossWaterfall"], at["PriceFeed"], at["Equity"]
    claims = {name: at[f"{POOLS[name][0]}.Claims"] for name in pools}
    args: dict[str, tuple[Any, ...]] = {
        "Equity": (
            admin,
            at.get("MintAuction", ZERO_ADDRESS),
            admin,
            equity.supply,
            parameters.epoch_length,
            equity.mint_cap,
        ),
        "StakeAuction": (*auction, at.get("StakedEquity", ZERO_ADDRESS), *prices),
        "MintAuction": (*auction, ZERO_ADDRESS, *prices),
        "SurplusAuction": (at["Treasury"], at["PriceFeed"], at["Equity"], equity.surplus_lot, *prices),
        "Treasury": (
            at["VaultEngine"],
            at["LossWaterfall"],
            at["Stablecoin"],
            at["SurplusAuction"],
            at.get("MarginFund", ZERO_ADDRESS),
            admin,
            tuple(claims[name] for name in reversed(pools)),
            tuple(at[POOLS[name][0]] for name in pools),
        ),
    }
    for name in pools:
        contract, _, symbol = POOLS[name]
        args[f"{contract}.Claims"] = (
            f"{contract} Claims",
            f"c{symbol}",
            at["Stablecoin"],
            at[contract],
            at["Equity"],
            at["PriceFeed"],
            equity.conversion_price,
            equity.floor,
        )
    return args


def _pools_and_equity(parameters: Parameters) -> dict[str, str]:
    """Names and kinds of the contracts around the stages."""
    kinds = {POOLS[name][0]: "Pool" for name in pools_of(parameters)}
    if parameters.equity is not None:
        kinds |= {f"{POOLS[name][0]}.Claims": "RecoveryClaims" for name in pools_of(parameters)}
        kinds |= {"Equity": "Equity", "SurplusAuction": "SurplusAuction", "Treasury": "Treasury"}
        if parameters.has_stage("staked_equity"):
            kinds["StakedEquity"] = "Pool"
    elif parameters.has_stage("staked_equity") or parameters.has_stage("minted_equity"):
        raise BackstopError("stages of equity need the parameters of equity")
    return kinds


def _guards(parameters: Parameters) -> dict[str, str]:
    """Names and kinds of the guards, as far as they are set."""
    guards = parameters.guards
    if guards is None:
        return {}
    if len(guards.ceilings) > len(parameters.collateral_types):
        raise BackstopError("there are more automatic ceilings than collateral types")
    if len(guards.workouts) > len(parameters.collateral_types):
        raise BackstopError("there are more terms of workouts than collateral types")
    if guards.workouts and guards.breaker is None:
        raise BackstopError("workouts need a breaker: vaults enter in caution")
    kinds = {"RiskPolicy": "RiskPolicy"}
    if guards.ceilings:
        kinds["AutoCeiling"] = "AutoCeiling"
    if guards.breaker is not None:
        kinds["CircuitBreaker"] = "CircuitBreaker"
    if guards.workouts:
        kinds["Workouts"] = "Workouts"
    return kinds


def _margin(parameters: Parameters) -> dict[str, str]:
    """Names and kinds of the margin market's contracts, if there is one."""
    margin = parameters.margin
    if margin is None:
        return {}
    if margin.domain and margin.domain not in [domain.name for domain in parameters.domains]:
        raise BackstopError(f"there is no domain {margin.domain} to bear losses of the margin market")
    symbols = [collateral.symbol for collateral in parameters.collateral_types]
    for market in margin.markets:
        if market.symbol not in symbols:
            raise BackstopError(f"a perpetual market needs a price: there is no {market.symbol}")
    if margin.deleveraging not in DELEVERAGERS:
        known = ", ".join(DELEVERAGERS)
        raise BackstopError(f"nobody deleverages by {margin.deleveraging}: choose of {known}")
    names = ("MarginPolicy", "MarginMarket", "MarginOrders", "MarginFund")
    return {name: name for name in names} | {"MarginDeleverager": DELEVERAGERS[margin.deleveraging]}


def _margin_args(margin: MarginParameters, at: Mapping[str, str], admin: str) -> dict[str, tuple[Any, ...]]:
    return {
        "MarginPolicy": (at["PriceFeed"], admin),
        "MarginMarket": (
            at["VaultEngine"],
            at["MarginPolicy"],
            at.get("RiskPolicy", ZERO_ADDRESS),
            at["Stablecoin"],
            at["MarginOrders"],
            at["MarginFund"],
            at["MarginDeleverager"],
            at.get(margin.domain, ZERO_ADDRESS),
            margin.fee_share,
            margin.freeze_time,
        ),
        "MarginOrders": (at["MarginMarket"],),
        "MarginFund": (at["Stablecoin"], at["MarginMarket"], admin, margin.bucket, margin.buckets),
        "MarginDeleverager": (at["MarginMarket"],),
    }


def configuration(deployment: Deployment) -> list[Action]:
    """What the admin does once, right after the contracts are there."""
    parameters, at = deployment.parameters, deployment.addresses
    actions: list[Action] = []

    def admin(contract: str, method: str, *args: Any) -> None:
        actions.append(Action(contract, method, args, deployment.deployer))

    admin("VaultEngine", "set_global_debt_ceiling", parameters.global_debt_ceiling)
    admin("VaultEngine", "set_global_auction_limit", parameters.global_auction_limit)
    admin("CollateralAuction", "grant_role", GUARDIAN, deployment.account("guardian"))
    if any(collateral.feed.guarded for collateral in parameters.collateral_types):
        admin("PriceFeed", "grant_role", GUARDIAN, deployment.account("guardian"))
    for c, collateral in enumerate(parameters.collateral_types):
        # Listing moves one whole token in and out again.
        admin(collateral.symbol, "mint", deployment.deployer, 10**collateral.decimals)
        admin(collateral.symbol, "approve", at["VaultEngine"], 10**collateral.decimals)
        admin(
            "VaultEngine",
            "add_collateral_type",
            at[collateral.symbol],
            collateral.liquidation_ratio,
            collateral.initial_ratio,
        )
        actions += _market(deployment, c, collateral.feed)
        admin("CollateralAuction", "add_terms", c, *dataclasses.astuple(collateral.auction))
        # After the terms: the smallest auction follows from the floor and the penalty.
        admin("VaultEngine", "set_debt_floor", c, collateral.debt_floor)
        admin("VaultEngine", "set_debt_ceiling", c, collateral.debt_ceiling)
        admin("VaultEngine", "set_auction_limit", c, collateral.auction_limit)
        admin("VaultEngine", "set_stability_fee", c, collateral.stability_fee)
        admin("VaultEngine", "set_buffer_share", c, collateral.buffer_share)
        admin("VaultEngine", "set_redistribution_cap", c, collateral.redistribution_cap)
    for c, domain in domains_of(parameters):
        actions += _domain_configuration(deployment, c, domain)
    stages = {STAGES[stage.name].contract for stage in parameters.stages}
    pools = {POOLS[name][0] for name in pools_of(parameters)} if "ClawbackStage" in stages else set()
    for name in sorted(stages | pools):
        admin("VaultEngine", "grant_role", STAGE, at[name])
    if parameters.equity is not None:
        actions += _equity_configuration(deployment, parameters.equity)
    admin("LossWaterfall", "set_mark_discount", parameters.mark_discount)
    admin("LossWaterfall", "set_stages", stage_terms(deployment))
    if parameters.guards is not None:
        actions += _guards_configuration(deployment, parameters.guards)
    if parameters.margin is not None:
        actions += _margin_configuration(deployment, parameters.margin)
    return actions


def _market(deployment: Deployment, market: int, feed: FeedParameters) -> list[Action]:
    """A market of the feed, and its guards if it has any."""
    reporters = tuple(deployment.account(f"reporter_{i + 1}") for i in range(feed.reporters))
    times = feed.step, feed.max_age, feed.stale_after, feed.window
    guards = feed.deviation, feed.confirmations, feed.grace, feed.dead_after
    calls: list[tuple[str, tuple[Any, ...]]] = [("set_market", (market, reporters, feed.quorum, *times))]
    if feed.guarded:
        calls.append(("set_guards", (market, *guards)))
    return [Action("PriceFeed", method, args, deployment.deployer) for method, args in calls]


def _equity_configuration(deployment: Deployment, equity: EquityParameters) -> list[Action]:
    parameters, at = deployment.parameters, deployment.addresses
    shares = tuple(getattr(parameters, name).income_share for name in pools_of(parameters))
    minters = []
    if equity.conversion_price:
        minters = [f"{POOLS[name][0]}.Claims" for name in pools_of(parameters)]
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        ("Treasury", "set_target", (parameters.treasury.target,)),
        ("Treasury", "set_shares", (shares,)),
        *(("Equity", "grant_role", (MINTER, at[name])) for name in minters),
    ]
    return [
        *_market(deployment, bounds.EQUITY_MARKET, equity.feed),
        *(Action(contract, method, args, deployment.deployer) for contract, method, args in calls),
    ]


def _domain_configuration(deployment: Deployment, c: int, domain: DomainParameters) -> list[Action]:
    name, at = domain.name, deployment.addresses
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        # Listing moves the one note that there is; opening burns it.
        (name, "approve", (at["VaultEngine"], WAD)),
        ("VaultEngine", "add_collateral_type", (at[name], BASIS_POINTS, BASIS_POINTS)),
        ("PriceFeed", "set_issuer", (c, at[name])),
        (name, "open", ()),
        ("VaultEngine", "set_debt_ceiling", (c, domain.line)),
        ("VaultEngine", "grant_role", (STAGE, at[name])),
        (name, "grant_role", (MINTER, deployment.account(domain.minter))),
        (name, "grant_role", (GUARDIAN, deployment.account("guardian"))),
    ]
    if deployment.parameters.guards is not None and domain.flow_cap:
        calls.append(("RiskPolicy", "set_flow_limit", (c, domain.flow_cap, domain.flow_window)))
    return [Action(contract, method, args, deployment.deployer) for contract, method, args in calls]


def _margin_configuration(deployment: Deployment, margin: MarginParameters) -> list[Action]:
    symbols = [collateral.symbol for collateral in deployment.parameters.collateral_types]
    calls: list[tuple[str, str, tuple[Any, ...]]] = [("MarginFund", "set_cap", (margin.cap,))]
    for market in margin.markets:
        symbol, lot, *terms = dataclasses.astuple(market)
        calls.append(("MarginPolicy", "add_market", (symbols.index(symbol), lot, tuple(terms))))
    if deployment.parameters.equity is not None and margin.income_share:
        calls.append(("Treasury", "set_insuring", (margin.income_share, margin.insurance_target)))
    if margin.domain:
        market_address = deployment.addresses["MarginMarket"]
        calls.append((margin.domain, "grant_role", (SHORTFALL, market_address)))
    return [Action(contract, method, args, deployment.deployer) for contract, method, args in calls]


def _guards_configuration(deployment: Deployment, guards: GuardsParameters) -> list[Action]:
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        ("RiskPolicy", "set_effects", (guards.caution_margin, guards.emergency_factor)),
    ]
    if guards.ceilings:
        calls.append(("VaultEngine", "grant_role", (CEILINGS, deployment.addresses["AutoCeiling"])))
    for c, ceiling in enumerate(guards.ceilings):
        calls.append(("AutoCeiling", "set_terms", (c, *dataclasses.astuple(ceiling))))
    if guards.breaker is not None:
        *triggers, calm_period = dataclasses.astuple(guards.breaker)
        calls += [
            ("CircuitBreaker", "grant_role", (GUARDIAN, deployment.account("guardian"))),
            ("CircuitBreaker", "set_triggers", tuple(triggers)),
            ("CircuitBreaker", "set_calm_period", (calm_period,)),
        ]
    for c, workouts in enumerate(guards.workouts):
        calls.append(("Workouts", "set_terms", (c, *dataclasses.astuple(workouts))))
    for c, collateral in enumerate(deployment.parameters.collateral_types):
        policy, off = collateral.policy, PolicyParameters()
        if (policy.of_vaults, policy.of_type) != (off.of_vaults, off.of_type):
            calls.append(("RiskPolicy", "set_brackets", (c, policy.of_vaults, policy.of_type)))
        if policy.flow_cap:
            calls.append(("RiskPolicy", "set_flow_limit", (c, policy.flow_cap, policy.flow_window)))
        if policy.growth_anchor:
            calls.append(("RiskPolicy", "set_growth_cap", (c, policy.growth_anchor, policy.growth)))
        if policy.curve[3]:
            calls.append(("RiskPolicy", "set_fee_curve", (c, policy.curve, policy.line, policy.speed)))
            calls.append(("VaultEngine", "set_fee_dynamic", (c, True)))
        if policy.call_ratio:
            terms = policy.call_ratio, policy.call_grace, policy.call_valid
            calls.append(("RiskPolicy", "set_call_terms", (c, *terms)))
    return [Action(contract, method, args, deployment.deployer) for contract, method, args in calls]


def configure(system: System, deployment: Deployment) -> None:
    """Run the configuration; every call must succeed."""
    for action in configuration(deployment):
        reason = system.apply(action).reason
        if reason is not None:
            raise BackstopError(
                f"the parameters do not fit: {action.contract}.{action.method}{action.args} "
                f"reverted with {reason!r}"
            )


@cache
def model_class(kind: str) -> type[Contract]:
    """The model of a contract, found by the name of its file."""
    snake = "".join("_" + c.lower() if c.isupper() else c for c in kind).lstrip("_")
    for module in (snake, "devnet"):
        try:
            found = getattr(import_module(f"backstop.model.{module}"), kind, None)
        except ModuleNotFoundError:
            continue
        if found is not None:
            return found
    raise BackstopError(f"{kind} has no model in offchain/backstop/model/")


def create_on_model(world: World, creation: Creation) -> None:
    """Construct the model of one contract."""
    try:
        model_class(creation.kind)(world, creation.name, creation.address, *creation.args)
    except Revert as revert:
        raise BackstopError(f"the constructor of {creation.name} reverted with {revert.reason!r}") from None
    world.journal.clear()
    world.logs.clear()


def model_of(deployment: Deployment, timestamp: int = GENESIS) -> ModelSystem:
    """The contracts in a new model world, not yet configured."""
    world = World(timestamp, deployment.chain_id)
    for creation in deployment.creations:
        create_on_model(world, creation)
    return ModelSystem(world)


def create_on_chain(host: Host, artifacts: Artifacts, creation: Creation, deployer: str) -> None:
    """Deploy one contract where the plan says."""
    artifact = artifacts[creation.kind]
    address = host.deploy(artifact.bytecode + artifact.abi.constructor.encode(creation.args), deployer)
    if address != creation.address:
        raise BackstopError(
            f"{creation.name} came to {address}, not {creation.address}: the deployer had sent "
            "transactions before; start a fresh chain"
        )


def chain_of(deployment: Deployment, host: Host, artifacts: Artifacts | None = None) -> ChainSystem:
    """Create the contracts on a host; not yet configured."""
    from backstop.hosts.artifacts import Artifacts

    artifacts = artifacts or Artifacts()
    artifacts.load(creation.kind for creation in deployment.creations)
    for creation in deployment.creations:
        create_on_chain(host, artifacts, creation, deployment.deployer)
    return _system(deployment, host, artifacts)


def attach(deployment: Deployment, host: Host, artifacts: Artifacts | None = None) -> ChainSystem:
    """Use the contracts of a deployment that is already on a chain."""
    from backstop.hosts.artifacts import Artifacts

    for creation in deployment.creations:
        if host.code_size(creation.address) == 0:
            raise BackstopError(
                f"there is no {creation.name} at {creation.address}: the chain was restarted since the "
                "deployment file was written; deploy again"
            )
    return _system(deployment, host, artifacts or Artifacts())


def _system(deployment: Deployment, host: Host, artifacts: Artifacts) -> ChainSystem:
    from backstop.hosts.chain_system import ChainSystem

    return ChainSystem(host, artifacts, deployment.kinds, deployment.addresses)


def deploy(
    host: Host | None, parameters: Parameters, artifacts: Artifacts | None = None
) -> tuple[Deployment, ModelSystem, ChainSystem | None]:
    """Plan, create and configure: always a model, and the same on a host if there is one."""
    deployment = plan(parameters)
    model = model_of(deployment, GENESIS if host is None else host.timestamp)
    configure(model, deployment)
    chain = None
    if host is not None:
        before = host.block_number()
        chain = chain_of(deployment, host, artifacts)
        configure(chain, deployment)
        deployment = dataclasses.replace(deployment, block=before)
    return deployment, model, chain


class OtherVersion(ValueError):
    """What is written of a deployment is not what this program plans from the same parameters."""


def parameters_to_json(parameters: Parameters) -> dict[str, Any]:
    """As JSON keeps them; integers beyond 64 bits become strings."""
    plain = _plain(dataclasses.asdict(parameters))
    assert isinstance(plain, dict)
    return plain


def parameters_from_json(value: Any) -> Parameters:
    """Read parameters back; raises ValueError with the field that is wrong."""
    read: Parameters = _read(Parameters, value, "parameters")
    return read


def deployment_to_json(deployment: Deployment) -> dict[str, Any]:
    """As the deployment file has it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "chain_id": deployment.chain_id,
        "block": deployment.block,
        "deployer": deployment.deployer,
        "first_nonce": deployment.first_nonce,
        "accounts": dict(deployment.accounts),
        "contracts": {
            creation.name: {
                "kind": creation.kind,
                "address": creation.address,
                "args": _plain(creation.args),
            }
            for creation in deployment.creations
        },
        "parameters": parameters_to_json(deployment.parameters),
    }


def deployment_from_json(content: Mapping[str, Any]) -> Deployment:
    """Read a deployment back; raises OtherVersion, or what a missing or wrong field raises."""
    parameters = parameters_from_json(content["parameters"])
    deployment = plan(parameters, content["first_nonce"], content["chain_id"], content["accounts"])
    written = {
        name: (contract["kind"], contract["address"], contract["args"])
        for name, contract in content["contracts"].items()
    }
    planned = {c.name: (c.kind, c.address, _plain(c.args)) for c in deployment.creations}
    if planned != written or content["deployer"] != deployment.deployer:
        raise OtherVersion
    return dataclasses.replace(deployment, block=content["block"])


def write_deployment(deployment: Deployment, path: Path) -> None:
    """Write the file at once or not at all."""
    write_json(deployment_to_json(deployment), path)


def read_deployment(path: Path) -> Deployment:
    """Read a deployment file; one BackstopError says what is wrong with it."""
    content = read_json(path, "deployment file", SCHEMA_VERSION, "deploy first", "deploy again")
    try:
        return deployment_from_json(content)
    except OtherVersion:
        raise BackstopError(
            f"{path} does not fit this program: another version wrote it, or it was changed; deploy again"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackstopError(f"{path} is not a whole deployment file ({error!r}): deploy again") from None


def check_chain(deployment: Deployment, chain_id: int) -> None:
    """A deployment belongs to one chain."""
    if chain_id != deployment.chain_id:
        raise BackstopError(
            f"the deployment is on chain {deployment.chain_id}, the node is on chain {chain_id}: "
            "connect to the right node or deploy again"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return plain_int(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value]


def _read(kind: Any, value: Any, place: str) -> Any:
    """A value of an annotated type out of JSON."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _read(typing.get_args(kind)[0], value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{place} is no list")
        item = typing.get_args(kind)[0]
        return tuple(_read(item, each, f"{place}[{i}]") for i, each in enumerate(value))
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{place} is no object")
        hints = typing.get_type_hints(kind)
        record: Any = kind
        if value.keys() != hints.keys():
            raise ValueError(f"{place} has other fields: {sorted(value.keys() ^ hints.keys())}")
        return record(**{name: _read(hint, value[name], f"{place}.{name}") for name, hint in hints.items()})
    if kind is int and isinstance(value, str):
        return int(value)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise ValueError(f"{place} is no {kind.__name__}")
    return value
