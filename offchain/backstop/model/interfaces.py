"""Interfaces between contracts: one Protocol for each file of contracts/interfaces, and its structs.

A function takes the caller's address as `sender`, then the parameters of its .vyi file, which describes the
function. Structs that are stored as one slot of storage say how they are packed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from backstop.contract_base import ZERO_ADDRESS, declare_record_slot_bit_widths
from backstop.model.arithmetic import mul_uint256

NORMAL, CAUTION, EMERGENCY, SETTLEMENT = range(4)
"""Modes of the protocol."""
MAX_DATA = 1024
"""Bytes that a taker may be handed."""
MAX_DECIMALS = 18
"""Decimals that a collateral token may have."""

bytes32 = bytes


class IERC20(Protocol):
    """Interface of an ERC-20 token; a call that returns no value counts as True."""

    def transfer(self, sender: str, to: str, amount: int) -> bool: ...
    def approve(self, sender: str, spender: str, amount: int) -> bool: ...
    def transferFrom(self, sender: str, owner: str, to: str, amount: int) -> bool: ...
    def totalSupply(self, sender: str) -> int: ...
    def balanceOf(self, sender: str, owner: str) -> int: ...
    def allowance(self, sender: str, owner: str, spender: str) -> int: ...
    def decimals(self, sender: str) -> int: ...


class IAggregator(Protocol):
    """Interface of a Chainlink price feed (AggregatorV3Interface), limited to the functions used here."""

    def decimals(self, sender: str) -> int: ...
    def latestRoundData(self, sender: str) -> tuple[int, int, int, int, int]: ...


class IAuctionTaker(Protocol):
    """Interface of an auction buyer's callback, which runs between delivery and payment."""

    def on_auction_take(
        self, sender: str, taker: str, auction_id: int, collateral: int, payment: int, data: bytes
    ) -> None: ...


