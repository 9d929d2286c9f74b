"""A seeded stream of integers, the same on every machine and every version of Python."""

from __future__ import annotations

from hashlib import sha256

SCALE = 10**9
"""Normal numbers are integers in units of 1e-9."""


class SeededRandom:
    """Deterministic random numbers from SHA-256 of seed, labels and a counter.

    Streams with different labels are independent.
    """

    def __init__(self, seed: int, *labels: str | int) -> None:
        self._key = "/".join(str(part) for part in (seed, *labels)).encode()
        self._counter = 0

    def draw_bits(self) -> int:
        """Return 256 random bits as an integer."""
        self._counter += 1
        return int.from_bytes(sha256(self._key + b"#%d" % self._counter).digest(), "big")

    def draw_index(self, bound: int) -> int:
        """Return a random integer from 0 to `bound` - 1, with a bias below bound / 2**256."""
        return self.draw_bits() % bound

    def draw_integer(self, lowest: int, highest: int) -> int:
        """Return a random integer between two bounds, both included."""
        return lowest + self.draw_index(highest - lowest + 1)

    def draw_scaled_normal(self) -> int:
        """Return an approximately standard normal number times SCALE.

        It is the sum of twelve uniform numbers, less six.
        """
        word = self.draw_bits()
        total = sum((word >> (20 * i)) & 0xFFFFF for i in range(12))
        return (total - 6 * 0xFFFFF) * SCALE // 0x100000


def derive_path_seed(seed: int, path: int) -> int:
    """Return the 63-bit random seed for one price path of a study."""
    return SeededRandom(seed, "path", path).draw_bits() >> 193
