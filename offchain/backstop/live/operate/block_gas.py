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
    """Budget of gas and of calls that the keepers of one process may use in one block.

    A pending transaction keeps its gas reserved, so no two rounds of the keeper loop use the same gas.
    """

    def __init__(self, gas_per_block: int = BLOCK_GAS) -> None:
        self.gas_per_block = gas_per_block
        self.left = gas_per_block
        self.waiting: Counter[str] = Counter()
        """Calls of this look that have no room, by keeper."""
        self._limit = gas_per_block
        self._block = ""
        self._made: Counter[str] = Counter()

    def begin_look(self, block_hash: str, chain_block_gas: int | None, under_way: Iterable[Entry]) -> None:
        """Reset the gas budget for a round of the keeper loop, less the gas of pending transactions.

        The budget is the smaller of the configured gas per block and `chain_block_gas`, the block gas limit
        of the chain (None if unknown). The counts of calls per keeper are reset only if `block_hash` is a new
        block. `under_way` holds the pending transactions.
        """
        if block_hash != self._block:
            self._block = block_hash
            self._made.clear()
        self._limit = min(self.gas_per_block, chain_block_gas or self.gas_per_block)
        self.left = self._limit - sum(entry.needs or entry.gas for entry in under_way)
        self.waiting.clear()

    def is_call_within_block(self, keeper: Keeper, gas: int, calls: int = 1) -> bool:
        """Return whether some calls of a keeper fit into the gas that is left of the block.

        `gas` is the gas of all the calls together. If they do not fit, they are counted as waiting. Calls
        that need more than a whole block count as fitting while no other gas is reserved: the chain then
        decides.
        """
        if gas <= self.left or self.left == self._limit:
            return True
        self.waiting[keeper.name] += calls
        return False

    def get_calls_left(self, keeper: Keeper) -> int:
        """Return how many more calls a keeper may make for the present block; at least 0."""
        return max(0, keeper.group.most - self._made[keeper.name])

    def record_sent(self, keeper: Keeper, gas: int, calls: int) -> None:
        """Deduct the gas of a sent transaction from the block, and count its calls for the keeper."""
        self.left -= gas
        self._made[keeper.name] += calls

    def describe_waiting_calls(self, keeper: Keeper) -> Line:
        """Return a log line with the number of a keeper's calls that wait for gas in the next block."""
        count, used = self.waiting[keeper.name], self._limit - self.left
        text = (
            f"{keeper.name}: {count} calls wait for the next block: {used:,} gas of {self._limit:,} a block "
            "(gas_per_block, or the chain's own) is under way"
        )
        return Line(text, "block full", keeper=keeper.name, count=count)
