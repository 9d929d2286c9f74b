"""A state of another deployment in place of a world's own, with lots as old in blocks as they were."""

from __future__ import annotations

from backstop.contract_base import World
from backstop.hosts import storage_layout
from backstop.hosts.world_storage_json import RawState, load_words
from backstop.model.collateral_auction import CollateralAuction, Lot


def count_blocks_missing_for_lot_ages(world: World, raw_state: RawState) -> int:
    """Return how many blocks a world must advance before a stored state can be loaded into it.

    Otherwise auctions of the state would have started before the world's first block.
    """
    oldest = 0
    for name, contract in world.contracts.items():
        if isinstance(contract, CollateralAuction) and contract.block_time:
            words = raw_state.words.get(name, {}).get("lots", {}).values()
            starts = [storage_layout.decode_word(int(word, 16), Lot()).started_at for word in words]
            ages = [raw_state.block_number - each // contract.block_time for each in starts if each]
            oldest = max(oldest, *ages, 0)
    return max(0, oldest + 1 - world.block_number)


def load_state(world: World, state: RawState) -> None:
    """Replace a world's state by a stored state; auctions keep their age in blocks."""
    load_words(world, state.words)
    for contract in world.contracts.values():
        if isinstance(contract, CollateralAuction):
            contract.move_starts(world.block_number - state.block_number)
    world.journal.clear()
