"""Recursive-length prefixes, as blocks, transactions and receipts are hashed: of bytes and lists alone.

`rlp` looks for the kind of each item anew, which takes most of the time of following a chain.
"""

from __future__ import annotations

from collections.abc import Sequence

Item = bytes | Sequence["Item"]

_SHORT = 56
"""Bytes from which on a length has a length of its own."""
_TEXT, _LIST = 0x80, 0xC0


def encode_rlp(item: Item) -> bytes:
    """Return the encoding of bytes or of a list; raise TypeError for anything else."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _TEXT:
            return item
        return _prefix(_TEXT, len(item)) + item
    if not isinstance(item, list):
        raise TypeError(f"{type(item).__name__} has no encoding; expected bytes or a list")
    content = b"".join(map(encode_rlp, item))
    return _prefix(_LIST, len(content)) + content


def _prefix(kind: int, length: int) -> bytes:
    if length < _SHORT:
        return bytes([kind + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([kind + _SHORT - 1 + len(size)]) + size
