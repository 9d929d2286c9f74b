"""`ape run govern`: proposals by name, listed, tried, carried out and cancelled."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backstop import attach
from backstop.cli.govern import cli
from backstop.deployment.deployment_file import write_deployment
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.live.chaos.byzantine_proxy import ByzantineProxy
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.named_calls import NamedCalls
from backstop.live.operate.resumable_deployment import deploy_live, load_parameters, with_timelock
from backstop.model.roles import STAGE
from tests.support.checkout_paths import ROOT
from tests.support.devnet_process import Devnet
from tests.support.node_faults import build_result_fault

DAY = 86_400
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Devnet, Path]]:
    devnet, file = Devnet(), tmp_path_factory.mktemp("governed") / "deployment.json"
    deploy_live(devnet.node, with_timelock(load_parameters("guarded")), file, Signers(test_accounts=True))
    yield devnet, file
    devnet.process.stop_process()


@pytest.fixture
def run(governed: tuple[Devnet, Path]) -> Run:
    devnet, file = governed

    def invoke(*words: object) -> Result:
        flags = ("--network", devnet.url, "--deployment", file)
        return CliRunner(mix_stderr=False).invoke(cli, [str(each) for each in (*words, *flags)])

    return invoke


def done(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stdout


def pass_time(devnet: Devnet, seconds: int) -> None:
    devnet.node.request("evm_increaseTime", seconds)
    devnet.node.request("evm_mine")


def test_a_change_is_proposed_waits_and_is_carried_out(governed: tuple[Devnet, Path], run: Run) -> None:
    devnet, file = governed
    change = ("propose", "VaultEngine.set_debt_floor", "collateral_type=WETH", "new=500")
    shown = done(run(*change, "--dry-run"))
    assert "VaultEngine.set_debt_floor(collateral_type=WETH, new=500)  waits 14 d (longest)" in shown
    assert "would succeed now" in shown and "(Timelock.propose)" in shown
    assert "0 proposals are open" in done(run())

    proposed = done(run(*change))
    id = re.findall(r"proposal (0x[0-9a-f]{64})", proposed)[0]
    assert id in shown and "(in 14 d)" in proposed and "done in block" in proposed
    listed = done(run("list"))
    assert f"governor  {get_account('admin')}" in listed and "1 proposals are open" in listed
    assert id in listed and "VaultEngine.set_debt_floor(collateral_type=WETH, new=500)" in listed

    early = run("execute", id)
    assert early.exit_code == 1 and early.stderr.count("\n") == 1
    assert "Timelock.execute would revert: timelock: too early" in early.stderr
    assert "would revert now: timelock: too early" in done(run("execute", id[:8], "--dry-run"))
    pass_time(devnet, 14 * DAY)
    assert "ready, until" in done(run())
    assert "done in block" in done(run("execute", id[:8]))
    assert "0 proposals are open" in done(run())
    deployment = LiveSystem(devnet.node, plan_of(file), Signers(test_accounts=True))
    assert deployment.view("VaultEngine", "debt_floor_of", 0) == 500
    assert deployment.mirror.differences == []


def plan_of(file: Path):
    from backstop.deployment.deployment_file import read_deployment

    return read_deployment(file)


def test_several_calls_are_one_proposal_that_can_be_cancelled(run: Run) -> None:
    proposed = done(
        run(
            *("propose", "VaultEngine.grant_role", "role=STAGE", "account=poker"),
            *("Timelock.set_guardian", "guardian=breaker", "--salt", 7),
        )
    )
    assert f"VaultEngine.grant_role(role=STAGE, account={get_account('poker')})" in proposed
    id = re.findall(r"proposal (0x[0-9a-f]{64})", proposed)[0]
    assert "done in block" in done(run("cancel", id))
    assert id not in done(run())


def test_what_would_revert_is_said_beforehand(run: Run) -> None:
    shown = done(
        run(
            "propose",
            "VaultEngine.set_ratios",
            "collateral_type=0",
            *("liquidation_ratio=1", "initial_ratio=2"),
            "--dry-run",
        )
    )
    assert "as things are, VaultEngine.set_ratios would revert: terms: " in shown


def test_what_is_wrong_is_one_line(run: Run, tmp_path: Path, governed: tuple[Devnet, Path]) -> None:
    for words, problem in (
        (("propose",), "say what to propose: CONTRACT.FUNCTION NAME=VALUE ..."),
        (("propose", "new=5"), "'new=5' comes before any function"),
        (("propose", "Vault.set_debt_floor"), "of a contract here (did you mean VaultEngine?)"),
        (
            ("propose", "VaultEngine.set_debt_flor"),
            "no function 'set_debt_flor' to call (did you mean set_debt_floor?)",
        ),
        (("propose", "VaultEngine.set_debt_floor", "new=5"), "takes collateral_type=... new=..., each once"),
        (
            ("propose", "VaultEngine.set_debt_floor", "collateral_type=WETH", "new=a"),
            "new=a is not of type uint256: give a whole number, raw as the contract has it, as 500 or "
            "1_000_000",
        ),
        (
            ("propose", "VaultEngine.set_debt_floor", "collateral_type=ETH", "new=5"),
            "VaultEngine.set_debt_floor: collateral_type=ETH is not a collateral type of this deployment: "
            "name one of WETH, WBTC, XAU (did you mean WETH?)",
        ),
        (
            ("propose", "VaultEngine.grant_role", "role=STAG", "account=poker"),
            "role=STAG is not of type bytes32: give 0x and 64 digits, or a role: CEILINGS, GUARDIAN, ",
        ),
        (
            ("propose", "VaultEngine.set_debt_floor", "collateral_type=WETH", f"new={2**256}"),
            "too large for uint256",
        ),
        (
            ("propose", "VaultEngine.set_risk_policy", "new=Nobody"),
            "neither an address nor a contract or a role",
        ),
        (("execute",), "execute: 0 ids given; expected one, `govern` lists them"),
        (("cancel", "0xabcdef"), "no open proposal begins with '0xabcdef'"),
        (("list", "more"), "list: 'more' is unexpected; expected no further argument"),
    ):
        result = run(*words)
        assert result.exit_code == 1 and result.stdout == "", words
        assert problem in result.stderr and result.stderr.count("\n") == 1, result.stderr
    devnet, _ = governed
    other = tmp_path / "other.json"
    made = dataclasses.replace(plan_deployment(load_parameters("guarded")), genesis=devnet.node.genesis)
    write_deployment(made, other)
    result = CliRunner(mix_stderr=False).invoke(cli, ["--network", devnet.url, "--deployment", str(other)])
    assert "this deployment has no timelock" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("promised", [2**24, 2**60])
def test_a_list_that_a_node_only_promises_is_one_line(governed: tuple[Devnet, Path], promised: int) -> None:
    """Each answer that is a list has 64 bytes, in which a node promises millions of items or more."""
    devnet, file = governed
    lie = "0x" + (32).to_bytes(32).hex() + promised.to_bytes(32).hex()
    proxy = ByzantineProxy(devnet.port)
    try:
        deployed = attach(file, proxy.url)
        proxy.set_fault(
            build_result_fault(
                lambda method, result: (
                    lie if method == "eth_call" and result.startswith("0x" + "0" * 62 + "20") else result
                )
            )
        )
        began = time.process_time()
        words = ["--network", proxy.url, "--deployment", str(file)]
        result = CliRunner(mix_stderr=False).invoke(cli, words)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert result.stderr.count("\n") == 1
        assert "open_proposals() returned 64 bytes that cannot be read" in result.stderr
        with pytest.raises(BackstopError, match=r"open_proposals\(\) returned 64 bytes") as refused:
            deployed.Timelock.open_proposals()
        assert "\n" not in str(refused.value)
        assert time.process_time() - began < 10
    finally:
        proxy.close()


def test_an_event_that_a_node_only_promises_is_one_line(governed: tuple[Devnet, Path], run: Run) -> None:
    devnet, file = governed
    proposed = done(run("propose", "VaultEngine.set_debt_floor", "collateral_type=WETH", "new=7"))
    id = re.findall(r"proposal (0x[0-9a-f]{64})", proposed)[0]
    proxy = ByzantineProxy(devnet.port)

    def promise(method: str, result: Any) -> Any:
        """Set the length of the calls in each event to 2^60."""
        for log in result if method == "eth_getLogs" else ():
            data = bytes.fromhex(log["data"][2:])
            at = int.from_bytes(data[:32])
            log["data"] = "0x" + (data[:at] + (2**60).to_bytes(32) + data[at + 32 :]).hex()
        return result

    try:
        proxy.set_fault(build_result_fault(promise))
        words = ["--network", proxy.url, "--deployment", str(file)]
        result = CliRunner(mix_stderr=False).invoke(cli, words)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert result.stderr.count("\n") == 1 and "cannot be read" in result.stderr
    finally:
        proxy.close()
        done(run("cancel", id))


def test_the_pages_example_fits_the_pages_deployment() -> None:
    page = (ROOT / "docs/how-to/govern.md").read_text()
    (deployed,) = re.findall(r"backstop deploy --params (\S+) --network", page)
    example, *_ = re.findall(r"backstop govern propose (VaultEngine.*?) --network", page)
    deployment = plan_deployment(with_timelock(load_parameters(deployed)))
    (call,) = NamedCalls(deployment, Artifacts()).parse_calls(example.split())
    assert call[0] == deployment.addresses["VaultEngine"]


def test_lists_and_structs_are_json() -> None:
    calls = NamedCalls(plan_deployment(with_timelock(load_parameters("guarded"))), Artifacts())
    words = (
        "RiskPolicy.set_brackets",
        "collateral_type=WETH",
        "of_vaults=[[1000, 50], [0, 0]]",
        "of_type=[[0, 0], [0, 0]]",
    )
    (call,) = calls.parse_calls(words)
    assert calls.describe_call(call).startswith(
        "RiskPolicy.set_brackets(collateral_type=WETH, of_vaults=[[1000, 50], [0, 0]]"
    )
    (granted,) = calls.parse_calls(("VaultEngine.revoke_role", "role=STAGE", "account=LossWaterfall"))
    assert granted[1][4:36] == STAGE
    assert calls.describe_call(granted) == "VaultEngine.revoke_role(role=STAGE, account=LossWaterfall)"
    with pytest.raises(BackstopError, match="is a list of JSON"):
        calls.parse_calls((*words[:2], "of_vaults=1", words[3]))
    with pytest.raises(BackstopError, match="above, rate are wanted"):
        calls.parse_calls((*words[:2], "of_vaults=[[1], [0, 0]]", words[3]))
