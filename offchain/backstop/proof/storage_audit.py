"""The chain's whole storage against the model's tables: also slots that no table of the model knows."""

from __future__ import annotations

from collections.abc import Mapping

from backstop.deployment.role_accounts import get_account
from backstop.hosts import storage_layout
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.host_interface import Slot, StorageRootHost
from backstop.model.contract_base import World
from backstop.model.evm_crypto import keccak256
from backstop.proof.lockstep_difference import Difference


def list_storage_differences(
    step: int,
    world: World,
    chain: ChainSystem,
    expected_words: Mapping[Slot, int],
    actual_words: Mapping[Slot, int],
) -> list[Difference]:
    """Return the slots whose word on the chain is not the expected one; both sides leave empty slots out."""
    ignored = _find_unmodelled_slots(world, chain)
    found = [
        (slot, expected_words.get(slot), word)
        for slot, word in actual_words.items()
        if expected_words.get(slot) != word and slot not in ignored
    ]
    found += [(slot, word, 0) for slot, word in expected_words.items() if slot not in actual_words]
    return [
        Difference(step, None, chain.names[address], f"slot {slot:#x}", (), "", model, word)
        for (address, slot), model, word in found
    ]


def list_storage_root_differences(
    step: int, world: World, chain: ChainSystem, host: StorageRootHost, expected_words: Mapping[Slot, int]
) -> list[Difference]:
    """Return the contracts whose storage has another root than the expected words have.

    For a host that cannot list its storage. Words that no table of the model has are the chain's own.
    """
    from rlp.codec import encode_raw  # of an extra, as whatever is a host that tells roots
    from trie import HexaryTrie

    unmodelled = sorted(_find_unmodelled_slots(world, chain))
    words = dict(zip(unmodelled, chain.host.read_slots(unmodelled), strict=True)) | dict(expected_words)
    tries = {address: HexaryTrie({}) for address in chain.names}
    for (address, slot), word in words.items():
        if word:
            tries[address][keccak256(slot.to_bytes(32, "big"))] = encode_raw(
                word.to_bytes((word.bit_length() + 7) // 8, "big")
            )
    found = []
    for address, name in chain.names.items():
        expected, actual = "0x" + tries[address].root_hash.hex(), host.read_storage_root(address)
        if expected != actual:
            found.append(Difference(step, None, name, "root of the storage", (), "", expected, actual))
    return found


def _find_unmodelled_slots(world: World, chain: ChainSystem) -> set[Slot]:
    """Return the slots of variables without a table in the model: scalars, mappings by known addresses."""
    ignored = set()
    deployers = [get_account("admin"), *(get_account(f"deployer_of_{name}") for name in chain.addresses)]
    people = [*chain.addresses.values(), *deployers]
    for name, contract in world.contracts.items():
        kind = chain.kinds[name]
        storage = chain.artifacts[kind].storage
        for path in storage.keys() - contract.tables.keys():
            place = storage_layout.find_variable(kind, path, storage)
            if place.depth == 0:
                ignored.add((contract.address, place.slot))
            elif place.depth == 1:
                ignored |= {(contract.address, storage_layout.compute_slot(place, each)) for each in people}
    return ignored
