# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title vault_flags
@license GNU Affero General Public License v3.0 only
@notice Vaults with all of their debt at risk: the proceeds of a liquidation are not known yet, and no loss is
        larger than the debt. A flag moves nothing; it only keeps members of pools from leaving ahead of a
        loss that may come.
@dev A flag is a normalized debt, so that fees grow on it as they do on the debt. It follows debt that leaves
     the vault by liquidation; after a repayment or a top-up it stays until any account has the vault checked
     again. It may be too high then, which makes others wait, and takes nothing from them.
"""
from contracts.interfaces import IPriceFeed


event VaultFlagged:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    normalized_debt: uint256  # [wad]


# collateral type -> owner -> wad of normalized debt, 0 without a flag
of_vaults: HashMap[uint256, HashMap[address, uint256]]
# collateral type -> wad of normalized debt, the sum of its flags
of_types: HashMap[uint256, uint256]
# types with any flag, a bit each: who asks about all types reads no sum of the others
flagged: uint256


@internal
def _set_vault_debt_flag(collateral_type: uint256, owner: address, new: uint256):
    """
    @dev Set, change or clear a flag, wad of normalized debt.
    """
    old: uint256 = self.of_vaults[collateral_type][owner]
    if new != old:
        self.of_vaults[collateral_type][owner] = new
        before: uint256 = self.of_types[collateral_type]
        total: uint256 = before + new - old
        self.of_types[collateral_type] = total
        if before == 0 or total == 0:
            self.flagged ^= 1 << collateral_type
    log VaultFlagged(collateral_type=collateral_type, owner=owner, normalized_debt=new)


@internal
def _shrink_flag(collateral_type: uint256, owner: address, left: uint256):
    """
    @dev Debt is leaving a vault: its flag is at most the wad of normalized debt that are left.
    """
    if self.of_vaults[collateral_type][owner] > left:
        self._set_vault_debt_flag(collateral_type, owner, left)


@internal
@view
def _lowest_price(feed: IPriceFeed, collateral_type: uint256) -> uint256:
    """
    @dev The lowest price that is known, ray: that of auctions, or the next one, also if a halt or a grace
         holds it back. Zero where auctions have no price.
    """
    price: uint256 = staticcall feed.auction_price(collateral_type)
    next: uint256 = (staticcall feed.prices_of(collateral_type)).next
    if next == 0:
        next = staticcall feed.withheld(collateral_type)
    return price if next == 0 else min(price, next)
