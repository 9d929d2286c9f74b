"""`ape run keeper`: pure decisions against a chain that others use, and that may go away."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.keepers import all_role_names
from backstop.live.node.gas_fees import GWEI
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import ROLES, build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live, load_parameters
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario
from backstop.system import Action, Outcome
from tests.support.background_threads import BackgroundServer, run_thread_until_context_ends
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet
from tests.support.keeper_rounds import run_rounds_until_mined
from tests.support.vault_auctions_after_price_drop import (
    BORROWER,
    ETH,
    apply_successful_call,
    liquidate_borrower_and_advance_time,
    post_price,
)

BRIEF = "tests/backstop/live/operate/test_keeper.py::test_an_unsafe_vault_is_liquidated_and_sold"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals are not left in the project."""
    monkeypatch.chdir(tmp_path)


def run(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def test_an_unsafe_vault_is_liquidated_and_sold(
    fallen: LiveSystem, fallen_devnet: Devnet, tmp_path: Path
) -> None:
    flags = ("--network", fallen_devnet.url, "--deployment", tmp_path / "deployment.json", "--once")
    result = run(*flags, "--roles", "liquidator,taker,crank")
    assert result.exit_code == 0, result.stderr
    assert "liquidator: LiquidationEngine.liquidate(0, 0xa0ee7a14) done in block" in result.stderr
    assert re.match(r"1 transactions, 0 failed, 0\.\d+ coins for gas\nnew block to first", result.stdout)
    # Half an hour later the price of the auction is under the market's.
    fallen.advance(1_800)
    result = run(*flags, "--roles", "taker")
    assert "taker: FlashTaker.take_and_sell(1) done" in result.stderr, result.stderr
    fallen.compare_state()
    assert fallen.view("Stablecoin", "balanceOf", get_account("taker")) > 0


def test_what_would_revert_is_not_sent(attach_fallen: Callable[..., LiveSystem]) -> None:
    said: list[str] = []
    keepers = build_keepers(attach_fallen().deployment, ["liquidator"])
    first, second = (KeeperLoop(attach_fallen(), keepers, said.append) for _ in range(2))
    assert first.run_round() == 1 and run_rounds_until_mined(first) == 0
    # The second still sees the vault: its view is older than the chain.
    with patch.object(second.system, "follow_chain"):
        assert second.run_round() == 0
    assert said[-1] == (
        "liquidator: LiquidationEngine.liquidate(0, 0xa0ee7a14) would revert: liquidation_engine: safe vault"
    )


def test_a_wrong_time_is_forgotten_with_the_next_block(
    fallen: LiveSystem, attach_fallen: Callable[..., LiveSystem]
) -> None:
    """One look at a node that dates its next block ten years from now, and in which calls revert."""
    said: list[str] = []
    system = attach_fallen()
    loop = KeeperLoop(system, build_keepers(system.deployment, ["liquidator"]), said.append)
    ahead = system.node.get_outlook()._replace(timestamp=system.node.get_head().timestamp + 10 * 365 * 86_400)
    reverts = Outcome("", None, ()), 0
    with (
        patch.object(system.node, "get_outlook", return_value=ahead),
        patch.object(system, "dry_run_with_gas", return_value=reverts),
    ):
        assert loop.run_round() == 0 and said[-1].endswith("would revert: no reason")
    assert loop.run_round() == 1


def test_a_time_is_an_hour_ahead_at_most(attach_fallen: Callable[..., LiveSystem]) -> None:
    """Except on a test chain: no block is mined there until a transaction is sent, or the clock is set."""
    system = attach_fallen()
    told = system.node.get_outlook()
    followed = system.mirror.model.timestamp
    for ahead, believed in ((-5, 0), (12, 12), (3_600, 3_600), (3_601, 3_600), (86_400, 3_600)):
        ahead_of_it = told._replace(timestamp=followed + ahead)
        with patch.object(system.node, "get_outlook", return_value=ahead_of_it):
            assert (
                system.get_outlook_for_new_transaction().timestamp
                == system.timestamp
                == followed + max(ahead, 0)
            )
            with patch.object(system.node, "chain_id", 1):
                assert (
                    system.get_outlook_for_new_transaction().timestamp
                    == system.timestamp
                    == followed + believed
                )


@pytest.mark.deep(brief=BRIEF)
def test_a_batch_that_a_loss_holds_up_is_paid(
    fallen: LiveSystem, attach_fallen: Callable[..., LiveSystem]
) -> None:
    """The crank alone pays: it has the loss covered; before, a pool under a cap by share pays nothing."""
    saver, maker, take = get_account("saver"), get_account("market_maker"), ("CollateralAuction", "take")
    money = 40_000 * WAD
    apply_successful_call(fallen, "Stablecoin", "transfer", saver, money, sender="market_maker")
    apply_successful_call(fallen, "Stablecoin", "approve", fallen.addresses["Savings"], money, sender="saver")
    apply_successful_call(fallen, "Savings", "deposit", money, saver, sender="saver")
    shares = fallen.view("Savings", "balanceOf", saver) // 2
    apply_successful_call(fallen, "Savings", "requestRedeem", shares, saver, saver, sender="saver")
    fallen.advance(86_400)
    apply_successful_call(fallen, "Savings", "cut", sender="saver")
    fallen.advance(fallen.view("Savings", "COOLDOWN"))
    post_price(fallen, 60)
    liquidate_borrower_and_advance_time(fallen)
    auction = fallen.addresses["CollateralAuction"]
    apply_successful_call(fallen, "Stablecoin", "approve", auction, 1 << 255, sender="market_maker")
    apply_successful_call(fallen, *take, 1, 300 * WAD, 10**40, maker, b"", sender="market_maker")
    apply_successful_call(fallen, "CollateralAuction", "close", 1, sender="market_maker")
    fallen.advance(1_200)
    system = attach_fallen()
    keepers = [each for each in build_keepers(system.deployment, ["crank"]) if each.name == "crank"]
    said: list[str] = []
    loop = KeeperLoop(system, keepers, said.append)
    while loop.run_round() or loop.pending_transaction_count:
        pass
    done = [line.partition(" done")[0] for line in said if " done in block" in line]
    assert done[-2:] == ["crank: LossWaterfall.cover(0)", "crank: Savings.settle(savings, settle)"], said
    assert fallen.view("Savings", "maxRedeem", saver) and loop.tally.failed_transaction_count == 0


def test_all_roles_find_accounts(attach: Callable[..., LiveSystem]) -> None:
    system = attach()
    keepers = build_keepers(system.deployment, ["all"])
    assert [keeper.name for keeper in keepers] == [
        *(f"reporter_{i + 1}" for i in range(4)),
        *("poker", "accruer", "liquidator", "taker", "bidder", "crank", "coverer"),
        *("recogniser", "recap_bidder", "surplus_bidder", "treasurer", "ceilings", "breaker"),
        *("caller", "settler", "margin_crank", "margin_liquidator", "backstop_keeper"),
        *("pool_buyer", "deleverager", "matcher"),
    ]
    loop = KeeperLoop(system, keepers, lambda text: None)
    loop.run(interval=0.01, patience=0, once=True)


@pytest.mark.deep(brief="tests/backstop/live/operate/test_keeper.py::test_what_would_revert_is_not_sent")
def test_guards_are_kept(fresh: Devnet, tmp_path: Path) -> None:
    signers = Signers(test_accounts=True)
    deployment = deploy_live(fresh.node, load_parameters("guarded"), tmp_path / "mine.json", signers)
    system = LiveSystem(fresh.node, deployment, signers, impersonate=True)
    said: list[str] = []
    apply_successful_call(system, "CircuitBreaker", "force_mode", 1, sender="guardian")
    keepers = build_keepers(deployment, ["ceilings", "breaker"])
    loop = KeeperLoop(system, keepers, said.append)
    # Nobody owes anything: each ceiling comes down to its gap.
    assert loop.run_round() == 3
    assert run_rounds_until_mined(loop) == 0 and loop.tally.mined_transaction_count == 3
    done = [text.partition(" done")[0] for text in said if " done" in text]
    assert done == [f"ceilings: AutoCeiling.adjust({c})" for c in range(3)]
    system.advance(6 * 3_600)
    loop.run(interval=0, patience=60, once=True)
    assert said[-1].startswith("breaker: CircuitBreaker.lower_mode(1) done")
    assert system.view("CircuitBreaker", "mode") == 0
    system.compare_state()


def test_every_role_of_a_scenario_can_be_run_here() -> None:
    """All but members of pools, borrowers, attackers, and a guardian with its schedule: no public service."""
    private = {"member", "owners", "borrower", "exploiter", "attacker", "guardian"}
    assert {role for each in ROLES.values() for role in each} == set(all_role_names.ROLES) - private


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper.py::test_an_unsafe_vault_is_liquidated_and_sold"
)
def test_it_waits_for_a_node_that_was_restarted(
    new_devnet: Callable[..., Devnet], day: Scenario, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    devnet = new_devnet("--state", str(state), "--state-interval", "1")
    signers = Signers(test_accounts=True)
    deployment = deploy_live(devnet.node, day.parameters, tmp_path / "deployment.json", signers)
    said: list[str] = []
    system = LiveSystem(devnet.node, deployment, signers)
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    with run_thread_until_context_ends(lambda stop: loop.run(interval=0.02, patience=30, stop=stop)):
        devnet.process.stop_process()
        wait_until_true(lambda: any("waiting up to 30 s" in line for line in said))
        devnet.start_node_process()
        wait_until_true(lambda: "the node is back" in said)
        # The fees are charged when a heartbeat has passed since the last time.
        node = devnet.node
        node.request("anvil_setTime", node.get_head().timestamp + 10_000)
        node.request("evm_mine")
        wait_until_true(lambda: loop.tally.mined_transaction_count == 3)
    assert loop.tally.failed_transaction_count == 0


def test_it_gives_up_on_a_node_that_stays_away(attach: Callable[..., LiveSystem], devnet: Devnet) -> None:
    system = attach()
    loop = KeeperLoop(system, build_keepers(system.deployment, ["accruer"]), lambda text: None)
    devnet.process.stop_process()
    with pytest.raises(BackstopError, match=r"^stopped: the node at http://127.0.0.1:\d+ is gone"):
        loop.run(interval=0.01, patience=0.3)


def test_a_chain_that_goes_back_again_meanwhile_is_followed(
    attach: Callable[..., LiveSystem], devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    system, node = attach(), devnet.node
    for _ in range(4):
        node.request("evm_mine")
    loop = KeeperLoop(system, build_keepers(system.deployment, ["poker"]), said.append)
    loop.run_round()
    node.request("anvil_reorg", 1, [])
    restart = system.mirror.roll_back_after_reorg

    def went_back() -> str:
        """Restart the loop, and reorganise the chain while it is followed."""
        monkeypatch.undo()
        done = restart()
        node.request("anvil_reorg", 3, [])
        return done

    monkeypatch.setattr(system.mirror, "roll_back_after_reorg", went_back)
    loop.run(interval=0.01, patience=5, stop=lambda: system.mirror.hash == node.get_head().hash)
    assert [line.partition(": ")[2] for line in said] == ["2 taken back"]


def test_a_fresh_chain_at_the_same_address_stops_it(
    attach: Callable[..., LiveSystem], devnet: Devnet
) -> None:
    system = attach()
    loop = KeeperLoop(system, build_keepers(system.deployment, ["accruer"]), lambda text: None)
    devnet.process.stop_process()
    devnet.flags = ()
    devnet.start_node_process()
    with pytest.raises(
        BackstopError,
        match=r"is of another chain now: .* block 0 0x\w{64}, .* block 0 0x\w{64}: .* deploy again",
    ):
        loop.run(interval=0.01, patience=0)


def test_the_fee_cap_is_kept(attach: Callable[..., LiveSystem], devnet: Devnet) -> None:
    system = attach()
    devnet.node.request("anvil_setNextBlockBaseFeePerGas", hex(600 * GWEI))
    devnet.node.request("evm_mine")
    with pytest.raises(BackstopError, match=r"gas costs 601\.0 gwei, the cap is 500\.0"):
        system.apply(Action("VaultEngine", "accrue", (ETH,), BORROWER))


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: None, "not found"),
        (lambda text: text[: len(text) // 2], "is not a valid deployment file"),
        (lambda text: text.replace('"schema_version": ', '"schema_version": 7'), "has schema version 7"),
        (lambda text: text.replace('"chain_id": 31337', '"chain_id": 1'), "is on chain 1, the node is on"),
        (lambda text: text.replace('"first_nonce": 0', '"first_nonce": 9'), "does not fit this program"),
    ],
)
def test_bad_deployment_files_are_one_line(
    devnet: Devnet, deployment, tmp_path: Path, change: Callable[[str], str | None], line: str
) -> None:
    file = tmp_path / "deployment.json"
    changed = change(file.read_text())
    file.unlink() if changed is None else file.write_text(changed)
    result = run("--network", devnet.url, "--deployment", file, "--roles", "liquidator")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and line in result.stderr and result.stderr.count("\n") == 1


def test_stale_deployments_are_refused(
    new_devnet: Callable[..., Devnet], devnet: Devnet, day: Scenario, deployment, tmp_path: Path
) -> None:
    """No code, or other contracts, at the addresses."""
    other = new_devnet()
    file = tmp_path / "deployment.json"
    flags = ("--network", other.url, "--deployment", file, "--roles", "liquidator")
    assert "the deployment is on a chain with block 0 0x" in run(*flags).stderr
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"genesis": other.node.genesis}))
    assert "Stablecoin not found at" in run(*flags).stderr
    longer = json.loads(file.read_text())["parameters"]
    longer["savings"]["cooldown"] += 1
    (tmp_path / "other.json").write_text(json.dumps(longer))
    from backstop.live.operate.resumable_deployment import load_parameters

    parameters = load_parameters(str(tmp_path / "other.json"))
    deploy_live(other.node, parameters, tmp_path / "second.json", Signers(test_accounts=True))
    assert "the Savings at 0x" in run(*flags).stderr


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--roles", "liquidator"), "no --network"),
        (
            ("--roles", "liquidator", "--network", "http://127.0.0.1:1"),
            "no node answers at http://127.0.0.1:1",
        ),
    ],
)
def test_bad_networks_are_one_line(deployed_folder: Path, flags: tuple[str, ...], line: str) -> None:
    result = run("--deployment", deployed_folder / "deployment.json", *flags)
    assert result.exit_code == 1 and line in result.stderr and result.stderr.count("\n") == 1


def test_unknown_roles_are_named(devnet: Devnet, deployment, tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    result = run("--network", devnet.url, "--deployment", file, "--roles", "liquidator,baker")
    assert "role 'baker' is unknown; expected one of " in result.stderr


def test_what_is_no_node_is_named() -> None:
    class Hello(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args: object) -> None:
            pass

    server = BackgroundServer(Hello)
    with pytest.raises(BackstopError, match="is not an Ethereum node"):
        _ = Node(server.url).chain_id
    server.stop()
