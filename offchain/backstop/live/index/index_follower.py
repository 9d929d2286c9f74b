"""A follower, which keeps an index at the newest block of a node: from a snapshot or from nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.rpc_client import RpcError
from backstop.live.index.batched_contract_views import VaultViewCalls
from backstop.live.index.index_snapshot import IndexSnapshot
from backstop.live.index.liquidation_pricing_inputs import PricingConditions
from backstop.live.index.vault_index_state import DEPTH, BlockChanges, VaultIndex
from backstop.live.index.vault_log_reader import LogReader
from backstop.live.node.rpc_node import Head, Node

_ATTEMPTS = 5
_ASKED = ("VaultEngine", "LiquidationEngine", "PriceFeed", "RiskPolicy")


class IndexFollower:
    """Follower that keeps a deployment's vault index at the newest block of a node.

    `say` receives lines about progress. The attribute `index` is replaced by a new object after a reorg that
    is deeper than the index can roll back.
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
        """Load the index from the snapshot file, if there is one.

        `cold` starts with an empty index, and the next save replaces the file. Raise UnusableSnapshotError if
        the file is of no use for this deployment.
        """
        node.require_deployment(deployment)
        self.node = node
        self.deployment = deployment
        self.say = say
        artifacts = artifacts or Artifacts()
        abis = {kind: artifacts[kind].contract_abi for kind in _ASKED if kind in deployment.contract_kinds}
        self.logs = LogReader(node, deployment.addresses, abis)
        self.views = VaultViewCalls(node, deployment.addresses, abis)
        self._snapshot = None if snapshot is None else IndexSnapshot(snapshot, deployment)
        found = None if self._snapshot is None or cold else self._snapshot.load_index()
        self.index = found or self._create_empty_index()

    def sync_to_head(self) -> None:
        """Follow the chain to its newest block, after rolling back blocks that a reorg removed.

        Raise BackstopError if the chain is reorganised five times meanwhile.
        """
        for _ in range(_ATTEMPTS):
            head = self.node.get_head()
            if head.hash == self.index.hash and not self.index.list_vaults_with_unconfirmed_calls():
                return
            try:
                self._go_back()
                self._follow_ranges(head.number - DEPTH)
                self._follow_newest_blocks(head)
                self._confirm_margin_calls_on_chain()
            except _ChainMovedError:
                continue
            except RpcError:
                # A node does not know a block by its hash once it is off the chain.
                if self.node.get_block_hash(head.number) == head.hash:
                    raise
                continue
            return
        raise BackstopError(
            f"the chain at {self.node.url} was reorganised {_ATTEMPTS} times while it was read"
        )

    def get_pricing_conditions(self, collateral_type: int) -> PricingConditions:
        """Return the price, rate and terms for liquidations of a type at the index's block.

        Raise BackstopError if that block is no longer part of the chain.
        """
        block = self.node.request("eth_getBlockByHash", self.index.hash, False)
        if block is None:
            raise BackstopError(f"block {self.index.number} is no longer part of the chain: catch up first")
        return self.views.get_conditions(collateral_type, self.index.hash, int(block["timestamp"], 16))

    def save_snapshot(self) -> None:
        """Save the index to the snapshot file, if there is one."""
        if self._snapshot is not None:
            self._snapshot.save_index(self.index)

    def list_sample_differences(self, sample_size: int, seed: int = 0) -> list[str]:
        """Compare the index with the chain at its block; return a line for each difference.

        `sample_size` vaults are compared at random, and the normalized debt of each type. A wrong sum reveals
        a vault that is missing.
        """
        owners = self.index.sample_vaults(sample_size, seed)
        found = []
        for (c, owner), chain in zip(
            owners, self.views.get_vault_records(owners, self.index.hash), strict=True
        ):
            ours = self.index.get_vault(c, owner)
            if ours != chain:
                found.append(f"type {c}, vault of {owner}: index {tuple(ours)}, chain {tuple(chain)}")
        types = range(self.views.count_types(self.index.hash))
        for c, debt in zip(types, self.views.get_normalized_debts(types, self.index.hash), strict=True):
            ours_in_all = self.index.get_normalized_debt(c)
            if ours_in_all != debt:
                found.append(f"type {c}, normalized debt of all vaults: index {ours_in_all}, chain {debt}")
        return found

    # ------------------------------------------------------------------ following

    def _create_empty_index(self) -> VaultIndex:
        """Return an empty index at the last block before the deployment.

        Raise BackstopError if the chain has not reached that block.
        """
        block = self.deployment.block
        found = self.node.get_block_hash(block)
        if found is None:
            raise BackstopError(
                f"the chain has not reached block {block}, where the deployment began: it was restarted "
                "since the deployment file was written; deploy again"
            )
        return VaultIndex(block, found)

    def _go_back(self) -> None:
        """Roll the index back to its last block that is still part of the chain.

        If there is none, start with an empty index.
        """
        started_at = self.index.number
        while self.node.get_block_hash(self.index.number) != self.index.hash:
            if not self.index.roll_back_last_block():
                self.say(
                    f"the chain has none of the blocks up to {started_at} any more: starting from nothing"
                )
                self.index = self._create_empty_index()
                return
        if self.index.number != started_at:
            self.say(f"the chain was reorganised: back from block {started_at} to {self.index.number}")

    def _follow_ranges(self, last: int) -> None:
        """Follow old blocks up to `last`, many at a time, as blocks that are not rolled back again."""
        first = self.index.number + 1
        for end, logs in self.logs.iter_log_ranges(first, last):
            block_hash = self.node.get_block_hash(end)
            if block_hash is None or any(
                log["blockHash"] != block_hash for log in logs if _get_block_number(log) == end
            ):
                raise _ChainMovedError
            changes = list(map(self.logs.decode_vault_change_or_margin_call, logs))
            self.index.apply(BlockChanges(end, block_hash, self.index.hash, changes), final=True)
            if end != last:
                self.say(f"block {end:,} of {last:,}, {len(self.index):,} vaults")

    def _follow_newest_blocks(self, head: Head) -> None:
        """Follow the newest blocks one by one, so that each can be rolled back after a reorg."""
        first = self.index.number + 1
        numbers = [(hex(number), False) for number in range(first, head.number + 1)]
        headers = self.node.client.call_method_in_batches("eth_getBlockByNumber", numbers)
        logs: dict[str, list[dict[str, Any]]] = {}
        for _, found in self.logs.iter_log_ranges(first, head.number):
            for log in found:
                logs.setdefault(log["blockHash"], []).append(log)
        if self.node.get_block_hash(head.number) != head.hash or None in headers:
            raise _ChainMovedError
        if logs.keys() - {header["hash"] for header in headers}:
            raise _ChainMovedError
        for header in headers:
            if header["parentHash"] != self.index.hash:
                raise _ChainMovedError
            block_hash = header["hash"]
            changes = list(map(self.logs.decode_vault_change_or_margin_call, logs.get(block_hash, ())))
            self.index.apply(
                BlockChanges(int(header["number"], 16), block_hash, header["parentHash"], changes)
            )

    def _confirm_margin_calls_on_chain(self) -> None:
        """Read from the chain which margin calls still stand, and set their times in the index."""
        doubtful = self.index.list_vaults_with_unconfirmed_calls()
        for (c, owner), record in zip(
            doubtful, self.views.get_vault_records(doubtful, self.index.hash), strict=True
        ):
            self.index.set_confirmed_call_time(c, owner, record.called_at)


class _ChainMovedError(Exception):
    """Error raised if a reorg happened during a read, which is then repeated."""


def _get_block_number(log: dict[str, Any]) -> int:
    return int(log["blockNumber"], 16)
