"""The chain's whole storage against the model's tables: also slots that no table of the model knows."""

from __future__ import annotations

from collections.abc import Mapping, Set

from backstop.evm_crypto import keccak256
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.host_interface import Slot, StorageRootHost
from backstop.lockstep.lockstep_difference import Difference


def list_storage_differences(
    step: int,
    chain: ChainSystem,
    unmodelled: Set[Slot],
    expected_words: Mapping[Slot, int],
    actual_words: Mapping[Slot, int],
) -> list[Difference]:
    """Return a difference for each slot with another word on the chain than expected.

    Both mappings leave out empty slots. Slots in `unmodelled` are not compared.
    """
    found = [
        (slot, expected_words.get(slot), word)
        for slot, word in actual_words.items()
        if expected_words.get(slot) != word and slot not in unmodelled
    ]
    found += [(slot, word, 0) for slot, word in expected_words.items() if slot not in actual_words]
    return [
        Difference(step, None, chain.names[address], f"slot {slot:#x}", (), "", model, word)
        for (address, slot), model, word in found
    ]


def list_storage_root_differences(
    step: int,
    chain: ChainSystem,
    unmodelled: Set[Slot],
    host: StorageRootHost,
    expected_words: Mapping[Slot, int],
) -> list[Difference]:
    """Return a difference for each contract with another storage root than the expected words give.

    This serves hosts that cannot list storage. For slots in `unmodelled`, the chain's own words are used.
    """
    from rlp.codec import encode_raw  # of an extra, as whatever is a host that tells roots
    from trie import HexaryTrie

    own = sorted(unmodelled)
    words = dict(zip(own, chain.host.read_slots(own), strict=True)) | dict(expected_words)
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
