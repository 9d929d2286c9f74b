"""A devnet of blocks of 30M gas on which many vaults are unsafe at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.hosts.artifacts import Artifacts
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from tests.support.devnet_process import Devnet

BLOCK_GAS = 30_000_000
SLOT = 12  # seconds
PRICE, FALLEN = 200, 130  # stablecoins
_SEEDED_AT_ONCE = 500  # transactions in a block, while blocks have no limit
_MAKER = get_account("market_maker")


class Sent(NamedTuple):
    """A call of an account that the node lets act without a signature."""

    sender: str
    call: str
    args: tuple[Any, ...]


class UnsafeVaultsDevnet:
    """A deployment on an Anvil that mines when told to, with vaults of the first collateral type."""

    def __init__(self, devnet: Devnet, folder: Path, parameters: Parameters) -> None:
        self.devnet, self.node, self.artifacts = devnet, devnet.node, Artifacts()
        self.deployment = deploy_live(
            self.node, parameters, folder / "deployment.json", Signers(test_accounts=True)
        )
        self.symbol = parameters.collateral_types[0].symbol
        self.reporters = [
            get_account(f"reporter_{i + 1}") for i in range(parameters.collateral_types[0].feed.reporters)
        ]
        self.step = parameters.collateral_types[0].feed.step
        self.node.request("anvil_autoImpersonateAccount", True)
        self.node.request("evm_setAutomine", False)
        self._set_block_gas(10**10)
        self.time = self.node.get_head().timestamp
        self.owners: list[str] = []

    def open_live_system(self) -> LiveSystem:
        """Open the deployment with a connection of its own."""
        return LiveSystem(Node(self.devnet.url), self.deployment, Signers(test_accounts=True))

    def open_vaults(self, debts: Sequence[int], market_depth: int, bidder_capital: int = 0) -> list[str]:
        """Open a vault of each debt (whole stablecoins), all to be unsafe at one price; return the owners.

        The market has `market_depth` stablecoins on its side, the bidder its capital.
        """
        plenty, ratio = 10**9 * WAD, 14_900 * PRICE // FALLEN
        self.set_price(PRICE)
        engine, market = (
            self.deployment.addresses[name] for name in ("VaultEngine", f"Market.{self.symbol}")
        )
        money = (market_depth + bidder_capital) * WAD
        self.mine_block(
            [
                Sent(_MAKER, f"{self.symbol}.mint", (_MAKER, plenty)),
                Sent(_MAKER, f"{self.symbol}.approve", (engine, plenty)),
                Sent(_MAKER, f"{self.symbol}.approve", (market, plenty)),
                Sent(_MAKER, "Stablecoin.approve", (market, plenty)),
                Sent(_MAKER, "VaultEngine.deposit_and_draw", (0, _MAKER, plenty // 100, money, _MAKER)),
                Sent(_MAKER, "Stablecoin.transfer", (get_account("bidder"), bidder_capital * WAD)),
                Sent(
                    _MAKER,
                    f"Market.{self.symbol}.set_liquidity",
                    self._compute_liquidity(market_depth, PRICE),
                ),
            ]
        )
        owners = ["0x" + (0xABCDEF << 136 | i).to_bytes(20).hex() for i in range(1, len(debts) + 1)]
        self.owners = owners
        opened = list(zip(owners, debts, strict=True))
        for start in range(0, len(opened), _SEEDED_AT_ONCE):
            part = opened[start : start + _SEEDED_AT_ONCE]
            locked = [debt * ratio * WAD // (PRICE * BASIS_POINTS) for _, debt in part]
            self.mine_block(
                [
                    Sent(_MAKER, "VaultEngine.deposit_and_draw", (0, owner, each, 0, owner))
                    for (owner, _), each in zip(part, locked, strict=True)
                ]
            )
            self.mine_block(
                [
                    Sent(owner, "VaultEngine.deposit_and_draw", (0, owner, 0, debt * WAD, owner))
                    for owner, debt in part
                ]
            )
        return owners

    def drop_price(self, market_depth: int) -> None:
        """Drop the price of feed and market, with blocks of 30M gas and one slot from then on."""
        self.set_price(FALLEN)
        self.mine_block(
            [
                Sent(
                    _MAKER,
                    f"Market.{self.symbol}.set_liquidity",
                    self._compute_liquidity(market_depth, FALLEN),
                )
            ]
        )
        self._set_block_gas(BLOCK_GAS)

    def set_price(self, price: int) -> None:
        """Report a price of whole stablecoins that counts at once."""
        for _ in range(2):
            self.time += self.step
            self.mine_block(
                [
                    *(Sent(each, "PriceFeed.report", (0, price * RAY)) for each in self.reporters),
                    Sent(_MAKER, "PriceFeed.poke", (0,)),
                ]
            )

    def mine_block(self, calls: Sequence[Sent] = (), seconds: int = SLOT) -> dict[str, Any]:
        """Mine a block with the pending calls and these, which must succeed; return it."""
        names = []
        for sender, call, args in calls:
            contract, _, method = call.rpartition(".")
            abi = self.artifacts[self.deployment.contract_kinds[contract]].contract_abi
            data = abi.get_function(method, len(args)).encode_call(args)
            transaction = {
                "from": sender,
                "to": self.deployment.addresses[contract],
                "data": "0x" + data.hex(),
            }
            transaction |= {"gas": hex(1_000_000), "gasPrice": "0x0"}
            names.append(self.node.request("eth_sendTransaction", transaction))
        self.time += seconds
        self.node.request("evm_setNextBlockTimestamp", self.time)
        self.node.request("evm_mine")
        block: dict[str, Any] = self.node.request("eth_getBlockByNumber", "latest", False)
        if names:
            receipts = {
                each["transactionHash"]: each
                for each in self.node.request("eth_getBlockReceipts", block["number"])
            }
            failed = [
                call
                for name, call in zip(names, calls, strict=True)
                if name not in receipts or receipts[name]["status"] != "0x1"
            ]
            assert not failed, failed[0]
        return block

    def _set_block_gas(self, gas: int) -> None:
        self.node.request("evm_setBlockGasLimit", hex(gas))

    def _compute_liquidity(self, depth: int, price: int) -> tuple[int, int]:
        return depth * WAD // price, depth * WAD


ANVIL_FLAGS = ("--accounts", str(len(ACCOUNTS)), "--base-fee", "0")


def build_parameters_without_auction_limits(parameters: Parameters) -> Parameters:
    """Return the parameters with room for every auction."""
    first, *others = parameters.collateral_types
    first = dataclasses.replace(first, auction_limit=10**9, debt_ceiling=10**9)
    return dataclasses.replace(
        parameters,
        collateral_types=(first, *others),
        global_auction_limit=10**9,
        global_debt_ceiling=10**9,
    )
