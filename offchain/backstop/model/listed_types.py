"""Which collateral types are listed, in one word: 8 bits of id + 1 for each, the lowest id lowest."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model import bounds


def decode_listed_types(word: int) -> list[int]:
    """Return the collateral type ids that a storage word lists, 8 bits of id + 1 for each."""
    return [each - 1 for each in word.to_bytes(bounds.MAX_COLLATERAL_TYPES, "little") if each]


def encode_listed_types(ids: Sequence[int]) -> int:
    """Return the storage word that lists collateral type ids, 8 bits of id + 1 for each."""
    return int.from_bytes([c + 1 for c in ids], "little")
