"""Gas of a block that keepers may use, and the calls that each may make for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from backstop.keepers.keeper_role_register import Keeper
from backstop.live.node.log_lines import Line
from backstop.live.operate.transaction_journal import Entry

BLOCK_GAS = 30_000_000
"""Default gas limit of all pending keeper transactions together: the block gas of many chains."""


class BlockGas:
    """Gas that is left of a block. A pending transaction keeps its part, so no two looks use the same gas."""

    def __init__(self, gas_per_block: int = BLOCK_GAS) -> None:
        self.gas_per_block = gas_per_block
        self.left = gas_per_block
        self.waiting: Counter[str] = Counter()
        """Calls of this look that have no room, by keeper."""
        self._limit = gas_per_block
        self._block = ""
        self._made: Counter[str] = Counter()

    def begin_look(self, block_hash: str, chain_block_gas: int | None, under_way: Iterable[Entry]) -> None:
        """Begin a look at a block; `chain_block_gas` is the chain's own block gas limit, None if unknown."""
        if block_hash != self._block:
            self._block = block_hash
            self._made.clear()
        self._limit = min(self.gas_per_block, chain_block_gas or self.gas_per_block)
        self.left = self._limit - sum(entry.needs or entry.gas for entry in under_way)
        self.waiting.clear()

    def is_call_within_block(self, keeper: Keeper, gas: int, calls: int = 1) -> bool:
        """Tell whether calls have room; if not, they wait, and are counted.

        A call that needs more than a block has to itself is sent when nothing else is under way: whether it
        goes is the chain's to say.
        """
        if gas <= self.left or self.left == self._limit:
            return True
        self.waiting[keeper.name] += calls
        return False

    def get_calls_left(self, keeper: Keeper) -> int:
        """Return how many calls a keeper may still make for this block."""
        return max(0, keeper.group.most - self._made[keeper.name])

    def record_sent(self, keeper: Keeper, gas: int, calls: int) -> None:
        """Take note of a transaction that was sent, and how many calls are in it."""
        self.left -= gas
        self._made[keeper.name] += calls

    def describe_waiting_calls(self, keeper: Keeper) -> Line:
        """Say how many calls of a keeper wait, and for what."""
        count, used = self.waiting[keeper.name], self._limit - self.left
        text = (
            f"{keeper.name}: {count} calls wait for the next block: {used:,} gas of {self._limit:,} a block "
            "(gas_per_block, or the chain's own) is under way"
        )
        return Line(text, "block full", keeper=keeper.name, count=count)
