# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title settlement_price
@license GNU Affero General Public License v3.0 only
@notice The one price at which a market is settled: the mean over the first FINAL_WINDOW seconds, from the
        moment at which its closing began, in which its price was valid. It follows from the history of the
        market alone: the caller, the time and any calls before change nothing. A market that had no such time
        FINAL_DEADLINE seconds later is settled at the mean over the valid time, if that is a quarter of it,
        and else at the average from before the closing. So there is an answer in time, in any state of the
        market.
@dev Between two changes of a market all is constant, so the sum is carried on piece by piece: an importer
     calls `_count` before it changes a value that counts. A second belongs to the state at its end. A closing
     has a key: that of a market's settlement is its id; one that was planned for a moment has that moment in
     it, so that each has its own price and the same rule makes all of them.
"""
from contracts.modules import bounds


event FinalPriceSet:
    collateral_type: indexed(uint256)  # [id]
    price: uint256  # [ray]


struct Closing:
    begun_at: uint256  # seconds, 32 bits
    counted_to: uint256  # seconds, 32 bits
    valid: uint256  # seconds of them in which there was a valid price, 32 bits
    sum: uint256  # ray x seconds, 160 bits


struct Market:
    price: uint256  # ray
    fresh_until: uint256  # seconds
    held_until: uint256  # seconds: a halt or a grace holds it back
    waits: bool  # a price that is far off waits to be confirmed


MASK_8: constant(uint256) = 2**8 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_112: constant(uint256) = 2**112 - 1
# Beside a price: zero may be final as well.
IS_FINAL: constant(uint256) = 2**112

# key -> Closing
closings: HashMap[uint256, uint256]
# key -> price (ray, 112 bits) | is it final (1 bit); before that, the price for want of time
final_prices: HashMap[uint256, uint256]


@internal
@pure
def _key(collateral_type: uint256, at: uint256) -> uint256:
    """@dev Of a closing that was planned for a moment; of the settlement's without one. Ids have 8 bits."""
    return collateral_type | (at << 8)


@internal
@view
def _choose_earlier_closing_key(collateral_type: uint256, at: uint256) -> uint256:
    """@dev The key of the earlier closing: the one that was planned for a moment, or the settlement's."""
    settled_at: uint256 = self.closings[collateral_type] & MASK_32
    if settled_at != 0 and settled_at < at:
        return collateral_type
    return self._key(collateral_type, at)


@internal
def _begin(key: uint256, at: uint256, otherwise: uint256):
    """
    @dev Begin to count, once.
    @param key Of the closing.
    @param at Seconds: the moment that it begins at, now or before.
    @param otherwise Ray: the price if the time with valid ones is too short.
    """
    self.closings[key] = at | (at << 32)
    self.final_prices[key] = otherwise


@internal
def _set(key: uint256, price: uint256):
    self.final_prices[key] = price | IS_FINAL
    log FinalPriceSet(collateral_type=key & MASK_8, price=price)


@internal
def _count_time_and_finalise_price(key: uint256, market: Market) -> bool:
    """@dev Count the time up to now, in which the market was as given; whether the price is final now."""
    closing: Closing = self._count_final_price_time(self._load(key), market)
    self.closings[key] = (
        closing.begun_at | (closing.counted_to << 32) | (closing.valid << 64) | (closing.sum << 96)
    )
    if not self._is_over(closing):
        return False
    self._set(key, self._compute_mean(closing, self.final_prices[key]))
    return True


@internal
@view
def _has_begun(key: uint256) -> bool:
    return self.closings[key] != 0 or self.final_prices[key] != 0


@internal
@view
def _price(key: uint256, market: Market, at: uint256, otherwise: uint256) -> (bool, uint256, Closing):
    """
    @dev Whether the price is final, the price, and the closing counted up to now, for a market that is as
         given since the last change. A planned closing begins at its moment without a call: `at` is that
         moment, 0 if none has come, and `otherwise` the price for want of time.
    """
    word: uint256 = self.final_prices[key]
    closing: Closing = self._load(key)
    if word & IS_FINAL != 0:
        return True, word & MASK_112, closing
    if closing.begun_at == 0:
        if at == 0:
            return False, 0, closing
        closing.begun_at = at
        closing.counted_to = at
        word = otherwise
    closing = self._count_final_price_time(closing, market)
    if not self._is_over(closing):
        return False, 0, closing
    return True, self._compute_mean(closing, word), closing


@internal
@view
def _count_final_price_time(closing: Closing, market: Market) -> Closing:
    """@dev The same with the time up to now."""
    counted: Closing = closing
    start: uint256 = max(closing.counted_to, min(market.held_until, closing.begun_at + bounds.MAX_FINAL_HALT))
    # A price is fresh in the second `fresh_until` too.
    end: uint256 = min(block.timestamp, min(market.fresh_until + 1, closing.begun_at + bounds.FINAL_DEADLINE))
    if not market.waits and start < end:
        seconds: uint256 = min(end - start, bounds.FINAL_WINDOW - closing.valid)
        counted.valid += seconds
        # 112 + 15 bits.
        counted.sum += market.price * seconds
    counted.counted_to = block.timestamp
    return counted


@internal
@view
def _is_over(closing: Closing) -> bool:
    """@dev Once counted up to now: whether nothing later counts."""
    return (
        closing.valid == bounds.FINAL_WINDOW or block.timestamp >= closing.begun_at + bounds.FINAL_DEADLINE
    )


@internal
@pure
def _compute_mean(closing: Closing, otherwise: uint256) -> uint256:
    """@dev Rounded down: a vault gives a unit more for its debt, which pays the holders."""
    if closing.valid * 4 < bounds.FINAL_WINDOW:
        return otherwise
    return closing.sum // closing.valid


@internal
@view
def _load(key: uint256) -> Closing:
    word: uint256 = self.closings[key]
    return Closing(
        begun_at=word & MASK_32,
        counted_to=(word >> 32) & MASK_32,
        valid=(word >> 64) & MASK_32,
        sum=word >> 96,
    )
