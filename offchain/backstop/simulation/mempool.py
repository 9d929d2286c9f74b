"""The waiting transactions, and the rule by which they enter a block: the same for every host.

Waiting transactions are ordered by gas price, then age, then name. One is included if its gas price reaches
the block's clearing price and its gas still fits into the protocol's share of the block. The transactions of
one sender go in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from backstop.system import Action


class PendingTransaction(NamedTuple):
    """Pending transaction; a new one with the same sender and `intent` replaces it."""

    sender: str
    name: str
    action: Action
    intent: tuple[object, ...]
    gas: int
    gas_price: int
    submitted_at: int
    visible_at: int
    nonce: int

    @property
    def rank(self) -> tuple[int, int, str, int]:
        """Sort key of inclusion: highest gas price, then oldest, then name, then nonce."""
        return -self.gas_price, self.submitted_at, self.name, self.nonce


class Mempool:
    """Pending transactions of all senders, each sender's in the order of their nonces."""

    def __init__(self) -> None:
        self._queues: dict[str, list[PendingTransaction]] = {}
        self._nonce = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def list_pending(self, sender: str) -> list[PendingTransaction]:
        """Return a sender's pending transactions, the lowest nonce first."""
        return list(self._queues.get(sender, ()))

    def replace_pending(
        self,
        sender: str,
        name: str,
        wanted: Iterable[tuple[Action, tuple[object, ...], int, int]],
        now: int,
        latency: int,
    ) -> tuple[int, int]:
        """Replace a sender's pending transactions; return how many are new and how many dropped.

        Each entry of `wanted` is action, intent, gas and gas price. A transaction with an intent that was
        already pending keeps its age and takes the new terms. New ones become visible after `latency`
        seconds.
        """
        old = {pending.intent: pending for pending in self._queues.get(sender, ())}
        kept: list[PendingTransaction] = []
        fresh: list[PendingTransaction] = []
        for action, intent, gas, gas_price in wanted:
            before = old.pop(intent, None)
            if before is not None:
                kept.append(before._replace(action=action, gas=gas, gas_price=gas_price))
                continue
            self._nonce += 1
            fresh.append(
                PendingTransaction(
                    sender, name, action, intent, gas, gas_price, now, now + latency, self._nonce
                )
            )
        kept.sort(key=lambda pending: pending.nonce)
        queue = kept + fresh
        if queue:
            self._queues[sender] = queue
        else:
            self._queues.pop(sender, None)
        return len(fresh), len(old)

    def drop_pending(self, sender: str) -> int:
        """Drop all pending transactions of a sender, and return their number."""
        return len(self._queues.pop(sender, ()))

    def fill_block(self, now: int, clearing_price: int, capacity: int) -> list[PendingTransaction]:
        """Remove and return the transactions that enter a block, in order.

        A transaction needs a gas price of at least `clearing_price`, and its gas must fit into the remaining
        `capacity`.
        """
        heads = [
            (queue[0].rank, sender) for sender, queue in self._queues.items() if queue[0].visible_at <= now
        ]
        heapify(heads)
        included: list[PendingTransaction] = []
        while heads:
            _, sender = heappop(heads)
            queue = self._queues[sender]
            pending = queue[0]
            if pending.gas_price < clearing_price or pending.gas > capacity:
                continue
            capacity -= pending.gas
            included.append(pending)
            queue.pop(0)
            if not queue:
                del self._queues[sender]
            elif queue[0].visible_at <= now:
                heappush(heads, (queue[0].rank, sender))
        return included
