"""A deployment to look at and to play with, in `ape console` and in scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.deployment.planned_contracts import Deployment
from backstop.keepers.keeper_view import KeeperView
from backstop.live.mirror.chain_mirror import MinedCall
from backstop.live.node.rpc_node import LOCAL
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.network_options import connect_node, open_system_and_named_accounts
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.contract_base import Log
from backstop.simulation.run_directory import to_json_value
from backstop.system import Action, Outcome, Snapshot

if TYPE_CHECKING:
    import pandas as pd


def attach(deployment_file: str | Path = "deployment.json", network: str | None = None) -> AttachedDeployment:
    """Open a deployment. Without `network`: where Ape is connected to, else port 8545 of this machine."""
    node = connect_node(network or _find_connected_ape_node_url() or LOCAL)
    return AttachedDeployment(open_system_and_named_accounts(node, Path(deployment_file))[0])


class Contract:
    """A contract: `engine.total_debt()` asks, `engine.accrue(0, sender="borrower")` sends."""

    def __init__(self, system: LiveSystem, name: str) -> None:
        self._system = system
        self.name = name
        self.address = system.addresses[name]
        self._abi = system.chain.artifacts[system.chain.kinds[name]].contract_abi

    def __repr__(self) -> str:
        return f"<{self.name} at {self.address}>"

    def __dir__(self) -> list[str]:
        return sorted({"address", "name", *(name for name, _ in self._abi.functions)})

    def __getattr__(self, method: str) -> Any:
        if not any(name == method for name, _ in self._abi.functions):
            raise AttributeError(f"{self.name} has no function {method!r}")

        def call(*args: Any, sender: str | None = None) -> Any:
            """Ask, or send if there is a sender (a role or an address), and return the Outcome."""
            if sender is None:
                return self._system.view(self.name, method, *args)
            who = sender.lower() if sender.startswith("0x") else self._system.deployment.get_account(sender)
            outcome: Outcome = self._system.apply(Action(self.name, method, args, who))
            return outcome

        return call


class AttachedDeployment:
    """A deployment on a node. Its contracts are attributes: `deployed.VaultEngine`."""

    def __init__(self, system: LiveSystem) -> None:
        self.system = system
        self.contracts = {name: Contract(system, name) for name in system.addresses}

    @property
    def deployment(self) -> Deployment:
        """The deployment file."""
        return self.system.deployment

    def __repr__(self) -> str:
        return f"<deployment on {self.system.node.url}: {', '.join(self.contracts)}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.contracts if "." not in name)]

    def __getattr__(self, name: str) -> Contract:
        if name.startswith("_") or name not in self.contracts:
            raise AttributeError(f"there is no contract {name!r}: see .contracts")
        return self.contracts[name]

    def snapshot(self) -> Snapshot:
        """Return all state: contract, storage path, key."""
        return self.system.snapshot()

    def view(self) -> KeeperView:
        """Return the state as keepers see it now; the prices outside are the deployment's own markets'."""
        self.system.follow_chain()
        return market_view(self.system.mirror, self.system.timestamp)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables: collateral_types, vaults, auctions, actions, events. Amounts are decimal strings."""
        view, seen = self.view(), self.system.mirror.seen
        return {
            "collateral_types": _build_frame(_iter_type_rows(view)),
            "vaults": _build_frame(_iter_vault_rows(view)),
            "auctions": _build_frame(_iter_auction_rows(view)),
            "actions": _build_frame(_build_action_row(each) for each in seen),
            "events": _build_frame(_build_event_row(each, log) for each in seen for log in each.outcome.logs),
        }


def _iter_type_rows(view: KeeperView) -> Iterator[dict[str, Any]]:
    for c, symbol in enumerate(view.symbols):
        yield {
            "symbol": symbol,
            "market_price_ray": view.outside.prices[c],
            "price_ray": view.get_current_price(c),
            "locked_wad": view.get_locked_collateral(c),
            "performing_rad": view.get_debts(c).performing,
            "in_auction_rad": view.get_principal_in_auction(c),
            "deficit_rad": view.get_deficit(c),
            "buffer_rad": view.get_buffer(c),
            "vaults": len(view.list_vaults_with_debt(c)),
            "unsafe_vaults": len(view.list_unsafe_vaults(c)),
        }


def _iter_vault_rows(view: KeeperView) -> Iterator[dict[str, Any]]:
    for c, symbol in enumerate(view.symbols):
        for vault in view.list_vaults_with_debt(c):
            worth = vault.locked * view.outside.prices[c]
            yield {
                "symbol": symbol,
                "owner": vault.owner,
                "locked_wad": vault.locked,
                "debt_rad": vault.debt,
                "ratio_bps": worth * BASIS_POINTS // vault.debt,
            }


def _iter_auction_rows(view: KeeperView) -> Iterator[dict[str, Any]]:
    for each in view.auctions:
        yield {
            "auction_id": each.id,
            "symbol": view.symbols[each.collateral_type],
            "lot_wad": each.lot,
            "target_rad": each.target,
            "price_ray": each.price,
            "started_at": each.started_at,
            "needs_reset": each.needs_reset,
        }


def _build_action_row(seen: MinedCall) -> dict[str, Any]:
    return {
        "block": seen.block,
        "timestamp": seen.timestamp,
        "contract": seen.action.contract,
        "method": seen.action.method,
        "args": to_json_value(seen.action.args),
        "sender": seen.action.sender,
        "ok": seen.outcome.ok,
        "reason": seen.outcome.reason,
        "gas": seen.gas,
    }


def _build_event_row(seen: MinedCall, log: Log) -> dict[str, Any]:
    return {
        "block": seen.block,
        "timestamp": seen.timestamp,
        "contract": log.contract,
        "event": log.event,
        "values": to_json_value(log.values),
    }


def _build_frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    # As in a run directory: amounts are longer than 64 bits.
    large = ("_wad", "_ray", "_rad")
    return pd.DataFrame(
        [{name: str(v) if name.endswith(large) else v for name, v in row.items()} for row in rows]
    )


def _find_connected_ape_node_url() -> str | None:
    """Return the address that Ape is connected to, if it is."""
    ape = sys.modules.get("ape")
    if ape is None:
        return None
    provider = ape.networks.active_provider
    address = getattr(provider, "http_uri", None) or getattr(provider, "uri", None)
    return str(address) if address else None
