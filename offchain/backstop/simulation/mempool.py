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
    """A waiting transaction. `intent` is its subject: a new one with the same intent replaces it."""

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
        """Order of inclusion, the first is best."""
        return -self.gas_price, self.submitted_at, self.name, self.nonce


class Mempool:
    """The waiting transactions of all senders, each sender's in the order of their nonces."""

    def __init__(self) -> None:
        self._queues: dict[str, list[PendingTransaction]] = {}
        self._nonce = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def list_pending(self, sender: str) -> list[PendingTransaction]:
        """Return a sender's transactions, oldest nonce first."""
        return list(self._queues.get(sender, ()))

    def replace_pending(
        self,
        sender: str,
        name: str,
        wanted: Iterable[tuple[Action, tuple[object, ...], int, int]],
        now: int,
        latency: int,
    ) -> tuple[int, int]:
        """Make `wanted` (action, intent, gas, gas price) the sender's only waiting transactions.

        If an intent already waits, its transaction keeps its age and takes the new terms; transactions that
        are no longer wanted are dropped. Return how many were sent for the first time and how many were
        dropped.
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
        """Forget a sender's transactions; return how many there were."""
        return len(self._queues.pop(sender, ()))

    def fill_block(self, now: int, clearing_price: int, capacity: int) -> list[PendingTransaction]:
        """Remove and return the transactions that enter the block, in order."""
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
