"""keccak-256 and secp256k1 recovery as the EVM computes them, in plain integers.

They cost milliseconds. A program with a faster library installs it with `replace_crypto_functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

_MASK = 2**64 - 1
_RATE = 136
_ROTATIONS = (
    (0, 36, 3, 41, 18),
    (1, 44, 10, 45, 2),
    (62, 6, 43, 15, 61),
    (28, 55, 25, 21, 56),
    (27, 20, 39, 8, 14),
)

_FIELD = 2**256 - 2**32 - 977
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
GENERATOR = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

Point = tuple[int, int]
"""A point in affine coordinates."""
Jacobian = tuple[int, int, int]
"""A point (x, y, z) that is (x/z**2, y/z**3), so that sums divide nothing; z is 0 at infinity."""
_INFINITY = (1, 1, 0)


@lru_cache(1_024)
def keccak256(data: bytes) -> bytes:
    """Return the keccak-256 hash of data, as the EVM computes it (original padding, not SHA-3)."""
    return _in_use.keccak256(data)


@lru_cache(1_024)
def recover_signer_or_none(digest: bytes, v: int, r: int, s: int) -> str | None:
    """Return the address that signed a digest, as the ecrecover precompile; None if it is invalid."""
    return _in_use.ecrecover(digest, v, r, s)


class CryptoFunctions(NamedTuple):
    """Implementations of keccak-256 and of the ecrecover precompile."""

    keccak256: Callable[[bytes], bytes]
    ecrecover: Callable[[bytes, int, int, int], str | None]


def replace_crypto_functions(crypto_functions: CryptoFunctions) -> None:
    """Replace the implementations of keccak-256 and ecrecover in this process."""
    global _in_use
    _in_use = crypto_functions


def plain_keccak256(data: bytes) -> bytes:
    """Return the keccak-256 hash of data, computed with Python integers only."""
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % _RATE)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for i in range(_RATE // 8):
            offset = start + 8 * i
            lanes[i] ^= int.from_bytes(padded[offset : offset + 8], "little")
        lanes = _permute_keccak_state(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def recover_in_plain_integers(digest: bytes, v: int, r: int, s: int) -> str | None:
    """Return the address that signed a digest, computed with Python integers only; None if invalid."""
    if v not in (27, 28) or not 0 < r < ORDER or not 0 < s < ORDER:
        return None
    square = (pow(r, 3, _FIELD) + 7) % _FIELD
    y = pow(square, (_FIELD + 1) // 4, _FIELD)
    if y * y % _FIELD != square:
        return None
    if y % 2 != v - 27:
        y = _FIELD - y
    inverse = pow(r, -1, ORDER)
    z = int.from_bytes(digest, "big")
    public = _add_curve_point_multiples(GENERATOR, -z * inverse % ORDER, (r, y), s * inverse % ORDER)
    if public is None:
        return None
    return "0x" + keccak256(public[0].to_bytes(32, "big") + public[1].to_bytes(32, "big"))[12:].hex()


PLAIN = CryptoFunctions(plain_keccak256, recover_in_plain_integers)
_in_use = PLAIN


def _round_constants() -> Iterator[int]:
    """Yield the constant of each round of Keccak, from its shift register."""
    register = 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << ((1 << bit) - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        yield constant


_CONSTANTS = tuple(_round_constants())
# Lane (x, y) is number x + 5y. Where each goes, by which column it is mixed and how far it is rotated.
_MOVES = tuple(
    (x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), x, _ROTATIONS[x][y]) for y in range(5) for x in range(5)
)
# Each lane with its two neighbours in the row.
_ROWS = tuple((x + 5 * y, (x + 1) % 5 + 5 * y, (x + 2) % 5 + 5 * y) for y in range(5) for x in range(5))


def _permute_keccak_state(lanes: list[int]) -> list[int]:
    """Return the state after the permutation Keccak-f[1600].

    The code has no inner calls, since signature checks spend most of their time here.
    """
    moved = [0] * 25
    for constant in _CONSTANTS:
        parity = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [
            parity[x - 1] ^ (parity[x - 4] << 1 & _MASK | parity[x - 4] >> 63)  # x - 4 is x + 1 in a row
            for x in range(5)
        ]
        for start, end, x, bits in _MOVES:
            lane = lanes[start] ^ mixed[x]
            moved[end] = (lane << bits | lane >> (64 - bits)) & _MASK
        lanes = [moved[i] ^ (~moved[j] & moved[k]) for i, j, k in _ROWS]
        lanes[0] ^= constant
    return lanes


def _double_point(point: Jacobian) -> Jacobian:
    x, y, z = point
    square = y * y % _FIELD
    four = 4 * x * square % _FIELD
    slope = 3 * x * x
    u = (slope * slope - 2 * four) % _FIELD
    return u, (slope * (four - u) - 8 * square * square) % _FIELD, 2 * y * z % _FIELD


def _add_points(first: Jacobian, second: Jacobian) -> Jacobian:
    if not first[2]:
        return second
    if not second[2]:
        return first
    zz, ww = first[2] * first[2] % _FIELD, second[2] * second[2] % _FIELD
    x, y = first[0] * ww % _FIELD, first[1] * ww * second[2] % _FIELD
    right, up = (second[0] * zz - x) % _FIELD, (second[1] * zz * first[2] - y) % _FIELD
    if not right:
        return _double_point(first) if not up else _INFINITY
    square = right * right % _FIELD
    cube, middle = square * right % _FIELD, x * square % _FIELD
    u = (up * up - cube - 2 * middle) % _FIELD
    return u, (up * (middle - u) - y * cube) % _FIELD, first[2] * second[2] * right % _FIELD


def _add_curve_point_multiples(
    first_point: Point, first_factor: int, second_point: Point, second_factor: int
) -> Point | None:
    """Return the sum of two multiples of curve points (Shamir's trick); None for the point at infinity."""
    one, other = (*first_point, 1), (*second_point, 1)
    terms = (_INFINITY, one, other, _add_points(one, other))
    result = _INFINITY
    for bit in range(255, -1, -1):
        result = _double_point(result)
        result = _add_points(result, terms[(first_factor >> bit & 1) + 2 * (second_factor >> bit & 1)])
    x, y, z = result
    if not z:
        return None
    inverse = pow(z, -1, _FIELD)
    square = inverse * inverse
    return x * square % _FIELD, y * square * inverse % _FIELD
