"""The protocol deployed by Ape on Ape's own Anvil, and a model that repeats what Ape has done."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from ape.api import TestAccountAPI
from ape.contracts import ContractContainer, ContractInstance
from ape.managers.project import ProjectManager
from eth_utils.address import to_checksum_address

from backstop.deployment.accounts import account
from backstop.deployment.configuration import configuration
from backstop.deployment.examples import standard
from backstop.deployment.plan import Deployment, plan
from backstop.hosts.artifacts import ROOT, Artifacts
from tests.support.ape_replay import Replay

Role = Callable[[str], TestAccountAPI]


@pytest.fixture(scope="session")
def role(accounts) -> Role:
    """The account of a role; Ape's test accounts are those of the deployment, in the same order."""
    return cache(lambda name: accounts[to_checksum_address(account(name))])


@pytest.fixture(scope="session")
def deployment(role, chain) -> Deployment:
    """Every address, computed before anything is deployed."""
    return plan(standard(), first_nonce=role("admin").nonce, chain_id=chain.chain_id)


def load(project: ProjectManager, kinds: set[str]) -> dict[str, ContractContainer]:
    """The contracts as Ape compiles them."""
    artifacts = Artifacts()
    artifacts.load(kinds)
    sources = [artifacts.paths[kind].relative_to(ROOT).as_posix() for kind in sorted(kinds)]
    found = project.load_contracts(*sources)
    # Forced if need be: an edited module does not make Ape compile its importers again.
    if any(bytecode(found[kind]) != artifacts[kind].bytecode_hex for kind in kinds):
        found = project.load_contracts(*sources, use_cache=False)
    return found


def bytecode(contract: ContractContainer | ContractInstance) -> str:
    """The creation code, hex without a prefix."""
    return str(contract.contract_type.deployment_bytecode.bytecode).removeprefix("0x")


@pytest.fixture(scope="session")
def contracts(project, deployment, role) -> dict[str, ContractInstance]:
    """The contracts by name, created and configured by the admin."""
    compiled = load(project, {*deployment.kinds.values()})
    admin = role("admin")
    made = {}
    for creation in deployment.creations:
        made[creation.name] = admin.deploy(compiled[creation.kind], *creation.args)
        assert made[creation.name].address.lower() == creation.address
    for action in configuration(deployment):
        getattr(made[action.contract], action.method)(*action.args, sender=admin)
    return made


@pytest.fixture
def replay(contracts, deployment, chain) -> Replay:
    """The model, which has repeated the deployment."""
    made = Replay(deployment, contracts, chain)
    made.follow()
    return made


@pytest.fixture(scope="session")
def vault_engine(contracts) -> ContractInstance:
    return contracts["VaultEngine"]


@pytest.fixture(scope="session")
def stablecoin(contracts) -> ContractInstance:
    return contracts["Stablecoin"]


@pytest.fixture(scope="session")
def price_feed(contracts) -> ContractInstance:
    return contracts["PriceFeed"]


@pytest.fixture(scope="session")
def liquidation_engine(contracts) -> ContractInstance:
    return contracts["LiquidationEngine"]


@pytest.fixture(scope="session")
def collateral_auction(contracts) -> ContractInstance:
    return contracts["CollateralAuction"]


@pytest.fixture(scope="session")
def loss_waterfall(contracts) -> ContractInstance:
    return contracts["LossWaterfall"]


@pytest.fixture(scope="session")
def savings(contracts) -> ContractInstance:
    return contracts["Savings"]


@pytest.fixture(scope="session")
def weth(contracts) -> ContractInstance:
    return contracts["WETH"]


@pytest.fixture(scope="session")
def post_price(price_feed, role, chain) -> Callable[..., None]:
    """Has the reporters set the price, whole stablecoins, of a type: current and next."""

    def post(price: int, collateral_type: int = 0, steps: int = 2) -> None:
        for _ in range(steps):
            chain.mine(deltatime=3_600)
            for i in range(3):
                price_feed.report(collateral_type, price * 10**27, sender=role(f"reporter_{i + 1}"))
            price_feed.poke(collateral_type, sender=role("poker"))

    return post


@pytest.fixture(scope="session")
def borrow(vault_engine, weth) -> Callable[[TestAccountAPI, int, int], None]:
    """Opens a vault: so much collateral, so much debt, wad."""

    def draw(who: TestAccountAPI, collateral: int, debt: int) -> None:
        weth.mint(who, collateral, sender=who)
        weth.approve(vault_engine, collateral, sender=who)
        vault_engine.deposit_and_draw(0, who, collateral, debt, who, sender=who)

    return draw
