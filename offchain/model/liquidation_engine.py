"""Which vaults are liquidated, and how much of them. No state."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from offchain.model.arithmetic import BASIS_POINTS
from offchain.model.state import Contract, World, external, require, view

if TYPE_CHECKING:
    from offchain.model.collateral_auction import CollateralAuction
    from offchain.model.price_feed import PriceFeed
    from offchain.model.vault_engine import VaultEngine


class LiquidationEngine(Contract):
    """See contracts/LiquidationEngine.vy."""

    KIND = "LiquidationEngine"

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        price_feed: str,
        collateral_auction: str,
    ) -> None:
        super().__init__(world, name, address)
        self.vault_engine_address = vault_engine
        self.price_feed_address = price_feed
        self.collateral_auction_address = collateral_auction

    @external
    def liquidate(self, sender: str, collateral_type: int, owner: str, reward_receiver: str) -> int:
        """Auction an unsafe vault, or as much of it as the limits leave room for; the auction's id."""
        feed = cast("PriceFeed", self.world.at(self.price_feed_address))
        engine = cast("VaultEngine", self.world.at(self.vault_engine_address))
        auction = cast("CollateralAuction", self.world.at(self.collateral_auction_address))

        price = feed.liquidation_price(self.address, collateral_type)
        require(price != 0, "liquidation_engine: no price")
        vault = engine.accrue_and_read(self.address, collateral_type, owner)
        debt = vault.normalized_debt * vault.accumulated_rate
        value = vault.locked_collateral * price
        require(value * BASIS_POINTS < debt * vault.liquidation_ratio, "liquidation_engine: safe vault")
        require(vault.room != 0, "liquidation_engine: no room")

        # Rounded down to the limit, and up to the whole vault if the rest would be under the floor.
        normalized_debt = min(vault.normalized_debt, vault.room // vault.accumulated_rate)
        principal = normalized_debt * vault.accumulated_rate
        collateral = vault.locked_collateral
        if normalized_debt == vault.normalized_debt or debt - principal < vault.debt_floor:
            normalized_debt = vault.normalized_debt
            principal = debt
        else:
            require(principal >= vault.debt_floor, "liquidation_engine: part too low")
            collateral = collateral * normalized_debt // vault.normalized_debt
            collateral -= collateral % vault.unit
        require(collateral != 0, "liquidation_engine: nothing in")

        auction_id, reward = auction.start(self.address, collateral_type, owner, collateral, principal, price)
        engine.seize(
            self.address, collateral_type, owner, collateral, normalized_debt, reward_receiver, reward
        )
        self.emit("Liquidated", auction_id, collateral_type, owner, collateral, principal, reward)
        return auction_id

    @view
    def VAULT_ENGINE(self, sender: str) -> str:
        """Where vaults are."""
        return self.vault_engine_address

    @view
    def PRICE_FEED(self, sender: str) -> str:
        """Where prices come from."""
        return self.price_feed_address

    @view
    def COLLATERAL_AUCTION(self, sender: str) -> str:
        """Who sells."""
        return self.collateral_auction_address
