"""A guarded deployment on real Anvils, with accounts that use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstop.deployment.deployment_file import read_deployment
from backstop.hosts.artifacts import Artifacts
from backstop.live.node.signers import Signers
from backstop.live.operate.resumable_deployment import deploy_live
from tests.support.devnet_process import Devnet
from tests.support.facilitator_steps import with_facilitators
from tests.support.guard_steps import with_guards
from tests.support.many_vaults_devnet import PRICE, ManyVaultsDevnet


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a chain's state and its deployment file."""
    folder = tmp_path_factory.mktemp("town")
    devnet = Devnet("--state", str(folder / "state.json"))
    parameters = with_facilitators(with_guards())
    deploy_live(devnet.node, parameters, folder / "deployment.json", Signers(test_accounts=True))
    devnet.process.stop_process()
    return folder


@pytest.fixture
def new_town(town_folder: Path, artifacts: Artifacts) -> Iterator[Callable[[], ManyVaultsDevnet]]:
    """The deployment on a devnet of its own, each time from its first block."""
    started: list[Devnet] = []

    def make() -> ManyVaultsDevnet:
        started.append(Devnet("--load-state", str(town_folder / "state.json")))
        return ManyVaultsDevnet(started[-1], read_deployment(town_folder / "deployment.json"), artifacts)

    yield make
    for devnet in started:
        devnet.process.stop_process()


@pytest.fixture
def town(new_town: Callable[[], ManyVaultsDevnet]) -> ManyVaultsDevnet:
    """Yield a deployment with a price, margin calls and two vaults."""
    town = new_town()
    town.post_prices(PRICE)
    assert town.call_and_return_revert_reason("RiskPolicy.set_call_terms", 0, 14_800, 3_600, 7_200) is None
    assert (
        town.call_and_return_revert_reason(
            "RiskPolicy.set_brackets", 0, ((50_000, 1_000), (0, 0)), ((0, 0), (0, 0))
        )
        is None
    )
    town.open_vault("borrower", 30, 30_000)
    town.open_vault("saver", 40, 30_000)
    return town
