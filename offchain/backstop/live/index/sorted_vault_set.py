"""A sorted set of 64-bit entries, each a grade and a row: eight bytes for a vault, and no ties.

A grade stands for a fraction, rounded down to about 32 significant bits, in integers: of two fractions the
larger never has the lower grade.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

ROW_BITS = 24
"""Of an entry; the 40 bits above are the grade."""

_POINT = 128
_DIGITS = 31
_BLOCK = 1_000


def compute_sortable_fraction(numerator: int, denominator: int) -> int:
    """Return an integer that orders fractions: a larger fraction never has a smaller integer.

    It is the binary exponent and the leading 32 binary digits of the fraction, rounded down. The fractions
    are collateral for normalized debt, and the collateral that a price requires for it: under 2**107, so the
    integer is under 2**39.
    """
    fixed = (numerator << _POINT) // denominator
    shift = fixed.bit_length() - 1 - _DIGITS
    return fixed if shift <= 0 else (shift << _DIGITS) + (fixed >> shift)


class SortedVaultSet:
    """Sorted set of 64-bit entries (fraction and row), in blocks that make insertions cheap."""

    __slots__ = ("_blocks", "_lasts")

    def __init__(self, entries: Iterable[int] = ()) -> None:
        whole = array("Q", sorted(entries))
        self._blocks = [whole[i : i + _BLOCK] for i in range(0, len(whole), _BLOCK)]
        self._lasts = [block[-1] for block in self._blocks]

    def __len__(self) -> int:
        return sum(map(len, self._blocks))

    def add_entry(self, entry: int) -> None:
        """Insert an entry that is not in the set."""
        blocks, lasts = self._blocks, self._lasts
        if not blocks:
            blocks.append(array("Q"))
            lasts.append(entry)
        i = min(bisect_left(lasts, entry), len(lasts) - 1)
        block = blocks[i]
        insort(block, entry)
        if len(block) > 2 * _BLOCK:
            blocks[i : i + 1] = block[:_BLOCK], block[_BLOCK:]
            lasts[i : i + 1] = blocks[i][-1], blocks[i + 1][-1]
        else:
            lasts[i] = block[-1]

    def remove_entry(self, entry: int) -> None:
        """Remove an entry that is in the set."""
        i = bisect_left(self._lasts, entry)
        block = self._blocks[i]
        at = bisect_left(block, entry)
        assert block[at] == entry
        del block[at]
        if block:
            self._lasts[i] = block[-1]
        else:
            del self._blocks[i], self._lasts[i]

    def iter_lowest_rows(self, highest: int) -> Iterator[int]:
        """Yield the rows of all entries with a sortable fraction of at most `highest`."""
        end, mask = highest + 1 << ROW_BITS, (1 << ROW_BITS) - 1
        for block, last in zip(self._blocks, self._lasts, strict=True):
            if last < end:
                for entry in block:
                    yield entry & mask
            else:
                for entry in block[: bisect_left(block, end)]:
                    yield entry & mask
                return
