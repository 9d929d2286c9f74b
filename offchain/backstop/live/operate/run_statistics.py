"""The figures of a run: transactions, their cost, and their delay after a block."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque

from backstop.live.monitor.status_facts_and_board import LATENCIES

_MINED = ("done", "failed", "withdrawn")


class RunStatistics:
    """Statistics of a keeper run: transactions by outcome, gas cost, and latency after new blocks."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """Transactions by keeper and outcome: sent; done, failed or withdrawn."""
        self.gas_paid = 0  # wei
        self.latencies: deque[float] = deque(maxlen=100_000)
        """Seconds from the look that finds a new block to the first transaction sent for it."""
        self.answered = [0] * (len(LATENCIES) + 1)
        """Blocks by latency, up to each bound of LATENCIES and beyond."""
        self.answered_in = 0.0
        """The sum of all latencies [s]."""

    @property
    def mined_transaction_count(self) -> int:
        """Number of transactions that were mined: done, failed or withdrawn."""
        return sum(count for (_, result), count in self.counts.items() if result in _MINED)

    @property
    def failed_transaction_count(self) -> int:
        """Number of mined transactions that reverted."""
        return sum(count for (_, result), count in self.counts.items() if result == "failed")

    def count_answered_block(self, seconds: float) -> None:
        """Record the latency from a new block to the first transaction sent for it [seconds]."""
        self.latencies.append(seconds)
        self.answered[bisect_left(LATENCIES, seconds)] += 1
        self.answered_in += seconds

    def format_summary(self, replaced: int) -> str:
        """Return the statistics as text: transactions, gas cost, and latencies.

        `replaced` is the number of transactions that replaced a pending one.
        """
        counts = f"{self.mined_transaction_count} transactions, {self.failed_transaction_count} failed"
        if replaced:
            counts += f", {replaced} replaced"
        if self.mined_transaction_count:
            counts += f", {self.gas_paid / 10**18:.6f} coins for gas"
        if not self.latencies:
            return counts
        ordered = sorted(1000 * each for each in self.latencies)
        middle, late = ordered[len(ordered) // 2], ordered[(len(ordered) * 99 - 1) // 100]
        return (
            f"{counts}\nnew block to first transaction: median {middle:.0f} ms, p99 {late:.0f} ms, "
            f"longest {ordered[-1]:.0f} ms ({len(ordered)} blocks)"
        )
