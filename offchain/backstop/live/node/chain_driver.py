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
    """Controls of a test node (Anvil or Hardhat): block times, unsigned senders and balances."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.frozen_at: int | None = None
        """The time of the next block until it is set again; None where time passes by itself."""
        self._played: set[str] = set()
        self._funded: set[str] = set()

    @property
    def can_drive(self) -> bool:
        """Whether the node is an Anvil or a Hardhat, which let time and senders be set."""
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
        """Mine `blocks` blocks, the last of which has the given timestamp [seconds].

        Later blocks keep that time if the node allows it. On Hardhat a time that has passed becomes the
        earliest time that the next block may have.
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
        """Set the time of Hardhat's next block to the frozen time, or to the newest block's time if later.

        Do nothing on Anvil, or if time is not frozen.
        """
        if self.frozen_at is not None and not self.node.is_anvil:
            self.frozen_at = self._set_next_block_time(self.frozen_at)

    @contextmanager
    def freeze_time(self) -> Iterator[None]:
        """Return a context manager in which all new blocks have one time.

        Hardhat may refuse two blocks with one time; time then passes by itself. Do nothing on other nodes.
        """
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
        """Return whether two blocks may have the same time.

        On Hardhat the next block then gets the time of the newest block until a time is set.
        """
        return self.node.is_anvil or self._set_next_block_time(self.node.get_head().timestamp) is not None

    def release_time(self) -> None:
        """Let block times follow the node's clock again."""
        self.frozen_at = None
        if self.node.is_anvil:
            self.node.request("anvil_removeBlockTimestampInterval")

    def _freeze_at_newest_block(self) -> None:
        """Freeze time at the newest block's time, unless the node requires increasing times."""
        head = self.node.get_head().timestamp
        self.frozen_at = head if self.node.is_anvil else self._set_next_block_time(head)

    def _set_next_block_time(self, timestamp: int) -> int | None:
        """Set the time of Hardhat's next block, and return the time that was set [seconds].

        It is the time of the newest block if that is later. None if the node allows no two blocks with one
        time: time then passes by itself.
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
        """Make the node accept unsigned transactions from an address, and give the address coins for gas."""
        if sender not in self._funded:
            self.node.request("hardhat_setBalance", sender, hex(_FUNDS))
            self._funded.add(sender)
        if not self.node.is_anvil and sender not in self._played:
            self.node.request("hardhat_impersonateAccount", sender)
            self._played.add(sender)

    def fund_empty_accounts(self, addresses: Iterable[str]) -> int:
        """Give coins for gas to the addresses that have none; return how many got some.

        Return 0 on nodes that do not let balances be set.
        """
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
        """Return a context manager in which the node accepts unsigned transactions from any address.

        At its end, block times follow the node's clock again.
        """
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
