"""Check that a block's transactions and receipts match the block's hash.

A header holds the roots of two tries, and hashes to the block's hash. So a node that omits a transaction, or
reports another outcome or other events, does not match the hash on which the next block is built. Nor can the
node report another sender: the signature determines it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from eth_hash.auto import keccak
from rlp.codec import encode_raw
from rlp.exceptions import RLPException
from trie import HexaryTrie

from backstop.evm_crypto import keccak256, recover_signer_or_none
from backstop.live.node.rpc_node import TEST_CHAINS, Node
from backstop.live.node.storage_proofs import UnprovenError, encode_header

ETHEREUM = (1, 17_000, 560_048, 11_155_111, *TEST_CHAINS)
"""Chains with blocks that have to match: others may have headers, receipts or transactions of their own kind.
"""

_NO_CREATION = "0x"
_REPLAYABLE = 35
"""From here on `v` of a transaction without a type names a chain; those below count on every one."""
_COMMON = ("nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas")
# What is encoded of a transaction, by its type, between the chain id and the signature.
_FIELDS: dict[int, tuple[str, ...]] = {
    0: ("nonce", "gasPrice", "gas", "to", "value", "input"),
    1: ("nonce", "gasPrice", "gas", "to", "value", "input", "accessList"),
    2: (*_COMMON, "to", "value", "input", "accessList"),
    3: (*_COMMON, "to", "value", "input", "accessList", "maxFeePerBlobGas", "blobVersionedHashes"),
    4: (*_COMMON, "to", "value", "input", "accessList", "authorizationList"),
}


class BlockRootChecker:
    """Check of each block from a node against its hash; with `unsigned`, calls may lack a signature."""

    def __init__(self, node: Node, unsigned: bool) -> None:
        self._node = node
        self._unsigned = unsigned
        self.hold: bool | None = None
        """Whether blocks hash to their transactions and receipts; None before the first."""

    def check_block_roots_and_senders(
        self, block: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]], call_targets: Container[str]
    ) -> None:
        """Check a block's transactions and receipts, and the senders of calls to the targets.

        On a violation switch to another node and raise NodeUnavailableError. On an unknown chain a first
        block that fails turns the checks off, since its blocks may have another format.
        """
        if self.hold is False:
            return
        try:
            check_roots(block, receipts)
        except UnprovenError as error:
            if self.hold or self._node.chain_id in ETHEREUM:
                raise self._node.leave_node_and_build_error(str(error)) from None
            self.hold = False
            return
        self.hold = True
        try:
            check_senders(block, call_targets, unsigned=self._unsigned)
        except UnprovenError as error:
            raise self._node.leave_node_and_build_error(str(error)) from None


def check_roots(block: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]]) -> None:
    """Raise UnprovenError unless the transactions and receipts match the roots in the block's header.

    The header must hash to the block's hash, and each signed transaction to its own.
    """
    number = int(block["number"], 16)
    try:
        encode_header(block)
        encoded = list(map(_encode_transaction, block["transactions"]))
        transactions = _compute_root(encoded)
        found = _compute_root(map(_encode_receipt, receipts))
    except (KeyError, TypeError, ValueError, AttributeError, RLPException) as error:
        raise UnprovenError(f"block {number} is of no known form ({error!r})") from None
    for name, root, what in (
        ("transactionsRoot", transactions, "transactions"),
        ("receiptsRoot", found, "receipts"),
    ):
        if str(block[name]).lower() != root:
            raise UnprovenError(f"the {what} of block {number} are not those that its hash stands for")
    for sent, content in zip(block["transactions"], encoded, strict=True):
        # What nobody signed Anvil calls as it likes.
        is_signed = int(sent["r"], 16) or int(sent["s"], 16)
        if is_signed and str(sent["hash"]).lower() != "0x" + keccak(content).hex():
            raise UnprovenError(f"a transaction of block {number} is not {sent['hash']}, as it is called")


def transaction_hash(sent: Mapping[str, Any]) -> str:
    """Return the hash of a transaction, computed from its fields; "" if they have no known form."""
    try:
        return "0x" + keccak256(_encode_transaction(sent)).hex()
    except (KeyError, TypeError, ValueError, AttributeError, RLPException):
        return ""


def check_senders(block: Mapping[str, Any], to: Container[str], *, unsigned: bool = False) -> None:
    """Raise UnprovenError unless the stated sender of each transaction to these addresses signed it.

    `check_roots` must come first, since it binds the signature to the block's hash. With `unsigned`, a
    transaction without a signature is accepted, as Anvil and Hardhat have for accounts that they impersonate.
    """
    for sent in block["transactions"]:
        if str(sent["to"]).lower() not in to:
            continue
        if unsigned and _is_unsigned(sent):
            continue
        if recover_signer(sent) != str(sent.get("from")).lower():
            raise UnprovenError(f"{sent.get('from')} did not sign {sent['hash']}")


def _is_unsigned(sent: Mapping[str, Any]) -> bool:
    """Return whether a node impersonated the sender: Anvil signs with 0, Hardhat with the sender twice."""
    first, second = int(sent["r"], 16), int(sent["s"], 16)
    return first == second and (not first or f"{first:#042x}" == str(sent.get("from")).lower())


def recover_signer(sent: Mapping[str, Any]) -> str | None:
    """Return the address that signed a transaction, recovered from its fields; None if unsigned."""
    kind = int(sent["type"], 16)
    fields = [_encode_transaction_field_for_rlp(name, sent.get(name)) for name in _FIELDS[kind]]
    v = int(sent["v"], 16)
    if kind:
        v = _read_parity(sent) + 27
        signed = _prefix_type(sent, encode_raw([_convert_hex_to_minimal_bytes(sent["chainId"]), *fields]))
    elif v < _REPLAYABLE:
        signed = encode_raw(fields)
    else:
        # The id of the chain is in the last field of the signature, and is signed with the rest.
        signed = encode_raw([*fields, _convert_hex_to_minimal_bytes(hex((v - _REPLAYABLE) // 2)), b"", b""])
        v = 27 + (v - _REPLAYABLE) % 2
    return recover_signer_or_none(keccak256(signed), v, int(sent["r"], 16), int(sent["s"], 16))


def _compute_root(items: Iterable[bytes]) -> str:
    """Return the root of the Merkle-Patricia trie of a list, as hex."""
    trie = HexaryTrie({})
    for i, item in enumerate(items):
        trie[encode_raw(_encode_minimal(i))] = item
    return "0x" + trie.root_hash.hex()


def _encode_receipt(receipt: Mapping[str, Any]) -> bytes:
    logs: list[Any] = [
        [
            _decode_hex(log["address"]),
            [_decode_hex(topic) for topic in log["topics"]],
            _decode_hex(log["data"]),
        ]
        for log in receipt["logs"]
    ]
    status, gas = (
        _convert_hex_to_minimal_bytes(receipt["status"]),
        _convert_hex_to_minimal_bytes(receipt["cumulativeGasUsed"]),
    )
    return _prefix_type(receipt, encode_raw([status, gas, _decode_hex(receipt["logsBloom"]), logs]))


def _encode_transaction(sent: Mapping[str, Any]) -> bytes:
    kind = int(sent["type"], 16)
    values = [_encode_transaction_field_for_rlp(name, sent.get(name)) for name in _FIELDS[kind]]
    signature = [_convert_hex_to_minimal_bytes(sent["r"]), _convert_hex_to_minimal_bytes(sent["s"])]
    if not kind:
        return encode_raw([*values, _convert_hex_to_minimal_bytes(sent["v"]), *signature])
    parity = _encode_minimal(_read_parity(sent))
    return _prefix_type(
        sent, encode_raw([_convert_hex_to_minimal_bytes(sent["chainId"]), *values, parity, *signature])
    )


def _read_parity(sent: Mapping[str, Any]) -> int:
    """Return the signature's parity of a typed transaction (0 or 1).

    Hardhat writes 27 or 28 for impersonated accounts.
    """
    told = int(sent.get("yParity", sent.get("v")), 16)
    return told - 27 if told in (27, 28) else told


def _encode_transaction_field_for_rlp(field_name: str, value: Any) -> Any:
    if field_name == "accessList":
        return [[_decode_hex(each["address"]), list(map(_decode_hex, each["storageKeys"]))] for each in value]
    if field_name == "authorizationList":
        numbers = ("yParity", "r", "s")
        return [
            [
                _convert_hex_to_minimal_bytes(each["chainId"]),
                _decode_hex(each["address"]),
                _convert_hex_to_minimal_bytes(each["nonce"]),
            ]
            + [_convert_hex_to_minimal_bytes(each[part]) for part in numbers]
            for each in value
        ]
    if field_name == "blobVersionedHashes":
        return list(map(_decode_hex, value))
    if field_name in ("to", "input"):
        return _decode_hex(value or _NO_CREATION)
    return _convert_hex_to_minimal_bytes(value)


def _prefix_type(told: Mapping[str, Any], encoded: bytes) -> bytes:
    """Return the encoding with its transaction type as a prefix; a legacy transaction has none."""
    kind = int(told["type"], 16)
    return bytes([kind]) + encoded if kind else encoded


def _decode_hex(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _convert_hex_to_minimal_bytes(hex_number: str) -> bytes:
    return _encode_minimal(int(hex_number, 16))


def _encode_minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
