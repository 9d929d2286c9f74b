"""Facts: the knowledge of a process at one block.

The loop that follows the chain puts facts on a board, complete and never changed afterwards. Threads that
answer requests read them there and touch nothing else of the loop's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class KeeperWork:
    """Work of this process's keepers: transactions by outcome, balances, budgets and stopped roles."""

    counts: Mapping[tuple[str, str], int]
    gas_paid: int  # wei
    answered: tuple[int, ...]  # blocks by the time to the first transaction, as LATENCIES has them
    answered_in: float  # seconds, together
    failures_in_a_row: int
    pending: Mapping[str, int]
    oldest: Mapping[str, int]  # seconds since the oldest of them was signed
    capital: Mapping[tuple[str, str], int]  # wad; coins in wei
    reserved: Mapping[tuple[str, str], int]  # wad
    coins_needed: int  # wei that a large transaction costs now
    fees_too_high: bool
    signer_gone: bool = False
    stopped: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by role and cause, in words
    burning: Mapping[str, str] = field(default_factory=dict)  # roles whose budget would not last, in words
    # Used and allowed, by role and budget: wei, or wad of what is put at risk.
    budgets: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)


LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds; longer durations are counted last."""

SILENT = 30.0
"""Seconds without a look at the chain that are too many, unless the nodes' timeouts allow for more."""
COIN = "coin"
"""The token that gas is paid in, beside the names of contracts."""


@dataclass(frozen=True)
class ChainStatus:
    """Status of a process at the last followed block, for pages, metrics and alerts.

    `block_at` is a time of time.monotonic().
    """

    node: str
    chain_id: int
    engine: str
    block: int
    hash: str
    timestamp: int
    block_at: float  # when it was first seen
    head: int
    followed: bool = True  # False while history is replayed
    found: int = 0  # differences since the beginning
    differences: tuple[str, ...] = ()  # the last of them
    fields_compared: int = 0
    unsettled: int = 0  # slots of which the node tells another word, and nothing proves whose is right
    lies: int = 0  # what nodes told and something refuted, since the beginning
    nodes: int = 1  # that were named
    rooted: bool | None = None  # whether blocks hash to what they hold; None: not known yet
    statement: Mapping[str, Any] | None = None
    work: KeeperWork | None = None
    scene: Mapping[str, Any] = field(default_factory=dict)  # what the live page shows besides
    queue: Mapping[str, Any] | None = None  # of the margin market's deleveraging, without one None


class StatusBoard:
    """Place where the loop publishes its newest status for the threads that answer requests.

    The loop counts as hanging after `silent` seconds without a round.
    """

    def __init__(self, silent: float = SILENT) -> None:
        self.silent = silent
        self.facts: ChainStatus | None = None
        self.gone = ""  # why the node cannot be asked
        self.looked_at = time.monotonic()
        self.version = 0
        self._turn = threading.Condition()

    def publish_status(self, facts: ChainStatus | None = None, gone: str = "") -> None:
        """Publish a status (None keeps the last one) and why the node is gone, and wake waiting readers."""
        with self._turn:
            self.facts = facts or self.facts
            self.gone = gone
            self.version += 1
            self._turn.notify_all()

    def wait_and_get_newest_version(self, version: int, seconds: float) -> int:
        """Wait up to `seconds` for a version other than `version`, and return the newest version."""
        with self._turn:
            self._turn.wait_for(lambda: self.version != version, seconds)
            return self.version
