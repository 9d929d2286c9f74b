"""Vaults with their whole debt at risk; see contracts/modules/vault_flags.vy.

Flags are normalized debt [wad]. A flag follows the debt that leaves its vault by liquidation; after a
repayment or a top-up it stays until any account has the vault checked again.
"""

from __future__ import annotations

from backstop.contract_base import Contract, World
from backstop.model.interfaces import IPriceFeed


def get_lowest_known_price(feed: IPriceFeed, sender: str, collateral_type: int) -> int:
    """Return the lower of the auction price and the next price [ray]; 0 if there is no price.

    The next price counts also while a guard of the price feed holds it back.
    """
    price = feed.auction_price(sender, collateral_type)
    coming = feed.prices_of(sender, collateral_type).next or feed.withheld(sender, collateral_type)
    return min(price, coming) if coming else price


class VaultFlags(Contract):
    """Flags of vaults with debt at risk (part of the liquidation engine, modules/vault_flags.vy)."""

    def __init__(self, world: World, name: str, address: str) -> None:
        super().__init__(world, name, address)
        self.vault_flags = self.table("vault_flags.of_vaults")
        self.type_flags = self.table("vault_flags.of_types")
        # A bit for each type with any flag.
        self.flagged = self.table("vault_flags.flagged")

    def _set_vault_debt_flag(self, collateral_type: int, owner: str, new: int) -> None:
        """Set a vault's flag to an amount of normalized debt [wad]; 0 clears the flag."""
        old = int(self.vault_flags[collateral_type, owner])
        if new != old:
            self.vault_flags[collateral_type, owner] = new
            before = self.type_flags[collateral_type]
            self.type_flags[collateral_type] = before + new - old
            if before == 0 or self.type_flags[collateral_type] == 0:
                self.flagged[()] ^= 1 << collateral_type
        self.emit("VaultFlagged", collateral_type, owner, new)

    def _shrink_flag(self, collateral_type: int, owner: str, left: int) -> None:
        """Reduce a vault's flag to the normalized debt that is left in the vault [wad]."""
        if self.vault_flags[collateral_type, owner] > left:
            self._set_vault_debt_flag(collateral_type, owner, left)
