"""Dutch auctions: terms, the price after some time, the time of a reset, the amount that one take buys.

Prices in ray per 1e18 of the sold token, amounts and targets in wad. Every bound is known (see
contracts/modules/dutch_auction.vy), so nothing here can overflow.
"""

from __future__ import annotations

from typing import NamedTuple

from backstop.contract_base import declare_record_slot_bit_widths, require
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up, rpow

LINEAR, STAIRSTEP, EXPONENTIAL = range(3)
MAX_PRICE = 2**112 - 1
WORTHLESS = 100


@declare_record_slot_bit_widths(2, 24, 90, 24, 14, 16, 16, 24, 16, 14, 2, 5, 9)
class Terms(NamedTuple):
    """Terms by which a collateral type is auctioned: price curve, duration, penalty and rewards."""

    curve: int = 0  # 0 linear, 1 stairstep, 2 exponential
    period: int = 0  # seconds to zero (linear) or of one step (stairstep)
    cut: int = 0  # ray kept by each step or second
    tail: int = 0  # seconds after which a reset is due
    cusp: int = 0  # basis points of the top under which a reset is due
    buf: int = 0  # top in basis points of the market price
    penalty: int = 0  # target in basis points of principal
    minimum: int = 0  # smallest rest of a target, whole stablecoins
    tip: int = 0  # whole stablecoins for starting or resetting
    chip: int = 0  # basis points of the target on top of the tip
    stop: int = 0  # 0 nothing, 1 starts, 2 starts and resets
    decimals: int = 0  # of the token that is sold
    version: int = 0  # how often the terms were changed

    @property
    def unit(self) -> int:
        """Value of one raw unit of the sold token [wad]."""
        return int(10 ** (18 - self.decimals))

    def top(self, market_price: int) -> int:
        """Return the auction's start price [ray]: the market price times `buf`, rounded down.

        The result is limited to `MAX_PRICE`, so that a high price cannot make the start fail.
        """
        return min(market_price * self.buf // BASIS_POINTS, MAX_PRICE)

    def price(self, top: int, elapsed: int) -> tuple[int, bool]:
        """Return the auction price `elapsed` seconds after the start [ray], and whether a reset is due.

        Each division rounds down. A reset is due after the tail, or if the price is below `cusp` basis points
        of the start price `top`. So it is always due at a price of zero.
        """
        if self.curve == STAIRSTEP:
            factor = rpow(self.cut, elapsed // self.period)
        elif self.curve == EXPONENTIAL:
            factor = rpow(self.cut, elapsed)
        else:
            factor = max(0, self.period - elapsed) * RAY // self.period
        price = top * factor // RAY
        return price, elapsed > self.tail or price * BASIS_POINTS < top * self.cusp

    def is_worthless(self, lot: int, price: int) -> bool:
        """Return True if a lot is worth too little to pay for a sale at this price.

        The limit is a hundredth (`WORTHLESS`) of the smallest unpaid target.
        """
        return lot * price * WORTHLESS < self.minimum * RAD

    def reward(self, target: int) -> int:
        """Return the reward for starting or resetting an auction [wad]: tip plus chip times target.

        The chip's part is rounded down.
        """
        return self.tip * WAD + self.chip * target // BASIS_POINTS


class Fill(NamedTuple):
    """Result of one purchase from an auction: collateral sold, payment, and target left to raise [wad]."""

    collateral: int  # wad, a multiple of the token's unit
    paid: int  # wad of stablecoin
    rest: int  # wad of the target still to raise

    @property
    def least_price(self) -> int:
        """Lowest `max_price` with which a buyer gets this purchase [ray].

        It can exceed the auction's price if the payment buys fewer whole units of the token.
        """
        return (self.paid - 1) * RAY // (self.collateral + 1) + 1


def compute_take_fill(
    terms: Terms, lot: int, target: int, top: int, price: int, max_amount: int, max_price: int
) -> Fill:
    """Return collateral, payment and remaining target of a purchase from an auction [wad].

    The payment is rounded up, the collateral down to the token's unit. A partial purchase is reduced so that
    it leaves a target of at least the minimum. Raises RevertError if the collateral left is worth less than
    the minimum at the market price, if nothing is sold, or if the payment exceeds `max_price` [ray] for the
    collateral received.
    """
    unit = terms.unit
    collateral = min(lot, max_amount // unit * unit)
    paid = div_up(collateral * price, RAY)
    if paid > target:
        paid = target
        collateral = paid * RAY // price // unit * unit
    rest = target - paid

    if rest != 0 and collateral != lot:
        least = terms.minimum * WAD
        if rest < least:
            require(target > least, "dutch_auction: target too small")
            rest = least
            paid = target - least
            collateral = paid * RAY // price // unit * unit
        market_price = top * BASIS_POINTS // terms.buf
        require((lot - collateral) * market_price >= least * RAY, "dutch_auction: lot too small")
    require(collateral != 0, "dutch_auction: nothing taken")
    fill = Fill(collateral, paid, rest)
    require(max(price, fill.least_price) <= max_price, "dutch_auction: price too high")
    return fill
