"""The chain's words beside the model's: which differ, once that is beyond doubt."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backstop.contract_base import Table, World, Written
from backstop.errors import BackstopError
from backstop.hosts import storage_layout
from backstop.hosts.chain_system import ChainSystem, SlotMeaning
from backstop.hosts.rpc_client import NodeRefusedError, RpcError
from backstop.live.node.disputed_slot_resolution import find_settled_words
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node

_SECOND_LOOKS = 4

# What nodes say of a state that they have pruned.
_FORGOTTEN = ("outofrange", "out of range", "missing trie node", "pruned", "historical state")


class ReorgError(BackstopError):
    """Error raised if a block that was followed is no longer on the chain."""


class StatePrunedError(BackstopError):
    """Error raised if the node has a block but no longer its state."""


class StorageComparator:
    """Comparison of a deployment's storage on a node with the model's.

    `lies` are refuted claims of the node. `unsettled` are the slots for which the node returns another word
    than the model, without a proof of either.
    """

    def __init__(self, node: Node, host: LiveHost, chain: ChainSystem) -> None:
        self.node = node
        self.host = host
        self.chain = chain
        self.lies: list[str] = []
        self.lies_told = 0
        self.unsettled: set[Written] = set()

    def find_differing_slots(self, wanted: list[int], world: World, block: int, name: str) -> dict[int, int]:
        """Return the slots on which model and chain differ at a block, with the chain's words.

        A node's word counts only if a proof or another node confirms it. Slots without confirmation are added
        to `unsettled`. Raise ReorgError if the block is no longer on the chain.
        """
        wrong = self._find_wrong_words(wanted, world, block, name)
        for _ in range(_SECOND_LOOKS):
            if not wrong:
                break
            # While a node mines a block, its newest state can be ahead of its newest block.
            time.sleep(0.05)
            wrong = self._find_wrong_words(list(wrong), world, block, name)
        self.unsettled -= {self._get_contract_path_and_key(i) for i in wanted}
        if not wrong:
            return {}
        if self.node.get_block_hash(block) != name:
            raise ReorgError(f"block {block} is no longer part of the chain")
        where, told = self.node.url, {self.chain.slots[i]: word for i, word in wrong.items()}
        words, by = find_settled_words(self.node, block, name, told)
        found: dict[int, int] = {}
        refuted: list[str] = []
        for i, word in wrong.items():
            place, table = self.get_slot_meaning_and_table(i, world)
            settled = words.get(self.chain.slots[i])
            if settled is None:
                self.unsettled.add(self._get_contract_path_and_key(i))
                continue
            if settled != word:
                what = f"{place.contract} {place.path}[{place.key}] in block {block}"
                refuted.append(f"it told {word:#x} of {what}, which {by} refutes: {settled:#x}")
            if settled != storage_layout.encode_word(table[place.key]):
                found[i] = settled
        if refuted:
            self.lies += [f"the node at {where} is not believed: {each}" for each in refuted]
            self.lies_told += len(refuted)
            self.node.client.switch_node(refuted[0])
        return found

    def list_followed_slot_indices(self, world: World) -> list[int]:
        """Return the indices of all known slots of contracts that the model has.

        Contracts that a reorg removed are left out.
        """
        return [i for i, place in enumerate(self.chain.places) if place.contract in world.contracts]

    def get_slot_meaning_and_table(self, slot_index: int, world: World) -> tuple[SlotMeaning, Table]:
        """Return the meaning of a slot (contract, path, key), and the model's table that holds its value."""
        place = self.chain.places[slot_index]
        return place, world.contracts[place.contract].tables[place.path]

    def read_words_by_index(
        self, slot_indices: Sequence[int], block: int, block_hash: str
    ) -> list[tuple[int, int]]:
        """Return each slot index with the word that the node returns for it at a block.

        Raise ReorgError if the block is no longer on the chain, and StatePrunedError if the node has no state
        of it.
        """
        if not slot_indices:
            return []
        slots = self.chain.slots
        if len(slot_indices) < len(slots):
            slots = [slots[i] for i in slot_indices]
        try:
            words = self.host.read_slots(slots, hex(block))
        except RpcError as error:
            if self.node.get_block_hash(block) != block_hash:
                raise ReorgError(f"block {block} is no longer part of the chain") from None
            if isinstance(error, NodeRefusedError) and not _is_state_pruned(error.reason):  # perhaps only now
                raise
            raise StatePrunedError(
                f"the node has no state of block {block} ({error.reason}): an archive node has"
            ) from None
        return list(zip(slot_indices, words, strict=True))

    def _find_wrong_words(self, indices: list[int], world: World, block: int, name: str) -> dict[int, int]:
        """Return the slots for which the node returns another word than the model, with that word."""
        found = {}
        for i, word in self.read_words_by_index(indices, block, name):
            place, table = self.get_slot_meaning_and_table(i, world)
            if word != storage_layout.encode_word(table[place.key]):
                found[i] = word
        return found

    def _get_contract_path_and_key(self, slot_index: int) -> Written:
        place = self.chain.places[slot_index]
        return Written(place.contract, place.path, place.key)


def _is_state_pruned(reason: str) -> bool:
    """Return whether a node's error says that it no longer has the state of a block."""
    words = reason.lower()
    return any(each in words for each in _FORGOTTEN)
