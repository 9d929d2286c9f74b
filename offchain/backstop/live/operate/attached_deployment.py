"""A deployment to look at and to play with, in `ape console` and in scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address

from backstop.contract_base import Log
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.keepers.keeper_view import KeeperView
from backstop.live.mirror.chain_mirror import MinedCall
from backstop.live.node.rpc_node import LOCAL
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.network_options import connect_node, open_system_and_named_accounts
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.run_directory import to_json_value
from backstop.system import Action, Outcome, Snapshot

if TYPE_CHECKING:
    import pandas as pd
    from eth_typing import ChecksumAddress
    from web3 import Web3


def attach(deployment_file: str | Path = "deployment.json", network: str | None = None) -> AttachedDeployment:
    """Open a deployment for reading and calling, from its deployment file and a node.

    Without `network`, the node is the one that Ape is connected to. If Ape is not connected, it is the node
    at port 8545 of this machine.
    """
    node = connect_node(network or _find_connected_ape_node_url() or LOCAL)
    return AttachedDeployment(open_system_and_named_accounts(node, Path(deployment_file))[0])


def get_address(value: Any) -> Any:
    """Return the lower-case address of an account or contract object of Ape, eth-account or web3.py.

    Return any other value unchanged.
    """
    address = getattr(value, "address", None)
    return address.lower() if isinstance(address, str) else value


class NamedContracts(dict[str, Any]):
    """Contract objects of another library (web3.py or Ape) by contract name.

    A contract without a dot in its name is also an attribute, such as `contracts.VaultEngine`.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"contract {name!r} is unknown; expected one of {', '.join(self)}")
        return self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self if "." not in name)]


class Contract:
    """Contract with its functions as methods: `engine.total_debt()`, `engine.accrue(0, sender="borrower")`.

    A call without `sender` reads from the chain. A call with `sender` sends a transaction.
    """

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

        def call(*args: Any, sender: Any = None) -> Any:
            """Call the function on the chain and return its value, or send it if `sender` is given.

            A transaction returns its Outcome (value, revert reason and events). `sender` is a role's name, an
            address, or an account object of Ape or eth-account. An account object of eth-account signs with
            its own key. Account and contract objects among the arguments are replaced by their addresses.
            """
            plain = tuple(get_address(arg) for arg in args)
            if sender is None:
                return self._system.view(self.name, method, *plain)
            if isinstance(sender, LocalAccount):
                self._system.host.signers.add_account(sender)
            name = get_address(sender)
            who = name.lower() if name.startswith("0x") else self._system.deployment.get_account(name)
            outcome: Outcome = self._system.apply(Action(self.name, method, plain, who))
            return outcome

        return call


class AttachedDeployment:
    """Deployment on a node, for the console and scripts. Contracts are attributes: `deployed.VaultEngine`."""

    def __init__(self, system: LiveSystem) -> None:
        self.system = system
        self.contracts = {name: Contract(system, name) for name in system.addresses}

    @property
    def deployment(self) -> Deployment:
        """Content of the deployment file: addresses, parameters, accounts and chain."""
        return self.system.deployment

    def __repr__(self) -> str:
        return f"<deployment on {self.system.node.url}: {', '.join(self.contracts)}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.contracts if "." not in name)]

    def __getattr__(self, name: str) -> Contract:
        if name.startswith("_") or name not in self.contracts:
            raise AttributeError(f"contract {name!r} is unknown; expected one of .contracts")
        return self.contracts[name]

    def web3(self, w3: Web3) -> NamedContracts:
        """Return all contracts as web3.py contract objects, with their events, on the node of `w3`.

        Calls and transactions of these objects go through the node of `w3` and are not compared with the
        model. Raise BackstopError if that node is on another chain than the deployment.
        """
        there, here = w3.eth.chain_id, self.deployment.chain_id
        if there != here:
            raise BackstopError(
                f"Web3 is on chain {there}, and the deployment on chain {here}: "
                f"give a Web3 of {self.system.node.url}, or of another node of its chain"
            )
        return NamedContracts(
            (name, w3.eth.contract(address=address, abi=abi)) for name, address, abi in self._iter_abis()
        )

    @property
    def ape(self) -> NamedContracts:
        """All contracts as Ape's contract objects, on the network that Ape is connected to.

        Raise BackstopError if Ape is not connected, or is connected to another chain than the deployment's.
        """
        import ape

        provider = ape.networks.active_provider
        if provider is None or provider.chain_id != self.deployment.chain_id:
            there = "not connected" if provider is None else f"on chain {provider.chain_id}"
            raise BackstopError(
                f"Ape is {there}, and the deployment on chain {self.deployment.chain_id}: use "
                f"`with ape.networks.parse_network_choice('{self.system.node.url}')`"
            )
        return NamedContracts(
            (name, ape.Contract(address, abi=json.dumps(abi))) for name, address, abi in self._iter_abis()
        )

    def _iter_abis(self) -> Iterator[tuple[str, ChecksumAddress, list[dict[str, Any]]]]:
        """Yield the name, the checksummed address (EIP-55) and the ABI of each contract."""
        chain = self.system.chain
        for name, address in self.system.addresses.items():
            yield name, to_checksum_address(address), chain.artifacts[chain.kinds[name]].abi_json

    def snapshot(self) -> Snapshot:
        """Return all contract storage, read from the chain, by contract, storage path and key."""
        return self.system.snapshot()

    def view(self) -> KeeperView:
        """Follow the chain to its newest block and return the state as a keeper sees it.

        Market prices come from the deployment's own markets.
        """
        self.system.follow_chain()
        return market_view(self.system.mirror, self.system.timestamp)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Tables of the present state, by name, as pandas DataFrames.

        The tables are `collateral_types`, `vaults`, `auctions`, `actions` and `events`. Amounts and prices
        (`..._wad`, `..._ray`, `..._rad`) are strings of decimal digits, since they exceed 64 bits.
        """
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
    """Return the URL of the node that Ape is connected to; None if Ape is not loaded or not connected."""
    ape = sys.modules.get("ape")
    if ape is None:
        return None
    provider = ape.networks.active_provider
    address = getattr(provider, "http_uri", None) or getattr(provider, "uri", None)
    return str(address) if address else None
