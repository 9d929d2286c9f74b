"""Real Anvils with the small crash's deployment on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.planned_contracts import Deployment
from backstop.live.chaos.byzantine_proxy import ByzantineProxy
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.operate.scenario_driver import truncate_scenario
from backstop.simulation.scenario import Scenario, load_scenario
from tests.support.devnet_process import SMALL, Devnet
from tests.support.node_faults import ProxyPair
from tests.support.vault_auctions_after_price_drop import open_vaults_and_drop_price


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a node."""
    for item in items:
        if "tests/backstop/live/operate/" in item.path.as_posix():
            item.add_marker(pytest.mark.anvil)


@pytest.fixture
def new_devnet() -> Iterator[Callable[..., Devnet]]:
    """Starts Anvils that end with the test."""
    started: list[Devnet] = []

    def start(*flags: str) -> Devnet:
        started.append(Devnet(*flags))
        return started[-1]

    yield start
    for devnet in started:
        devnet.process.stop_process()


@pytest.fixture
def fresh(new_devnet: Callable[..., Devnet]) -> Devnet:
    """An Anvil with nothing on it."""
    return new_devnet()


@pytest.fixture
def devnet(new_devnet: Callable[..., Devnet], deployed_folder: Path) -> Devnet:
    """An Anvil with the small crash's deployment."""
    return new_devnet("--load-state", str(deployed_folder / "state.json"))


@pytest.fixture
def watched_board(attach: Callable[..., LiveSystem]) -> StatusBoard:
    """Return the status board of a keeper without work and without faults."""
    system, board = attach(), StatusBoard()
    observer = StatusPublisher(board, lambda text: None, 0)
    KeeperLoop(
        system, build_keepers(system.deployment, ["crank"]), lambda text: None, observer=observer
    ).run_round()
    return board


@pytest.fixture(scope="session")
def day() -> Scenario:
    """Three hours of the small crash."""
    return truncate_scenario(load_scenario(SMALL), 3 * 3_600)


@pytest.fixture(scope="session")
def deployed_folder(day: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a chain's state and its deployment file."""
    folder = tmp_path_factory.mktemp("deployed")
    deploy_in(folder, day).process.stop_process()
    return folder


def deploy_in(folder: Path, day: Scenario) -> Devnet:
    """Start a chain with the small crash's deployment; the node writes its state when it ends."""
    devnet = Devnet("--state", str(folder / "state.json"))
    signers = Signers(test_accounts=True)
    deploy_live(devnet.node, day.parameters, folder / "deployment.json", signers)
    return devnet


@pytest.fixture
def deployment(deployed_folder: Path, tmp_path: Path) -> Deployment:
    """The small crash's deployment, a copy of its file in the test's folder."""
    file = tmp_path / "deployment.json"
    shutil.copyfile(deployed_folder / "deployment.json", file)
    return read_deployment(file)


@pytest.fixture
def attach(devnet: Devnet, deployment: Deployment) -> Callable[..., LiveSystem]:
    """Opens the deployment, each time with a connection of its own."""

    def open_it(impersonate: bool = False) -> LiveSystem:
        signers = Signers(test_accounts=True)
        return LiveSystem(devnet.node, deployment, signers, impersonate=impersonate)

    return open_it


@pytest.fixture(scope="session")
def fallen_folder(day: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the state of a chain on which a vault is unsafe."""
    folder = tmp_path_factory.mktemp("fallen")
    devnet = deploy_in(folder, day)
    deployment = read_deployment(folder / "deployment.json")
    open_vaults_and_drop_price(
        LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
    )
    devnet.process.stop_process()
    return folder


@pytest.fixture
def fallen_devnet(new_devnet: Callable[..., Devnet], fallen_folder: Path) -> Devnet:
    """An Anvil on which a vault is unsafe."""
    devnet = new_devnet("--load-state", str(fallen_folder / "state.json"))
    # Its time was driven ahead.
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 1)
    return devnet


@pytest.fixture
def attach_fallen(fallen_devnet: Devnet, fallen_folder: Path, tmp_path: Path) -> Callable[..., LiveSystem]:
    """Opens the deployment there, each time with a connection of its own."""
    file = tmp_path / "deployment.json"
    shutil.copyfile(fallen_folder / "deployment.json", file)
    deployment = read_deployment(file)

    def open_it(impersonate: bool = False) -> LiveSystem:
        signers = Signers(test_accounts=True)
        return LiveSystem(fallen_devnet.node, deployment, signers, impersonate=impersonate)

    return open_it


@pytest.fixture
def fallen(attach_fallen: Callable[..., LiveSystem]) -> LiveSystem:
    """Return the system that drives that chain."""
    return attach_fallen(impersonate=True)


@pytest.fixture
def proxies(devnet: Devnet) -> Iterator[ProxyPair]:
    pair = ByzantineProxy(devnet.port), ByzantineProxy(devnet.port)
    yield pair
    for each in pair:
        each.close()


@pytest.fixture
def said() -> list[str]:
    return []
