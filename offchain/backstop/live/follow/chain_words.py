"""The chain's words beside the model's: which differ, once that is beyond doubt."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backstop.errors import BackstopError
from backstop.hosts import layout
from backstop.hosts.chain_system import ChainSystem, Place
from backstop.hosts.rpc import NodeRefused, RpcError
from backstop.live.node.host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.settle import settle
from backstop.model.state import Table, World, Written

_SECOND_LOOKS = 4

# What nodes say of a state that they have pruned.
_FORGOTTEN = ("outofrange", "out of range", "missing trie node", "pruned", "historical state")


class Reorganised(BackstopError):
    """An error: the chain no longer has a block that was followed."""


class Forgotten(BackstopError):
    """An error: the node knows a block, and no longer its state."""


class ChainWords:
    """The words that a node tells of a deployment's slots.

    `lies` are what it told and something refuted; `unsettled` the slots of which it tells another word than
    the model, and nothing proves whose is right.
    """

    def __init__(self, node: Node, host: LiveHost, chain: ChainSystem) -> None:
        self.node = node
        self.host = host
        self.chain = chain
        self.lies: list[str] = []
        self.lies_told = 0
        self.unsettled: set[Written] = set()

    def differing(self, wanted: list[int], world: World, block: int, name: str) -> dict[int, int]:
        """Return the slots that hold another word than the model in a block, and that word.

        One node's word is not enough: a proof or another node has to say the same.
        """
        wrong = self._wrong(wanted, world, block, name)
        for _ in range(_SECOND_LOOKS):
            if not wrong:
                break
            # While a node mines a block, its newest state can be ahead of its newest block.
            time.sleep(0.05)
            wrong = self._wrong(list(wrong), world, block, name)
        self.unsettled -= {self._slot(i) for i in wanted}
        if not wrong:
            return {}
        if self.node.hash_of(block) != name:
            raise Reorganised(f"block {block} is no longer part of the chain")
        where, told = self.node.url, {self.chain.slots[i]: word for i, word in wrong.items()}
        words, by = settle(self.node, block, name, told)
        found: dict[int, int] = {}
        refuted: list[str] = []
        for i, word in wrong.items():
            place, table = self.table(i, world)
            settled = words.get(self.chain.slots[i])
            if settled is None:
                self.unsettled.add(self._slot(i))
                continue
            if settled != word:
                what = f"{place.contract} {place.path}[{place.key}] in block {block}"
                refuted.append(f"it told {word:#x} of {what}, which {by} refutes: {settled:#x}")
            if settled != layout.encode(table[place.key]):
                found[i] = settled
        if refuted:
            self.lies += [f"the node at {where} is not believed: {each}" for each in refuted]
            self.lies_told += len(refuted)
            self.node.client.leave(refuted[0])
        return found

    def all(self, world: World) -> list[int]:
        """Return all slots but those of contracts that are not followed: a reorganisation has taken them."""
        return [i for i, place in enumerate(self.chain.places) if place.contract in world.contracts]

    def table(self, index: int, world: World) -> tuple[Place, Table]:
        """Return the meaning of a slot, and the model's table with it."""
        place = self.chain.places[index]
        return place, world.contracts[place.contract].tables[place.path]

    def read(self, indices: Sequence[int], block: int, name: str) -> list[tuple[int, int]]:
        """Return slots with what the node says that they hold in a block."""
        if not indices:
            return []
        slots = self.chain.slots
        if len(indices) < len(slots):
            slots = [slots[i] for i in indices]
        try:
            words = self.host.read(slots, hex(block))
        except RpcError as error:
            if self.node.hash_of(block) != name:
                raise Reorganised(f"block {block} is no longer part of the chain") from None
            if isinstance(error, NodeRefused) and not _is_forgotten(error.reason):  # perhaps only now
                raise
            raise Forgotten(
                f"the node has no state of block {block} ({error.reason}): an archive node has"
            ) from None
        return list(zip(indices, words, strict=True))

    def _wrong(self, indices: list[int], world: World, block: int, name: str) -> dict[int, int]:
        """Return the slots of which the node tells another word than the model's, and that word."""
        found = {}
        for i, word in self.read(indices, block, name):
            place, table = self.table(i, world)
            if word != layout.encode(table[place.key]):
                found[i] = word
        return found

    def _slot(self, index: int) -> Written:
        place = self.chain.places[index]
        return Written(place.contract, place.path, place.key)


def _is_forgotten(reason: str) -> bool:
    """Return whether a node that knows a block says that it has no state of it any more."""
    words = reason.lower()
    return any(each in words for each in _FORGOTTEN)
