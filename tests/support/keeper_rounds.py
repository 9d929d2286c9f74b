"""Rounds of a keeper loop until its transactions are mined."""

from __future__ import annotations

from backstop.live.operate.keeper_loop import KeeperLoop
from tests.support.condition_wait import wait_until_true


def run_rounds_until_mined(loop: KeeperLoop) -> int:
    """Run rounds until no transaction of the loop is pending, and return the number sent meanwhile.

    A node reports a receipt only after the block is mined.
    """
    sent = 0

    def is_all_mined() -> bool:
        nonlocal sent
        sent += loop.run_round()
        return loop.pending_transaction_count == 0

    wait_until_true(is_all_mined)
    return sent