class ICollateralAuction(Protocol):
    """Interface of the collateral auctions for the ledger, the liquidation engine and the workouts.

    A workout is the repayment of a called vault in instalments.
    """

    def start(
        self, sender: str, collateral_type: int, owner: str, lot: int, principal: int, price: int
    ) -> tuple[int, int]: ...
    def set_minimum(self, sender: str, collateral_type: int, debt_floor: int) -> None: ...
    def check_terms(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None: ...
    def reserve_id(self, sender: str) -> int: ...
    def settle_payment(
        self,
        sender: str,
        collateral_type: int,
        payer: str,
        paid: int,
        principal: int,
        surplus: int,
        owner: str,
        returned: int,
    ) -> None: ...
    def foreclose(
        self,
        sender: str,
        auction_id: int,
        collateral_type: int,
        owner: str,
        lot: int,
        principal: int,
        price: int,
        reward_receiver: str,
    ) -> None: ...
    def unwind_workout(
        self, sender: str, collateral_type: int, owner: str, lot: int, principal: int
    ) -> None: ...
    def salvage_on_sale(self, sender: str, collateral_type: int) -> int: ...
    def position_of(self, sender: str, auction_id: int) -> tuple[int, str, int, int]: ...
    def write_off(self, sender: str, collateral_type: int, principal: int) -> None: ...
    def settle_sale(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        buyer: str,
        collateral: int,
        paid: int,
        principal: int,
        fee: int,
        receiver: str,
        data: bytes,
    ) -> None: ...


@declare_record_slot_bit_widths(128, 32)
class Announcement(NamedTuple):
    """Loss that a facilitator has announced and not booked yet, and the time from which it can be booked."""

    amount: int = 0  # wad; 0 is none
    ready_at: int = 0  # seconds


class IBridgeFacilitator(Protocol):
    """Interface of a bridge's facilitator for its bridge and the role SHORTFALL; stablecoin in wad."""

    def draw(self, sender: str, amount: int, receiver: str) -> None: ...
    def repay(self, sender: str, amount: int) -> int: ...
    def announce_loss(self, sender: str, amount: int) -> None: ...
    def mint_for_loss(self, sender: str, amount: int, receiver: str) -> int: ...
    def recover(self, sender: str, amount: int) -> int: ...
    def announcement(self, sender: str) -> Announcement: ...


class IEquity(Protocol):
    """Interface of the equity token for the auctions and the recovery claims; amounts in wad."""

    def mint(self, sender: str, to: str, amount: int) -> None: ...
    def reserve_mint(self, sender: str, amount: int) -> None: ...
    def release_mint(self, sender: str, amount: int) -> None: ...
    def mint_reserved(self, sender: str, to: str, amount: int, given_up: int) -> None: ...
    def burn(self, sender: str, owner: str, amount: int) -> None: ...
    def mintable(self, sender: str) -> int: ...


class IEquityAuction(Protocol):
    """Interface of the equity auction for the pool whose stake it sells; equity in wad."""

    def pending_assets(self, sender: str, loss: int) -> int: ...
    def under_auction(self, sender: str) -> int: ...


class ILiquidationEngine(Protocol):
    """Interface of the liquidation engine: margin calls, liquidations, and debt that may be lost."""

    def move_to_workout(
        self, sender: str, collateral_type: int, owner: str, collateral: int, normalized_debt: int
    ) -> None: ...
    def satisfies_margin_call(
        self, sender: str, collateral_type: int, locked_collateral: int, debt: int
    ) -> bool: ...
    def write_down(self, sender: str, collateral_type: int, amount: int) -> int: ...
    def flag(self, sender: str, collateral_type: int, owner: str) -> int: ...
    def debt_at_risk_of(self, sender: str, collateral_type: int) -> int: ...
    def debt_at_risk_total(self, sender: str) -> int: ...
    def flagged_of(self, sender: str, collateral_type: int) -> int: ...
    def liquidate_and_buy(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        max_collateral: int,
        max_repay: int,
        max_price: int,
        receiver: str,
        data: bytes,
    ) -> tuple[int, int]: ...
    def is_policy(self, sender: str, policy: str) -> bool: ...
    def max_marginal_add_on_of(self, sender: str, collateral_type: int) -> int: ...
    def check_mechanism(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None: ...


class Position(NamedTuple):
    """Unsafe vault as the liquidation engine passes it to a liquidation mechanism."""

    locked_collateral: int  # wad
    normalized_debt: int  # wad
    accumulated_rate: int  # ray
    liquidation_ratio: int  # basis points
    debt_floor: int  # rad
    unit: int  # wad of one raw token unit
    price: int  # ray, at which it is sold before any bonus
    buyer: str = ZERO_ADDRESS  # whose stablecoin is burned


class Sale(NamedTuple):
    """Amounts of a planned sale: collateral, normalized debt, payment and fee [wad]."""

    collateral: int
    normalized_debt: int
    paid: int
    fee: int  # of the collateral


class ILiquidationMechanism(Protocol):
    """Interface of a liquidation mechanism, the contract that prices the sale of an unsafe vault."""

    def plan_sale(
        self,
        sender: str,
        collateral_type: int,
        position: Position,
        max_collateral: int,
        max_repay: int,
    ) -> Sale: ...
    def can_auction(self, sender: str, collateral_type: int, position: Position) -> bool: ...
    def check_sale_terms(self, sender: str, collateral_type: int, liquidation_ratio: int) -> None: ...


class ILossWaterfall(Protocol):
    """Interface of the loss waterfall for the ledger, the pools and its stages; amounts in rad."""

    def recognise(self, sender: str, collateral_type: int, amount: int) -> None: ...
    def retire(self, sender: str, collateral_type: int) -> None: ...
    def cover(self, sender: str, collateral_type: int) -> int: ...
    def book_payment(self, sender: str, collateral_type: int, payer: str, amount: int) -> None: ...
    def release(self, sender: str, collateral_type: int) -> None: ...
    def losses_reaching(self, sender: str, stage: str) -> int: ...
    def losses_at_payment(self, sender: str, stage: str) -> int: ...
    def reserved_of(self, sender: str, collateral_type: int) -> int: ...
    def debt_at_risk_total(self, sender: str) -> int: ...
    def debt_at_risk_at_payment(self, sender: str) -> int: ...
    def pending_total(self, sender: str) -> int: ...
    def CAP_DELAY(self, sender: str) -> int: ...
    def EPOCH_LENGTH(self, sender: str) -> int: ...
    def wind_up(self, sender: str) -> None: ...
    def close_books(self, sender: str) -> None: ...


@declare_record_slot_bit_widths(104, 104, 32)
class Insurance(NamedTuple):
    """Insurance fund of the perpetual markets: its amount, and the part spent in a time bucket [wad]."""

    amount: int = 0  # wad
    spent: int = 0  # wad, in the bucket of time
    bucket: int = 0


class IMarginFund(Protocol):
    """Interface of the perpetual markets' insurance fund; stablecoin in wad."""

    def absorb(self, sender: str, loss: int, most: int) -> int: ...
    def cover(self, sender: str, cycle: int, markets: int) -> tuple[int, tuple[int, ...]]: ...
    def allocate(self, sender: str, late: int, cycle: int, markets: int) -> tuple[int, tuple[int, ...]]: ...
    def lock(self, sender: str, owner: str, amount: int) -> None: ...
    def add_fees(self, sender: str, amount: int) -> None: ...
    def insure(self, sender: str, amount: int) -> None: ...
    def insurance_of(self, sender: str) -> Insurance: ...
    def spendable(self, sender: str) -> int: ...


class Standing(NamedTuple):
    """Margin account's value at the mark prices, known haircuts, and gains that are not final [wei].

    A haircut is the part of a gain that pays other accounts' losses.
    """

    own: int  # wei
    haircut: int  # wei
    unfinal: int  # wei


class Holding(NamedTuple):
    """Position in a perpetual market, with the market's last mark price and open interest in lots."""

    market: int
    size: int  # lots
    price: int  # wei a lot
    open: int  # lots


@declare_record_slot_bit_widths(128, 128)
class SideTotals(NamedTuple):
    """Total of a figure over the long accounts of a market, and over the short ones [lots or wei]."""

    long: int = 0
    short: int = 0


class Gains(NamedTuple):
    """Account's gains in the last ended cycle, long and short, and its worth at the cycle's end [wei]."""

    cycle: int
    long: int
    short: int
    worth: int


class Mark(NamedTuple):
    """Mark price and the lowest and highest reported price of the seconds before; zeros without a price."""

    price: int = 0  # ray, or wei a lot
    low: int = 0
    high: int = 0


@declare_record_slot_bit_widths(32, 32, 32, 32, 8)
class Clock(NamedTuple):
    """State of the perpetual markets' settlement cycle.

    It holds the open cycle's number, its start time, the time of the last booked loss, the count of cycles
    with losses, and a bit for each market with a final price.
    """

    cycle: int = 0
    rolled_at: int = 0
    booked_at: int = 0  # seconds; 0 is not yet
    lossy: int = 0
    ended: int = 0


@declare_record_slot_bit_widths(-110, -110)
class Values(NamedTuple):
    """Values of one lot in a market [wei]: a long lot is worth `long`, and a short lot owes `short`.

    Both values are zero at the first mark price.
    """

    long: int = 0
    short: int = 0

    def of(self, signed_lots: int) -> int:
        """Return the value of a position of `signed_lots` lots [wei]; a negative number is short."""
        return signed_lots * (self.long if signed_lots > 0 else self.short)


class IPerpetualMarket(Protocol):
    """Interface of the perpetual markets for their trading contract.

    Stablecoin is in wad, prices are in wei a lot.
    """

    def execute_trade(
        self,
        sender: str,
        market: int,
        buyer: str,
        seller: str,
        delta: int,
        price: int,
        buyer_gets: int,
        seller_gets: int,
    ) -> None: ...
    def reward(self, sender: str, finder: str, amount: int) -> None: ...
    def accrue(self, sender: str, market: int) -> Mark: ...
    def update_account(self, sender: str, owner: str) -> None: ...
    def gains_of(self, sender: str, owner: str, market: int) -> Gains: ...
    def clock_of(self, sender: str) -> Clock: ...
    def cycle_of(
        self, sender: str, market: int, cycle: int
    ) -> tuple[SideTotals, SideTotals, Values, SideTotals]: ...
    def POLICY(self, sender: str) -> str: ...
    def FUND(self, sender: str) -> str: ...
    def mark_of(self, sender: str, market: int) -> int: ...
    def rewards(self, sender: str) -> int: ...
    def standing_of(self, sender: str, owner: str) -> Standing: ...
    def lots_of(self, sender: str, market: int) -> tuple[int, int]: ...
    def holdings_of(self, sender: str, owner: str) -> tuple[Holding, ...]: ...


class MarginAccount(NamedTuple):
    """Account of the perpetual markets, as of its last update."""

    cash: int  # wei
    markets: int  # by bits: those in which it has something that is not final
    cycle: int
    seen: int  # cycles with losses that it has gone through
    bond: int  # parts of it that are left


class IAccounts(Protocol):
    """Interface of the perpetual markets for contracts that hold an account there; stablecoin in wad."""

    def STABLECOIN(self, sender: str) -> str: ...
    def POLICY(self, sender: str) -> str: ...
    def MARK_AGE(self, sender: str) -> int: ...
    def late(self, sender: str) -> int: ...
    def account_of(self, sender: str, owner: str) -> MarginAccount: ...
    def paid_in(self, sender: str, owner: str) -> int: ...
    def deposit(self, sender: str, owner: str, amount: int) -> None: ...
    def withdraw(self, sender: str, amount: int, receiver: str) -> int: ...
    def take(self, sender: str, market: int, lots: int) -> None: ...
    def liquidate(self, sender: str, owner: str, market: int, lots: int) -> int: ...


class IPerpetualTrading(Protocol):
    """Interface of the trading contract for orders, markets and deleveraging contracts."""

    def trade(
        self,
        sender: str,
        market: int,
        maker: str,
        taker: str,
        delta: int,
        price: int,
        maker_reduces: bool,
        taker_reduces: bool,
    ) -> None: ...
    def check_risk(self, sender: str, owner: str) -> None: ...
    def deleverage(
        self,
        sender: str,
        market: int,
        side: int,
        accounts: tuple[str, ...],
        most: tuple[int, ...],
        prover: str,
        executor: str,
    ) -> tuple[tuple[int, ...], int]: ...


class MarginRequirement(NamedTuple):
    """Price, notional value, initial margin and maintenance margin of a position."""

    price: int  # wei a lot
    notional: int  # wei
    initial: int  # basis points x wei
    maintenance: int  # basis points x wei


class Takeover(NamedTuple):
    """Position that a liquidator takes over, with the equity and margin requirements of its account."""

    market: int
    whole: int  # lots of the position
    lots: int  # that are taken over at most
    price: int  # wei a lot
    equity: int  # wei, of the account
    initial: int  # basis points x wei, of the account
    maintenance: int  # basis points x wei, of the account


class IMarginPolicy(Protocol):
    """Interface of the margin policy: prices [wei a lot], margins [basis points x wei] and rewards."""

    def markets(self, sender: str) -> int: ...
    def maintenance(self, sender: str, market: int, notional: int) -> int: ...
    def reward(self, sender: str, takeover: Takeover) -> tuple[int, int]: ...
    def open_limit(self, sender: str, market: int) -> int: ...
    def insured(self, sender: str, market: int) -> int: ...
    def haircut(self, sender: str, market: int) -> int: ...
    def margin_requirement(
        self, sender: str, market: int, size: int, price: int, open: int, risk: bool
    ) -> MarginRequirement: ...
    def mark_price(self, sender: str, market: int, age: int) -> Mark: ...
    def index_price(self, sender: str, market: int) -> int: ...
    def final_price(self, sender: str, market: int) -> int: ...
    def max_funding_premium(self, sender: str, market: int, price: int) -> int: ...
    def ends_at(self, sender: str, market: int) -> int: ...


class IPool(Protocol):
    """Interface of a pool for the protocol; assets in wad, losses in rad."""

    def add_income(self, sender: str, assets: int) -> None: ...
    def claw_back(self, sender: str, collateral_type: int, amount: int) -> int: ...
    def unvested(self, sender: str) -> int: ...
    def totalSupply(self, sender: str) -> int: ...


class IEquityPool(Protocol):
    """Interface of the pool of staked equity for the auction that sells its stake; equity in wad."""

    def slash(self, sender: str, assets: int, receiver: str) -> int: ...
    def restore(self, sender: str, assets: int) -> None: ...
    def slashable(self, sender: str) -> int: ...


@declare_record_slot_bit_widths(112, 112, 32)
class Prices(NamedTuple):
    """Current price and next price of a feed [ray], and the time until which they are fresh [seconds]."""

    current: int = 0  # ray
    next: int = 0  # ray; 0 if nothing may be lent at it
    fresh_until: int = 0  # seconds


class IPriceFeed(Protocol):
    """Interface of the price feed; prices in ray for 1e18 of collateral, 0 means no price."""

    def report(self, sender: str, collateral_type: int, price: int) -> None: ...
    def risk_price(self, sender: str, collateral_type: int) -> int: ...
    def current_price(self, sender: str, collateral_type: int) -> int: ...
    def liquidation_price(self, sender: str, collateral_type: int) -> int: ...
    def auction_price(self, sender: str, collateral_type: int) -> int: ...
    def sale_prices(self, sender: str, collateral_type: int) -> tuple[int, int]: ...
    def reporters_of(self, sender: str, collateral_type: int) -> tuple[str, ...]: ...
    def highest_and_average(self, sender: str, collateral_type: int) -> tuple[int, int]: ...
    def last_price(self, sender: str, collateral_type: int) -> int: ...
    def mark_within(self, sender: str, collateral_type: int, age: int, at: int) -> Mark: ...
    def time_weighted(self, sender: str, collateral_type: int) -> int: ...
    def current_and_average(self, sender: str, collateral_type: int) -> tuple[int, int]: ...
    def set_price(self, sender: str, collateral_type: int, price: int) -> None: ...
    def issuer_of(self, sender: str, collateral_type: int) -> str: ...
    def prices_of(self, sender: str, collateral_type: int) -> Prices: ...
    def begin_final_price(self, sender: str, collateral_type: int) -> None: ...
    def plan_final_price(self, sender: str, collateral_type: int, at: int) -> None: ...
    def final_price(self, sender: str, collateral_type: int) -> tuple[bool, int]: ...
    def final_price_from(self, sender: str, collateral_type: int, at: int) -> tuple[bool, int]: ...
    def withheld(self, sender: str, collateral_type: int) -> int: ...
    def withdrawals_paused_until(self, sender: str) -> int: ...


class IRecoveryClaims(Protocol):
    """Interface of a pool's recovery claims, tokens that are repaid from later income, in wad."""

    def record(self, sender: str, generation: int, shares: int, amount: int) -> int: ...
    def issue(
        self, sender: str, owner: str, shares: int, generation: int, mark: int, end: int, last: int
    ) -> None: ...
    def repay(self, sender: str, amount: int) -> int: ...
    def repayable(self, sender: str, most: int) -> int: ...
    def outstanding(self, sender: str) -> int: ...


class NewRisk(NamedTuple):
    """Draw and withdrawal that a risk policy checks, with the vault's and its type's debt afterwards."""

    collateral_type: int
    locked_collateral: int  # wad, of the vault afterwards
    debt: int  # rad, of the vault afterwards
    initial_ratio: int  # basis points
    drawn: int  # wad of stablecoin
    withdrawn: int  # wad of collateral
    type_debt: int  # rad of the type afterwards: performing, under auction, in deficit
    performing: int  # rad of the type afterwards
    performing_before: int  # rad


@declare_record_slot_bit_widths(16, 24, 24)
class CallTerms(NamedTuple):
    """Terms of margin calls: the call ratio, the grace period, and the time to liquidate after it."""

    ratio: int = 0  # basis points of debt; under it a vault may be called
    grace: int = 0  # seconds from the call until liquidation
    valid: int = 0  # seconds from then on in which it may happen


class Bracket(NamedTuple):
    """Step of the margin for large debts: debt above `above` whole stablecoins needs `rate` more.

    The rate is in basis points.
    """

    above: int
    rate: int


class IRiskPolicy(Protocol):
    """Interface of the risk policy: limits on new debt and withdrawals, and margins for large vaults."""

    def check_new_risk(self, sender: str, risk: NewRisk) -> int: ...
    def reprice(self, sender: str, collateral_type: int, performing: int, performing_before: int) -> int: ...
    def add_on(self, sender: str, collateral_type: int, debt: int) -> int: ...
    def max_marginal_add_on(self, sender: str, collateral_type: int) -> int: ...
    def call_terms(self, sender: str, collateral_type: int) -> CallTerms: ...
    def auction_limit_factor(self, sender: str) -> int: ...
    def mode(self, sender: str) -> int: ...
    def set_mode(self, sender: str, new: int) -> None: ...
    def fee_at(self, sender: str, collateral_type: int, performing: int) -> int: ...
    def VAULT_ENGINE(self, sender: str) -> str: ...


class IStablecoin(Protocol):
    """Interface of the stablecoin for the ledger, which mints and burns it."""

    def mint(self, sender: str, to: str, amount: int) -> int: ...
    def burn(self, sender: str, owner: str, amount: int) -> int: ...
    def burn_allowed(self, sender: str, owner: str, spender: str, amount: int) -> int: ...


class IStage(Protocol):
    """Interface of a stage (one source of funds of the loss waterfall); amounts in rad."""

    def capacity(self, sender: str, collateral_type: int) -> int: ...
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]: ...


class ITreasury(Protocol):
    """Interface of the treasury for the surplus auction; stablecoin in wad."""

    def sell(self, sender: str, amount: int, receiver: str) -> None: ...
    def for_sale(self, sender: str) -> int: ...


@declare_record_slot_bit_widths(160, 32, 20, 16, 16, 5, 1, 1, 1)
class Terms(NamedTuple):
    """Terms of a collateral type: token, debt limits, collateral ratios and state."""

    token: str = ZERO_ADDRESS
    debt_ceiling: int = 0  # whole stablecoins
    debt_floor: int = 0  # whole stablecoins
    liquidation_ratio: int = 0  # basis points
    initial_ratio: int = 0  # basis points
    decimals: int = 0  # of the token
    dynamic: bool = False  # whether the fee follows utilisation
    replaced: bool = False  # whether the risk policy is not the one at deployment
    settling: bool = False  # whether settlement has begun, or the type is retired

    @property
    def unit(self) -> int:
        """Value of one raw unit of the token [wad]."""
        return int(10 ** (MAX_DECIMALS - self.decimals))


@declare_record_slot_bit_widths(104, 104, 32, 1, 15)
class Vault(NamedTuple):
    """Vault: collateral, normalized debt, margin call and open liquidations."""

    locked_collateral: int = 0  # wad
    normalized_debt: int = 0  # wad
    called_at: int = 0  # seconds; 0 is no margin call
    liquidated: bool = False  # whether it ever was
    open_lots: int = 0  # its auctions and workouts that are not over


@declare_record_slot_bit_widths(104, 104, 32, 2, 14)
class Debts(NamedTuple):
    """Debt of a collateral type: normalized debt, accumulated rate, time of the last accrual, flags."""

    normalized_debt: int = 0  # wad
    accumulated_rate: int = 0  # ray
    accrued_at: int = 0  # seconds
    distressed: int = 0  # bits of DISTRESSED and SURCHARGED
    buffer_share: int = 0  # basis points of fees

    @property
    def performing(self) -> int:
        """Performing debt of the collateral type at the accumulated rate [rad]."""
        return mul_uint256(self.normalized_debt, self.accumulated_rate)


@declare_record_slot_bit_widths(104, 32, 14, 104)
class Redistribution(NamedTuple):
    """Losses charged to a collateral type's borrowers in an epoch and in the one before it."""

    added: int = 0  # ray that the accumulated rate took on
    ends: int = 0  # seconds, when that epoch ends
    cap: int = 0  # basis points of the rate for two epochs
    before: int = 0  # ray that it took on in the epoch before

    @property
    def used(self) -> int:
        """Rise of the accumulated rate by redistribution of losses to borrowers in both epochs [ray]."""
        return self.added + self.before


class VaultState(NamedTuple):
    """Vault and collateral type figures that a liquidation reads in one call."""

    locked_collateral: int  # wad
    normalized_debt: int  # wad
    accumulated_rate: int  # ray
    liquidation_ratio: int  # basis points
    debt_floor: int  # rad
    room: int  # rad of principal that may still go under auction
    unit: int  # wad of one raw token unit
    called_at: int  # seconds; 0 is not called
    replaced: int  # 1 if the risk policy is not the one at deployment
    has_mechanism: int  # 1 if a liquidation mechanism sells the type's vaults


class IVaultEngine(Protocol):
    """Interface of the vault engine; collateral and stablecoin in wad, debt in rad, rates in ray."""

    def has_role(self, sender: str, role: bytes32, account: str) -> bool: ...
    def admin(self, sender: str) -> str: ...
    def PRICE_FEED(self, sender: str) -> str: ...
    def deposit_and_draw(
        self, sender: str, collateral_type: int, owner: str, deposit: int, draw: int, receiver: str
    ) -> None: ...
    def repay_and_withdraw(
        self, sender: str, collateral_type: int, owner: str, repay: int, withdraw: int, receiver: str
    ) -> None: ...
    def approve_operator(self, sender: str, operator: str, approved: bool) -> None: ...
    def accrue(self, sender: str, collateral_type: int) -> int: ...
    def accrue_and_read(
        self, sender: str, collateral_type: int, owner: str, auction_limit_factor: int
    ) -> VaultState: ...
    def set_called(self, sender: str, collateral_type: int, owner: str) -> None: ...
    def note_mechanism(self, sender: str, collateral_type: int) -> None: ...
    def seize(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        collateral: int,
        normalized_debt: int,
        receiver: str,
        reward: int,
    ) -> None: ...
    def release(self, sender: str, collateral_type: int, amount: int, receiver: str) -> None: ...
    def settle_take(
        self,
        sender: str,
        collateral_type: int,
        payer: str,
        paid: int,
        principal: int,
        surplus: int,
        owner: str,
        returned: int,
    ) -> None: ...
    def write_off(
        self, sender: str, collateral_type: int, owner: str, principal: int, salvage: int
    ) -> None: ...
    def reward(self, sender: str, collateral_type: int, receiver: str, amount: int) -> None: ...
    def take_salvage(self, sender: str, collateral_type: int, amount: int) -> None: ...
    def begin_settlement(self, sender: str) -> None: ...
    def unwind(self, sender: str, collateral_type: int, owner: str, lot: int, principal: int) -> None: ...
    def skim(self, sender: str, collateral_type: int, owner: str, taken: int, worth: int) -> None: ...
    def net(self, sender: str) -> int: ...
    def redeem(self, sender: str, owner: str, amount: int) -> None: ...
    def pay_out(self, sender: str, collateral_type: int, amount: int, receiver: str) -> None: ...
    def vault(self, sender: str, collateral_type: int, owner: str) -> Vault: ...
    def total_debt(self, sender: str) -> int: ...
    def add_collateral_type(
        self, sender: str, token: str, liquidation_ratio: int, initial_ratio: int
    ) -> int: ...
    def retire_collateral_type(self, sender: str, collateral_type: int) -> None: ...
    def set_debt_ceiling(self, sender: str, collateral_type: int, new: int) -> None: ...
    def set_debt_floor(self, sender: str, collateral_type: int, new: int) -> None: ...
    def set_ratios(
        self, sender: str, collateral_type: int, liquidation_ratio: int, initial_ratio: int
    ) -> None: ...
    def set_stability_fee(self, sender: str, collateral_type: int, new: int) -> None: ...
    def set_fee_dynamic(self, sender: str, collateral_type: int, dynamic: bool) -> None: ...
    def set_buffer_share(self, sender: str, collateral_type: int, new: int) -> None: ...
    def set_auction_limit(self, sender: str, collateral_type: int, new: int) -> None: ...
    def set_redistribution_cap(self, sender: str, collateral_type: int, new: int) -> None: ...
    def set_global_debt_ceiling(self, sender: str, new: int) -> None: ...
    def set_global_auction_limit(self, sender: str, new: int) -> None: ...
    def terms_of(self, sender: str, collateral_type: int) -> Terms: ...
    def unit_of(self, sender: str, collateral_type: int) -> int: ...
    def debt_floor_of(self, sender: str, collateral_type: int) -> int: ...
    def cover_from_buffer(self, sender: str, collateral_type: int, amount: int) -> None: ...
    def cover_from_reserve(self, sender: str, collateral_type: int, amount: int) -> None: ...
    def cover_from_tokens(self, sender: str, collateral_type: int, payer: str, amount: int) -> int: ...
    def give_to_reserve(self, sender: str, amount: int) -> None: ...
    def cover_from_buyer(
        self, sender: str, collateral_type: int, payer: str, stage: str, amount: int
    ) -> int: ...
    def cover_by_redistribution(self, sender: str, collateral_type: int, amount: int) -> int: ...
    def spend_reserve(self, sender: str, amount: int, receiver: str) -> None: ...
    def redistribution_room(self, sender: str, collateral_type: int) -> int: ...
    def debts_of(self, sender: str, collateral_type: int) -> Debts: ...
    def risk_policy(self, sender: str) -> str: ...
    def set_risk_policy(self, sender: str, new: str) -> None: ...
    def stability_fee_of(self, sender: str, collateral_type: int) -> int: ...
    def buffer_of(self, sender: str, collateral_type: int) -> int: ...
    def in_auction_of(self, sender: str, collateral_type: int) -> int: ...
    def auction_limit_of(self, sender: str, collateral_type: int) -> int: ...
    def deficit_of(self, sender: str, collateral_type: int) -> int: ...
    def deficit_when_idle(self, sender: str, collateral_type: int) -> int: ...
    def salvage_of(self, sender: str, collateral_type: int) -> int: ...
    def redistribution_of(self, sender: str, collateral_type: int) -> Redistribution: ...
    def reserve(self, sender: str) -> int: ...
    def in_settlement(self, sender: str) -> bool: ...
    def operators(self, sender: str, owner: str, operator: str) -> bool: ...
    def collateral_types(self, sender: str) -> int: ...
    def listed(self, sender: str) -> int: ...
    def types_under_auction(self, sender: str) -> int: ...
    def global_auction_limit(self, sender: str) -> int: ...
    def settled(self, sender: str) -> int: ...


class IWorkouts(Protocol):
    """Interface of the workouts (repayments in instalments) for auctions and liquidations."""

    def position_of(self, sender: str, workout_id: int) -> tuple[int, str, int, int]: ...
    def unflagged_principal_of(self, sender: str, collateral_type: int) -> int: ...
