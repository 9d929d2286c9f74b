"""Workouts and facilitators on a real chain: mirrored, audited, and taken into a simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli import audit as audit_script
from backstop.cli import export as export_script
from backstop.deployment.deployment_file import deployment_from_json
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.role_accounts import get_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.world_storage_json import load_words
from backstop.live.node.storage_proofs import UnprovenError
from backstop.live.operate.mirror_loop import MirrorLoop
from backstop.live.solvency.proven_statement import build_proven_statement, recompute_audit_from_proofs
from backstop.live.solvency.solvency_statement import build_statement
from backstop.model.arithmetic import RAY, WAD
from backstop.model.workouts import Workout
from backstop.report.debt_maturity import list_audit_maturities
from backstop.simulation.deployment_session import open_deployment_session
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import Simulation, simulate
from backstop.studies.comparison.presets import apply_preset, load_preset
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.workout_steps import DAY, LOT

BRIEF = "tests/backstop/live/solvency/test_strained.py::test_a_run_begins_as_the_chain_is"

LOST = 20_000 * WAD


def chain(strained: DeploymentAfterPriceCrash) -> Workout:
    """The workout as the contracts tell of it."""
    found: Workout = strained.open_mirror_at_block().model.view("Workouts", "workout_of", 1)
    return found


@pytest.fixture(scope="module")
def content(strained: DeploymentAfterPriceCrash) -> dict[str, Any]:
    return json.loads(json.dumps(build_proven_statement(strained.open_mirror_at_block())))


@pytest.fixture(scope="module")
def exported(
    strained: DeploymentAfterPriceCrash, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """Return the command's folder, and its message about the rows that were left out."""
    folder = tmp_path_factory.mktemp("exported")
    where = ("--network", strained.devnet.url, "--deployment", str(strained.file))
    flags = ("--out", str(folder), "--duration", "51 h", "--block-time", "300 s")
    result = CliRunner(mix_stderr=False).invoke(export_script.cli, [*where, *flags])
    assert result.exit_code == 0, result.stderr
    return folder, result.stderr


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_strained.py::test_a_run_begins_as_the_chain_is")
def test_it_is_mirrored_from_its_first_block(strained: DeploymentAfterPriceCrash) -> None:
    mirror = strained.open_mirror_at_block()
    assert mirror.differences == [] and mirror.strangers == []
    told: list[str] = []
    MirrorLoop(strained.open_mirror_at_block(), told.append, told.append).run(once=True)
    (line,) = told
    assert "; 0 differences; " in line and line.endswith("; 1 workouts; Rollup to lose 20,000; caution")


def test_the_statement_has_them(strained: DeploymentAfterPriceCrash, content: dict[str, Any]) -> None:
    figures = content["statement"]
    assert set(figures["checks"].values()) == {"0"}
    (workout,) = figures["workouts"]
    said = chain(strained)
    assert (workout["id"], workout["symbol"], workout["owner"]) == (1, "WETH", get_account("borrower"))
    assert (workout["lot_wad"], workout["principal_rad"]) == (str(LOT), str(said.principal))
    assert (workout["left_wad"], workout["due_at"]) == (str(said.left), said.due)
    assert (workout["met"], workout["instalments"]) == (1, 4)
    assert workout["good_standing"] and workout["short_rad"] == "0"
    rows = {row["symbol"]: row for row in figures["collateral_types"]}
    assert list(rows) == ["WETH", "WBTC", "XAU", "Rollup", "Sidechain"]
    assert rows["WETH"]["in_auction_rad"] == figures["balance_sheet"]["in_auction_rad"] == str(said.principal)

    rollup, sidechain = figures["facilitators"]
    assert rollup["symbol"] == "Rollup" and rollup["debt_rad"] == str(50_000 * WAD * RAY)
    assert (rollup["announced_wad"], rollup["lost_wad"]) == (str(LOST), "0")
    assert content["block"]["timestamp"] < rollup["ready_at"] <= content["block"]["timestamp"] + DAY
    assert (sidechain["debt_rad"], sidechain["ready_at"]) == ("0", None)
    # Collateral and debt are those of the notes, at the facilitator's price: what is announced is short.
    assert int(rows["Rollup"]["price_ray"]) == RAY * 3 // 5
    assert rows["Rollup"]["short_rad"] == figures["coverage"]["to_cover_rad"] == str(LOST * RAY)
    assert rows["Rollup"]["fresh"] and rows["Rollup"]["ceiling_rad"] == rollup["line_rad"]


