"""Checked 256-bit integers, as the EVM computes them.

Units: wad = 1e18, ray = 1e27, rad = 1e45, basis points = 1e4. Every helper reverts
with empty data where the compiled contract would.
"""

from collections.abc import Sequence
from functools import lru_cache

from backstop.contract_base import RevertError

WAD = 10**18
RAY = 10**27
RAD = 10**45
BASIS_POINTS = 10**4
MAX_UINT256 = 2**256 - 1


def add_uint256(a: int, b: int) -> int:
    """Return a + b as an unsigned 256-bit integer.

    Raises RevertError if the sum is above 2**256 - 1.
    """
    total = a + b
    if total > MAX_UINT256:
        raise RevertError("")
    return total


def sub(a: int, b: int) -> int:
    """Return a - b as an unsigned 256-bit integer.

    Raises RevertError if b is greater than a.
    """
    if b > a:
        raise RevertError("")
    return a - b


def mul_uint256(a: int, b: int) -> int:
    """Return a * b as an unsigned 256-bit integer.

    Raises RevertError if the product is above 2**256 - 1.
    """
    product = a * b
    if product > MAX_UINT256:
        raise RevertError("")
    return product


def div(a: int, b: int) -> int:
    """Return a / b, rounded down.

    Raises RevertError if b is 0.
    """
    if b == 0:
        raise RevertError("")
    return a // b


def div_up(a: int, b: int) -> int:
    """Return a / b, rounded up, for nonnegative integers.

    The result is computed as in the contracts: no intermediate value overflows. Raises RevertError if b is 0.
    """
    if b == 0:
        raise RevertError("")
    return 0 if a == 0 else (a - 1) // b + 1


def divide_signed(a: int, b: int) -> int:
    """Return a / b, rounded toward zero, as the EVM divides signed integers.

    The divisor b must not be 0.
    """
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def check_signed(a: int) -> int:
    """Return the same integer if it fits a signed 256-bit word.

    Raises RevertError if it does not fit.
    """
    if not -(2**255) <= a < 2**255:
        raise RevertError("")
    return a


# Prices and rates of one time are asked for again and again, those of another block hardly: a keeper has two
# new ones in each, and would fill a larger cache for hours.
@lru_cache(maxsize=2**9)
def rpow(base: int, exponent: int) -> int:
    """Return base ** exponent [ray], with every multiplication rounded half up (dss `Jug._rpow`).

    The power is computed by repeated squaring. Callers keep every intermediate value under 2**112: fees reach
    at most 10 times RAY in the longest accrual, and price cuts are below RAY. Raises RevertError if the
    exponent is negative, because in the contract the subtraction of times that yields the exponent would
    underflow.
    """
    if exponent < 0:
        raise RevertError("")
    result = base if exponent & 1 else RAY
    x, n = base, exponent >> 1
    while n:
        x = (x * x + RAY // 2) // RAY
        if n & 1:
            result = (result * x + RAY // 2) // RAY
        n >>= 1
    return result


def split_by_cumulative_weights(amount: int, weights: Sequence[int]) -> list[int]:
    """Return the amount split in proportion to the weights; the parts add up to the amount exactly.

    Each part is the difference of two cumulative shares, and each cumulative share is rounded down.
    """
    everything, passed, given, parts = sum(weights), 0, 0, []
    for weight in weights:
        passed += weight
        so_far = amount * passed // everything if amount else 0
        parts.append(so_far - given)
        given = so_far
    return parts
