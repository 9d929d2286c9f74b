# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title EquityTaker
@license GNU Affero General Public License v3.0 only
@notice Takes from auctions of equity, and of surplus, without capital. It trades the lot on a market inside
        the take's callback, the proceeds pay for it and the rest goes to the owner.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IAuctionTaker

implements: IAuctionTaker


interface IEquityAuction:
    def take(
        collateral_type: uint256,
        max_amount: uint256,
        max_price: uint256,
        receiver: address,
        data: Bytes[1024],
    ): nonpayable


interface ISurplusAuction:
    def take(max_amount: uint256, max_price: uint256, receiver: address, data: Bytes[1024]): nonpayable


interface IMarket:
    def sell(amount: uint256, min_out: uint256, receiver: address) -> uint256: nonpayable
    def buy(amount: uint256, min_out: uint256, receiver: address) -> uint256: nonpayable


event EquityTaken:
    auction: indexed(address)
    stablecoin: uint256  # [wad]
    equity: uint256  # [wad]


OWNER: public(immutable(address))
EQUITY: public(immutable(IERC20))
STABLECOIN: public(immutable(IERC20))


@deploy
def __init__(owner: address, equity: address, stablecoin: address):
    """
    @param owner May use it and gets the profit.
    @param equity The token that is taken from equity auctions and paid in surplus auctions.
    @param stablecoin The token that is paid in equity auctions and taken from surplus auctions.
    """
    OWNER = owner
    EQUITY = IERC20(equity)
    STABLECOIN = IERC20(stablecoin)


@external
def take_and_sell(
    auction: address,
    collateral_type: uint256,
    max_amount: uint256,
    max_price: uint256,
    market: address,
):
    """
    @notice Take equity from an auction, sell it at once, keep the proceeds beyond the cost. Owner only.
    @param auction An EquityAuction.
    @param collateral_type [id] The collateral type.
    @param max_amount [wad] Equity.
    @param max_price [ray] The most stablecoin for 1e18 of equity.
    @param market A ConstantProductMarket of equity.
    """
    self._only_owner()
    data: Bytes[1024] = abi_encode(market, empty(uint256))
    extcall IEquityAuction(auction).take(collateral_type, max_amount, max_price, self, data)
    self._hand_claims(auction)


@external
def take_and_buy(auction: address, max_amount: uint256, max_price: uint256, market: address, spend: uint256):
    """
    @notice Take surplus from an auction, buy the equity that pays for it, keep the rest. Owner only.
    @param auction A SurplusAuction.
    @param max_amount [wad] Stablecoin.
    @param max_price [ray] The most equity for 1e18 of stablecoin.
    @param market A ConstantProductMarket of equity.
    @param spend [wad] Stablecoin that equity is bought for, above zero.
    """
    self._only_owner()
    data: Bytes[1024] = abi_encode(market, spend)
    extcall ISurplusAuction(auction).take(max_amount, max_price, self, data)
    self._hand_claims(auction)


@external
def on_auction_take(
    taker: address, auction_id: uint256, collateral: uint256, payment: uint256, data: Bytes[1024]
):
    """
    @notice Trade the lot that the auction has delivered, and let it burn its payment. Anyone that names this
            contract as the taker: it holds nothing between takes.
    @param taker The taker: this contract.
    @param auction_id [id] The collateral type of an equity auction; 0 of a surplus auction.
    @param collateral [wad] Delivered here.
    @param payment [wad] The amount that the auction burns afterwards.
    @param data The market to trade on, and the amount to spend there.
    """
    assert taker == self, "equity_taker: not taker"
    market: address = empty(address)
    spend: uint256 = 0
    market, spend = abi_decode(data, (address, uint256))
    if spend == 0:
        extcall EQUITY.approve(market, collateral)
        extcall IMarket(market).sell(collateral, payment, self)
        extcall STABLECOIN.approve(msg.sender, payment)
    else:
        extcall STABLECOIN.approve(market, spend)
        extcall IMarket(market).buy(spend, payment, self)
        extcall EQUITY.approve(msg.sender, payment)


@internal
@view
def _only_owner():
    assert msg.sender == OWNER, "equity_taker: not owner"


@internal
def _hand_claims(auction: address):
    stablecoin: uint256 = staticcall STABLECOIN.balanceOf(self)
    equity: uint256 = staticcall EQUITY.balanceOf(self)
    log EquityTaken(auction=auction, stablecoin=stablecoin, equity=equity)
    extcall STABLECOIN.transfer(OWNER, stablecoin)
    extcall EQUITY.transfer(OWNER, equity)
