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
    """Data outside the protocol's state: prices on other markets, and of gas."""

    prices: tuple[int, ...]  # on other markets, by collateral type, ray
    ether_price: int  # of the coin that gas is paid in, ray
    gas_price: int  # wei a gas
    equity_price: int = 0  # on other markets, ray; 0 if there is no equity
    sources: tuple[int, ...] = ()  # what reporters read, where that is not the market, ray
    clock: int = 0  # seconds from the scenario's start


class ConstantProductPool(NamedTuple):
    """A constant-product market: reserves in wad, fee in basis points, the token's unit in wad."""

    name: str
    address: str
    collateral: int
    stable: int
    fee: int
    unit: int
    virtual: int = 0  # wad of stablecoin that counts for the price, and that the market does not hold

    @property
    def price(self) -> int:
        """Stablecoin for 1e18 of collateral, before the fee [ray]."""
        return self.stable * RAY // self.collateral

    def compute_proceeds(self, amount: int) -> int:
        """Return the stablecoin for an amount of collateral, as the market computes it [wad].

        0 if the market does not hold so much: such a sale reverts.
        """
        paid = amount // self.unit * self.unit * (BASIS_POINTS - self.fee)
        if paid == 0:
            return 0
        out = paid * self.stable // (self.collateral * BASIS_POINTS + paid)
        return out if out <= self.stable - self.virtual else 0

    def build_pool_after_sale(self, sold_amount: int) -> ConstantProductPool:
        """Return the pool once this much collateral is sold to it."""
        moved = sold_amount // self.unit * self.unit
        return self._replace(
            collateral=self.collateral + moved, stable=self.stable - self.compute_proceeds(sold_amount)
        )

    def compute_best_amount(self, price: int) -> int:
        """Return the most to sell so that the last piece still brings `price` (ray) [wad], rounded down.

        No more than the stablecoins that the market holds pay for.
        """
        kept, reserve = BASIS_POINTS - self.fee, self.collateral * BASIS_POINTS
        # The marginal proceeds are kept*stable*reserve / (reserve + kept*amount)**2.
        most = max(0, isqrt(kept * self.stable * reserve * RAY // price) - reserve) // kept
        if self.virtual:
            most = min(most, max(0, self.stable - self.virtual) * reserve // (self.virtual * kept))
        return most

    def compute_largest_profit(self, price: int) -> int:
        """Return the most that buying at a price (ray) and selling here could bring [wad], rounded up."""
        amount = self.compute_best_amount(price)
        # The best amount is rounded down, by less than what a unit of the token brings.
        return self.compute_proceeds(amount + self.unit) - amount * price // RAY


class Auction(NamedTuple):
    """An open auction at the present block."""

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
        """Whether it can be bought from."""
        return not self.needs_reset and self.lot != 0


class PricedBatch(NamedTuple):
    """Auctions that cost the same, at the present block."""

    batch: AuctionBatch
    price: int  # ray
    needs_reset: bool


class PoolMembership(NamedTuple):
    """A member's part in a pool: shares held, those committed to batches, and the claimable assets [wad]."""

    shares: int
    requested: int
    claimable: int


class ExitBatchStatus(NamedTuple):
    """State of a pool's batches: the next possible cut and settlement, and their times [seconds]."""

    cut_from: int | None  # when the batch that collects may be cut; None if it may not, or is empty
    settle_from: int | None  # when the next batch may be paid first; None if none waits for its time
    held_back: bool  # whether a batch that had its time was not paid in full


class EquityAuction(NamedTuple):
    """A sale of equity at the present block: equity and stablecoin in wad, the price in ray."""

    contract: str
    collateral_type: int
    lot: int
    target: int
    price: int
    over: bool


class SurplusAuction(NamedTuple):
    """The sale of surplus at the present block: stablecoin in wad, the price in equity for one, ray."""

    lot: int
    price: int


class Vault(NamedTuple):
    """A vault with its debt at the present block (rad) and the time of its margin call (0: none)."""

    owner: str
    locked: int
    normalized_debt: int
    debt: int
    called_at: int = 0


class MarginCall(NamedTuple):
    """A margin call under way: the vault may be liquidated from `due` until `expires`."""

    owner: str
    called_at: int
    due: int
    expires: int


class Facilitator(NamedTuple):
    """A bridge's debt at the present block (rad), its booked and its announced losses (wad)."""

    collateral_type: int
    debt: int
    lost: int
    announced: int
    ready_at: int


class Workout(NamedTuple):
    """An open workout: the lot, stablecoin owed at first and left to pay (wad); its principal (rad)."""

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
        """The time at which the first instalment that is not met is due."""
        return self.get_due_time(self.met + 1)

    def get_due_time(self, instalment: int) -> int:
        """Return the time at which instalment k is due, from 1 on."""
        return self.entered_at + instalment * self.interval

    def is_in_good_standing(self, now: int, price: int) -> bool:
        """Return whether nothing is overdue and the lot is worth its ratio at a price (ray; 0 is none)."""
        short = price != 0 and self.lot * price * BASIS_POINTS < self.principal * self.ratio
        return self.principal == 0 or (now <= self.next_due_time and not short)

    def compute_arrears(self, instalment_count: int) -> int:
        """Return what is unpaid of the first k instalments [wad]."""
        return max(0, div_up(self.owed * instalment_count, self.instalments) - (self.owed - self.left))


class VaultFinder(Protocol):
    """Keeper of an order of vaults, which finds some without a look at all; debts are at `rate`."""

    def list_vaults_below_ratio(
        self, collateral_type: int, ratio: int, price: int, rate: int, policy: risk_policy.Terms
    ) -> list[Vault]:
        """Return the vaults under a ratio (basis points) and their size's add-on."""
        ...

    def list_vaults_ever_called(self, collateral_type: int, rate: int) -> list[Vault]:
        """Return the vaults that were ever called and still have the mark of it."""
        ...
