"""A guarded deployment on real Anvils, with people who use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.accounts import account
from backstop.deployment.create import attach
from backstop.deployment.file import read_deployment
from backstop.deployment.plan import Deployment
from backstop.hosts.artifacts import Artifacts
from backstop.live.index import Follower
from backstop.live.node.host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.deploying import deploy_live
from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action
from tests.domains import with_domains
from tests.guards import with_guards
from tests.live.conftest import Devnet

PRICE = 2_000


class Town:
    """One devnet, one deployment, and what happens there; every call is a block."""

    def __init__(self, devnet: Devnet, deployment: Deployment, artifacts: Artifacts) -> None:
        self.devnet = devnet
        self.node = devnet.node
        self.deployment = deployment
        self.artifacts = artifacts
        host = LiveHost(self.node, Signers(test_accounts=True), impersonate=True)
        self.chain = attach(deployment, host, artifacts)
        self.request("anvil_autoImpersonateAccount", True)

    def request(self, method: str, *params: Any) -> Any:
        return self.node.request(method, *params)

    def do(self, call: str, *args: Any, sender: str = "admin") -> str | None:
        """Run "Contract.method"; why it reverted, if it did."""
        contract, method = call.split(".")
        outcome = self.chain.apply(Action(contract, method, args, account(sender)))
        return outcome.reason

    def pass_time(self, seconds: int) -> None:
        self.request("evm_increaseTime", seconds)
        self.request("evm_mine")

    def post(self, price: int, *others: int) -> None:
        """A price of WETH, and of the types after it, that counts at once."""
        for _ in range(2):
            for c, each in enumerate((price, *others)):
                for i in range(3):
                    assert self.do("PriceFeed.report", c, each * RAY, sender=f"reporter_{i + 1}") is None
                assert self.do("PriceFeed.poke", c) is None
            self.pass_time(3_600)

    def open(self, owner: str, locked: int, debt: int) -> None:
        """A vault of whole tokens and stablecoins."""
        engine = self.deployment.addresses["VaultEngine"]
        assert self.do("WETH.mint", account(owner), locked * WAD, sender=owner) is None
        assert self.do("WETH.approve", engine, locked * WAD, sender=owner) is None
        opening = 0, account(owner), locked * WAD, debt * WAD, account(owner)
        assert self.do("VaultEngine.deposit_and_draw", *opening, sender=owner) is None

    def follower(self, node: Node | None = None, **options: Any) -> Follower:
        node = node or self.devnet.node
        return Follower(node, self.deployment, artifacts=self.artifacts, **options)


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a chain's state and its deployment file."""
    folder = tmp_path_factory.mktemp("town")
    devnet = Devnet("--state", str(folder / "state.json"))
    parameters = with_domains(with_guards())
    deploy_live(devnet.node, parameters, folder / "deployment.json", Signers(test_accounts=True))
    devnet.process.stop()
    return folder


@pytest.fixture
def new_town(town_folder: Path, artifacts: Artifacts) -> Iterator[Callable[[], Town]]:
    """The deployment on a devnet of its own, each time from its first block."""
    started: list[Devnet] = []

    def make() -> Town:
        started.append(Devnet("--load-state", str(town_folder / "state.json")))
        return Town(started[-1], read_deployment(town_folder / "deployment.json"), artifacts)

    yield make
    for devnet in started:
        devnet.process.stop()


@pytest.fixture
def town(new_town: Callable[[], Town]) -> Town:
    """With a price, margin calls and two vaults."""
    town = new_town()
    town.post(PRICE)
    assert town.do("RiskPolicy.set_call_terms", 0, 14_800, 3_600, 7_200) is None
    assert town.do("RiskPolicy.set_brackets", 0, ((50_000, 1_000), (0, 0)), ((0, 0), (0, 0))) is None
    town.open("borrower", 30, 30_000)
    town.open("saver", 40, 30_000)
    return town
