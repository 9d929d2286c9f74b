"""Auctions of a live deployment count blocks: mirror, keepers, audit and export go by its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.keepers import all_role_names
from backstop.live.mirror.scenario_export import export_scenario
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.operate.scenario_driver import drive_scenario, truncate_scenario
from backstop.live.solvency.proven_statement import build_proven_statement, recompute_audit_from_proofs
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import Simulation, simulate
from backstop.studies.comparison.presets import apply_preset, load_preset
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.devnet_process import SMALL, Devnet

from .conftest import tired

BRIEF = "tests/backstop/live/solvency/test_audit.py::test_the_statement_is_the_models"

SLOT = 60


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeploymentAfterPriceCrash]:
    """A crash that stopped while auctions run."""
    scenario = truncate_scenario(apply_preset(load_preset("backstop"), SMALL), 5_400)
    assert scenario.block_time == SLOT
    parameters = replace(scenario.parameters, block_time=SLOT)
    scenario = replace(scenario, parameters=parameters, keepers=tuple(map(tired, scenario.keepers)))
    devnet = Devnet()
    try:
        file = tmp_path_factory.mktemp("counted") / "deployment.json"
        deployment = deploy_live(devnet.node, parameters, file, Signers(test_accounts=True))
        system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
        drive_scenario(scenario, system, 1, None, speed=0, played=all_role_names.ROLES)
        yield DeploymentAfterPriceCrash(devnet, deployment, file)
    finally:
        devnet.process.stop_process()


def ages(model: Any) -> dict[int, int]:
    """How many blocks ago each open lot began."""
    auction = model.world.contracts["CollateralAuction"]
    open_lots = {id: lot for id, lot in auction.lots.items() if lot.target}
    return {id: model.next_block_number - lot.started_at // SLOT for id, lot in open_lots.items()}


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_audit.py::test_the_statement_is_the_models")
def test_a_mirror_and_keepers_see_what_the_chain_sells_for(counted: DeploymentAfterPriceCrash) -> None:
    mirror = counted.open_mirror_at_block()
    mirror.compare_all_known_slots()
    assert mirror.differences == [] and mirror.model.next_block_number == mirror.block
    assert ages(mirror.model)
    system = LiveSystem(counted.devnet.node, counted.deployment, Signers(test_accounts=True))
    assert system.next_block_number == mirror.block + 1
    for auction in market_view(system.mirror, system.timestamp).auctions:
        due, price, lot, _ = system.view("CollateralAuction", "status", auction.id)
        assert (auction.needs_reset, auction.price, auction.lot) == (due, price, lot)


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_audit.py::test_the_statement_is_the_models")
def test_it_goes_back_with_its_block(counted: DeploymentAfterPriceCrash) -> None:
    system = LiveSystem(counted.devnet.node, counted.deployment, Signers(test_accounts=True))
    kept = system.mirror._past.restore_newest_kept_block()
    assert (kept.number, kept.timestamp) == (
        system.mirror.model.next_block_number,
        system.mirror.model.timestamp,
    )


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_audit.py::test_the_statement_is_the_models")
def test_an_audit_is_of_its_block(counted: DeploymentAfterPriceCrash) -> None:
    content = json.loads(json.dumps(build_proven_statement(counted.open_mirror_at_block())))
    verdict = recompute_audit_from_proofs(content, content["block"]["hash"], Artifacts())
    assert verdict.header.number == content["block"]["number"]
    assert content["statement"]["auctions"]


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("host", ["model", "revm", "anvil"])
def test_a_scenario_begins_with_lots_as_old(
    counted: DeploymentAfterPriceCrash, tmp_path: Path, host: str
) -> None:
    mirror = counted.open_mirror_at_block()
    with pytest.raises(BackstopError, match="export it with --block-time '60 s'"):
        export_scenario(mirror, tmp_path / "other", 1_800, 12)
    scenario, _ = export_scenario(mirror, tmp_path / "same", 1_800, SLOT)
    assert scenario.parameters.block_time == scenario.block_time == SLOT
    with open_deployment_session(scenario, host, 1) as session:
        simulation = Simulation(scenario, session, 1)
        assert scenario.opening is not None
        simulation.restore_storage_state(scenario.opening.state)
        assert ages(session.model) == ages(mirror.model)
        assert session.model.world.contracts["CollateralAuction"].tables["lots"]
        for id in ages(session.model):
            assert session.system.view("CollateralAuction", "status", id) == mirror.model.view(
                "CollateralAuction", "status", id
            )


@pytest.mark.deep(brief=BRIEF)
def test_it_is_simulated_alike_on_the_model_and_beside_a_chain(
    counted: DeploymentAfterPriceCrash, tmp_path: Path
) -> None:
    export_scenario(counted.open_mirror_at_block(), tmp_path, 1_800, SLOT)
    scenario = load_scenario(tmp_path / "scenario.yaml")
    summaries = [simulate(scenario, host, 1).summary for host in ("model", "revm")]
    assert summaries[1]["differences"] == 0
    assert summaries[0]["state_hash"] == summaries[1]["state_hash"]
