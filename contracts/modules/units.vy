# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title units
@license GNU Affero General Public License v3.0 only
@notice Fixed-point units and the roundings used everywhere. wad = 1e18 (tokens, ratios),
        ray = 1e27 (rates, prices), rad = 1e45 (ledger amounts, wad x ray).
"""

WAD: constant(uint256) = 10**18
RAY: constant(uint256) = 10**27
RAD: constant(uint256) = 10**45
HALF_RAY: constant(uint256) = RAY // 2
BASIS_POINTS: constant(uint256) = 10**4


@internal
@pure
def _div_up(a: uint256, b: uint256) -> uint256:
    """@dev ceil(a / b); b is never zero where this is called."""
    if a == 0:
        return 0
    return unsafe_add(unsafe_div(unsafe_sub(a, 1), b), 1)


@internal
@pure
def _mul_div(a: uint256, b: uint256, c: uint256) -> uint256:
    """@dev floor(a * b / c), of a product that fits; c is never zero where this is called."""
    return unsafe_div(a * b, c)


@internal
@pure
def _ray_mul(a: uint256, b: uint256, up: bool) -> uint256:
    """
    @dev a * b / RAY, rounded down or up, exact: both are split at RAY, so the product need not fit. Reverts
         where the result does not. The unchecked part is at most a.
    """
    low: uint256 = unsafe_mul(a % RAY, b % RAY)
    rest: uint256 = unsafe_add(unsafe_mul(unsafe_div(a, RAY), b % RAY), unsafe_div(low, RAY))
    if up and low % RAY != 0:
        rest = unsafe_add(rest, 1)
    return a * unsafe_div(b, RAY) + rest


@internal
@pure
def _rpow(base: uint256, exponent: uint256) -> uint256:
    """
    @dev base ** exponent in ray, rounded half up at every square and multiply (dss `Jug._rpow`). Unchecked:
         callers keep every intermediate under 2**112, so that its square fits. Fees reach at most 10 times
         RAY in the longest accrual, price cuts are below RAY.
    """
    x: uint256 = base
    n: uint256 = exponent
    result: uint256 = RAY
    if n & 1 == 1:
        result = x
    for _: uint256 in range(255):
        n >>= 1
        if n == 0:
            break
        x = unsafe_div(unsafe_add(unsafe_mul(x, x), HALF_RAY), RAY)
        if n & 1 == 1:
            result = unsafe_div(unsafe_add(unsafe_mul(result, x), HALF_RAY), RAY)
    return result
