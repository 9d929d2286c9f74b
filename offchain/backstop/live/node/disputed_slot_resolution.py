"""What settles a difference: a proof under the block's hash, else another node. One node's word does not.

A proof binds a word to the block's state root, whoever brings it. Where there is none to be had, as on a fork
of another chain or of a state that is pruned, every other node that has the block is asked, and at least one
has to answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.hosts.batched_slot_reader import SlotReader
from backstop.hosts.host_interface import Slot
from backstop.hosts.rpc_client import RpcClient
from backstop.live.node.rpc_node import TEST_CHAINS, Node
from backstop.live.node.storage_proofs import TrieNodes, UnprovenError, encode_header, read_header

_SLOTS_AT_ONCE = 200


class SettledWords(NamedTuple):
    """Words that are beyond doubt, and what put them there."""

    words: Mapping[Slot, int]
    by: str


def find_settled_words(
    node: Node, number: int, block_hash: str, told_words: Mapping[Slot, int]
) -> SettledWords:
    """Return the words of slots at a block, as far as anything settles them.

    `told` is what the node in use says of them.
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
    """An error: the chain has no state roots, as a fork of another chain."""


def prove_words(client: RpcClient, number: int, block: str, slots: Sequence[Slot]) -> dict[Slot, int]:
    """Return the words of slots, proven; raise UnprovenError if they are not, RpcError if the node cannot."""
    told = client.request("eth_getBlockByNumber", hex(number), False)
    if told is None or told["hash"].lower() != block.lower():
        raise UnprovenError(f"the node has another block {number}")
    try:
        header = read_header(encode_header(told), block)
    except (KeyError, TypeError, ValueError) as error:
        raise UnprovenError(f"the header of block {number} is of no known form ({error!r})") from None
    if not any(header.state_root):
        raise NoStateRootError(f"block {number} has no state root")
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


def _has_block(client: RpcClient, number: int, block: str) -> bool:
    """Return whether a node has a block."""
    try:
        told = client.request("eth_getBlockByNumber", hex(number), False)
    except BackstopError:
        return False
    return told is not None and told["hash"].lower() == block.lower()
