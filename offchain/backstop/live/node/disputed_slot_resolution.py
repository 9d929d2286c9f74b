"""Settlement of a difference: a proof under the block's hash, else another node, never one node alone.

A proof binds a word to the block's state root, from any source. If no proof is available, as on a fork of
another chain or for pruned state, every other node that has the block is asked, and at least one has to
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.hosts.batched_slot_reader import SlotReader
from backstop.hosts.host_interface import Slot
from backstop.hosts.rpc_client import RpcClient
from backstop.live.node.rpc_node import TEST_CHAINS, Node
from backstop.live.node.storage_proofs import (
    Account,
    Header,
    TrieNodes,
    UnprovenError,
    encode_header,
    read_header,
)

_SLOTS_AT_ONCE = 200
_NEVER_USED = Account(0, 0, b"", b"")


class SettledWords(NamedTuple):
    """Storage words that are proven or confirmed, by slot, and the name of the evidence."""

    words: Mapping[Slot, int]
    by: str


def find_settled_words(
    node: Node, number: int, block_hash: str, told_words: Mapping[Slot, int]
) -> SettledWords:
    """Return the words of slots at a block that a proof or another node settles.

    `told_words` are the words that the node in use returned. A slot on which the other nodes disagree is left
    out. On a test chain without state roots, a single node's words count.
    """
    slots, others = (
        list(told_words),
        [each for each in node.client.list_other_nodes() if _has_block(each, number, block_hash)],
    )
    unproven = None
    for client in (node.client, *others):
        try:
            return SettledWords(prove_words(client, number, block_hash, slots), "a proof")
        except BackstopError as error:  # refused, gone, or no proof at all
            unproven = unproven or error
    found: dict[Slot, set[int]] = {}
    for client in others:
        try:
            words = SlotReader(client).read_slot_words_in_batch(slots, hex(number))
        except BackstopError:
            continue
        for slot, word in zip(slots, words, strict=True):
            found.setdefault(slot, set()).add(word)
    if found:
        return SettledWords(
            {slot: words.pop() for slot, words in found.items() if len(words) == 1}, "another node"
        )
    if isinstance(unproven, NoStateRootError) and node.chain_id in TEST_CHAINS:
        return SettledWords(told_words, "the only node")  # there is nothing to prove, and no money to lose
    return SettledWords({}, "nothing")


class NoStateRootError(UnprovenError):
    """Error raised if the chain's headers have no state root, as on a fork of another chain."""


def prove_words(client: RpcClient, number: int, block: str, slots: Sequence[Slot]) -> dict[Slot, int]:
    """Return the words of slots at a block, proven against the block's hash.

    Raise UnprovenError if a proof fails, and RpcError if the node cannot give proofs.
    """
    told = client.request("eth_getBlockByNumber", hex(number), False)
    if told is None or told["hash"].lower() != block.lower():
        raise UnprovenError(f"the node has another block {number}")
    header = _read_header_with_state_root(told)
    words: dict[Slot, int] = {}
    for address in dict.fromkeys(address for address, _ in slots):
        own = [slot for where, slot in slots if where == address]
        for start in range(0, len(own), _SLOTS_AT_ONCE):
            part = own[start : start + _SLOTS_AT_ONCE]
            proof = client.request("eth_getProof", address, [f"{each:#066x}" for each in part], hex(number))
            told_nodes = [
                *proof["accountProof"],
                *(x for each in proof["storageProof"] for x in each["proof"]),
            ]
            nodes = TrieNodes(bytes.fromhex(each[2:]) for each in told_nodes)
            root = nodes.get_account(header.state_root, address).storage_root
            words |= {(address, each): nodes.get_word(root, each) for each in part}
    return words


def iter_clients(node: Node) -> Iterator[RpcClient]:
    """Yield the client of the node in use, then those of the other nodes.

    Other nodes are checked only when they are reached.
    """
    yield node.client
    yield from node.client.list_other_nodes()


def find_settled_account(node: Node, block: Mapping[str, Any], address: str) -> Account | None:
    """Return an account's state after a followed block, proven under the block's hash by any node.

    None if no node can prove it, as on a chain without state roots or for pruned state. Raise UnprovenError
    if a node gives a wrong proof and no other node gives a right one.
    """
    number, broken = block["number"], None
    try:
        header = _read_header_with_state_root(block)
    except NoStateRootError:
        return None
    for client in iter_clients(node):
        try:
            proof = client.request("eth_getProof", address, [], number)
            nodes = TrieNodes(bytes.fromhex(each[2:]) for each in proof["accountProof"])
            return nodes.find_account(header.state_root, address) or _NEVER_USED
        except UnprovenError as error:
            broken = UnprovenError(f"the node at {client.where} proves nothing of {address}: {error}")
        except BackstopError:  # refused, or gone
            continue
    if broken is not None:
        raise broken
    return None


def find_agreed_nonce(node: Node, block: str, address: str) -> int | None:
    """Return how many transactions an account has sent at a block or tag, as two nodes agree.

    Of all nodes' counts, the second highest is taken, which at least two nodes reach. None if fewer than two
    nodes answer.
    """
    counts: list[int] = []
    for client in iter_clients(node):
        try:
            counts.append(int(client.request("eth_getTransactionCount", address, block), 16))
        except BackstopError:
            continue
    return sorted(counts)[-2] if len(counts) > 1 else None


def _read_header_with_state_root(told: Mapping[str, Any]) -> Header:
    try:
        header = read_header(encode_header(told), told["hash"])
    except (KeyError, TypeError, ValueError) as error:
        number = int(told["number"], 16)
        raise UnprovenError(f"the header of block {number} is of no known form ({error!r})") from None
    if not any(header.state_root):
        raise NoStateRootError(f"block {header.number} has no state root")
    return header


def _has_block(client: RpcClient, number: int, block: str) -> bool:
    """Return whether a node has the block with this number and hash."""
    try:
        told = client.request("eth_getBlockByNumber", hex(number), False)
    except BackstopError:
        return False
    return told is not None and told["hash"].lower() == block.lower()
