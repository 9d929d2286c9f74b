"""Several nodes of one chain: a node that fails, stalls, lags or lies is left, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.audit import cli as audit
from backstop.cli.export import cli as export
from backstop.cli.index import cli as index
from backstop.cli.keeper import cli
from backstop.cli.mirror import cli as mirror
from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeUnavailableError
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy
from backstop.live.mirror.chain_mirror import DEPTH
from backstop.live.node.failover import MOST_BEHIND, REMEMBERED, Failover
from backstop.live.node.gas_fees import GWEI, TIP_CAP, offer_fees, usual_tip
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from tests.support.devnet_process import Devnet
from tests.support.node_faults import (
    OVER_LIMIT,
    SENDS_PAGE,
    ProxyPair,
    build_result_fault,
    build_silent_fault,
)

BRIEF = "tests/backstop/live/operate/test_keeper_nodes.py::test_history_is_not_what_one_node_says"

LONGER = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_nodes.py::test_history_is_not_what_one_node_says"
)


@pytest.fixture
def both(proxies: ProxyPair, deployment: Deployment, said: list[str]) -> Failover:
    """Both providers; the first is asked."""
    client = Failover([each.url for each in proxies], 2.0, said.append)
    Node("", client=client).require_deployment(deployment)
    assert said == [f"asking the node at {proxies[0].url}"]
    return client


def test_a_node_that_stalls_is_left(both: Failover, proxies: ProxyPair, said: list[str]) -> None:
    proxies[0].set_fault(build_silent_fault())
    assert int(both.request("eth_blockNumber"), 16) > 0
    assert said[1:] == [
        f"left the node at {proxies[0].url} for 5 s: the node at {proxies[0].url} does not answer: "
        "is it overloaded?",
        f"asking the node at {proxies[1].url}",
    ]


def test_a_keeper_goes_on_with_the_other_node(
    both: Failover,
    proxies: ProxyPair,
    devnet: Devnet,
    deployment: Deployment,
    said: list[str],
) -> None:
    node = Node("", client=both)
    system = LiveSystem(node, deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    loop.run_round()
    proxies[0].close()
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
    devnet.node.request("evm_mine")
    loop.run(interval=0.01, patience=0, stop=lambda: loop.tally.mined_transaction_count == 3)
    assert node.url == proxies[1].url and loop.tally.failed_transaction_count == 0
    # When both are gone it waits, as for one.
    proxies[1].close()
    with pytest.raises(BackstopError, match="stopped: none of the 2 nodes can be asked"):
        loop.run(interval=0.01, patience=0.1)


def test_a_node_that_lags_is_left(
    both: Failover, proxies: ProxyPair, devnet: Devnet, said: list[str]
) -> None:
    height = devnet.node.get_head().number
    proxies[0].set_fault(
        build_result_fault(lambda method, result: hex(height) if method == "eth_blockNumber" else result)
    )
    both.record_height(height)
    assert both.where == proxies[0].url
    devnet.node.request("anvil_mine", 10)
    both.record_height(height)
    assert both.where == proxies[1].url
    assert f"it is 10 blocks behind {proxies[1].url}" in said[1]
    # It is not taken back as long as it lags.
    both.record_height(height + 10)
    assert not both._is_usable(both._members[0]) and "it is 10 blocks behind" in said[-1]


def test_a_chain_that_went_back_is_followed_again(
    proxies: ProxyPair, devnet: Devnet, said: list[str]
) -> None:
    """While no node is asked, removed blocks go unnoticed: the height is forgotten in time."""
    now = 1_000.0
    client = Failover([each.url for each in proxies], 2.0, said.append, clock=lambda: now)
    client.record_height(devnet.node.get_head().number + MOST_BEHIND + 1)
    client.switch_node("for a reason")
    with pytest.raises(NodeUnavailableError, match=f"it is {MOST_BEHIND + 1} blocks behind"):
        client.request("eth_blockNumber")
    now += REMEMBERED
    assert int(client.request("eth_blockNumber"), 16) == devnet.node.get_head().number


def test_one_that_only_claims_to_be_ahead_is_not_believed(
    both: Failover, proxies: ProxyPair, devnet: Devnet, said: list[str]
) -> None:
    proxies[1].set_fault(
        build_result_fault(lambda method, result: hex(10**6) if method == "eth_blockNumber" else result)
    )
    both.record_height(devnet.node.get_head().number)
    assert both.where == proxies[0].url and len(said) == 1


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda method, result: "0x1" if method == "eth_chainId" else result,
            "says it is on chain 1, its contracts see chain 31337: use another node",
        ),
        (
            lambda method, result: (
                "0x1" if method == "eth_chainId" else "0x" + "1".zfill(64) if method == "eth_call" else result
            ),
            "it is on chain 1, not on chain 31337",
        ),
        (
            lambda method, result: (
                result | {"hash": "0x" + "12" * 32} if method == "eth_getBlockByNumber" and result else result
            ),
            f"its block 0 is 0x{'12' * 32}, not 0x",
        ),
        (lambda method, result: "0x" if method == "eth_getCode" else result, "it has no contract at 0x"),
    ],
)
def test_a_node_that_lies_is_left(
    both: Failover,
    proxies: ProxyPair,
    change: Callable[[str, Any], Any],
    line: str,
    said: list[str],
) -> None:
    proxies[1].set_fault(build_result_fault(change))
    assert not both.switch_node("for a reason")
    assert line in said[2]
    proxies[0].set_fault(build_silent_fault())
    with pytest.raises(NodeUnavailableError, match="none of the 2 nodes can be asked"):
        both.request("eth_blockNumber")


def test_a_fork_of_one_node_is_not_followed(
    both: Failover,
    proxies: ProxyPair,
    devnet: Devnet,
    deployment: Deployment,
    said: list[str],
) -> None:
    system = LiveSystem(Node("", client=both), deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    proxies[0].set_fault(
        build_result_fault(
            lambda method, result: (
                result | {"hash": "0x" + "12" * 32} if method == "eth_getBlockByNumber" and result else result
            )
        )
    )
    loop.run(interval=0.01, patience=0, stop=lambda: both.where == proxies[1].url)
    assert any("is no longer part of the chain" in line and "left the node" in line for line in said)
    assert not any("following again" in line for line in said)


@pytest.mark.parametrize("trouble", ["an error page", "a refusal"])
def test_a_provider_in_trouble_is_waited_for(
    proxies: ProxyPair, deployment: Deployment, said: list[str], trouble: str
) -> None:
    system = LiveSystem(Node(proxies[0].url), deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    proxies[0].set_fault(SENDS_PAGE if trouble == "an error page" else OVER_LIMIT)

    def stop() -> bool:
        if said:
            proxies[0].set_fault(None)
        return len(said) > 1

    loop.run(interval=0.01, patience=10, stop=stop)
    assert said[0].endswith("; waiting up to 10 s") and said[1] == "the node is back"
    assert ("is not an Ethereum node" in said[0]) == (trouble == "an error page")
    assert ("limit exceeded" in said[0]) == (trouble == "a refusal")


def run(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def test_a_lie_about_the_chain_is_one_line(
    proxies: ProxyPair, deployment: Deployment, tmp_path: Path
) -> None:
    proxies[0].set_fault(
        build_result_fault(lambda method, result: "0x1" if method == "eth_chainId" else result)
    )
    file = tmp_path / "deployment.json"
    result = run("--network", proxies[0].url, "--deployment", file, "--roles", "accruer", "--once")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "says it is on chain 1, its contracts see chain 31337" in result.stderr


def test_a_socket_is_an_address(
    new_devnet: Callable[..., Devnet],
    deployed_folder: Path,
    deployment: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    devnet = new_devnet("--load-state", str(deployed_folder / "state.json"))
    path = devnet.process.socket
    file = tmp_path / "deployment.json"
    flags = ("--deployment", file, "--roles", "accruer", "--once")
    assert run("--network", path, *flags).exit_code == 0
    assert run("--network", path, "--network", devnet.url, *flags).exit_code == 0
    devnet.process.stop_process()
    assert "no node answers at" in run("--network", path, *flags).stderr


def test_names_of_apes_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ape

    from backstop.live.operate.network_options import resolve_node_url

    (tmp_path / "ape-config.yaml").write_text("node: {ethereum: {sepolia: {uri: http://127.0.0.1:1}}}\n")
    project = ape.Project(tmp_path)
    monkeypatch.setattr(ape, "config", project.config)
    assert (
        resolve_node_url("ethereum:sepolia:node")
        == resolve_node_url("ethereum:sepolia")
        == "http://127.0.0.1:1"
    )
    with pytest.raises(BackstopError, match="Ape has no address for 'ethereum:goerli'"):
        resolve_node_url("ethereum:goerli")


def test_a_tip_is_what_others_paid_and_has_a_ceiling() -> None:
    assert usual_tip({"reward": [["0x0"], ["0x9"], ["0x5"], ["0x0"], ["0x7"]]}) == 7
    assert usual_tip({"reward": [["0x0"]]}) == usual_tip({"reward": None}) == usual_tip({}) == GWEI
    high, half = 10**6 * GWEI, TIP_CAP // 2
    assert offer_fees(GWEI, high, 500 * GWEI) == (2 * GWEI + half, half, GWEI + half)
    assert offer_fees(GWEI, high, 500 * GWEI, 18 * GWEI).tip == 9 * GWEI
    assert offer_fees(GWEI, 3, 500 * GWEI).tip == 3


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("command", ["keeper", "mirror"])
def test_a_start_beside_a_liar_goes_to_the_honest_node(
    proxies: ProxyPair, deployment: Deployment, tmp_path: Path, command: str
) -> None:
    """The first node that answers does not say which chain it is: the deployment's file does."""
    proxies[0].set_fault(
        build_result_fault(
            lambda method, result: (
                result | {"hash": "0x" + result["hash"][:1:-1]}
                if method == "eth_getBlockByNumber" and result
                else result
            )
        )
    )
    flags = [flag for proxy in proxies for flag in ("--network", proxy.url)]
    flags += ["--deployment", str(tmp_path / "deployment.json"), "--once"]
    of_command = {
        "keeper": (cli, ["--roles", "accruer", "--journal", str(tmp_path / "runs")]),
        "mirror": (mirror, []),
    }
    program, more = of_command[command]
    result = CliRunner(mix_stderr=False).invoke(program, [*flags, *more])
    assert result.exit_code == 0, result.stderr
    lied = "0x" + deployment.genesis[:1:-1]
    assert f"its block 0 is {lied}, not {deployment.genesis}: it is of another chain" in result.stderr
    assert f"asking the node at {proxies[1].url}" in result.stderr


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_fork_of_one_node_is_not_followed"
)
@pytest.mark.parametrize("beside", [True, False])
def test_a_start_with_a_chain_of_ones_own_comes_to_an_end(
    proxies: ProxyPair, deployment: Deployment, tmp_path: Path, beside: bool
) -> None:
    """Its block 0 is right, and no other block follows from the one before it."""
    proxies[0].set_fault(
        build_result_fault(
            lambda method, result: (
                result | {"hash": "0x" + result["hash"][:1:-1]}
                if method == "eth_getBlockByNumber"
                and result
                and int(result["number"], 16) > deployment.block
                else result
            )
        )
    )
    flags = [flag for proxy in proxies[: 1 + beside] for flag in ("--network", proxy.url)]
    flags += ["--deployment", str(tmp_path / "deployment.json"), "--journal", str(tmp_path / "runs")]
    result = run(*flags, "--roles", "accruer", "--once")
    if beside:
        assert result.exit_code == 0, result.stderr
        assert f"asking the node at {proxies[1].url}" in result.stderr
    else:
        assert result.exit_code == 1 and result.stderr.count("\n") == 1
        assert "Error: stopped: block " in result.stderr and "no longer part of the chain" in result.stderr


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("command", ["keeper", "mirror", "audit", "index", "export"])
def test_a_liar_alone_is_one_line_with_both_hashes(
    proxies: ProxyPair, deployment: Deployment, tmp_path: Path, command: str
) -> None:
    proxies[0].set_fault(
        build_result_fault(
            lambda method, result: (
                result | {"hash": "0x" + result["hash"][:1:-1]}
                if method == "eth_getBlockByNumber" and result
                else result
            )
        )
    )
    program, more = {
        "keeper": (cli, ["--roles", "accruer"]),
        "mirror": (mirror, []),
        "audit": (audit, ["--out", str(tmp_path / "audit")]),
        "index": (index, []),
        "export": (export, ["--out", str(tmp_path / "export")]),
    }[command]
    flags = ["--network", proxies[0].url, "--deployment", str(tmp_path / "deployment.json"), *more]
    result = CliRunner(mix_stderr=False).invoke(program, flags)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    there, here = deployment.genesis, "0x" + deployment.genesis[:1:-1]
    assert f"on a chain with block 0 {there}, the node is on a chain with block 0 {here}:" in result.stderr


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        "no transactions",
        pytest.param("other transactions", marks=LONGER),
        pytest.param("other senders", marks=LONGER),
        pytest.param("failed", marks=LONGER),
        "no events",
        pytest.param("other events", marks=LONGER),
    ],
)
def test_history_is_not_what_one_node_says(
    devnet: Devnet, deployment: Deployment, tmp_path: Path, fault: str, beside: bool
) -> None:
    """Also for blocks that are long final, as the deployment's blocks are here."""
    for _ in range(DEPTH + 5):
        devnet.node.request("evm_mine")
    hostile = ByzantineProxy(devnet.port)
    hostile.set_fault(next(each for each in FAULTS if each.name == fault))
    flags = ["--network", hostile.url, *(["--network", devnet.url] if beside else [])]
    flags += ["--deployment", str(tmp_path / "deployment.json"), "--journal", str(tmp_path / "runs")]
    try:
        result = run(*flags, "--roles", "accruer", "--once")
    finally:
        hostile.close()
    refuted = "did not sign" if fault == "other senders" else "those that its hash stands for"
    assert refuted in result.stderr
    if beside:
        assert result.exit_code == 0, result.stderr
        assert f"left the node at {hostile.url}" in result.stderr
    else:
        assert result.exit_code == 1 and result.stderr.count("\n") == 1
        assert f"the node at {hostile.url} is not believed" in result.stderr


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_nodes.py::test_a_keeper_goes_on_with_the_other_node"
)
def test_a_look_at_the_other_node_holds_nothing_up(
    both: Failover,
    proxies: ProxyPair,
    devnet: Devnet,
    deployment: Deployment,
    said: list[str],
) -> None:
    """A silent node takes as long as any answer may: pending work is sent before."""
    node = Node("", client=both)
    system = LiveSystem(node, deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    loop.run_round()
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
    devnet.node.request("evm_mine")
    proxies[1].set_fault(build_silent_fault())
    node._looked_at = 0.0  # a look is due
    said.clear()
    loop.run_round()
    sent = [i for i, line in enumerate(said) if " sent, nonce " in line]
    (left,) = [i for i, line in enumerate(said) if line.startswith(f"left the node at {proxies[1].url}")]
    assert len(sent) == 3 and max(sent) < left
