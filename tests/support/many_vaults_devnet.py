"""A deployment with many vaults on a devnet, as an index follows it."""

from __future__ import annotations

from typing import Any

from backstop.deployment.model_and_chain_deployment import attach_system
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.live.index import IndexFollower
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action
from tests.support.devnet_process import Devnet

PRICE = 2_000


class ManyVaultsDevnet:
    """One devnet, one deployment, and its history; every call is a block."""

    def __init__(self, devnet: Devnet, deployment: Deployment, artifacts: Artifacts) -> None:
        self.devnet = devnet
        self.node = devnet.node
        self.deployment = deployment
        self.artifacts = artifacts
        host = LiveHost(self.node, Signers(test_accounts=True), impersonate=True)
        self.chain = attach_system(deployment, host, artifacts)
        self.send_node_request("anvil_autoImpersonateAccount", True)

    def send_node_request(self, method: str, *params: Any) -> Any:
        return self.node.request(method, *params)

    def call_and_return_revert_reason(self, call: str, *args: Any, sender: str = "admin") -> str | None:
        """Run "Contract.method"; why it reverted, if it did."""
        contract, method = call.split(".")
        outcome = self.chain.apply(Action(contract, method, args, get_account(sender)))
        return outcome.reason

    def pass_time(self, seconds: int) -> None:
        self.send_node_request("evm_increaseTime", seconds)
        self.send_node_request("evm_mine")

    def post_prices(self, price: int, *others: int) -> None:
        """A price of WETH, and of the types after it, that counts at once."""
        for _ in range(2):
            for c, each in enumerate((price, *others)):
                for i in range(3):
                    assert (
                        self.call_and_return_revert_reason(
                            "PriceFeed.report", c, each * RAY, sender=f"reporter_{i + 1}"
                        )
                        is None
                    )
                assert self.call_and_return_revert_reason("PriceFeed.poke", c) is None
            self.pass_time(3_600)

    def open_vault(self, owner: str, locked: int, debt: int) -> None:
        """A vault of whole tokens and stablecoins."""
        engine = self.deployment.addresses["VaultEngine"]
        assert (
            self.call_and_return_revert_reason("WETH.mint", get_account(owner), locked * WAD, sender=owner)
            is None
        )
        assert self.call_and_return_revert_reason("WETH.approve", engine, locked * WAD, sender=owner) is None
        opening = 0, get_account(owner), locked * WAD, debt * WAD, get_account(owner)
        assert (
            self.call_and_return_revert_reason("VaultEngine.deposit_and_draw", *opening, sender=owner) is None
        )

    def build_index_follower(self, node: Node | None = None, **options: Any) -> IndexFollower:
        node = node or self.devnet.node
        return IndexFollower(node, self.deployment, artifacts=self.artifacts, **options)
