"""Live keepers of a type with unsafe vaults sold at a fixed discount, on a real node."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from backstop.cli import export
from backstop.cli.keeper import cli
from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.parameter_dataclasses import DiscountParameters
from backstop.deployment.role_accounts import get_account
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import load_parameters
from backstop.live.operate.scenario_driver import truncate_scenario
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.backstop.live.operate.conftest import deploy_in
from tests.support.checkout_paths import DATA
from tests.support.devnet_process import Devnet
from tests.support.keeper_rounds import run_rounds_until_mined
from tests.support.unsafe_vaults_devnet import UnsafeVaultsDevnet
from tests.support.vault_auctions_after_price_drop import (
    BORROWER,
    ETH,
    apply_successful_call,
    open_vaults_and_drop_price,
    report_other_prices,
)

Attach = Callable[[], LiveSystem]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals are not left in the project."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def fallen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the state of a chain on which a vault is for sale at a discount."""
    folder = tmp_path_factory.mktemp("discounted")
    devnet = deploy_in(folder, truncate_scenario(load_scenario(DATA / "runs" / "discount.yaml"), 3 * 3_600))
    deployment, signers = read_deployment(folder / "deployment.json"), Signers(test_accounts=True)
    system = LiveSystem(devnet.node, deployment, signers, impersonate=True)
    for _ in range(2):
        report_other_prices(system)
        system.advance(600)
    open_vaults_and_drop_price(system)
    coins = 100_000 * WAD
    apply_successful_call(
        system, "Stablecoin", "transfer", get_account("bidder"), coins, sender="market_maker"
    )
    devnet.process.stop_process()
    return folder


@pytest.mark.parametrize(
    ("role", "call"),
    [("taker", "FlashTaker.liquidate_and_sell"), ("bidder", "LiquidationEngine.liquidate_and_buy")],
)
def test_an_unsafe_vault_is_bought_once(attach_fallen: Attach, role: str, call: str) -> None:
    system, said = attach_fallen(), list[str]()
    loop = KeeperLoop(system, build_keepers(system.deployment, ["liquidator", role, "crank"]), said.append)
    before = system.view("Stablecoin", "balanceOf", get_account(role))
    assert loop.run_round() == 1
    # Nothing is sent twice while it waits, nor after.
    assert loop.run_round() == 0
    run_rounds_until_mined(loop)
    assert f"{role}: {call}({ETH}, {BORROWER[:10]}) done in block" in "\n".join(said)
    assert not any("would revert" in line for line in said)
    other = attach_fallen()
    vault = other.view("VaultEngine", "vault", ETH, BORROWER)
    assert 0 < vault[1] < 38_000 * WAD
    after = other.view("Stablecoin", "balanceOf", get_account(role))
    held = other.view("ETH", "balanceOf", get_account(role))
    assert (after > before and held == 0) if role == "taker" else (after < before and held > 0)
    other.compare_state()


def test_a_sale_that_another_keeper_won_is_no_error(attach_fallen: Attach) -> None:
    """The second keeper's view is older than the chain: it logs why nothing is sent, and continues."""
    said: list[str] = []
    loops = [
        KeeperLoop(system, build_keepers(system.deployment, ["bidder"]), said.append)
        for system in (attach_fallen(), attach_fallen())
    ]
    assert loops[0].run_round() == 1
    run_rounds_until_mined(loops[0])
    with patch.object(loops[1].system, "follow_chain"):
        assert loops[1].run_round() == 0
    assert said[-1].endswith(
        f"liquidate_and_buy({ETH}, {BORROWER[:10]}) would revert: liquidation_engine: safe vault"
    )
    assert loops[1].run_round() == 0


def test_the_command_buys_with_its_allow_list(attach_fallen: Attach, tmp_path: Path) -> None:
    """`ape run keeper` signs only calls of the deployment, and none that gives an account's money away."""
    system = attach_fallen()
    flags = ("--network", system.node.url, "--deployment", str(tmp_path / "deployment.json"), "--once")
    result = CliRunner(mix_stderr=False).invoke(cli, [*flags, "--roles", "liquidator,taker,bidder"])
    assert result.exit_code == 0, result.stderr
    # One of the two wins: once its call is under way, the other's fails in the trial and is not sent.
    bought = [line for line in result.stderr.splitlines() if "liquidate_and_" in line and " done in " in line]
    assert len(bought) == 1
    assert "refuses it" not in result.stderr


def test_an_exported_deployment_sells_at_its_discount(attach_fallen: Attach, tmp_path: Path) -> None:
    system, out = attach_fallen(), tmp_path / "exported"
    flags = ("--network", system.node.url, "--deployment", str(tmp_path / "deployment.json"))
    result = CliRunner(mix_stderr=False).invoke(
        export.cli, [*flags, "--out", str(out), "--duration", "20 min"]
    )
    assert result.exit_code == 0, result.stderr
    scenario = load_scenario(out / "scenario.yaml")
    assert scenario.parameters == system.deployment.parameters
    summary = simulate(scenario, "model", 1).summary
    assert summary["completed"] and summary["collateral_types"][0]["discount_sales"]["sales"] > 0


def test_purchases_are_tried_together_and_in_no_batch(tmp_path: Path) -> None:
    """As with takes, the purchases of the largest debts come first."""
    parameters = load_parameters("black-thursday")
    ether, *others = parameters.collateral_types
    discount = DiscountParameters(target_health=11_000)
    devnet, debts, depth = Devnet("--base-fee", "0"), [8_000, 12_000, 9_000, 11_000], 3_000_000
    try:
        town = UnsafeVaultsDevnet(
            devnet,
            tmp_path,
            replace(parameters, collateral_types=(replace(ether, discount=discount), *others)),
        )
        owners = town.open_vaults(debts, depth, bidder_capital=100_000)
        town.drop_price(depth)
        said: list[str] = []
        keepers = build_keepers(town.deployment, ["liquidator", "bidder"])
        loop = KeeperLoop(town.open_live_system(), keepers, said.append)
        with patch.object(loop._trials, "_try_ahead", wraps=loop._trials._try_ahead) as ahead:
            assert loop.run_round() == 4
        assert [len(call.args[0]) for call in ahead.call_args_list] == [4]
        ranked = [owner for _, owner in sorted(zip(debts, owners, strict=True), reverse=True)]
        assert [re.findall(r"liquidate_and_buy\(0, (\w+)\) sent", line) for line in said] == [
            [owner[:10]] for owner in ranked
        ]
        town.mine_block()
        assert loop.run_round() == 0 and loop.pending_transaction_count == 0
        assert loop.system.mirror.differences == []
        loop.system.compare_state()
    finally:
        devnet.process.stop_process()
