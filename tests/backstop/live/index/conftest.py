"""A guarded deployment on real Anvils, with people who use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstop.deployment.file import read_deployment
from backstop.hosts.artifacts import Artifacts
from backstop.live.node.signers import Signers
from backstop.live.operate.deploying import deploy_live
from tests.support.devnet import Devnet
from tests.support.domains import with_domains
from tests.support.guards import with_guards
from tests.support.town import PRICE, Town


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
