"""Changes of vaults out of a node's logs.

Nodes refuse ranges with too many results or blocks, each in words of its own: a range that is refused is
halved, and so is the next one after a long answer; after others it grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backstop.contract_base import Log
from backstop.hosts.abi_codec import ContractAbi
from backstop.hosts.rpc_client import RpcError
from backstop.live.index.vault_index_state import MarginCalled, VaultChanged
from backstop.live.node.rpc_node import Node

FIRST_BLOCKS, MOST_BLOCKS = 64, 10_000
"""Blocks of one request: at first, and the most that services usually accept."""
MANY_LOGS = 10_000
"""An answer that is long."""

# Of both events: the event, the type and the owner; at least two words.
_TOPICS, _DATA = 3, 2 + 2 * 64


class LogReader:
    """Reader of the two events of a deployment that change vaults: VaultChanged and MarginCalled."""

    def __init__(self, node: Node, addresses: Mapping[str, str], abis: Mapping[str, ContractAbi]) -> None:
        self.node = node
        self.range = FIRST_BLOCKS
        self._changed = _get_topic(abis["VaultEngine"], "VaultChanged")
        self._engine = addresses["VaultEngine"]
        called = _get_topic(abis["LiquidationEngine"], "MarginCalled")
        self._filter = {
            "address": [self._engine, addresses["LiquidationEngine"]],
            "topics": [[self._changed, called]],
        }

    def iter_log_ranges(self, first: int, last: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Yield the logs from block `first` to `last`, range by range: the range's end, and its logs.

        A range that the node refuses is halved. Raise RpcError if the node refuses a single block.
        """
        while first <= last:
            end = min(last, first + self.range - 1)
            try:
                logs = self.request_logs_in_one_call(first, end)
            except RpcError:
                if end == first:
                    raise
                self.range = (end - first + 1) // 2
                continue
            yield end, logs
            first = end + 1
            if len(logs) > MANY_LOGS:
                self.range = max(1, self.range // 2)
            else:
                self.range = min(MOST_BLOCKS, self.range + self.range // 4 + 1)

    def request_logs_in_one_call(self, first_block: int, last_block: int) -> list[dict[str, Any]]:
        """Return the logs of a range of blocks in one request, in order."""
        blocks = {"fromBlock": hex(first_block), "toBlock": hex(last_block)}
        logs: list[dict[str, Any]] = self.node.request("eth_getLogs", self._filter | blocks)
        return logs

    def decode_vault_change_or_margin_call(self, log: Mapping[str, Any]) -> VaultChanged | MarginCalled:
        """Return the event that a log contains.

        If the log is malformed, switch to another node and raise NodeUnavailableError.
        """
        topics, data = log["topics"], log["data"]
        if len(topics) != _TOPICS or len(data) < _DATA:
            raise self.node.leave_node_and_build_error(
                f"a log of {log['address']} has no form that it can have"
            )
        c, owner = int(topics[1], 16), bytes.fromhex(topics[2][26:])
        first, second = int(data[2:66], 16), int(data[66:130], 16)
        if topics[0] == self._changed:
            return VaultChanged(c, owner, first, second)
        return MarginCalled(c, owner, first)


def pick_vault_changes(logs: Iterable[Log]) -> list[VaultChanged | MarginCalled]:
    """Return the vault changes and margin calls among decoded events, in order."""
    found: list[VaultChanged | MarginCalled] = []
    for contract, event, values in logs:
        if (contract, event) == ("VaultEngine", "VaultChanged"):
            c, owner, locked, normalized_debt = values
            found.append(VaultChanged(c, bytes.fromhex(owner[2:]), locked, normalized_debt))
        elif (contract, event) == ("LiquidationEngine", "MarginCalled"):
            c, owner, due, _ = values
            found.append(MarginCalled(c, bytes.fromhex(owner[2:]), due))
    return found


def _get_topic(abi: ContractAbi, name: str) -> str:
    return next("0x" + topic.hex() for topic, event in abi.events.items() if event.name == name)
