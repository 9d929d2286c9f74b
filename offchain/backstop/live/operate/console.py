"""A deployment to look at and to play with, in `ape console` and in scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.deployment.plan import Deployment
from backstop.keepers.view import View
from backstop.live.follow.mirror import Seen
from backstop.live.node.rpc_node import LOCAL
from backstop.live.operate.options import connect, open_system
from backstop.live.operate.system import LiveSystem, market_view
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.state import Log
from backstop.simulation.run_directory import plain
from backstop.system import Action, Outcome, Snapshot

if TYPE_CHECKING:
    import pandas as pd


def attach(deployment_file: str | Path = "deployment.json", network: str | None = None) -> Attached:
    """Open a deployment. Without `network`: where Ape is connected to, else port 8545 of this machine."""
    node = connect(network or _connected() or LOCAL)
    return Attached(open_system(node, Path(deployment_file))[0])


class Contract:
    """A contract: `engine.total_debt()` asks, `engine.accrue(0, sender="borrower")` sends."""

    def __init__(self, system: LiveSystem, name: str) -> None:
        self._system = system
        self.name = name
        self.address = system.addresses[name]
        self._abi = system.chain.artifacts[system.chain.kinds[name]].abi

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
            who = sender.lower() if sender.startswith("0x") else self._system.deployment.account(sender)
            outcome: Outcome = self._system.apply(Action(self.name, method, args, who))
            return outcome

        return call


class Attached:
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

    def view(self) -> View:
        """Return the state as keepers see it now; the prices outside are the deployment's own markets'."""
        self.system.follow()
        return market_view(self.system.mirror, self.system.timestamp)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables: collateral_types, vaults, auctions, actions, events. Amounts are decimal strings."""
        view, seen = self.view(), self.system.mirror.seen
        return {
            "collateral_types": _frame(_collateral_types(view)),
            "vaults": _frame(_vaults(view)),
            "auctions": _frame(_auctions(view)),
            "actions": _frame(_action(each) for each in seen),
            "events": _frame(_event(each, log) for each in seen for log in each.outcome.logs),
        }


def _collateral_types(view: View) -> Iterator[dict[str, Any]]:
    for c, symbol in enumerate(view.symbols):
        yield {
            "symbol": symbol,
            "market_price_ray": view.outside.prices[c],
            "price_ray": view.price(c),
            "locked_wad": view.locked(c),
            "performing_rad": view.debts(c).performing,
            "in_auction_rad": view.in_auction(c),
            "deficit_rad": view.deficit(c),
            "buffer_rad": view.buffer(c),
            "vaults": len(view.vaults(c)),
            "unsafe_vaults": len(view.unsafe(c)),
        }


def _vaults(view: View) -> Iterator[dict[str, Any]]:
    for c, symbol in enumerate(view.symbols):
        for vault in view.vaults(c):
            worth = vault.locked * view.outside.prices[c]
            yield {
                "symbol": symbol,
                "owner": vault.owner,
                "locked_wad": vault.locked,
                "debt_rad": vault.debt,
                "ratio_bps": worth * BASIS_POINTS // vault.debt,
            }


def _auctions(view: View) -> Iterator[dict[str, Any]]:
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


def _action(seen: Seen) -> dict[str, Any]:
    return {
        "block": seen.block,
        "timestamp": seen.timestamp,
        "contract": seen.action.contract,
        "method": seen.action.method,
        "args": plain(seen.action.args),
        "sender": seen.action.sender,
        "ok": seen.outcome.ok,
        "reason": seen.outcome.reason,
        "gas": seen.gas,
    }


def _event(seen: Seen, log: Log) -> dict[str, Any]:
    return {
        "block": seen.block,
        "timestamp": seen.timestamp,
        "contract": log.contract,
        "event": log.event,
        "values": plain(log.values),
    }


def _frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    # As in a run directory: amounts are longer than 64 bits.
    large = ("_wad", "_ray", "_rad")
    return pd.DataFrame(
        [{name: str(v) if name.endswith(large) else v for name, v in row.items()} for row in rows]
    )


def _connected() -> str | None:
    """Return the address that Ape is connected to, if it is."""
    ape = sys.modules.get("ape")
    if ape is None:
        return None
    provider = ape.networks.active_provider
    address = getattr(provider, "http_uri", None) or getattr(provider, "uri", None)
    return str(address) if address else None
