"""Records of keepers' views at one block."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any, NamedTuple, Protocol

from backstop.keepers.open_auctions import AuctionBatch
from backstop.model import risk_policy
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up

Tables = Mapping[str, Mapping[Any, Any]]
"""Storage of a contract: by path, then by key."""


class MarketData(NamedTuple):
    """Market data outside the protocol: collateral prices, gas price, and price of the gas coin."""

    prices: tuple[int, ...]  # on other markets, by collateral type, ray
    ether_price: int  # of the coin that gas is paid in, ray
    gas_price: int  # wei a gas
    equity_price: int = 0  # on other markets, ray; 0 if there is no equity
    sources: tuple[int, ...] = ()  # what reporters read, where that is not the market, ray
    clock: int = 0  # seconds from the scenario's start


class ConstantProductPool(NamedTuple):
    """Constant-product market of collateral and stablecoin (Uniswap v2 type).

    Reserves are in wad, the fee in basis points. `unit` is the smallest amount of collateral [wad].
    """

    name: str
    address: str
    collateral: int
    stable: int
    fee: int
    unit: int
    virtual: int = 0  # wad of stablecoin that counts for the price, and that the market does not hold

    @property
    def price(self) -> int:
        """Price of 1e18 of collateral in stablecoin before the fee [ray]."""
        return self.stable * RAY // self.collateral

    def compute_proceeds(self, amount: int) -> int:
        """Return the stablecoin that a sale of collateral brings [wad], rounded as in the contract.

        0 if the market does not hold enough stablecoin, because the sale would revert.
        """
        paid = amount // self.unit * self.unit * (BASIS_POINTS - self.fee)
        if paid == 0:
            return 0
        out = paid * self.stable // (self.collateral * BASIS_POINTS + paid)
        return out if out <= self.stable - self.virtual else 0

    def build_pool_after_sale(self, sold_amount: int) -> ConstantProductPool:
        """Return a copy of the pool after this amount of collateral [wad] was sold to it."""
        moved = sold_amount // self.unit * self.unit
        return self._replace(
            collateral=self.collateral + moved, stable=self.stable - self.compute_proceeds(sold_amount)
        )

    def compute_best_amount(self, price: int) -> int:
        """Return the largest sale with marginal proceeds of at least `price` [ray], in wad, rounded down.

        The stablecoins that the market actually holds limit the amount.
        """
        kept, reserve = BASIS_POINTS - self.fee, self.collateral * BASIS_POINTS
        # The marginal proceeds are kept*stable*reserve / (reserve + kept*amount)**2.
        most = max(0, isqrt(kept * self.stable * reserve * RAY // price) - reserve) // kept
        if self.virtual:
            most = min(most, max(0, self.stable - self.virtual) * reserve // (self.virtual * kept))
        return most

    def compute_largest_profit(self, price: int) -> int:
        """Return an upper bound of the profit of buying at `price` [ray] and selling here [wad]."""
        amount = self.compute_best_amount(price)
        # The best amount is rounded down, by less than what a unit of the token brings.
        return self.compute_proceeds(amount + self.unit) - amount * price // RAY


class Auction(NamedTuple):
    """Open collateral auction with its current price."""

    id: int
    collateral_type: int
    lot: int  # wad
    target: int  # wad
    top: int  # ray
    started_at: int
    price: int  # ray
    needs_reset: bool
    principal: int  # rad
    reward_budget: int  # wad
    version: int  # of its terms

    @property
    def takeable(self) -> bool:
        """True if the auction is open for purchases: it needs no reset and its lot is not empty."""
        return not self.needs_reset and self.lot != 0


class PricedBatch(NamedTuple):
    """Batch of auctions with equal price, and that price at the present block."""

    batch: AuctionBatch
    price: int  # ray
    needs_reset: bool


class PoolMembership(NamedTuple):
    """Member's position in a pool: shares, shares requested for withdrawal, claimable assets [wad]."""

    shares: int
    requested: int
    claimable: int


class ExitBatchStatus(NamedTuple):
    """Status of a pool's withdrawal batches: times of the next closing and payment, and any backlog."""

    cut_from: int | None  # when the batch that collects may be cut; None if it may not, or is empty
    settle_from: int | None  # when the next batch may be paid first; None if none waits for its time
    held_back: bool  # whether a batch that had its time was not paid in full


class EquityAuction(NamedTuple):
    """Equity auction at the present block: amounts in wad, price of 1e18 equity in stablecoin [ray]."""

    contract: str
    collateral_type: int
    lot: int
    target: int
    price: int
    over: bool


class SurplusAuction(NamedTuple):
    """Surplus auction at the present block: stablecoin for sale [wad], price of one coin in equity [ray]."""

    lot: int
    price: int


class Vault(NamedTuple):
    """Vault with its debt at the present block [rad] and the time of its margin call (0 if none)."""

    owner: str
    locked: int
    normalized_debt: int
    debt: int
    called_at: int = 0


class MarginCall(NamedTuple):
    """Running margin call; the vault may be liquidated from `due` until `expires`."""

    owner: str
    called_at: int
    due: int
    expires: int


class Facilitator(NamedTuple):
    """Bridge that draws stablecoin: its present debt [rad], booked and announced losses [wad]."""

    collateral_type: int
    debt: int
    lost: int
    announced: int
    ready_at: int


class Workout(NamedTuple):
    """Open workout: a called vault that its owner repays in instalments.

    `lot` is the collateral; `owed` and `left` are the stablecoin owed at entry and now, all in wad.
    `principal` is in rad.
    """

    id: int
    collateral_type: int
    owner: str
    lot: int
    owed: int
    left: int
    principal: int
    instalments: int
    met: int
    entered_at: int
    interval: int
    discount: int
    ratio: int
    flagged: bool = False

    @property
    def next_due_time(self) -> int:
        """Timestamp at which the first unpaid instalment is due."""
        return self.get_due_time(self.met + 1)

    def get_due_time(self, instalment: int) -> int:
        """Return the timestamp at which an instalment is due; the first instalment has number 1."""
        return self.entered_at + instalment * self.interval

    def is_in_good_standing(self, now: int, price: int) -> bool:
        """Return True if no instalment is late and the collateral meets the workout's ratio at `price` [ray].

        With `price` 0 only the instalments are checked. True if nothing is owed.
        """
        short = price != 0 and self.lot * price * BASIS_POINTS < self.principal * self.ratio
        return self.principal == 0 or (now <= self.next_due_time and not short)

    def compute_arrears(self, instalment_count: int) -> int:
        """Return the unpaid part of the first `instalment_count` instalments [wad]."""
        return max(0, div_up(self.owed * instalment_count, self.instalments) - (self.owed - self.left))


class VaultFinder(Protocol):
    """Source that finds vaults by ratio or margin call faster than a scan of all vaults (interface)."""

    def list_vaults_below_ratio(
        self, collateral_type: int, ratio: int, price: int, rate: int, policy: risk_policy.Terms
    ) -> list[Vault]:
        """Return the vaults below a ratio [basis points] plus the margin add-on for their size.

        Debts are computed with the accumulated rate `rate` [ray].
        """
        ...

    def list_vaults_ever_called(self, collateral_type: int, rate: int) -> list[Vault]:
        """Return the vaults of a type with a recorded margin call, even if it was met or has expired."""
        ...
