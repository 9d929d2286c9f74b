"""Live keepers of a type with unsafe vaults repaid by a stability pool, on a real node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from backstop.cli import export
from backstop.cli.keeper import cli
from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.role_accounts import get_account
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.scenario_driver import truncate_scenario
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.stability_pool import Member
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.backstop.live.operate.conftest import deploy_in
from tests.support.checkout_paths import DATA
from tests.support.keeper_rounds import run_rounds_until_mined
from tests.support.vault_auctions_after_price_drop import (
    BORROWER,
    ETH,
    apply_successful_call,
    open_vaults_and_drop_price,
    post_price,
    report_other_prices,
)

Attach = Callable[[], LiveSystem]
POOL, COINS = "StabilityPool.ETH", 100_000 * WAD
DELAY = 600  # the entry delay of ether's pool


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals are not left in the project."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def fallen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the state of a chain on which a member's entry waits and a vault is unsafe."""
    folder = tmp_path_factory.mktemp("pooled")
    day = truncate_scenario(load_scenario(DATA / "runs" / "stability-pool.yaml"), 3 * 3_600)
    devnet = deploy_in(folder, day)
    deployment, signers = read_deployment(folder / "deployment.json"), Signers(test_accounts=True)
    system = LiveSystem(devnet.node, deployment, signers, impersonate=True)
    for _ in range(2):
        report_other_prices(system)
        system.advance(600)
    open_vaults_and_drop_price(system)
    member = get_account("saver")
    apply_successful_call(system, "Stablecoin", "transfer", member, COINS, sender="market_maker")
    apply_successful_call(
        system, "Stablecoin", "approve", deployment.addresses[POOL], MAX_UINT256, sender="saver"
    )
    system.advance(24 * 3_600)  # the fall of the price is long over
    apply_successful_call(system, POOL, "deposit", WAD, sender="saver")
    system.advance(2 * DELAY)
    apply_successful_call(system, POOL, "deposit", COINS - WAD, sender="saver")
    apply_successful_call(system, POOL, "request_withdrawal", WAD, sender="saver")
    system.advance(2 * DELAY)
    post_price(system, 150)
    report_other_prices(system)
    devnet.process.stop_process()
    return folder


def test_entries_are_admitted_and_repay_an_unsafe_vault_once(attach_fallen: Attach) -> None:
    system, said = attach_fallen(), list[str]()
    roles = ["liquidator", "taker", "bidder", "crank"]
    loop = KeeperLoop(system, build_keepers(system.deployment, roles), said.append)
    assert loop.run_round() == 2
    # Nothing is sent twice while it waits, nor after.
    assert loop.run_round() == 0
    run_rounds_until_mined(loop)
    told = "\n".join(said)
    assert f"liquidator: {POOL}.liquidate({ETH}) done in block" in told
    assert f"crank: {POOL}.admit({ETH}) done in block" in told
    assert "would revert" not in told and "liquidate_and_" not in told
    other = attach_fallen()
    assert other.view("VaultEngine", "vault", ETH, BORROWER)[1] == 0
    saver = Member(*other.view(POOL, "member_of", get_account("saver")))
    assert 61_000 * WAD < saver.coins < 62_000 * WAD and saver.entry == 0
    # 105% of a debt of 38,000 at 150, of which a two-hundredth is the keeper's.
    reward = other.view("ETH", "balanceOf", get_account("liquidator"))
    assert reward == pytest.approx(38_000 * 105 * WAD // (100 * 150 * 200), rel=1e-3)
    assert saver.collateral == pytest.approx(199 * reward, rel=1e-9)
    other.compare_state()


def test_a_liquidation_that_another_keeper_won_is_no_error(attach_fallen: Attach) -> None:
    """The second keeper's view is older than the chain: it logs why nothing is sent, and continues."""
    said: list[str] = []
    loops = [
        KeeperLoop(system, build_keepers(system.deployment, ["liquidator"]), said.append)
        for system in (attach_fallen(), attach_fallen())
    ]
    assert loops[0].run_round() == 1
    run_rounds_until_mined(loops[0])
    with patch.object(loops[1].system, "follow_chain"):
        assert loops[1].run_round() == 0
    assert said[-1].endswith(f"{POOL}.liquidate({ETH}) would revert: liquidation_engine: safe vault")
    assert loops[1].run_round() == 0


def test_the_command_calls_with_its_allow_list_and_pays_members(
    attach_fallen: Attach, tmp_path: Path
) -> None:
    """`ape run keeper` signs only calls of the deployment, and none that gives an account's money away."""
    system = attach_fallen()
    flags = ("--network", system.node.url, "--deployment", str(tmp_path / "deployment.json"), "--once")
    result = CliRunner(mix_stderr=False).invoke(cli, [*flags, "--roles", "liquidator,crank"])
    assert result.exit_code == 0, result.stderr
    assert f"{POOL}.liquidate({ETH}) done in" in result.stderr and "refuses it" not in result.stderr
    had = system.view("Stablecoin", "balanceOf", get_account("saver"))
    saver = Member(*attach_fallen().view(POOL, "member_of", get_account("saver")))
    system.node.request("anvil_setTime", saver.ready_at + 1)
    system.node.request("evm_mine")
    result = CliRunner(mix_stderr=False).invoke(cli, [*flags, "--roles", "crank"])
    assert f"{POOL}.withdraw({ETH}, {get_account('saver')[:10]}) done in" in result.stderr, result.stderr
    assert attach_fallen().view("Stablecoin", "balanceOf", get_account("saver")) == had + WAD


def test_an_exported_deployment_has_its_members(attach_fallen: Attach, tmp_path: Path) -> None:
    system, out = attach_fallen(), tmp_path / "exported"
    flags = ("--network", system.node.url, "--deployment", str(tmp_path / "deployment.json"))
    result = CliRunner(mix_stderr=False).invoke(
        export.cli, [*flags, "--out", str(out), "--duration", "20 min"]
    )
    assert result.exit_code == 0, result.stderr
    scenario = load_scenario(out / "scenario.yaml")
    assert scenario.parameters == system.deployment.parameters
    (member,) = scenario.stability_pool_members
    assert (member.symbol, member.name, member.amount) == ("ETH", "saver", COINS)
    summary = simulate(scenario, "model", 1).summary
    (saver,) = summary["collateral_types"][0]["stability_pool"]["members"]
    assert summary["completed"] and saver["name"] == "saver" and int(saver["collateral_wad"]) > 0
