# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedLiquidations
@license GNU Affero General Public License v3.0 only
@notice A ledger and liquidation engine that sells collateral by a script (`set_sale`), for the buyer's coins.
        For tests of stability pools.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IStablecoin

STABLECOIN: immutable(IStablecoin)
COLLATERAL: immutable(IERC20)

# Collateral of the next sale, and its payment, wad.
next_collateral: uint256
next_payment: uint256


@deploy
def __init__(stablecoin: address, collateral: address):
    """
    @param stablecoin The coin of the ledger.
    @param collateral The token that it sells, 18 decimals.
    """
    STABLECOIN = IStablecoin(stablecoin)
    COLLATERAL = IERC20(collateral)


@external
def mint_coins(to: address, amount: uint256):
    """
    @notice Create stablecoin. Anyone.
    @param to The account that gets the coins.
    @param amount [wad] Created.
    """
    extcall STABLECOIN.mint(to, amount)


@external
def set_sale(collateral: uint256, payment: uint256):
    """
    @notice Set the next sale. Anyone.
    @param collateral [wad] Collateral sold, from this contract's tokens.
    @param payment [wad] The payment of the buyer; zero for no sale.
    """
    self.next_collateral = collateral
    self.next_payment = payment


@external
def liquidate_and_buy(
    collateral_type: uint256,
    owner: address,
    max_collateral: uint256,
    max_repay: uint256,
    max_price: uint256,
    receiver: address,
    data: Bytes[1024],
) -> (uint256, uint256):
    """
    @notice Send the collateral and burn the buyer's coins, once. Anyone.
    @param collateral_type [id] Any; it makes no difference.
    @param owner Any; it makes no difference.
    @param max_collateral [wad] The most collateral.
    @param max_repay [wad] The most that the buyer pays.
    @param max_price [ray] Any; it makes no difference.
    @param receiver The account that gets the collateral.
    @param data Any; it makes no difference.
    @return [wad] Collateral that was sent.
    @return [wad] Stablecoin that was burned.
    """
    collateral: uint256 = self.next_collateral
    payment: uint256 = self.next_payment
    assert payment != 0, "scripted_liquidations: no sale"
    assert collateral <= max_collateral and payment <= max_repay, "scripted_liquidations: too much"
    self.next_collateral = 0
    self.next_payment = 0
    extcall COLLATERAL.transfer(receiver, collateral)
    extcall STABLECOIN.burn(msg.sender, payment)
    return collateral, payment
