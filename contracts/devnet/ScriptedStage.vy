# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title ScriptedStage
@license GNU Affero General Public License v3.0 only
@notice A stage with scripted answers: busy, lying or absent, paying later or never. For tests of the loss
        waterfall.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IEquityPool
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IStage

implements: IStage

LOSS_WATERFALL: immutable(ILossWaterfall)

# What it claims to hold, to have paid and to have reserved, rad.
claimed_capacity: uint256
claimed_payment: uint256
claimed_reservation: uint256


@deploy
def __init__(loss_waterfall: address):
    """
    @param loss_waterfall Where losses come from.
    """
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)


@external
def claim(capacity: uint256, payment: uint256, reservation: uint256):
    """
    @notice Set the claimed figures. Anyone.
    @param capacity [rad] To be held; max_value(uint256) is busy.
    @param payment [rad] To have been paid.
    @param reservation [rad] To have been reserved.
    """
    self.claimed_capacity = capacity
    self.claimed_payment = payment
    self.claimed_reservation = reservation


@external
def pay(collateral_type: uint256, amount: uint256):
    """
    @notice Pay for its reservation, with the caller's stablecoin. Anyone.
    @param collateral_type [id] The collateral type.
    @param amount [rad] Paid.
    """
    extcall LOSS_WATERFALL.book_payment(collateral_type, msg.sender, amount)


@external
def give_up(collateral_type: uint256):
    """
    @notice Release a reservation. Anyone.
    @param collateral_type [id] The collateral type.
    """
    extcall LOSS_WATERFALL.release(collateral_type)


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice Return the claimed holdings.
    @param collateral_type [id] The collateral type.
    @return [rad] As claimed.
    """
    return self.claimed_capacity


@external
@view
def pending_assets(loss: uint256) -> uint256:
    """
    @notice Return the claimed losses of a pool of equity: its claimed payment.
    @param loss [rad] Any; it makes no difference.
    @return [wad] As claimed.
    """
    return self.claimed_payment


@external
@view
def under_auction() -> uint256:
    """
    @notice Return the claimed assets of a pool of equity: its claimed reservation.
    @return [wad] As claimed.
    """
    return self.claimed_reservation


@external
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Claim to have paid and reserved. Anyone; nothing moves.
    @param collateral_type [id] The collateral type.
    @param amount [rad] Any; it makes no difference.
    @return [rad] Paid, as claimed.
    @return [rad] Reserved, as claimed.
    """
    return self.claimed_payment, self.claimed_reservation


@external
def slash(pool: address, assets: uint256, receiver: address) -> uint256:
    """
    @notice Slash a pool of equity as its stage. Anyone.
    @param pool Which pool.
    @param assets [wad] Wanted.
    @param receiver Receiver of the assets.
    @return [wad] Sent.
    """
    return extcall IEquityPool(pool).slash(assets, receiver)


@external
def restore(pool: address, token: address, assets: uint256):
    """
    @notice Return equity to a pool as its stage. Anyone.
    @param pool Which pool.
    @param token Its equity.
    @param assets [wad] Part of this contract's balance.
    """
    assert extcall IERC20(token).approve(pool, assets), "scripted_stage: no approval"
    extcall IEquityPool(pool).restore(assets)
