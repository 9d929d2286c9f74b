"""A seeded stream of integers, the same on every machine and every version of Python."""

from __future__ import annotations

from hashlib import sha256

SCALE = 10**9
"""Normal numbers are integers in units of 1e-9."""


class SeededRandom:
    """SHA-256 of the seed, a label and a counter: streams with different labels are independent."""

    def __init__(self, seed: int, *labels: str | int) -> None:
        self._key = "/".join(str(part) for part in (seed, *labels)).encode()
        self._counter = 0

    def draw_bits(self) -> int:
        """Draw 256 random bits."""
        self._counter += 1
        return int.from_bytes(sha256(self._key + b"#%d" % self._counter).digest(), "big")

    def draw_index(self, bound: int) -> int:
        """Draw from 0 to n - 1; the bias is under n / 2**256."""
        return self.draw_bits() % bound

    def draw_integer(self, lowest: int, highest: int) -> int:
        """Draw an integer between two, both included."""
        return lowest + self.draw_index(highest - lowest + 1)

    def draw_scaled_normal(self) -> int:
        """Draw about a standard normal number, times SCALE: twelve uniform ones, less six."""
        word = self.draw_bits()
        total = sum((word >> (20 * i)) & 0xFFFFF for i in range(12))
        return (total - 6 * 0xFFFFF) * SCALE // 0x100000


def derive_path_seed(seed: int, path: int) -> int:
    """Return the seed of one path of a study: 63 bits, as a seed given by hand."""
    return SeededRandom(seed, "path", path).draw_bits() >> 193
