"""Encodings and roots are those of the libraries `rlp` and `trie`."""

from __future__ import annotations

import pytest
import rlp
from trie import HexaryTrie

from backstop.live.node.rlp_encoder import Item, encode_rlp
from backstop.live.node.roots import _root

ITEMS: list[Item] = [
    *(bytes([first] * length) for first in (0x00, 0x7F, 0x80, 0xFF) for length in (0, 1, 2, 55, 56, 70_000)),
    *([b"a"] * length for length in (0, 1, 55, 56, 300)),
    [[], [[]], [b"", [b"\x00" * 60], b"\x80"]],
]


@pytest.mark.parametrize("item", ITEMS, ids=range(len(ITEMS)))
def test_it_is_what_the_library_encodes(item: Item) -> None:
    assert encode_rlp(item) == rlp.encode(item)


@pytest.mark.parametrize("item", [None, 0, "text", [b"", None]])
def test_anything_else_is_refused(item: object) -> None:
    with pytest.raises(TypeError, match="has no encoding"):
        encode_rlp(item)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 1, 2, 20, 130])
@pytest.mark.parametrize("size", [1, 31, 32, 400])
def test_a_root_is_that_of_the_trie_of_all_items(length: int, size: int) -> None:
    trie = HexaryTrie({})
    items = [bytes([i % 256]) * size for i in range(1, length + 1)]
    for i, item in enumerate(items):
        trie[rlp.encode(i)] = item
    assert _root(items) == "0x" + trie.root_hash.hex()
