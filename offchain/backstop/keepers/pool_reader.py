"""A pool from a snapshot, with its model's views: claimable amounts, and batches that may be settled."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from backstop.model import equity_pool, exit_batches, redeem_queue, shares
from backstop.model.equity_pool import EquityPool
from backstop.model.member_pool import MemberPool
from backstop.model.pool import Pool

_OF_ALL: dict[str, tuple[str, Any]] = {
    "state": ("token.state", shares.State()),
    "balances": ("token.balances", shares.Balance()),
    "line": ("line.queue", redeem_queue.Queue()),
    "batches": ("line.batches", redeem_queue.Batch()),
    "requests": ("line.requests", redeem_queue.Request()),
    "claimed": ("line.claimed", redeem_queue.Claimed()),
    "lines": ("line.lines", redeem_queue.Line()),
}
_OF_STABLECOIN: dict[str, tuple[str, Any]] = {
    "index": ("exit_batches.index", 0),
    "bases": ("exit_batches.bases", 0),
    "ceilings": ("exit_batches.ceilings", 0),
    "levels": ("exit_batches.levels", 0),
    "runs": ("exit_batches.runs", exit_batches.ExitRun()),
    "fractions": ("exit_batches.fractions", 0),
    "first_run": ("exit_batches.first_run", 0),
}
_OF_EQUITY: dict[str, tuple[str, Any]] = {
    "round": ("round", 0),
    "due": ("due", equity_pool.Due()),
    "rounds": ("rounds", equity_pool.Round()),
    "generations": ("generations", 0),
}


class FrozenTable(NamedTuple):
    """Read-only storage table: values of a snapshot, and the default value for missing keys."""

    values: Mapping[Hashable, Any]
    default: Any

    # A tuple is indexed by numbers; this one stands for a table, which is indexed by keys.
    def __getitem__(self, key: Hashable) -> Any:  # type: ignore[override]
        return self.values.get(key, self.default)


def build_read_only_pool_model(tables: Mapping[str, Mapping[Hashable, Any]], cooldown: int) -> MemberPool:
    """Return the model of a pool contract on top of a snapshot's tables; its state cannot be changed.

    `cooldown` is the time between request and payment of a withdrawal [seconds].
    """
    is_equity = "rounds" in tables
    found: MemberPool = object.__new__(EquityPool if is_equity else Pool)
    for name, (path, default) in (_OF_ALL | (_OF_EQUITY if is_equity else _OF_STABLECOIN)).items():
        setattr(found, name, FrozenTable(tables[path], default))
    found.cooldown = cooldown
    return found
