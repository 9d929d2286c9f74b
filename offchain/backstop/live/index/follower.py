"""A follower, which keeps an index at the newest block of a node: from a snapshot or from nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backstop.deployment.plan import Deployment
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.rpc import RpcError
from backstop.live.index.conditions import Conditions
from backstop.live.index.index import DEPTH, Block, Index
from backstop.live.index.logs import LogReader
from backstop.live.index.snapshot import Snapshot
from backstop.live.index.views import Views
from backstop.live.node.rpc_node import Head, Node

_ATTEMPTS = 5
_ASKED = ("VaultEngine", "LiquidationEngine", "PriceFeed", "RiskPolicy")


class Follower:
    """One deployment's index. `say` gets lines about progress.

    `index` is another object once the chain was reorganised further back than the index can go.
    """

    def __init__(
        self,
        node: Node,
        deployment: Deployment,
        *,
        snapshot: Path | None = None,
        cold: bool = False,
        artifacts: Artifacts | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Start from a snapshot if there is one; `cold` starts from nothing, and the snapshot is replaced.

        Raises UnusableSnapshot if the file is of no use for this deployment.
        """
        node.expect(deployment)
        self.node = node
        self.deployment = deployment
        self.say = say
        artifacts = artifacts or Artifacts()
        abis = {kind: artifacts[kind].abi for kind in _ASKED if kind in deployment.kinds}
        self.logs = LogReader(node, deployment.addresses, abis)
        self.views = Views(node, deployment.addresses, abis)
        self._snapshot = None if snapshot is None else Snapshot(snapshot, deployment)
        found = None if self._snapshot is None or cold else self._snapshot.load()
        self.index = found or self._begin()

    def catch_up(self) -> None:
        """Follow the chain to its newest block, and back first if that is on another branch."""
        for _ in range(_ATTEMPTS):
            head = self.node.head()
            if head.hash == self.index.hash and not self.index.doubtful():
                return
            try:
                self._go_back()
                self._stretches(head.number - DEPTH)
                self._blocks(head)
                self._confirm()
            except _Moved:
                continue
            except RpcError:
                # A node does not know a block by its hash once it is off the chain.
                if self.node.hash_of(head.number) == head.hash:
                    raise
                continue
            return
        raise BackstopError(
            f"the chain at {self.node.url} was reorganised {_ATTEMPTS} times while it was read"
        )

    def conditions(self, collateral_type: int) -> Conditions:
        """Return what decides about a type's vaults at the index's block."""
        block = self.node.request("eth_getBlockByHash", self.index.hash, False)
        if block is None:
            raise BackstopError(f"block {self.index.number} is no longer part of the chain: catch up first")
        return self.views.conditions(collateral_type, self.index.hash, int(block["timestamp"], 16))

    def save(self) -> None:
        """Bring the snapshot up to the index."""
        if self._snapshot is not None:
            self._snapshot.save(self.index)

    def verify(self, sample: int, seed: int = 0) -> list[str]:
        """Compare with the chain at the index's block; return a line for each difference.

        Looked at are some vaults at random, and each type's normalized debt, which shows a vault that is
        missing.
        """
        owners = self.index.sample(sample, seed)
        found = []
        for (c, owner), chain in zip(owners, self.views.vaults(owners, self.index.hash), strict=True):
            ours = self.index.vault(c, owner)
            if ours != chain:
                found.append(f"type {c}, vault of {owner}: index {tuple(ours)}, chain {tuple(chain)}")
        types = range(self.views.types(self.index.hash))
        for c, debt in zip(types, self.views.normalized_debts(types, self.index.hash), strict=True):
            ours_in_all = self.index.normalized_debt(c)
            if ours_in_all != debt:
                found.append(f"type {c}, normalized debt of all vaults: index {ours_in_all}, chain {debt}")
        return found

    # ------------------------------------------------------------------ following

    def _begin(self) -> Index:
        """Start before the first contract."""
        block = self.deployment.block
        found = self.node.hash_of(block)
        if found is None:
            raise BackstopError(
                f"the chain has not reached block {block}, where the deployment began: it was restarted "
                "since the deployment file was written; deploy again"
            )
        return Index(block, found)

    def _go_back(self) -> None:
        """Go back to the last block of ours that is still part of the chain."""
        started_at = self.index.number
        while self.node.hash_of(self.index.number) != self.index.hash:
            if not self.index.roll_back():
                self.say(
                    f"the chain has none of the blocks up to {started_at} any more: starting from nothing"
                )
                self.index = self._begin()
                return
        if self.index.number != started_at:
            self.say(f"the chain was reorganised: back from block {started_at} to {self.index.number}")

    def _stretches(self, last: int) -> None:
        """Follow many blocks at a time, as far as none is likely to be reorganised."""
        first = self.index.number + 1
        for end, logs in self.logs.stretches(first, last):
            hash = self.node.hash_of(end)
            if hash is None or any(log["blockHash"] != hash for log in logs if _number(log) == end):
                raise _Moved
            changes = list(map(self.logs.change, logs))
            self.index.apply(Block(end, hash, self.index.hash, changes), final=True)
            if end != last:
                self.say(f"block {end:,} of {last:,}, {len(self.index):,} vaults")

    def _blocks(self, head: Head) -> None:
        """Follow the newest blocks one by one, so that each can be taken back."""
        first = self.index.number + 1
        numbers = [(hex(number), False) for number in range(first, head.number + 1)]
        headers = self.node.client.batch("eth_getBlockByNumber", numbers)
        logs: dict[str, list[dict[str, Any]]] = {}
        for _, found in self.logs.stretches(first, head.number):
            for log in found:
                logs.setdefault(log["blockHash"], []).append(log)
        if self.node.hash_of(head.number) != head.hash or None in headers:
            raise _Moved
        if logs.keys() - {header["hash"] for header in headers}:
            raise _Moved
        for header in headers:
            if header["parentHash"] != self.index.hash:
                raise _Moved
            hash = header["hash"]
            changes = list(map(self.logs.change, logs.get(hash, ())))
            self.index.apply(Block(int(header["number"], 16), hash, header["parentHash"], changes))

    def _confirm(self) -> None:
        """Have the chain say which calls stand."""
        doubtful = self.index.doubtful()
        for (c, owner), record in zip(doubtful, self.views.vaults(doubtful, self.index.hash), strict=True):
            self.index.confirm(c, owner, record.called_at)


class _Moved(Exception):
    """An error: the chain changed while it was read, so look again."""


def _number(log: dict[str, Any]) -> int:
    return int(log["blockNumber"], 16)
