"""A small crash that stopped in the middle of it, on an Anvil that keeps all states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from offchain.deployment import Deployment
from offchain.live.crash import crash, until
from offchain.live.deploying import deploy_live
from offchain.live.mirror import Mirror, open_mirror
from offchain.live.signers import Signers
from offchain.live.system import LiveSystem
from offchain.presets import lay_over, load_preset
from offchain.scenarios import Scenario, schema
from tests.live.conftest import SMALL, Devnet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nearly every test of this folder needs a node."""
    for item in items:
        if "tests/audit/" in item.path.as_posix():
            item.add_marker(pytest.mark.anvil)


class Crashed:
    """The chain, its deployment, and the deployment's file."""

    def __init__(self, devnet: Devnet, deployment: Deployment, file: Path, scenario: Scenario) -> None:
        self.devnet = devnet
        self.deployment = deployment
        self.file = file
        self.scenario = scenario

    def mirror(self, block: int | None = None) -> Mirror:
        """A mirror of its own that has followed up to a block."""
        mirror = open_mirror(self.devnet.node, self.deployment)
        mirror.follow_to(block)
        return mirror


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashed]:
    """With every kind of stage; stopped while auctions run, losses are open and claims are owed."""
    folder = tmp_path_factory.mktemp("crashed")
    scenario = until(lay_over(load_preset("backstop"), SMALL), 4 * 3_600)
    devnet = Devnet(folder)
    try:
        devnet.node.request("evm_mine")  # something before the deployment
        file = folder / "deployment.json"
        deployment = deploy_live(devnet.node, scenario.parameters, file, Signers(test_accounts=True))
        system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
        crash(scenario, system, 1, None, speed=0, played=schema.ROLES)
        yield Crashed(devnet, deployment, file, scenario)
    finally:
        devnet.process.stop()
