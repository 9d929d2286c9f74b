"""A crash stopped in its middle, and a workout along with a bridge, on Anvils that keep all states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.keepers import all_role_names
from backstop.keepers.keeper_group_settings import KeeperGroup, Outage
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.operate.scenario_driver import drive_scenario, truncate_scenario
from backstop.model.arithmetic import WAD
from backstop.studies.comparison.presets import apply_preset, load_preset
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.devnet_process import SMALL, Devnet
from tests.support.facilitator_steps import with_facilitators
from tests.support.guard_steps import BREAKER, CAUTION, with_guards
from tests.support.many_vaults_devnet import ManyVaultsDevnet
from tests.support.workout_steps import CALLED, DEBT, LOT, OWED, TERMS

QUARTER = OWED // 4 + WAD
"""An instalment, with room for the fee of some hours [wad]."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nearly every test of this folder needs a node."""
    for item in items:
        if "tests/backstop/live/solvency/" in item.path.as_posix():
            item.add_marker(pytest.mark.anvil)


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeploymentAfterPriceCrash]:
    """With every kind of stage; stopped while auctions run, a flag stands, losses are open, claims owed."""
    folder = tmp_path_factory.mktemp("crashed")
    scenario = truncate_scenario(apply_preset(load_preset("backstop"), SMALL), 4 * 3_600)
    scenario = replace(scenario, keepers=tuple(map(tired, scenario.keepers)))
    devnet = Devnet()
    try:
        devnet.node.request("evm_mine")  # something before the deployment
        file = folder / "deployment.json"
        deployment = deploy_live(devnet.node, scenario.parameters, file, Signers(test_accounts=True))
        system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
        drive_scenario(scenario, system, 1, None, speed=0, played=all_role_names.ROLES)
        yield DeploymentAfterPriceCrash(devnet, deployment, file)
    finally:
        devnet.process.stop_process()


def tired(group: KeeperGroup) -> KeeperGroup:
    """Return liquidators that stop for good before the last vault in danger: that vault is only flagged."""
    start = {"liquidator": 4_800, "night_watch": 8_400}.get(group.name)
    return group if start is None else replace(group, outages=(Outage(start, 6 * 3_600),))


@pytest.fixture(scope="session")
def strained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeploymentAfterPriceCrash]:
    """A workout with an instalment paid, and a facilitator that owes 50,000 and announces to lose 20,000."""
    folder = tmp_path_factory.mktemp("strained")
    devnet = Devnet()
    try:
        file = folder / "deployment.json"
        parameters = with_facilitators(with_guards(breaker=BREAKER, workouts=(TERMS,)))
        deployment = deploy_live(devnet.node, parameters, file, Signers(test_accounts=True))
        strain(ManyVaultsDevnet(devnet, deployment, Artifacts()))
        yield DeploymentAfterPriceCrash(devnet, deployment, file)
    finally:
        devnet.process.stop_process()


def strain(town: ManyVaultsDevnet) -> None:

    def do(sender: str, call: str, *args: Any) -> None:
        assert town.call_and_return_revert_reason(call, *args, sender=sender) is None, call

    borrower = get_account("borrower")
    town.post_prices(2_000, 30_000, 3_000)
    do("admin", "RiskPolicy.set_call_terms", 0, 14_800, 3_600, 86_400)
    do("bridge", "Rollup.draw", 50_000 * WAD, get_account("saver"))
    town.open_vault("borrower", LOT // WAD, DEBT // WAD)
    town.open_vault("saver", 40, 30_000)
    town.post_prices(CALLED)
    do("caller", "LiquidationEngine.call", 0, borrower)
    do("guardian", "CircuitBreaker.force_mode", CAUTION)
    do("borrower", "Workouts.enter", 0, borrower, 4)
    do("borrower", "Workouts.pay", 1, QUARTER)
    do("guardian", "Rollup.announce_loss", 20_000 * WAD)
