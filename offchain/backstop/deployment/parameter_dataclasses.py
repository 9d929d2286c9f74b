"""The parameters of a deployment: one record for each part of the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from backstop.model.arithmetic import RAY

LATER: dict[str, Any] = {"later": True}
"""Metadata of a field that files of before do not have: they mean `before`, or else its default."""

# Curves of an auction's price.
LINEAR, STAIRSTEP, EXPONENTIAL = 0, 1, 2


@dataclass(frozen=True)
class AuctionParameters:
    """Terms of collateral auctions: the fields of CollateralAuction.add_terms, in its order."""

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
class DiscountParameters:
    """Terms of liquidations at a fixed discount: the fields of FixedDiscount.Terms, in its order.

    The bonus is collateral that a buyer gets on top of the value of the repaid debt. The default target
    health is that of Aave v4's first markets: at a bonus of 5% and a liquidation ratio of 120.48% a
    liquidation repays 65% of a debt that has just become unsafe.
    """

    base_bonus: int = 500  # basis points, at a health of 1
    max_bonus: int = 500  # basis points
    full_bonus_health: int = 0  # basis points of health, at which and under which the bonus is the largest
    max_discount: int = 0  # basis points: a discount of 1 - health, up to this, as Euler's; 0 is off
    cursor: int = 0  # basis points: a bonus from the liquidation ratio, as Morpho Blue's; 0 is off
    target_health: int = 12_400  # basis points of health that a sale goes up to; 0 is a close factor instead
    close_factor: int = 0  # basis points of the debt that one sale may repay
    whole_close_health: int = 0  # basis points of health, at which and under which all may be repaid
    small_position: int = 0  # whole stablecoins: of less debt or collateral all may be repaid
    fee: int = 0  # basis points of the bonus, for the protocol


@dataclass(frozen=True)
class StabilityPoolParameters:
    """Terms of a collateral type's stability pool, fixed at deployment.

    The default penalty and reward are those of Liquity v2's pools: 5% on top of a debt, 0.5% of the
    collateral sold.
    """

    penalty: int = 500  # basis points of a debt, in collateral, on top of it
    reward: int = 50  # basis points of the collateral that a liquidation moves, for the liquidator
    has_write_off: bool = False  # debt that the pool cannot pay is a loss at once; else it is auctioned
    entry_delay: int = 3_600  # seconds; a deposit takes part after one to two of them
    cooldown: int = 86_400  # seconds from a request to a withdrawal
    vesting: int = 86_400  # seconds over which income vests
    income_share: int = 0  # basis points of the treasury's surplus

    @property
    def contract_terms(self) -> tuple[int, int, bool, int, int, int]:
        """Last arguments of the pool's constructor, without the share of income, which the treasury sets."""
        return self.penalty, self.reward, self.has_write_off, self.entry_delay, self.cooldown, self.vesting


@dataclass(frozen=True)
class FeedParameters:
    """Terms of a market of the price feed and its guards; times in seconds.

    With the default of four reporters and a quorum of three, one reporter may lie or be silent permanently.
    One may also lie while another is silent.
    """

    reporters: int = 4
    quorum: int = 3
    step: int = 3_600
    max_age: int = 7_200
    stale_after: int = 14_400
    window: int = 3_600
    deviation: int = 0  # basis points of the time-weighted price; 0 is off
    confirmations: int = 1  # steps that a price beyond it waits longer
    grace: int = 0  # without liquidations after a gap; 0 is none
    dead_after: int = 3 * 86_400  # without a price until the last one counts; 0 is never

    @property
    def guarded(self) -> bool:
        """True if a guard is on that can hold prices back."""
        return bool(self.deviation or self.grace)


@dataclass(frozen=True)
class MarketParameters:
    """Constant-product market (Uniswap v2) of a collateral token; its liquidity is set later."""

    fee: int = 30  # basis points


@dataclass(frozen=True)
class PolicyParameters:
    """Limits on new debt of a type beyond its ratios, margin calls and fee curve; all off by default."""

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

    @property
    def has_size_surcharges(self) -> bool:
        """True if large vaults, or vaults of a large type, need extra margin beyond the ratio."""
        return any(rate for _, rate in (*self.of_vaults, *self.of_type))


@dataclass(frozen=True)
class CollateralParameters:
    """Parameters of one collateral type."""

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
    token: str = "Token"  # contract of the token: Token, NoReturnToken, ReturnsFalseToken, BlocklistToken
    auction: AuctionParameters = AuctionParameters()
    feed: FeedParameters = FeedParameters()
    market: MarketParameters | None = MarketParameters()
    policy: PolicyParameters = PolicyParameters()  # counts with guards only
    # None: liquidations start an auction
    discount: DiscountParameters | None = field(default=None, metadata=LATER)
    # Instead of a discount: members' coins repay liquidated vaults
    stability_pool: StabilityPoolParameters | None = field(default=None, metadata=LATER)

    @property
    def has_mechanism(self) -> bool:
        """True if liquidations sell by discount or to a stability pool instead of by auction."""
        return self.discount is not None or self.stability_pool is not None


