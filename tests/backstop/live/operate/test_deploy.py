"""`ape run deploy`: to a chain that stays, in one piece or continued."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from eth_account import Account

from backstop.cli.deploy import cli
from backstop.deployment.configuration_calls import build_configuration_calls
from backstop.deployment.deployment_file import parameters_to_json, read_deployment
from backstop.deployment.devnet_trader_signatures import MNEMONIC
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import PoolParameters
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import (
    DeploymentInterruptedError,
    deploy_live,
    load_parameters,
    with_timelock,
)
from backstop.simulation.scenario import Scenario
from tests.support.devnet_process import SMALL, Devnet

BRIEF = "tests/backstop/live/operate/test_deploy.py::test_the_file_says_what_is_on_the_chain"


def run(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def after(fresh: Devnet, transactions: int) -> Callable[[], bool]:
    """Says when the deployer has sent so many."""
    node = fresh.node
    return lambda: node.get_nonce(get_account("admin")) == transactions


def test_the_file_says_what_is_on_the_chain(fresh: Devnet, tmp_path: Path) -> None:
    out = tmp_path / "mine.json"
    result = run("--params", SMALL, "--network", fresh.url, "--out", out)
    assert result.exit_code == 0, result.stderr
    deployment = read_deployment(out)
    assert deployment.parameters == with_timelock(load_parameters(str(SMALL)))
    for creation in deployment.creations:
        assert f"{creation.name:<20} {creation.address}" in result.stdout
    assert not list(tmp_path.glob("*.part"))
    # Following it from its first block finds the same contracts, arguments and configuration.
    system = LiveSystem(fresh.node, deployment, Signers(test_accounts=True))
    system.compare_state()
    assert system.view("VaultEngine", "collateral_types") == len(deployment.parameters.collateral_types)

    again = run("--params", SMALL, "--network", fresh.url, "--out", out)
    assert again.exit_code == 0, again.stderr
    assert read_deployment(out) == deployment


def test_it_goes_on_where_it_was_stopped(fresh: Devnet, day: Scenario, tmp_path: Path) -> None:
    out, signers, said = tmp_path / "deployment.json", Signers(test_accounts=True), list[str]()
    admin = get_account("admin")
    # Somebody used the deployer's account before: the addresses follow from its nonce.
    fresh.node.request("eth_sendTransaction", {"from": admin, "to": admin})

    for stop_at in (5, 40):
        with pytest.raises(DeploymentInterruptedError, match=f"stopped after {stop_at} of"):
            deploy_live(
                fresh.node,
                day.parameters,
                out,
                signers,
                stop=after(fresh, stop_at + 1),
                say=said.append,
            )
        assert not out.exists()
    deployment = deploy_live(fresh.node, day.parameters, out, signers, say=said.append)
    # The last creates the batch of liquidations.
    total = len(deployment.creations) + len(build_configuration_calls(deployment)) + 1
    assert [line.split(" transactions")[0] for line in said] == [
        f"going on after {n} of {total}" for n in (5, 40)
    ]
    assert deployment.first_nonce == 1
    LiveSystem(fresh.node, read_deployment(out), signers).compare_state()


@pytest.mark.deep(brief="tests/backstop/live/operate/test_deploy.py::test_it_goes_on_where_it_was_stopped")
def test_it_waits_for_what_the_deployer_has_sent_before(fresh: Devnet, day: Scenario, tmp_path: Path) -> None:
    """A transaction that is not mined yet takes a nonce all the same."""
    node, admin = fresh.node, get_account("admin")
    node.request("evm_setAutomine", False)
    node.request("eth_sendTransaction", {"from": admin, "to": admin})
    assert (node.get_nonce(admin, "latest"), node.get_nonce(admin)) == (0, 1)
    later = threading.Timer(1.0, fresh.node.request, ("evm_setAutomine", True))
    later.start()
    deployment = deploy_live(node, day.parameters, tmp_path / "deployment.json", Signers(test_accounts=True))
    later.join()
    assert deployment.first_nonce == 1
    LiveSystem(node, deployment, Signers(test_accounts=True)).compare_state()


def test_half_a_deployment_with_other_parameters_is_refused(
    fresh: Devnet, day: Scenario, tmp_path: Path
) -> None:
    out, signers = tmp_path / "deployment.json", Signers(test_accounts=True)
    with pytest.raises(DeploymentInterruptedError):
        deploy_live(fresh.node, day.parameters, out, signers, stop=after(fresh, 3))
    with pytest.raises(BackstopError, match="half a deployment with other parameters"):
        deploy_live(fresh.node, build_standard_parameters(), out, signers)


@pytest.mark.deep(brief=BRIEF)
def test_a_stale_file_is_replaced(new_devnet: Callable[..., Devnet], day: Scenario, tmp_path: Path) -> None:
    out, signers = tmp_path / "deployment.json", Signers(test_accounts=True)
    first = deploy_live(new_devnet().node, day.parameters, out, signers)
    second = deploy_live(new_devnet().node, build_standard_parameters(), out, signers)
    assert read_deployment(out).parameters == second.parameters != first.parameters


def test_parameters_that_do_not_fit_each_other_need_permission(fresh: Devnet, tmp_path: Path) -> None:
    """Each broken rule is one line, and nothing is sent; with permission the file records the rules."""
    (tmp_path / "my.yaml").write_text(
        f"extends: {SMALL}\nparameters:\n  collateral_types: {{ETH: {{feed: {{dead_after: 1 h}}}}}}\n"
    )
    out = tmp_path / "mine.json"
    flags = ("--params", tmp_path / "my.yaml", "--network", fresh.url, "--out", out)
    result = run(*flags)
    assert (result.exit_code, result.stdout) == (2, "")
    *lines, last = result.stderr.splitlines()
    assert lines and all(line.startswith("refused: dead-after: ") for line in lines)
    assert last == "Error: this breaks what the protocol promises: mend it, or give --unsafe"
    assert fresh.node.get_nonce(get_account("admin")) == 0 and not list(tmp_path.glob("mine*"))

    result = run(*flags, "--unsafe")
    assert result.exit_code == 0, result.stderr
    assert "deployed all the same, as the file will say: dead-after" in result.stderr
    assert read_deployment(out).unsafe == ("dead-after",)
    assert json.loads(out.read_text())["unsafe"] == ["dead-after"]


def test_contracts_with_naive_rules_need_permission(fresh: Devnet, tmp_path: Path) -> None:
    pools = "parameters: {pools: {savings: {cooldown: 0 s, contract: InstantExitPool}}}"
    (tmp_path / "my.yaml").write_text(f"extends: {SMALL}\n{pools}\n")
    result = run("--params", tmp_path / "my.yaml", "--network", fresh.url, "--out", tmp_path / "mine.json")
    assert (result.exit_code, result.stdout) == (2, "")
    line, last = (each for each in result.stderr.splitlines() if not each.startswith("doubtful"))
    assert line.startswith("refused: naive-contract: savings: contract InstantExitPool; set it to Pool. ")
    assert last == "Error: this breaks what the protocol promises: mend it, or give --unsafe"
    assert fresh.node.get_nonce(get_account("admin")) == 0


@pytest.mark.deep(brief=BRIEF)
def test_a_file_of_before_is_read(fresh: Devnet, day: Scenario, tmp_path: Path) -> None:
    """The older file has no permissions."""
    out = tmp_path / "mine.json"
    deployment = deploy_live(fresh.node, day.parameters, out, Signers(test_accounts=True))
    content = json.loads(out.read_text())
    del content["unsafe"]
    out.write_text(json.dumps(content))
    assert read_deployment(out) == deployment


def test_roles_without_coins_get_some(fresh: Devnet, day: Scenario, tmp_path: Path) -> None:
    """A chain started by another program funds fewer accounts than roles have."""
    said, poor = list[str](), [get_account("crank"), get_account("settler")]
    for each in poor:
        fresh.node.request("anvil_setBalance", each, "0x0")
    signers = Signers(test_accounts=True)
    deploy_live(fresh.node, day.parameters, tmp_path / "d.json", signers, say=said.append)
    assert said == ["2 accounts of roles had no coins, and got some for gas"]
    assert all(map(fresh.node.get_balance, poor))
    # Also where the deployment is there already.
    fresh.node.request("anvil_setBalance", poor[0], "0x0")
    deploy_live(fresh.node, day.parameters, tmp_path / "d.json", signers)
    assert fresh.node.get_balance(poor[0])


def test_blocks_without_room_for_a_call_are_named(
    new_devnet: Callable[..., Devnet], day: Scenario, tmp_path: Path
) -> None:
    node = new_devnet("--gas-limit", "2000000").node
    with pytest.raises(BackstopError, match="have blocks take 16_777_216 gas or more, by `blockGasLimit`"):
        deploy_live(node, day.parameters, tmp_path / "d.json", Signers(test_accounts=True))


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ((), "no --network: a deployment needs a chain that stays; start one with `ape run devnet`"),
        (("--network", "ethereum:local:foundry"), "is not an address of a chain that stays"),
        (("--network", "ws://127.0.0.1:8545"), "ws:// is not supported: use the node's http://"),
        (("--network", "http://127.0.0.1:1"), "no node answers at http://127.0.0.1:1"),
        (("--params", "white-friday"), "scenario 'white-friday' is unknown"),
        (("--params", "no.json"), "parameter file no.json not found"),
    ],
)
def test_bad_input_is_one_line(flags: tuple[str, ...], line: str) -> None:
    result = run(*flags)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and line in result.stderr
    assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_bad_accounts_are_one_line(fresh: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APE_DATA_FOLDER", str(tmp_path))
    (tmp_path / "accounts").mkdir()
    encrypted = Account.encrypt(bytes([23]) * 32, "good", iterations=2)
    (tmp_path / "accounts" / "me.json").write_text(json.dumps(encrypted))
    network = ("--network", fresh.url)
    for value, line in (
        ("me", "write ROLE=ALIAS"),
        ("admin=you", "Ape has no account 'you'; it has: me"),
        ("admin=me", "put its passphrase into APE_ACCOUNTS_me_PASSPHRASE"),
        ("admin=0x12", "0x12 is not an address"),
        ("admin=" + "0x" + "11" * 20, "no key to sign for 0x1111"),
    ):
        result = run(*network, "--account", value, "--out", tmp_path / "d.json")
        assert result.exit_code == 1
        assert line in result.stderr and result.stderr.count("\n") == 1
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE", "bad")
    assert "does not open the account 'me'" in run(*network, "--account", "admin=me").stderr
    # In a file it is in no list of processes, and handed down to none.
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE_FILE", str(tmp_path / "none"))
    assert "cannot be read from" in run(*network, "--account", "admin=me").stderr
    (tmp_path / "secret").write_text("bad\n")
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE_FILE", str(tmp_path / "secret"))
    told = run(*network, "--account", "admin=me").stderr
    assert f"the passphrase in {tmp_path / 'secret'} does not open the account 'me'" in told


def test_a_passphrase_in_a_file_opens_the_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APE_DATA_FOLDER", str(tmp_path))
    (tmp_path / "accounts").mkdir()
    encrypted = Account.encrypt(bytes([23]) * 32, "good", iterations=2)
    (tmp_path / "accounts" / "me.json").write_text(json.dumps(encrypted))
    (tmp_path / "secret").write_text("good\n")
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE", "bad")
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE_FILE", str(tmp_path / "secret"))
    signers = Signers(test_accounts=False)
    assert signers.unlock_ape_keystore_and_get_address("me") == "0x" + encrypted["address"].lower()


def test_apes_accounts_deploy(
    fresh: Devnet, day: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APE_DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE", "good")
    (tmp_path / "accounts").mkdir()
    encrypted = Account.encrypt(bytes([23]) * 32, "good", iterations=2)
    (tmp_path / "accounts" / "me.json").write_text(json.dumps(encrypted))
    me = "0x" + encrypted["address"].lower()
    out = tmp_path / "d.json"
    flags = ("--params", SMALL, "--network", fresh.url, "--out", out, "--account", "admin=me")
    assert f"{me} cannot pay for gas" in run(*flags).stderr

    fresh.node.request("anvil_setBalance", me, hex(10**20))
    result = run(*flags, "--account", "guardian=0x" + "22" * 20)
    assert result.exit_code == 0, result.stderr
    deployment = read_deployment(out)
    assert (deployment.deployer, deployment.get_account("guardian")) == (me, "0x" + "22" * 20)
    system = LiveSystem(fresh.node, deployment, Signers(test_accounts=True))
    assert system.view("VaultEngine", "admin") == deployment.addresses["Timelock"]
    assert system.view("Timelock", "governor") == me
    assert system.view("Timelock", "guardian") == "0x" + "22" * 20


@pytest.mark.deep(brief=BRIEF)
def test_an_admin_who_is_named_stays_it(fresh: Devnet, tmp_path: Path) -> None:
    out = tmp_path / "d.json"
    result = run("--params", SMALL, "--network", fresh.url, "--out", out, "--admin", get_account("admin"))
    assert result.exit_code == 0, result.stderr
    deployment = read_deployment(out)
    assert "Timelock" not in deployment.addresses
    system = LiveSystem(fresh.node, deployment, Signers(test_accounts=True))
    assert system.view("VaultEngine", "admin") == get_account("admin")


def test_a_timelock_waits_for_the_longest_exit() -> None:
    slow = replace(load_parameters(str(SMALL)), savings=PoolParameters(cooldown=20 * 86_400))
    timelock = with_timelock(slow).timelock
    assert timelock is not None
    assert timelock.delay == 21 * 86_400
    assert with_timelock(with_timelock(slow)) == with_timelock(slow)


def test_on_a_real_chain_every_role_needs_an_account(
    fresh: Devnet, day: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Node, "is_test_chain", False)
    signers = Signers(test_accounts=False)
    with pytest.raises(
        BackstopError, match=r"everybody knows the keys .* admin, guardian, taker, market_maker"
    ):
        deploy_live(fresh.node, day.parameters, tmp_path / "d.json", signers)


def test_parameters_that_do_not_fit_are_named(fresh: Devnet, tmp_path: Path) -> None:
    content = parameters_to_json(build_standard_parameters())
    content["collateral_types"][0]["debt_floor"] = 2_000_000
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps(content))
    result = run("--params", file, "--network", fresh.url, "--out", tmp_path / "d.json")
    assert result.exit_code == 1
    assert "the parameters do not fit: VaultEngine.set_debt_floor(0, 2000000) reverted with" in result.stderr
    assert not (tmp_path / "d.json").exists() and not (tmp_path / "d.json.part").exists()


def test_the_accounts_are_those_of_the_mnemonic() -> None:
    Account.enable_unaudited_hdwallet_features()
    for i, address in enumerate(ACCOUNTS.values()):
        path = f"m/44'/60'/0'/0/{i}"
        assert Account.from_mnemonic(MNEMONIC, account_path=path).address.lower() == address
