"""The protocol deployed by Ape on Ape's own Anvil, and a model that repeats what Ape has done.

Ape is asked for on demand: it takes seconds to start, and few tests need it. They run without its plugin too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest
from eth_utils.address import to_checksum_address

from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.planned_contracts import Deployment, plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from tests.support.model_replay_of_ape import Replay

if TYPE_CHECKING:
    from ape.api import TestAccountAPI
    from ape.contracts import ContractContainer, ContractInstance
    from ape.managers.chain import ChainManager
    from ape.managers.project import LocalProject

Role = Callable[[str], "TestAccountAPI"]


@pytest.fixture(scope="session")
def project() -> LocalProject:
    """The checkout, as Ape sees it."""
    import ape

    return ape.project


@pytest.fixture(scope="session")
def chain() -> Iterator[ChainManager]:
    """Return Ape's own chain, at a free port: a port that Ape draws may belong to another connection."""
    import ape

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APE_FOUNDRY_HOST", f"http://127.0.0.1:{find_free_non_ephemeral_port()}")
        with ape.networks.parse_network_choice("ethereum:local:foundry"):
            yield ape.chain


@pytest.fixture(scope="session")
def role(chain) -> Role:
    """Return the account of a role; Ape's test accounts are those of the deployment, in the same order."""
    accounts = chain.account_manager.test_accounts
    return cache(lambda name: accounts[to_checksum_address(get_account(name))])


@pytest.fixture(scope="session")
def deployment(role, chain) -> Deployment:
    """Every address, computed before anything is deployed."""
    return plan_deployment(
        build_standard_parameters(), first_nonce=role("admin").nonce, chain_id=chain.chain_id
    )


def container(kind: str, artifacts: Artifacts) -> ContractContainer:
    """Return a contract for Ape from Backstop's artifact; another test checks Ape's own compilation."""
    from ape.contracts import ContractContainer
    from ethpm_types import ContractType

    artifact = artifacts[kind]
    return ContractContainer(
        ContractType.model_validate(
            {
                "contractName": kind,
                "abi": artifact.abi_json,
                "deploymentBytecode": {"bytecode": f"0x{artifact.bytecode_hex}"},
            }
        )
    )


@pytest.fixture(scope="session")
def contracts(artifacts, deployment, role) -> dict[str, ContractInstance]:
    """The contracts by name, created and configured by the admin."""
    admin = role("admin")
    made = {}
    for creation in deployment.creations:
        made[creation.name] = admin.deploy(container(creation.kind, artifacts), *creation.args)
        assert made[creation.name].address.lower() == creation.address
    for action in build_configuration_calls(deployment):
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
