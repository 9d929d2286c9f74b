# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title LiquidationEngine
@license GNU Affero General Public License v3.0 only
@notice Decides which vaults are liquidated and how much of them. It keeps no state and holds nothing.
"""
from contracts.interfaces import ICollateralAuction
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IVaultEngine
from contracts.modules import units


event Liquidated:
    auction_id: indexed(uint256)
    collateral_type: indexed(uint256)
    owner: indexed(address)
    collateral: uint256
    principal: uint256
    reward: uint256


VAULT_ENGINE: public(immutable(IVaultEngine))
PRICE_FEED: public(immutable(IPriceFeed))
COLLATERAL_AUCTION: public(immutable(ICollateralAuction))


@deploy
def __init__(vault_engine: address, price_feed: address, collateral_auction: address):
    """
    @notice The wiring is final.
    """
    VAULT_ENGINE = IVaultEngine(vault_engine)
    PRICE_FEED = IPriceFeed(price_feed)
    COLLATERAL_AUCTION = ICollateralAuction(collateral_auction)


@external
def liquidate(collateral_type: uint256, owner: address, reward_receiver: address) -> uint256:
    """
    @notice Put an unsafe vault, or as much of it as the limits leave room for, up for auction.
            Permissionless. Protects: only a vault under its liquidation ratio at the current price is
            touched; a part never leaves the vault with less collateral for each unit of debt than
            before, nor with a debt under the floor; the limits are passed by at most one debt floor.
    @param reward_receiver Who gets the reward, stablecoin in wad.
    @return The auction's id.
    """
    price: uint256 = staticcall PRICE_FEED.liquidation_price(collateral_type)
    assert price != 0, "liquidation_engine: no price"
    vault: IVaultEngine.VaultState = extcall VAULT_ENGINE.accrue_and_read(collateral_type, owner)

    # Collateral < 2**104, price < 2**112, debt < 2**181: no product below reaches 2**256.
    debt: uint256 = unsafe_mul(vault.normalized_debt, vault.accumulated_rate)
    assert unsafe_mul(unsafe_mul(vault.locked_collateral, price), units.BASIS_POINTS) < unsafe_mul(
        debt, vault.liquidation_ratio
    ), "liquidation_engine: safe vault"
    assert vault.room != 0, "liquidation_engine: no room"

    # Rounded down to the limit, and up to the whole vault if the rest would be under the floor.
    normalized_debt: uint256 = vault.room // vault.accumulated_rate
    collateral: uint256 = vault.locked_collateral
    principal: uint256 = unsafe_mul(normalized_debt, vault.accumulated_rate)
    if normalized_debt >= vault.normalized_debt or unsafe_sub(debt, principal) < vault.debt_floor:
        normalized_debt = vault.normalized_debt
        principal = debt
    else:
        assert principal >= vault.debt_floor, "liquidation_engine: part too low"
        collateral = unsafe_mul(collateral, normalized_debt) // vault.normalized_debt
        collateral = unsafe_sub(collateral, collateral % vault.unit)
    assert collateral != 0, "liquidation_engine: nothing in"

    auction_id: uint256 = 0
    reward: uint256 = 0
    auction_id, reward = extcall COLLATERAL_AUCTION.start(
        collateral_type, owner, collateral, principal, price
    )
    extcall VAULT_ENGINE.seize(collateral_type, owner, collateral, normalized_debt, reward_receiver, reward)
    log Liquidated(
        auction_id=auction_id,
        collateral_type=collateral_type,
        owner=owner,
        collateral=collateral,
        principal=principal,
        reward=reward,
    )
    return auction_id
