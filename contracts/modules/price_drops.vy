# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title price_drops
@license GNU Affero General Public License v3.0 only
@notice Detects a price drop that is so large that vaults have to be checked before members of pools are paid.
        A crash counts at a payment once vaults are flagged, and that takes a moment.
@dev A price falls by bounds.FALL or more in one step or in many: its distance under the highest since its
     last fall counts. So without a fall no price is further below its level bounds.LOOK ago, and a vault that
     was safe then still covers its debt.
"""
from contracts.modules import bounds
from contracts.modules import units


struct PriceDropState:  # of any price, by bounds.FALL or more
    last: uint256  # seconds, 32 bits
    began: uint256  # the first of those between which there never was time, seconds, 32 bits


# What `fallen` is a part of: bounds.FALL of it has 16 bits.
WHOLE: constant(uint256) = 2**20
MASK_32: constant(uint256) = 2**32 - 1

# Falls
times: uint256


@internal
def _update_fall_from_highest(fallen: uint256, before: uint256, now: uint256) -> uint256:
    """
    @dev How far a price is under its highest since its last fall, in 1 / WHOLE, rounded up: it was `fallen`,
         and the price goes from one to another, ray. A fall is noted, and counting begins again.
    """
    # 20 + 112 bits.
    left: uint256 = min(unsafe_mul(unsafe_sub(WHOLE, fallen), now) // before, WHOLE)
    if unsafe_mul(left, units.BASIS_POINTS) > WHOLE * (units.BASIS_POINTS - bounds.FALL):
        return unsafe_sub(WHOLE, left)
    times: PriceDropState = self._load()
    # Otherwise payments that waited had no time in between.
    if block.timestamp > times.last + 2 * bounds.LOOK:
        times.began = block.timestamp
    self.times = block.timestamp | (times.began << 32)
    return 0


@internal
@view
def _withdrawals_paused_until() -> uint256:
    """@dev [timestamp] Until when payments wait: for a while, and for falls in a row for a day in all."""
    times: PriceDropState = self._load()
    return min(times.last + bounds.LOOK, times.began + bounds.MAX_LOOK)


@internal
@view
def _load() -> PriceDropState:
    word: uint256 = self.times
    return PriceDropState(last=word & MASK_32, began=word >> 32)
