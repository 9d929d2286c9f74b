# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title dutch_auction
@license GNU Affero General Public License v3.0 only
@notice Dutch auctions: the price falls along a curve until a take. Pure: terms in one packed word, the price
        after some time, when a reset is due, and the amounts of one take.
@dev Prices are ray per 1e18 of the token for sale, under 2**112; amounts and targets wad, under 2**104: no
     product of two of them overflows. A take reads the fields that it needs from the packed word, to save
     gas.
"""
from contracts.modules import units

LINEAR: constant(uint256) = 0
STAIRSTEP: constant(uint256) = 1
EXPONENTIAL: constant(uint256) = 2

MAX_PRICE: constant(uint256) = 2**112 - 1
MASK_14: constant(uint256) = 2**14 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_90: constant(uint256) = 2**90 - 1


struct Terms:
    curve: uint256  # 0 linear, 1 stairstep, 2 exponential, 2 bits
    period: uint256  # seconds to zero (linear) or of one step (stairstep), 24 bits
    cut: uint256  # ray kept by each step or second, 90 bits
    tail: uint256  # seconds after which a reset is due, 24 bits
    cusp: uint256  # basis points of the top under which a reset is due, 14 bits
    buf: uint256  # top in basis points of the market price, 16 bits
    penalty: uint256  # target in basis points of principal, 16 bits
    minimum: uint256  # smallest rest of a target, whole stablecoins, 24 bits
    tip: uint256  # whole stablecoins for starting or resetting, 16 bits
    chip: uint256  # basis points of the target on top of the tip, 14 bits
    stop: uint256  # 0 nothing, 1 starts, 2 starts and resets, 2 bits
    decimals: uint256  # of the token that is sold, 5 bits
    version: uint256  # how often the terms were changed, 9 bits


struct Fill:
    collateral: uint256  # wad, a multiple of the token's unit
    paid: uint256  # wad of stablecoin
    rest: uint256  # wad of the target still to raise


@internal
@pure
def _unpack(word: uint256) -> Terms:
    return Terms(
        curve=word & 3,
        period=(word >> 2) & MASK_24,
        cut=(word >> 26) & MASK_90,
        tail=(word >> 116) & MASK_24,
        cusp=(word >> 140) & MASK_14,
        buf=(word >> 154) & MASK_16,
        penalty=(word >> 170) & MASK_16,
        minimum=(word >> 186) & MASK_24,
        tip=(word >> 210) & MASK_16,
        chip=(word >> 226) & MASK_14,
        stop=(word >> 240) & 3,
        decimals=(word >> 242) & 31,
        version=word >> 247,
    )


@internal
@pure
def _pack(terms: Terms) -> uint256:
    return (
        terms.curve
        | (terms.period << 2)
        | (terms.cut << 26)
        | (terms.tail << 116)
        | (terms.cusp << 140)
        | (terms.buf << 154)
        | (terms.penalty << 170)
        | (terms.minimum << 186)
        | (terms.tip << 210)
        | (terms.chip << 226)
        | (terms.stop << 240)
        | (terms.decimals << 242)
        | (terms.version << 247)
    )


@internal
@pure
def _top(word: uint256, market_price: uint256) -> uint256:
    """@dev floor(market_price*buf), capped at the highest price: a start never fails for a high price."""
    return min(unsafe_mul(market_price, (word >> 154) & MASK_16) // units.BASIS_POINTS, MAX_PRICE)


@internal
@pure
def _reward(word: uint256, target: uint256) -> uint256:
    """@dev tip + floor(chip*target), wad."""
    return unsafe_add(
        unsafe_mul((word >> 210) & MASK_16, units.WAD),
        unsafe_mul((word >> 226) & MASK_14, target) // units.BASIS_POINTS,
    )


@internal
@pure
def _stop(word: uint256) -> uint256:
    return (word >> 240) & 3


@internal
@pure
def _version(word: uint256) -> uint256:
    return word >> 247


@internal
@pure
def _penalty(word: uint256) -> uint256:
    """@dev Basis points of the principal, at least 10000."""
    return (word >> 170) & MASK_16


@internal
@pure
def _minimum(word: uint256) -> uint256:
    """@dev The smallest rest of a target, wad."""
    return unsafe_mul((word >> 186) & MASK_24, units.WAD)


@internal
@pure
def _price(word: uint256, top: uint256, elapsed: uint256) -> (uint256, bool):
    """
    @dev The price some seconds after it was at the top, each division a floor, and whether a reset is
         due: after the tail, or with price/top under the cusp (multiplied out: the same as
         floor(price*RAY/top) < cusp in ray). The cusp is at least one basis point, so a price of zero
         always needs a reset. The factor is at most RAY.
    """
    curve: uint256 = word & 3
    period: uint256 = (word >> 2) & MASK_24
    factor: uint256 = 0
    if curve != LINEAR:
        steps: uint256 = elapsed
        if curve == STAIRSTEP:
            steps = unsafe_div(elapsed, period)
        factor = units._rpow((word >> 26) & MASK_90, steps)
    elif elapsed < period:
        factor = unsafe_mul(unsafe_sub(period, elapsed), units.RAY) // period
    price: uint256 = unsafe_mul(top, factor) // units.RAY
    needs_reset: bool = elapsed > (word >> 116) & MASK_24 or (
        unsafe_mul(price, units.BASIS_POINTS) < unsafe_mul(top, (word >> 140) & MASK_14)
    )
    return price, needs_reset


@internal
@pure
def _compute_take_fill(
    word: uint256,
    lot: uint256,
    target: uint256,
    top: uint256,
    price: uint256,
    max_amount: uint256,
    max_price: uint256,
) -> Fill:
    """
    @dev The amounts that a take buys at a price above zero. The payment is rounded up to the wei, the
         collateral down to the token's unit. A part leaves a target of at least the minimum, and a lot worth
         at least the minimum at the market price that the top was made from. The highest price bounds the
         payment over the collateral received, to the wei of both: whole units may be fewer than the payment
         is worth.
    """
    collateral: uint256 = lot
    unit: uint256 = 10**unsafe_sub(18, (word >> 242) & 31)
    if max_amount < lot:
        collateral = unsafe_sub(max_amount, max_amount % unit)
    paid: uint256 = units._div_up(unsafe_mul(collateral, price), units.RAY)
    if paid > target:
        paid = target
        collateral = unsafe_div(unsafe_mul(paid, units.RAY), price)
        collateral = unsafe_sub(collateral, collateral % unit)
    rest: uint256 = unsafe_sub(target, paid)

    if rest != 0 and collateral != lot:
        least: uint256 = self._minimum(word)
        if rest < least:
            assert target > least, "dutch_auction: target too small"
            rest = least
            paid = unsafe_sub(target, least)
            collateral = unsafe_mul(paid, units.RAY) // price
            collateral = unsafe_sub(collateral, collateral % unit)
        market_price: uint256 = unsafe_mul(top, units.BASIS_POINTS) // ((word >> 154) & MASK_16)
        assert unsafe_mul(unsafe_sub(lot, collateral), market_price) >= unsafe_mul(
            least, units.RAY
        ), "dutch_auction: lot too small"
    assert collateral != 0, "dutch_auction: nothing taken"
    # To the wei: paid - 1 < (collateral + 1)*max_price.
    assert (
        price <= max_price
        and unsafe_div(unsafe_mul(unsafe_sub(paid, 1), units.RAY), unsafe_add(collateral, 1)) < max_price
    ), "dutch_auction: price too high"
    return Fill(collateral=collateral, paid=paid, rest=rest)
