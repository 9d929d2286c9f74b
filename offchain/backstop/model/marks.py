"""Losses that are visible but not booked yet. Amounts in rad. See contracts/modules/marks.vy.

mark = max(0, debt - floor(collateral*price*(1 - discount))), price = max(current, time-weighted), set
only at a fresh current price.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.interfaces import ICollateralAuction, IPriceFeed, IVaultEngine
from backstop.model.roles import Administered
from backstop.model.state import ZERO_ADDRESS, World, require, slot


@slot(192, 16)
class AuctionMark(NamedTuple):
    """The mark of an auction."""

    amount: int = 0  # rad
    collateral_type: int = 0


class Marks(Administered):
    """The marks of vaults and auctions; a part of the loss waterfall."""

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        collateral_auction: str,
        admin: str,
    ) -> None:
        super().__init__(world, name, address, admin)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.collateral_auction_address = collateral_auction
        self.discounts = self.table("marks.discount")
        self.vault_marks = self.table("marks.of_vaults")
        self.auction_marks = self.table("marks.of_auctions", AuctionMark())
        self.type_marks = self.table("marks.of_types")

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    def _mark_vault(self, collateral_type: int, owner: str) -> int:
        """Set a vault's mark to what it is now, which is returned. Fees are charged first."""
        vault = self.vault_engine.accrue_and_read(self.address, collateral_type, owner, BASIS_POINTS)
        old = int(self.vault_marks[collateral_type, owner])
        debt = vault.normalized_debt * vault.accumulated_rate
        new = self._shortfall(collateral_type, vault.locked_collateral, debt)
        if new != old:
            self.vault_marks[collateral_type, owner] = new
            self.type_marks[collateral_type] = self.type_marks[collateral_type] + new - old
        self.emit("VaultMarked", collateral_type, owner, new)
        return new

    def _mark_auction(self, auction_id: int) -> tuple[int, int]:
        """Set an auction's mark, and its vault's if that has one; the collateral type and the sum."""
        auctions = cast(ICollateralAuction, self.world.at(self.collateral_auction_address))
        collateral_type, owner, lot, principal = auctions.position_of(self.address, auction_id)
        mark: AuctionMark = self.auction_marks[auction_id]
        if principal == 0:
            collateral_type = mark.collateral_type
        old = mark.amount
        new = self._shortfall(collateral_type, lot, principal)
        if new != old:
            self.auction_marks[auction_id] = AuctionMark(new, collateral_type)
            self.type_marks[collateral_type] = self.type_marks[collateral_type] + new - old
        self.emit("AuctionMarked", auction_id, collateral_type, new)
        if owner != ZERO_ADDRESS and self.vault_marks[collateral_type, owner] != 0:
            new += self._mark_vault(collateral_type, owner)
        return collateral_type, new

    def _shortfall(self, collateral_type: int, collateral: int, debt: int) -> int:
        """Return the debt that the collateral would not repay [rad]; no debt needs no price."""
        if debt == 0:
            return 0
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.current_price(self.address, collateral_type)
        require(price != 0, "marks: no price")
        price = max(price, feed.time_weighted(self.address, collateral_type))
        # What its issuer prices is not sold in a hurry.
        issued = feed.issuer_of(self.address, collateral_type) != ZERO_ADDRESS
        discount = 0 if issued else self.discounts[()]
        worth: int = collateral * price * (BASIS_POINTS - discount) // BASIS_POINTS
        return max(0, debt - worth)

    def _set_discount(self, new: int) -> None:
        require(new <= bounds.MAX_MARK_DISCOUNT, "marks: discount bounds")
        self.discounts[()] = new