@dataclass(frozen=True)
class StageParameters:
    """A loss-absorbing stage of the waterfall, by its name in STAGES, and its payment caps."""

    name: str
    cap_absolute: int | None = None  # rad
    cap_bps: int = 10_000  # basis points of its balance and what it paid within the window


@dataclass(frozen=True)
class PoolParameters:
    """Terms of withdrawals and income of a pool; times in seconds.

    With a cooldown of 0, members withdraw without a request.
    """

    cooldown: int = 86_400
    vesting: int = 7 * 86_400  # of income
    income_share: int = 0  # basis points of the surplus
    contract: str = field(default="Pool", metadata=LATER)  # or InstantExitPool, to compare with


@dataclass(frozen=True)
class EquityParameters:
    """Parameters of the equity token, its price market and its auctions."""

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
    """Parameters of the treasury, which spends the protocol's income."""

    target: int = 100_000  # whole stablecoins of the reserve that are not surplus


@dataclass(frozen=True)
class SettlementParameters:
    """Conditions under which the protocol may be wound up."""

    delay: int = 30 * 86_400  # seconds from the announcement
    bound: int = 1_000_000  # whole stablecoins of deficit
    epochs: int = 4  # that the deficit has to stay above the bound


@dataclass(frozen=True)
class AutoCeilingParameters:
    """Terms by which a type's debt ceiling automatically follows its debt."""

    gap: int  # whole stablecoins
    max_line: int  # whole stablecoins; 0: it does not
    ttl: int  # seconds between two raises


@dataclass(frozen=True)
class BreakerParameters:
    """Triggers of the circuit breaker's modes CAUTION and EMERGENCY (0 is never).

    A mode is lowered after `calm_period` without a trigger.
    """

    losses: tuple[int, int] = (100_000, 1_000_000)  # whole stablecoins of uncovered deficits
    fall: tuple[int, int] = (1_500, 3_000)  # basis points under the time-weighted price
    silence: tuple[int, int] = (3_600, 21_600)  # seconds without a fresh price
    auctions: tuple[int, int] = (5_000, 9_000)  # basis points of the auction limit
    calm_period: int = 21_600  # seconds


@dataclass(frozen=True)
class WorkoutParameters:
    """Terms of a type's workouts (repayment of called vaults in instalments).

    The fields are those of Workouts.set_terms, in its order.
    """

    discount: int = 2_000  # basis points of the lot's value that a sale in a hurry would cost
    ratio: int = 11_500  # basis points of the principal left, under which a lot is foreclosed
    premium: int = 200  # basis points of the principal
    instalments: int = 8  # at most
    interval: int = 86_400  # seconds between two
    period: int = 30 * 86_400  # seconds between two entries of a vault
    cap: int = 0  # whole stablecoins of principal; 0: nobody enters


@dataclass(frozen=True)
class GuardsParameters:
    """Guards beside the collateral ratios; a guard that is not set is off.

    Each collateral type also has a risk policy of its own.
    """

    ceilings: tuple[AutoCeilingParameters, ...] = ()  # of the first collateral types, in their order
    breaker: BreakerParameters | None = None
    workouts: tuple[WorkoutParameters, ...] = ()  # of the first collateral types, in their order
    caution_margin: int = 1_000  # basis points that new risk needs more in caution
    emergency_factor: int = 10_000  # basis points of the auction limits in an emergency


@dataclass(frozen=True)
class FacilitatorParameters:
    """Facilitator that draws stablecoin for another place through a bridge.

    Its debt is a collateral type, with an id after the other types.
    """

    name: str  # of its contract and its note
    line: int  # whole stablecoins that it may owe, and have lost
    delay: int = 86_400  # seconds from the announcement of a loss to its booking
    minter: str = "bridge"  # role of the account that draws
    flow_cap: int = 0  # whole stablecoins that may be drawn in a window; 0 is no limit; with guards only
    flow_window: int = 86_400  # seconds
    # Symbol of another protocol's coin, which an adapter draws for; the minter is the protocol.
    coin: str = field(default="", metadata=LATER)
    coin_decimals: int = field(default=18, metadata=LATER)

    @property
    def adapter(self) -> str:
        """Name of the facilitator's adapter contract; "" without a coin of another protocol."""
        return f"{self.name}.Adapter" if self.coin else ""


@dataclass(frozen=True)
class PerpetualParameters:
    """Parameters of a perpetual market, which uses the price feed of a collateral type."""

    symbol: str  # of the collateral type whose price counts
    lot: int  # wad of the base asset
    initial: int = 2_000  # basis points of notional
    maintenance: int = 1_000  # basis points of notional
    discount: int = 10_000  # basis points of what margin is short of, to a liquidator
    haircut: int = 5_000  # basis points of realised gains that repay unpaid losses
    max_funding: int = 75  # basis points of the price in 8 hours
    # (above, rate): notional above so many whole stablecoins needs so many basis points more.
    of_accounts: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    of_market: tuple[tuple[int, int], tuple[int, int]] = ((1_000_000, 500), (0, 0))
    open_limit: int = 10**9  # lots
    dust: int = 100  # whole stablecoins of notional
    # Basis points of what is open that insurance has to have; 0: nothing.
    insured: int = field(default=0, metadata=LATER)


