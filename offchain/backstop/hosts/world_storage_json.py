"""A model world's tables as raw words, as JSON keeps them, and back.

contract -> storage path -> key -> word: the key as text ("" for a scalar, "0/0xab.." for two levels), the
word in hex. A slot that was never written is left out, and reads as zero.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from backstop.contract_base import World
from backstop.errors import BackstopError
from backstop.hosts import storage_layout

Words = Mapping[str, Mapping[str, Mapping[str, str]]]


class WrongStateError(BackstopError, KeyError):
    """Error: a stored state lacks a table that this deployment has."""

    __str__ = Exception.__str__  # KeyError's is for a key


class RawState(NamedTuple):
    """Complete stored state of a deployment, and the block at which it was taken."""

    words: Words
    block_number: int = 1


def format_table_key(key: Hashable) -> str:
    """Return the text form of a table key, with parts separated by slashes."""
    if isinstance(key, tuple):
        return "/".join(format_table_key(part) for part in key)
    return "0x" + key.hex() if isinstance(key, bytes) else str(key)


def parse_key(text: str) -> Hashable:
    """Return the table key in a text: numbers, addresses and bytes32; raise ValueError for others."""
    if not text:
        return ()
    parts = tuple(_parse_key_part(part) for part in text.split("/"))
    return parts if len(parts) > 1 else parts[0]


def _parse_key_part(text: str) -> int | str | bytes:
    if not text.startswith("0x"):
        return int(text)
    return bytes.fromhex(text[2:]) if len(text) == 66 else text


def encode_nonzero_storage_words(world: World) -> Words:
    """Return all non-zero storage words of a model world, by contract, table path and key."""
    return {
        name: {
            path: {
                format_table_key(key): hex(word)
                for key, value in table.items()
                if (word := storage_layout.encode_word(value))
            }
            for path, table in contract.tables.items()
        }
        for name, contract in world.contracts.items()
    }


def load_words(world: World, words: Words) -> None:
    """Replace the whole state of a model world by stored storage words.

    Raises WrongStateError or ValueError if the words belong to another deployment.
    """
    for name, contract in world.contracts.items():
        for path, table in contract.tables.items():
            if path not in words.get(name, {}):
                raise WrongStateError(
                    f"the state has no {name} {path}: it is another deployment's, or of an older version"
                )
            table.clear()
            for text, word in words[name][path].items():
                dict.__setitem__(
                    table, parse_key(text), storage_layout.decode_word(int(word, 16), table.default)
                )
    world.journal.clear()
    world.logs.clear()
