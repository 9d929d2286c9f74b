"""Time, senders and balances of a test node, as Anvil and Hardhat let one set them.

Anvil gives blocks any time, and takes any sender at a word. Hardhat's clock goes on from the last time that
was set, each sender is named, and two blocks have one time only if its configuration allows that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from backstop.errors import BackstopError
from backstop.files.installation import format_command_as_started
from backstop.hosts.rpc_client import RpcError
from backstop.live.node.rpc_node import Node

_FUNDS = 10**24
# Times that are tried for a block while others send.
_TRIES = 5


class ChainDriver:
    """Sets a node's time, and has it take any sender."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.frozen_at: int | None = None
        """The time of the next block until it is set again; None where time passes by itself."""
        self._played: set[str] = set()
        self._funded: set[str] = set()

    @property
    def can_drive(self) -> bool:
        """Whether the node lets its time and its senders be set."""
        return self.node.is_anvil or self.node.is_hardhat

    def require_drivable_node(self, purpose: str) -> None:
        """Raise BackstopError, with the purpose in its text, unless the node is an Anvil or a Hardhat."""
        if not self.can_drive:
            raise BackstopError(
                f"{self.node.url} is {self.node.version or 'no Anvil'}: {purpose}, which only Anvil and "
                f"Hardhat allow; start one with `{format_command_as_started('devnet')}`"
            )

    # -------------------------------------------------------------------------- time

    def mine_blocks_until_time(self, timestamp: int, blocks: int = 1) -> None:
        """Mine blocks, of which the last has a time; those after it have it too, as far as the node can.

        On Hardhat a time that has passed becomes the earliest that the next block may have.
        """
        if self.node.is_anvil:
            self.node.request("anvil_setBlockTimestampInterval", 0)
        if blocks > 1:
            self.node.request("hardhat_mine", hex(blocks - 1), "0x0")
        self.frozen_at = timestamp
        if self.node.is_anvil:
            self.node.request("evm_setNextBlockTimestamp", timestamp)
        else:
            self.hold_time()
        self.node.request("evm_mine")
        if not self.node.is_anvil:
            self._freeze_at_newest_block()

    def hold_time(self) -> None:
        """Set the time of Hardhat's next block, unless a mined block is already later."""
        if self.frozen_at is not None and not self.node.is_anvil:
            self.frozen_at = self._set_next_block_time(self.frozen_at)

    @contextmanager
    def freeze_time(self) -> Iterator[None]:
        """Give all blocks one time until the context ends, as far as the node can: Hardhat may refuse it."""
        if not self.can_drive:
            yield
            return
        self.node.request("evm_mine")
        if self.node.is_anvil:
            self.node.request("anvil_setBlockTimestampInterval", 0)
        self._freeze_at_newest_block()
        try:
            yield
        finally:
            self.release_time()

    def can_repeat_time(self) -> bool:
        """Tell whether two blocks may have one time; if so, the next has that of the last until it is set."""
        return self.node.is_anvil or self._set_next_block_time(self.node.get_head().timestamp) is not None

    def release_time(self) -> None:
        """Let time pass by itself again."""
        self.frozen_at = None
        if self.node.is_anvil:
            self.node.request("anvil_removeBlockTimestampInterval")

    def _freeze_at_newest_block(self) -> None:
        """Freeze time at the newest block's, unless each block of the node has a time of its own."""
        head = self.node.get_head().timestamp
        self.frozen_at = head if self.node.is_anvil else self._set_next_block_time(head)

    def _set_next_block_time(self, timestamp: int) -> int | None:
        """Have Hardhat's next block take a time, or the last block's where that is later; return it.

        None, and time passes by itself, where no two blocks may have one time.
        """
        for _ in range(_TRIES):
            try:
                self.node.request("evm_setNextBlockTimestamp", timestamp)
                return timestamp
            except RpcError:
                head = self.node.get_head().timestamp
                if head <= timestamp:
                    return None
                timestamp = head
        return None

    # ----------------------------------------------------------------------- senders

    def play_sender(self, sender: str) -> None:
        """Have the node take a sender's calls without a signature, and give him coins for gas."""
        if sender not in self._funded:
            self.node.request("hardhat_setBalance", sender, hex(_FUNDS))
            self._funded.add(sender)
        if not self.node.is_anvil and sender not in self._played:
            self.node.request("hardhat_impersonateAccount", sender)
            self._played.add(sender)

    def fund_empty_accounts(self, addresses: Iterable[str]) -> int:
        """Give coins for gas to accounts that have none, where the node lets one; return to how many."""
        if not self.can_drive:
            return 0
        named = list(addresses)
        balances = self.node.client.call_method_in_batches(
            "eth_getBalance", [(address, "latest") for address in named]
        )
        empty = [address for address, held in zip(named, balances, strict=True) if not int(held, 16)]
        for address in empty:
            self.node.request("hardhat_setBalance", address, hex(_FUNDS))
        if empty:  # no block's root has what is set between two, and keepers want it proven
            self.node.request("evm_mine")
        return len(empty)

    @contextmanager
    def play_any_sender(self) -> Iterator[None]:
        """Have the node take any sender, until the context ends; time passes by itself from then on."""
        if self.node.is_anvil:
            self.node.request("anvil_autoImpersonateAccount", True)
        try:
            yield
        finally:
            with suppress(BackstopError):  # the node may be gone
                if self.node.is_anvil:
                    self.node.request("anvil_autoImpersonateAccount", False)
                for sender in self._played:
                    self.node.request("hardhat_stopImpersonatingAccount", sender)
                self._played.clear()
                self.release_time()