@dataclass(frozen=True)
class BackstopParameters:
    """Parameters of the pool that takes over positions in perpetual markets for its members."""

    limit: int = 250_000  # whole stablecoins of notional that its position in a market may be
    notice: int = 86_400  # seconds in a batch of leavers, and from its end until it is due
    leverage: int = 10_000  # basis points of its money that all its positions may be together
    spread: int = 20  # basis points off the mark that it quotes at least
    share: int = 2_500  # basis points of a position that one quote offers
    quote_time: int = 600  # seconds that a quote runs


@dataclass(frozen=True)
class MarginParameters:
    """Parameters of the perpetual markets, with one margin for all positions of an account (cross margin)."""

    markets: tuple[PerpetualParameters, ...]
    facilitator: str = ""  # that bears what nobody else does, by its name; "": none
    policy: str = "by-cycle"  # what becomes of lots of debtors, of MARGIN_POLICIES
    fee_share: int = 1_000  # basis points of a liquidator's reward that are insurance
    bucket: int = 86_400  # seconds in which withdrawn profits are counted as one
    buckets: int = 7  # that pass until they have vested
    cap: int = 1_000_000  # whole stablecoins of insurance that are spent in a bucket of time at most
    income_share: int = 0  # basis points of the surplus that insure it
    insurance_target: int = 0  # whole stablecoins of insurance, above which no surplus does
    window: int = 7_200  # seconds that a cycle is pending at least; at most four times that
    quiet: int = 300  # seconds after the last booking of a loss until a cycle may be final
    # Seconds, of the oldest report that makes a mark, and of the range that it has seen: a block of Ethereum.
    mark_age: int = 12
    band: int = 50  # basis points that a trade's price may be from the mark
    maker_fee: int = 15  # basis points of notional, that are insurance
    taker_fee: int = 15  # basis points of notional, that are insurance
    third_bond: int = 5  # whole stablecoins, to each of those who seize, book and take over a debtor
    backstop: BackstopParameters | None = field(default=None, metadata=LATER)  # None: no pool
    # Basis points that a mark may be from the feed's current price for new risk; 0 is off.
    divergence: int = field(default=2_000, metadata=LATER | {"before": 0})


@dataclass(frozen=True)
class TimelockParameters:
    """Delays of the timelock for proposals of its governor [seconds]."""

    delay: int = 14 * 86_400  # of all that is not below
    window: int = 3 * 86_400  # in which a proposal can be executed once it is ready
    retraction: int = 43_200  # of taking an announced loss of a facilitator back


@dataclass(frozen=True)
class Parameters:
    """Parameters of a whole deployment; integers in the units of the contracts' setters."""

    collateral_types: tuple[CollateralParameters, ...]
    global_debt_ceiling: int = 150_000_000  # whole stablecoins
    global_auction_limit: int = 30_000_000  # whole stablecoins
    epoch_length: int = 7 * 86_400  # seconds
    cap_delay: int = 30 * 86_400  # seconds, longer than any cooldown
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
    facilitators: tuple[FacilitatorParameters, ...] = ()
    margin: MarginParameters | None = None  # None: no margin market
    timelock: TimelockParameters | None = None  # None: one account is the admin, at once
    # Or CalendarCapWaterfall, to compare with.
    waterfall_contract: str = field(default="LossWaterfall", metadata=LATER)
    # Of types with a discount; or PartialSaleDiscount, to compare with.
    discount_contract: str = field(default="FixedDiscount", metadata=LATER)
    # Of types with a stability pool; or InstantStabilityPool, to compare with.
    stability_pool_contract: str = field(default="StabilityPool", metadata=LATER)
    # seconds: the chain's slot, by which auctions of collateral count blocks; 0: they count seconds
    block_time: int = field(default=0, metadata=LATER)

    @property
    def has_discount(self) -> bool:
        """True if unsafe vaults of any type are sold at a fixed discount."""
        return any(each.discount is not None for each in self.collateral_types)

    @property
    def has_stability_pool(self) -> bool:
        """True if unsafe vaults of any type are repaid by a stability pool."""
        return any(each.stability_pool is not None for each in self.collateral_types)

    @property
    def collateral_and_facilitator_names(self) -> tuple[str, ...]:
        """Names of the types by id: symbols of collateral types, then names of facilitators."""
        return (*(each.symbol for each in self.collateral_types), *(each.name for each in self.facilitators))

    def has_stage(self, name: str) -> bool:
        """Return True if a stage of this name is in the loss waterfall."""
        return any(stage.name == name for stage in self.stages)


def replace_stage_caps(parameters: Parameters, stage_name: str, **caps: Any) -> Parameters:
    """Return a copy of the parameters with new caps for one stage."""
    stages = (replace(each, **caps) if each.name == stage_name else each for each in parameters.stages)
    return replace(parameters, stages=tuple(stages))
