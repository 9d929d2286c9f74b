"""Arithmetic of the properties themselves, so that no mistake of the model is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

RAY, BASIS_POINTS = 10**27, 10**4
LINEAR, STAIRSTEP = 0, 1
_ONE = 1 << 256
"""A factor of one; a rounding of it is less than anything that contracts can round to."""


def compute_unvested_income(held: Any, now: int) -> int:
    """Return the pool income that has not vested at time `now` [wei, rounded up]."""
    left, whole = max(0, held.ends_at - now), held.ends_at - held.vested_at
    return -(-held.unvested * left // whole) if left else 0


def compute_vested_assets(held: Any, now: int) -> int:
    """Return the pool's vested assets, which determine its share price [wei]."""
    return int(held.booked) - compute_unvested_income(held, now)


def compute_recent_losses(borne: Any, now: int, length: int) -> int:
    """Return redistributed losses of the current and the previous epoch [ray].

    `borne` is a type's record of redistributed losses, `length` the epoch's length [seconds].
    """
    if now < borne.ends:
        return int(borne.added + borne.before)
    return int(borne.added) if now < borne.ends + length else 0


def compute_power_as_256_bit_fraction(ray_base: int, exponent: int) -> int:
    """Return `ray_base` [ray] to the power `exponent` as a fixed-point number with 256 fractional bits.

    Each multiplication is rounded down.
    """
    square, result = ray_base * _ONE // RAY, _ONE
    while exponent:
        if exponent & 1:
            result = result * square >> 256
        square = square * square >> 256
        exponent >>= 1
    return result


def compound_amount_with_tolerance(amount: int, base: int, exponent: int) -> tuple[int, int]:
    """Return `amount` compounded `exponent` times at `base` [ray], and the tolerance of rounding."""
    exact = amount * compute_power_as_256_bit_fraction(base, exponent) >> 256
    # Each product rounds to a ray's last digit, and later squares multiply what was rounded.
    return exact, amount * (exponent + 1) // RAY + exact * (exponent + 1) // RAY + 2


def compute_auction_price_with_tolerance(
    curve: int, period: int, cut: int, top: int, elapsed: int
) -> tuple[int, int]:
    """Return an auction's price `elapsed` seconds after its start [ray], and the rounding tolerance."""
    if curve == LINEAR:
        return top * max(0, period - elapsed) // period, 1 + top // RAY
    return compound_amount_with_tolerance(top, cut, elapsed // period if curve == STAIRSTEP else elapsed)


def compute_bracket_margin_amount(brackets: Sequence[tuple[int, int]], debt_in_rad: int) -> int:
    """Return a debt's extra margin from (bound, rate) brackets [basis points x rad]."""
    return sum(max(0, debt_in_rad - above * 10**45) * rate for above, rate in brackets)
