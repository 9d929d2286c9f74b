"""The last resort: winds the protocol up so that every holder of stablecoin is paid pro rata.

Unwound auctions, final prices, skimmed vaults, a last cover, closed books; then stablecoin is redeemed for a
share of each collateral. The result depends neither on the caller of a step, nor on the order within it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from backstop.contract_base import (
    RevertError,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, add_uint256, div_up, mul_uint256
from backstop.model.interfaces import ICollateralAuction, ILossWaterfall, IVaultEngine
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import Administered


@declare_record_slot_bit_widths(32, 32, 32, 32, 32)
class Progress(NamedTuple):
    """Times and epochs that record how far the settlement has come [seconds]."""

    announced_for: int = 0  # when anyone may begin; 0 if not announced
    noted_epoch: int = 0  # the epoch in which the deficit was noted last
    above_since: int = 0  # noted above the bound since then, in every epoch; 0 if it is not
    begun_at: int = 0
    fixed_at: int = 0


@declare_record_slot_bit_widths(112, 1)
class FinalPrice(NamedTuple):
    """Final price of a collateral type [ray], and a flag for set prices, since a price of 0 is valid."""

    price: int = 0
    is_final: int = 0


class Settlement(Administered):
    """Winding up of the protocol: each holder of stablecoin gets collateral pro rata.

    It mirrors contracts/Settlement.vy.
    """

    KIND = "Settlement"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    price_feed_address = immutable("PRICE_FEED", str)
    collateral_auction_address = immutable("COLLATERAL_AUCTION", str)
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)
    # Seconds from the announcement to the beginning.
    delay = immutable("DELAY", int)
    # Whole stablecoins of deficit of all types that may stay uncovered.
    bound = immutable("BOUND", int)
    # For so many whole epochs the deficit has to stay above the bound.
    epochs = immutable("EPOCHS", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        collateral_auction: str,
        loss_waterfall: str,
        admin: str,
        delay: int,
        bound: int,
        epochs: int,
    ) -> None:
        super().__init__(world, name, address, admin)
        require(delay >= bounds.MIN_SETTLEMENT_DELAY, "settlement: short delay")
        require(delay <= bounds.MAX_SETTLEMENT_DELAY, "settlement: long delay")
        require(bound <= bounds.MAX_GLOBAL_DEBT_CEILING, "settlement: bound bounds")
        require(0 < epochs <= bounds.MAX_SETTLEMENT_EPOCHS, "settlement: epochs bounds")
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.collateral_auction_address = collateral_auction
        self.loss_waterfall_address = loss_waterfall
        self.delay = delay
        self.bound = bound
        self.epochs = epochs
        self.progress = self.table("progress", Progress())
        self.final_prices = self.table("final_prices", FinalPrice())
        self.left = self.table("left_of")
        self.shares = self.table("share_of")
        self.bags = self.table("bag_of")
        self.cashed = self.table("cashed_of")

    @property
    def engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def auction(self) -> ICollateralAuction:
        return cast(ICollateralAuction, self.world.at(self.collateral_auction_address))

    @property
    def waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    # --------------------------------------------------------------- beginning

    @external
    def announce(self, sender: str) -> None:
        """Announce settlement, so that any account may begin it after a delay; only the admin may call."""
        self._only_admin(sender)
        begins_at = self.world.timestamp + self.delay
        self.progress[()] = self._load_unbegun()._replace(announced_for=begins_at)
        self.emit("Announced", begins_at)

    @external
    def cancel_announcement(self, sender: str) -> None:
        """Cancel the announcement of settlement; only the admin may call."""
        self._only_admin(sender)
        self.progress[()] = self._load_unbegun()._replace(announced_for=0)
        self.emit("Announced", 0)

    @external
    def record_deficit_breach(self, sender: str) -> int:
        """Record whether the total deficit exceeds the bound; return since when [seconds] or 0."""
        progress = self._note_total_deficit_breach(self._load_unbegun())
        self.progress[()] = progress
        return progress.above_since

    @external
    def begin(self, sender: str) -> None:
        """Begin settlement; raise RevertError unless its announcement or an uncovered deficit is old enough.

        All vaults stop, and the feed begins to compute the final price of each collateral type.
        """
        progress = self._load_unbegun()
        if progress.announced_for == 0 or self.world.timestamp < progress.announced_for:
            progress = self._note_total_deficit_breach(progress)
            require(self._has_deficit_lasted_all_epochs(progress), "settlement: too early")
        self.progress[()] = progress._replace(begun_at=self.world.timestamp)
        self.emit("Begun")
        for c in decode_listed_types(self.engine.listed(self.address)):
            if self._ask_feed("begin_final_price", c) is None:
                self.emit("FeedFailed", c)
        self.engine.begin_settlement(self.address)

    # ------------------------------------------------------------------ vaults

    @external
    def fix_price(self, sender: str, collateral_type: int) -> int:
        """Fix a collateral type's final price from the price feed, and return it [ray].

        After the deadline the price is 0 if the feed has no final price or fails. Before it, RevertError is
        raised until the feed has a final price.
        """
        begun_at = self._load_begun_progress().begun_at
        require(not self.final_prices[collateral_type].is_final, "settlement: price is final")
        require(collateral_type < self.engine.collateral_types(self.address), "settlement: unknown type")
        ((is_final, price),) = self._ask_feed("final_price", collateral_type) or ((False, 0),)
        late = self.world.timestamp >= begun_at + bounds.FINAL_DEADLINE
        require(is_final or late, "settlement: price is not final")
        self.final_prices[collateral_type] = FinalPrice(price, 1)
        self.emit("PriceFixed", collateral_type, price)
        return price

    @external
    def skim(self, sender: str, collateral_type: int, owner: str) -> None:
        """Repay a vault's whole debt with its collateral at the final price; a shortfall becomes a loss.

        Collateral is taken in whole token units, rounded up.
        """
        final: FinalPrice = self.final_prices[collateral_type]
        require(final.is_final != 0, "settlement: no final price")
        vault = self.engine.accrue_and_read(self.address, collateral_type, owner, BASIS_POINTS)
        require(vault.normalized_debt != 0, "settlement: no debt")

        debt = mul_uint256(vault.normalized_debt, vault.accumulated_rate)
        taken, worth = vault.locked_collateral, debt
        if final.price != 0:
            taken = min(taken, div_up(div_up(debt, final.price), vault.unit) * vault.unit)
            worth = min(debt, taken * final.price)
        self.emit("Skimmed", collateral_type, owner, taken, debt, worth)
        self.engine.skim(self.address, collateral_type, owner, taken, worth)

    @external
    def cover_last(self, sender: str, collateral_type: int) -> int:
        """Charge the loss-absorbing stages a last time with a type's deficit; return the rest [rad]."""
        self._load_open()
        self.waterfall.cover(self.address, collateral_type)
        self._check_no_stage_reservation(collateral_type)
        left = self.engine.deficit_of(self.address, collateral_type)
        self.left[collateral_type] = left
        self.emit("CoveredLast", collateral_type, left)
        return left

    @external
    def fix_redemption_rates(self, sender: str) -> None:
        """Close the books and fix how much of each collateral one stablecoin redeems.

        Raises RevertError while a debt, a reservation of a stage, or collateral on sale is left.
        """
        progress = self._load_open()
        types = decode_listed_types(self.engine.listed(self.address))
        outstanding = 0
        for c in types:
            require(self.auction.salvage_on_sale(self.address, c) == 0, "settlement: salvage on sale")
            self._check_no_stage_reservation(c)
            deficit = self.engine.deficit_of(self.address, c)
            require(deficit in (0, self.left[c]), "settlement: cover a last time")
            outstanding += deficit
        require(self.engine.total_debt(self.address) == outstanding, "settlement: debts are left")

        self.progress[()] = progress._replace(fixed_at=self.world.timestamp)
        supply = self.engine.net(self.address)
        self.emit("Fixed", supply)
        for c in types if supply != 0 else ():
            share = mul_uint256(self.engine.salvage_of(self.address, c), RAY) // supply
            self.shares[c] = share
            self.emit("ShareFixed", c, share)

    # ----------------------------------------------------------------- holders

    @external
    def redeem(self, sender: str, amount: int) -> None:
        """Burn the caller's stablecoin [wad] and credit its claim on a share of every collateral."""
        require(self.progress[()].fixed_at != 0, "settlement: not fixed")
        self.bags[sender] = add_uint256(self.bags[sender], amount)
        self.emit("Redeemed", sender, amount)
        self.engine.redeem(self.address, sender, amount)

    @external
    def cash(self, sender: str, collateral_type: int, amount: int) -> int:
        """Transfer a type's collateral for `amount` of the caller's redeemed stablecoin, and return it [wad].

        The collateral is rounded down over all amounts cashed so far, so splitting a call changes nothing.
        """
        before = int(self.cashed[collateral_type, sender])
        after = add_uint256(before, amount)
        require(after <= self.bags[sender], "settlement: not in the bag")
        self.cashed[collateral_type, sender] = after
        unit = self.engine.unit_of(self.address, collateral_type)
        share = int(self.shares[collateral_type])
        collateral = (mul_uint256(after, share) // RAY // unit - before * share // RAY // unit) * unit
        self.emit("Cashed", collateral_type, sender, amount, collateral)
        if collateral != 0:
            self.engine.pay_out(self.address, collateral_type, collateral, sender)
        return collateral

    # ------------------------------------------------------------------- views

    @view
    def progress_of(self, sender: str) -> Progress:
        """Return how far settlement has come: announcement, start and fixing of the rates [seconds]."""
        progress: Progress = self.progress[()]
        return progress

    @view
    def final_price_of(self, sender: str, collateral_type: int) -> tuple[bool, int]:
        """Return whether a type's final price is set, and the price [ray]."""
        final: FinalPrice = self.final_prices[collateral_type]
        return bool(final.is_final), final.price

    @view
    def left_of(self, sender: str, collateral_type: int) -> int:
        """Return a type's deficit that its last charge of the loss-absorbing stages left uncovered [rad]."""
        return int(self.left[collateral_type])

    @view
    def share_of(self, sender: str, collateral_type: int) -> int:
        """Return how much of a type's collateral one unit of stablecoin redeems [ray], rounded down."""
        return int(self.shares[collateral_type])

    @view
    def bag_of(self, sender: str, owner: str) -> int:
        """Return the stablecoin that an owner has redeemed [wad]."""
        return int(self.bags[owner])

    @view
    def cashed_of(self, sender: str, collateral_type: int, owner: str) -> int:
        """Return how much of an owner's redeemed stablecoin was exchanged for a type's collateral [wad]."""
        return int(self.cashed[collateral_type, owner])

    # ----------------------------------------------------------------- helpers

    def _load_unbegun(self) -> Progress:
        progress: Progress = self.progress[()]
        require(progress.begun_at == 0, "settlement: has begun")
        return progress

    def _load_begun_progress(self) -> Progress:
        progress: Progress = self.progress[()]
        require(progress.begun_at != 0, "settlement: not begun")
        return progress

    def _load_open(self) -> Progress:
        progress = self._load_begun_progress()
        require(progress.fixed_at == 0, "settlement: is fixed")
        return progress

    def _check_no_stage_reservation(self, collateral_type: int) -> None:
        require(self.waterfall.reserved_of(self.address, collateral_type) == 0, "settlement: stages are busy")

    def _ask_feed(self, method: str, collateral_type: int) -> tuple[Any] | None:
        """Call a function of the price feed, and return its answer in a tuple of one element.

        If the call fails, revert its changes and return None.
        """
        mark = self.world.mark()
        try:
            return (getattr(self.world.at(self.price_feed_address), method)(self.address, collateral_type),)
        except RevertError:
            self.world.roll_back(mark)
            return None

    def _note_total_deficit_breach(self, progress: Progress) -> Progress:
        """Return the progress with the present total deficit recorded; the caller must store it."""
        types = decode_listed_types(self.engine.listed(self.address))
        deficit = sum(self.engine.deficit_of(self.address, c) for c in types)
        epoch = self.world.timestamp // self.waterfall.EPOCH_LENGTH(self.address)
        since = progress.above_since
        if deficit <= self.bound * RAD:
            since = 0
        elif since == 0 or epoch > progress.noted_epoch + 1:
            since = self.world.timestamp
        self.emit("DeficitBreachRecorded", epoch, deficit, since)
        return progress._replace(noted_epoch=epoch, above_since=since)

    def _has_deficit_lasted_all_epochs(self, progress: Progress) -> bool:
        """Return True if the deficit has exceeded the bound for the required number of whole epochs."""
        length = self.waterfall.EPOCH_LENGTH(self.address)
        since = progress.above_since
        return since != 0 and self.world.timestamp >= since + self.epochs * length