def test_instalments_are_due_one_by_one(strained: DeploymentAfterPriceCrash, content: dict[str, Any]) -> None:
    figures = content["statement"]
    *dated, last = figures["maturity"]
    first = figures["workouts"][0]["due_at"]
    assert [(row["due"], row["due_at"]) for row in dated] == [
        ("instalment", first + k * DAY) for k in range(3)
    ]
    left = chain(strained).left * RAY
    assert sum(int(row["rad"]) for row in dated) == left
    assert (last["due"], last["rad"]) == ("on demand", figures["balance_sheet"]["performing_rad"])
    spans = {bucket.title: bucket.due for bucket in list_audit_maturities(figures)}
    assert list(spans) == ["instalments, within a week", "on demand"]
    assert spans["instalments, within a week"] == left


def test_one_that_is_missed_is_broken(strained: DeploymentAfterPriceCrash) -> None:
    """The workout is overdue, although it cannot be foreclosed: the price is stale by then."""
    mirror = strained.open_mirror_at_block()
    mirror.model.world.timestamp += 3 * DAY
    (workout,) = build_statement(mirror.model, strained.deployment)["workouts"]
    assert not workout["good_standing"]


def test_one_that_is_left_out_is_missed(content: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(content))
    for path in ("balances", "schedules", "sums"):
        changed["evidence"]["slots"]["Workouts"][path] = {}
    deployment = deployment_from_json(changed["deployment"])
    model = create_model(deployment, changed["block"]["timestamp"])
    load_words(model.world, changed["evidence"]["slots"])
    changed["statement"] = build_statement(model, deployment)
    assert changed["statement"]["workouts"] == []
    with pytest.raises(UnprovenError, match=r"leaves something out: \{'auctions_gap_rad': '\d+'\}"):
        recompute_audit_from_proofs(changed, changed["block"]["hash"], Artifacts())


def test_the_command_tells_of_them(strained: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    where = ["--network", strained.devnet.url, "--deployment", str(strained.file), "--out", str(tmp_path)]
    result = CliRunner(mix_stderr=False).invoke(audit_script.cli, where)
    assert result.exit_code == 0, result.stderr
    assert "1 workouts" in result.stdout and "good" in result.stdout and "20,000" in result.stdout
    assert "instalments, within a week" in result.stdout
    page = (tmp_path / "audit.html").read_text()
    for path in ("workouts.0.principal_rad", "facilitators.0.announced_wad", "collateral_types.3.short_rad"):
        assert f'data-path="{path}"' in page


# ---------------------------------------------------------------------------- export


@pytest.mark.parametrize("host", ["model", "revm"])
def test_a_run_begins_as_the_chain_is(
    host: str, strained: DeploymentAfterPriceCrash, exported: tuple[Path, str]
) -> None:
    """To the last slot, and by the same parameters."""
    scenario, model = load_scenario(exported[0] / "scenario.yaml"), strained.open_mirror_at_block().model
    assert scenario.parameters == strained.deployment.parameters
    with open_deployment_session(scenario, host, 1) as session:
        simulation = Simulation(scenario, session, 1)
        assert scenario.opening is not None
        simulation.restore_storage_state(scenario.opening.state)
        snapshot = session.system.snapshot()
    for contract, tables in model.snapshot().items():
        for path, table in tables.items():
            default = model.world.contracts[contract].tables[path].default
            mine = {key: value for key, value in snapshot[contract][path].items() if value != default}
            assert mine == {key: value for key, value in table.items() if value != default}, (contract, path)


@pytest.mark.deep(brief=BRIEF)
def test_it_goes_on_from_there(exported: tuple[Path, str]) -> None:
    """No payment comes: the workout is foreclosed, and the announced loss becomes the facilitator's."""
    summary = simulate(load_scenario(exported[0] / "scenario.yaml"), "revm", 1).summary
    assert summary["completed"] and summary["differences"] == 0
    workouts = summary["guards"]["workouts"]
    assert (workouts["entered"], workouts["foreclosed"], workouts["due"]) == (1, 1, [])
    rollup, _ = summary["facilitators"]
    assert (rollup["lost_wad"], rollup["announced_wad"]) == (str(LOST), "0")


@pytest.mark.deep(brief=BRIEF)
def test_the_book_has_its_vault_back(strained: DeploymentAfterPriceCrash, exported: tuple[Path, str]) -> None:
    """And not the bridge's, which is named."""
    folder, said = exported
    laid = apply_preset(load_preset("maker"), folder / "scenario.yaml")
    (vault,) = (each for each in laid.vaults if each.owner == "borrower")
    assert (vault.symbol, vault.locked) == ("WETH", LOT)
    assert vault.debt == chain(strained).principal // RAY
    assert {each.symbol for each in laid.vaults} == {"WETH"}
    assert said == (
        "not in the vault book, only in the state: Rollup: 50000 stablecoin of debt, drawn by a bridge\n"
    )
    assert simulate(laid, "model", 1).summary["completed"]
