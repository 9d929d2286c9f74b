"""Proofs of storage: a block's header leads to its state root, that to accounts, those to their slots.

Nodes of Merkle-Patricia tries are named by their hashes, so a verifier that trusts a block's hash need not
trust the source of the nodes. A missing or changed node breaks the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import rlp
from eth_hash.auto import keccak
from rlp.codec import encode_raw
from trie import HexaryTrie
from trie.exceptions import InvalidNode, MissingTrieNode

from backstop.errors import BackstopError

# A header's fields in their order; those from the base fee on came with upgrades, one after the other.
_HASHES = "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"
_FIELDS: tuple[tuple[str, bool], ...] = (
    *((name, False) for name in _HASHES),
    *((name, True) for name in ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")),
    *((name, False) for name in ("extraData", "mixHash", "nonce")),
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)
_STATE_ROOT, _NUMBER, _TIMESTAMP = 3, 8, 11


class UnprovenError(BackstopError):
    """Error raised if a claim does not follow from a block's hash."""


class Header(NamedTuple):
    """Number, timestamp and state root of a block's header."""

    number: int
    timestamp: int
    state_root: bytes


class Account(NamedTuple):
    """State of an account: transactions sent (nonce), balance [wei], storage root and code hash."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


def encode_header(block: Mapping[str, Any]) -> bytes:
    """Return the RLP encoding of a block's header from a node's JSON.

    Raise UnprovenError if the encoding does not hash to the block's hash.
    """
    fields: list[bytes] = []
    for name, number in _FIELDS:
        value = block.get(name)
        if value is None:
            continue
        if number:
            fields.append(_encode_minimal(int(value, 16)))
        else:
            fields.append(bytes.fromhex(value[2:]))
    header = encode_raw(fields)
    if keccak(header).hex() != block["hash"][2:]:
        raise UnprovenError(
            f"the header of block {int(block['number'], 16)} does not hash to the block's hash"
        )
    return header


def read_header(header: bytes, block_hash: str) -> Header:
    """Return the fields of an RLP-encoded header.

    Raise UnprovenError if the header does not hash to `block_hash`.
    """
    if "0x" + keccak(header).hex() != block_hash.lower():
        raise UnprovenError(f"the header is not that of block {block_hash}")
    fields = rlp.decode(header)
    number, timestamp = (int.from_bytes(fields[i], "big") for i in (_NUMBER, _TIMESTAMP))
    return Header(number, timestamp, bytes(fields[_STATE_ROOT]))


class TrieNodes:
    """Nodes of Merkle-Patricia tries by their hashes, from which proven values are read."""

    def __init__(self, nodes: Iterable[bytes]) -> None:
        self._nodes = {keccak(node): node for node in nodes}

    def get_account(self, state_root: bytes, address: str) -> Account:
        """Return the proven state of an account.

        Raise UnprovenError if nodes are missing, or if the account is proven not to exist.
        """
        found = self.find_account(state_root, address)
        if found is None:
            raise UnprovenError(f"account {address} is missing in the block's state")
        return found

    def find_account(self, state_root: bytes, address: str) -> Account | None:
        """Return the proven state of an account; None if it is proven not to exist.

        Raise UnprovenError if nodes are missing.
        """
        found = self._get_value(state_root, bytes.fromhex(address[2:]), f"the account {address}")
        if not found:
            return None
        nonce, balance, storage_root, code_hash = rlp.decode(found)
        sent, coins = (int.from_bytes(each, "big") for each in (nonce, balance))
        return Account(sent, coins, bytes(storage_root), bytes(code_hash))

    def get_word(self, storage_root: bytes, slot: int) -> int:
        """Return the proven word of a storage slot; 0 if the slot is proven to be empty.

        Raise UnprovenError if nodes are missing.
        """
        found = self._get_value(storage_root, slot.to_bytes(32, "big"), f"slot {slot:#x}")
        return int.from_bytes(rlp.decode(found), "big") if found else 0

    def _get_value(self, root: bytes, key: bytes, what: str) -> bytes:
        try:
            return bytes(HexaryTrie(self._nodes, root).get(keccak(key)))
        except MissingTrieNode:
            raise UnprovenError(f"no proof leads to {what}") from None
        except (InvalidNode, rlp.exceptions.RLPException, ValueError, TypeError) as error:
            raise UnprovenError(f"the proof of {what} is broken: {error}") from None


def _encode_minimal(value: int) -> bytes:
    """Return a number as big-endian bytes without leading zeros, as RLP requires."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
