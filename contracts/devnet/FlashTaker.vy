# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title FlashTaker
@license GNU Affero General Public License v3.0 only
@notice Takes from auctions, and buys from unsafe vaults, without capital: the collateral is sold on a market
        inside the callback, the proceeds pay for it and the rest goes to the owner.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IAuctionTaker

implements: IAuctionTaker


interface ICollateralAuction:
    def take(
        auction_id: uint256, max_amount: uint256, max_price: uint256, receiver: address, data: Bytes[1024]
    ): nonpayable
    def LIQUIDATION_ENGINE() -> address: view


interface ILiquidationEngine:
    def liquidate_and_buy(
        collateral_type: uint256,
        owner: address,
        max_collateral: uint256,
        max_repay: uint256,
        max_price: uint256,
        receiver: address,
        data: Bytes[1024],
    ) -> (uint256, uint256): nonpayable


interface IMarket:
    def TOKEN() -> address: view
    def UNIT() -> uint256: view
    def sell(amount: uint256, min_out: uint256, receiver: address) -> uint256: nonpayable


event FlashTaken:
    auction_id: indexed(uint256)  # [id]; 0 if it was a vault's sale
    market: indexed(address)
    profit: uint256  # [wad]


OWNER: public(immutable(address))
COLLATERAL_AUCTION: public(immutable(ICollateralAuction))
STABLECOIN: public(immutable(IERC20))


@deploy
def __init__(owner: address, collateral_auction: address, stablecoin: address):
    """
    @param owner May use it and gets the profit.
    @param collateral_auction The auctions that it takes from.
    @param stablecoin The token that takes are paid in.
    """
    OWNER = owner
    COLLATERAL_AUCTION = ICollateralAuction(collateral_auction)
    STABLECOIN = IERC20(stablecoin)


@external
def take_and_sell(
    auction_id: uint256, max_amount: uint256, max_price: uint256, market: address, min_profit: uint256
) -> uint256:
    """
    @notice Take from an auction and sell the slice at once. Owner only.
    @param auction_id [id] The auction.
    @param max_amount [wad] Collateral.
    @param max_price [ray] The most for 1e18 of collateral.
    @param market A ConstantProductMarket of the auction's collateral.
    @param min_profit [wad] Stablecoin; less reverts.
    @return [wad] The profit, stablecoin.
    """
    self._only_owner()
    before: uint256 = staticcall STABLECOIN.balanceOf(self)
    extcall COLLATERAL_AUCTION.take(auction_id, max_amount, max_price, self, abi_encode(market))
    return self._pay_profit(before, auction_id, market, min_profit)


@external
def liquidate_and_sell(
    collateral_type: uint256,
    owner: address,
    max_collateral: uint256,
    max_repay: uint256,
    max_price: uint256,
    market: address,
    min_profit: uint256,
) -> uint256:
    """
    @notice Buy collateral of an unsafe vault and sell it at once. Owner only.
    @param collateral_type [id] The collateral type, which has a liquidation mechanism.
    @param owner Owner of the vault.
    @param max_collateral [wad] The most collateral to take from the vault.
    @param max_repay [wad] The most stablecoin to pay.
    @param max_price [ray] The most for 1e18 of collateral.
    @param market A ConstantProductMarket of the type's collateral.
    @param min_profit [wad] Stablecoin; less reverts.
    @return [wad] The profit, stablecoin.
    """
    self._only_owner()
    before: uint256 = staticcall STABLECOIN.balanceOf(self)
    extcall ILiquidationEngine(staticcall COLLATERAL_AUCTION.LIQUIDATION_ENGINE()).liquidate_and_buy(
        collateral_type, owner, max_collateral, max_repay, max_price, self, abi_encode(market)
    )
    return self._pay_profit(before, 0, market, min_profit)


@external
def on_auction_take(
    taker: address, auction_id: uint256, collateral: uint256, payment: uint256, data: Bytes[1024]
):
    """
    @notice Sell the collateral that the auction has delivered. The auction only, in a take of this
            contract's.
    @param taker The taker: this contract.
    @param auction_id [id] The auction.
    @param collateral [wad] Delivered here.
    @param payment [wad] Stablecoin that the auction burns afterwards.
    @param data The market to sell on.
    """
    assert msg.sender == COLLATERAL_AUCTION.address, "flash_taker: not auction"
    assert taker == self, "flash_taker: not taker"
    market: IMarket = IMarket(abi_decode(data, address))
    raw: uint256 = collateral // staticcall market.UNIT()
    extcall IERC20(staticcall market.TOKEN()).approve(market.address, raw, default_return_value=True)
    proceeds: uint256 = extcall market.sell(collateral, 0, self)
    assert proceeds >= payment, "flash_taker: sold at a loss"


@internal
def _pay_profit(before: uint256, auction_id: uint256, market: address, min_profit: uint256) -> uint256:
    """@dev Send the owner the gain, wad; reverts where it is too little."""
    held: uint256 = staticcall STABLECOIN.balanceOf(self)
    assert held >= before + min_profit, "flash_taker: not enough profit"
    profit: uint256 = held - before
    log FlashTaken(auction_id=auction_id, market=market, profit=profit)
    extcall STABLECOIN.transfer(OWNER, profit)
    return profit


@internal
@view
def _only_owner():
    assert msg.sender == OWNER, "flash_taker: not owner"
