# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title marks
@license GNU Affero General Public License v3.0 only
@notice Losses that are visible but not booked yet: for a vault or an auction, the debt that its
        collateral would not repay today, sold in a hurry. Anyone sets, refreshes and clears them. They
        move nothing; they only keep members of pools from leaving ahead of the loss.
@dev mark = max(0, debt - floor(collateral*price*(1 - discount))), price = max(current,
     time-weighted), and only at a fresh current price: neither a wick down nor a dead feed marks
     anything. A mark goes when its position does, as soon as anyone looks. Where the price is the
     issuer's word, nothing is sold in a hurry, and there is no discount.
"""
from contracts.interfaces import ICollateralAuction
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import units


event VaultMarked:
    collateral_type: indexed(uint256)  # [id]
    owner: indexed(address)
    amount: uint256  # [rad]


event AuctionMarked:
    auction_id: indexed(uint256)  # [id]
    collateral_type: indexed(uint256)  # [id]
    amount: uint256  # [rad]


MASK_192: constant(uint256) = 2**192 - 1

VAULTS: immutable(IVaultEngine)
FEED: immutable(IPriceFeed)
AUCTIONS: immutable(ICollateralAuction)

# Basis points of the collateral's value that a sale in a hurry would cost.
discount: uint256
# collateral type -> owner -> rad
of_vaults: HashMap[uint256, HashMap[address, uint256]]
# auction -> mark (rad, 192 bits) | collateral type (16 bits)
of_auctions: HashMap[uint256, uint256]
# collateral type -> rad, the sum of its marks
of_types: HashMap[uint256, uint256]


@deploy
def __init__(vault_engine: address, price_feed: address, collateral_auction: address):
    """
    @param vault_engine The ledger that vaults are read from.
    @param price_feed Where prices come from.
    @param collateral_auction Where auctions and workouts are read from.
    """
    VAULTS = IVaultEngine(vault_engine)
    FEED = IPriceFeed(price_feed)
    AUCTIONS = ICollateralAuction(collateral_auction)


@internal
def _mark_vault(collateral_type: uint256, owner: address) -> uint256:
    """
    @dev Set a vault's mark to what it is now, which is returned, rad. Fees are charged first.
    """
    vault: IVaultEngine.VaultState = extcall VAULTS.accrue_and_read(
        collateral_type, owner, units.BASIS_POINTS
    )
    old: uint256 = self.of_vaults[collateral_type][owner]
    new: uint256 = self._shortfall(
        collateral_type,
        vault.locked_collateral,
        vault.normalized_debt * vault.accumulated_rate,
    )
    if new != old:
        self.of_vaults[collateral_type][owner] = new
        self.of_types[collateral_type] = self.of_types[collateral_type] + new - old
    log VaultMarked(collateral_type=collateral_type, owner=owner, amount=new)
    return new


@internal
def _mark_auction(auction_id: uint256) -> (uint256, uint256):
    """
    @dev Set an auction's mark to what it is now; its collateral type and the mark, rad. An auction that
         is over has none. The mark of the vault it came from is looked at as well, and then both are
         returned: what was marked there must not count twice.
    """
    collateral_type: uint256 = 0
    owner: address = empty(address)
    lot: uint256 = 0
    principal: uint256 = 0
    collateral_type, owner, lot, principal = staticcall AUCTIONS.position_of(auction_id)
    word: uint256 = self.of_auctions[auction_id]
    old: uint256 = word & MASK_192
    if principal == 0:
        collateral_type = word >> 192
    new: uint256 = self._shortfall(collateral_type, lot, principal)
    if new != old:
        self.of_auctions[auction_id] = new | (collateral_type << 192)
        self.of_types[collateral_type] = self.of_types[collateral_type] + new - old
    log AuctionMarked(auction_id=auction_id, collateral_type=collateral_type, amount=new)
    if owner != empty(address) and self.of_vaults[collateral_type][owner] != 0:
        new += self._mark_vault(collateral_type, owner)
    return collateral_type, new


@internal
@view
def _shortfall(collateral_type: uint256, collateral: uint256, debt: uint256) -> uint256:
    """
    @dev Debt that the collateral would not repay, rad. No debt needs no price.
    """
    if debt == 0:
        return 0
    price: uint256 = staticcall FEED.current_price(collateral_type)
    assert price != 0, "marks: no price"
    price = max(price, staticcall FEED.time_weighted(collateral_type))
    kept: uint256 = units.BASIS_POINTS
    if staticcall FEED.issuer_of(collateral_type) == empty(address):
        kept -= self.discount
    # 104 + 112 + 14 bits.
    worth: uint256 = collateral * price * kept // units.BASIS_POINTS
    return debt - min(debt, worth)


@internal
def _set_discount(new: uint256):
    assert new <= bounds.MAX_MARK_DISCOUNT, "marks: discount bounds"
    self.discount = new
