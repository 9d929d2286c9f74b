"""Errors of nodes: the call's own answer, and an error that another node, or a later time, would not give."""

from __future__ import annotations

from base64 import b64encode
from email.utils import formatdate
from typing import Any

import pytest

from backstop.deployment.planned_contracts import Deployment
from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeClient, NodeRefusedError, NodeUnavailableError, RpcError
from backstop.hosts.rpc_transport import MOST_WAIT, parse_retry_after_header
from backstop.live.node.failover import Failover
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from tests.support.devnet_process import Devnet
from tests.support.manual_clock import ManualClock
from tests.support.node_faults import (
    OVER_LIMIT,
    SENDS_PAGE,
    ProxyPair,
    build_error_fault,
    build_result_fault,
    build_status_fault,
)

LONGER = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_node_refusals.py::test_what_is_the_nodes_is_asked_of_the_next"
)

REVERTED = {"code": 3, "message": "execution reverted: ledger: paused", "data": "0x08c379a0"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def nodes(proxies: ProxyPair, said: list[str], clock: ManualClock) -> Failover:
    """Both providers; the first is asked."""
    client = Failover([each.url for each in proxies], 5.0, said.append, clock)
    client.request("eth_blockNumber")
    return client


@pytest.mark.parametrize(
    "error",
    [
        {"code": 429, "message": "Too Many Requests"},
        pytest.param({"code": 429, "message": "out of compute units: insufficient funds, gas"}, marks=LONGER),
        pytest.param({"code": -32005, "message": "limit exceeded"}, marks=LONGER),
        {"code": -32000, "message": "header not found"},
        pytest.param(
            {"code": -32602, "message": "BlockOutOfRangeError: block height is 5 but requested was 9"},
            marks=LONGER,
        ),
        {"code": -32000, "message": "missing trie node 12 (path ) state is not available"},
        pytest.param({"code": -32603, "message": "Internal error"}, marks=LONGER),
        pytest.param({"code": -32600, "message": "not now"}, marks=LONGER),
        "rate limited",
    ],
)
def test_what_is_the_nodes_is_asked_of_the_next(
    nodes: Failover, proxies: ProxyPair, said: list[str], error: Any
) -> None:
    proxies[0].set_fault(build_error_fault({"eth_gasPrice": error, "eth_call": error}))
    assert int(nodes.request("eth_gasPrice"), 16) > 0
    assert nodes.where == proxies[1].url
    reason = error if isinstance(error, str) else error["message"]
    told = f"the node at {proxies[0].url} refused eth_gasPrice: {reason}"
    assert said[1:] == [
        f"left the node at {proxies[0].url} for 5 s: {told}",
        f"asking the node at {proxies[1].url}",
    ]


@pytest.mark.parametrize("batched", ["batch", "each"])
def test_in_a_batch_too(nodes: Failover, proxies: ProxyPair, batched: str) -> None:
    proxies[0].set_fault(build_error_fault({"eth_gasPrice": {"code": -32005, "message": "limit exceeded"}}))
    if batched == "batch":
        found = nodes.call_method_in_batches("eth_gasPrice", [(), ()])
    else:
        found = nodes.request_batch_keeping_errors([("eth_gasPrice", ()), ("eth_chainId", ())])
    assert all(int(each, 16) > 0 for each in found) and nodes.where == proxies[1].url


def test_a_batch_that_is_refused_as_a_whole(nodes: Failover, proxies: ProxyPair, said: list[str]) -> None:
    """With one error instead of a list of answers."""
    proxies[0].set_fault(OVER_LIMIT)
    found = nodes.call_method_in_batches("eth_gasPrice", [(), ()])
    assert all(int(each, 16) > 0 for each in found) and nodes.where == proxies[1].url
    assert "limit exceeded" in said[1]


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("eth_call", REVERTED),
        ("eth_call", {"code": -32000, "message": "execution reverted"}),
        ("eth_call", {"code": -32015, "message": "VM execution error."}),
        ("eth_call", {"code": -32603, "message": "EVM error InvalidFEOpcode"}),
        ("eth_call", {"code": -32000, "message": "gas required exceeds allowance (30000000)"}),
        ("eth_sendRawTransaction", {"code": -32000, "message": "nonce too low"}),
        ("eth_sendRawTransaction", {"code": -32003, "message": "insufficient funds for transfer"}),
        ("eth_feeHistory", {"code": -32601, "message": "the method eth_feeHistory does not exist"}),
    ],
)
def test_what_is_the_calls_own_answer_is_raised(
    nodes: Failover,
    proxies: ProxyPair,
    said: list[str],
    method: str,
    error: dict[str, Any],
) -> None:
    proxies[0].set_fault(build_error_fault({method: error}))
    with pytest.raises(RpcError, match="the node refused") as raised:
        nodes.request(method)
    assert not isinstance(raised.value, NodeRefusedError) and raised.value.code == error["code"]
    assert nodes.where == proxies[0].url and len(said) == 1
    (found,) = nodes.request_batch_keeping_errors([(method, ())])
    assert isinstance(found, RpcError) and found.reason == error["message"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_node_is_left_for_as_long_as_it_asks(
    nodes: Failover,
    proxies: ProxyPair,
    said: list[str],
    clock: ManualClock,
    status: int,
) -> None:
    first, second = proxies
    first.set_fault(build_status_fault(status, "40"))
    nodes.request("eth_blockNumber")
    assert nodes.where == second.url
    assert said[1].startswith(f"left the node at {first.url} for 40 s: the node at {first.url} refused")
    assert f"HTTP {status}" in said[1] and said[1].endswith("; it asks for 40 s")
    # Not even when there is no other.
    second.set_fault(build_status_fault(429, "60"))
    first.asked.clear()
    with pytest.raises(
        NodeUnavailableError, match=r"none of the 2 nodes can be asked: .* refused eth_blockNumber"
    ) as gone:
        nodes.request("eth_blockNumber")
    assert gone.value.retry_after == 40 and "\n" not in str(gone.value)
    clock.now += 39
    with pytest.raises(NodeUnavailableError) as gone:
        nodes.request("eth_blockNumber")
    assert gone.value.retry_after == 1 and first.asked == []
    first.set_fault(None)
    clock.now += 1
    nodes.request("eth_blockNumber")
    assert nodes.where == first.url


def test_each_node_is_asked_once(nodes: Failover, proxies: ProxyPair, clock: ManualClock) -> None:
    """Both nodes work except for this call: it ends with the last node's message."""
    for each in proxies:
        each.set_fault(build_error_fault({"eth_gasPrice": {"code": -32000, "message": "upstream is busy"}}))
    for _ in range(3):
        for each in proxies:
            each.asked.clear()
        with pytest.raises(
            NodeUnavailableError, match=r"none of the 2 nodes can be asked: .*: upstream is busy"
        ):
            nodes.request("eth_gasPrice")
        assert [each.asked.count("eth_gasPrice") for each in proxies] == [1, 1]
        clock.now += 1


def test_who_has_failed_or_is_slow_comes_last(
    proxies: ProxyPair, devnet: Devnet, said: list[str], clock: ManualClock
) -> None:
    first, second = proxies
    nodes = Failover([first.url, second.url, devnet.url], 5.0, said.append, clock)
    nodes.request("eth_chainId")
    first.set_fault(OVER_LIMIT)
    nodes.request("eth_chainId")
    assert nodes.where == second.url
    # It is well again, and would be the next by its place.
    first.set_fault(None)
    second.set_fault(OVER_LIMIT)
    clock.now += 60
    nodes.request("eth_chainId")
    assert nodes.where == devnet.url
    # An hour later nobody remembers; but the second was slow when it was asked.
    second.set_fault(build_result_fault(lambda method, result: clock.advance_clock(4, result)))
    clock.now += 7_200
    nodes.switch_node("for a reason")
    assert nodes.where == first.url
    nodes.switch_node("for a reason")
    assert nodes.where == second.url
    for _ in range(20):
        nodes.request("eth_chainId")
    clock.now += 7_200
    nodes.switch_node("for a reason")
    assert nodes.where == first.url
    nodes.switch_node("for a reason")
    assert nodes.where == devnet.url


def test_a_pause_has_a_bound() -> None:
    assert parse_retry_after_header("12", 0.0) == 12 and parse_retry_after_header(" 7 ", 0.0) == 7
    assert parse_retry_after_header("9" * 9, 0.0) == parse_retry_after_header("9" * 9_999, 0.0) == MOST_WAIT
    assert parse_retry_after_header(formatdate(1_030, usegmt=True), 1_000.0) == 30
    assert parse_retry_after_header(formatdate(1_000, usegmt=True), 1_030.0) == 0
    assert [parse_retry_after_header(each, 0.0) for each in (None, "", "soon", "-5", "1e9", "nan")] == [0] * 6


def test_a_keeper_of_one_node_waits_as_long_as_it_asks(
    proxies: ProxyPair,
    deployment: Deployment,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = LiveSystem(Node(proxies[0].url), deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    proxies[0].set_fault(build_status_fault(429, "45"))
    naps: list[float] = []

    def nap(seconds: float, stop: Any) -> None:
        naps.append(seconds)
        proxies[0].set_fault(None)

    monkeypatch.setattr("backstop.live.operate.keeper_loop.sleep_in_short_naps", nap)
    loop.run(interval=0.01, patience=100, stop=lambda: len(said) > 1)
    assert naps[0] == 45 and said[1] == "the node is back"


def test_a_refused_read_does_not_end_a_mirror(proxies: ProxyPair, deployment: Deployment) -> None:
    """The mirror waits for it, as for a node that is gone."""
    system = LiveSystem(Node(proxies[0].url), deployment, Signers(test_accounts=True))
    error = {"code": -32000, "message": "header not found"}
    proxies[0].set_fault(build_error_fault({"eth_call": error, "eth_getStorageAt": error}))
    with pytest.raises(NodeUnavailableError, match="header not found"):
        system.mirror._words.read_words_by_index([0, 1], system.mirror.block, system.mirror.hash)


def test_a_transaction_that_a_node_in_trouble_refused_is_kept(
    proxies: ProxyPair, devnet: Devnet, deployment: Deployment, said: list[str]
) -> None:
    """The node may have forwarded it: the transaction is sent again, not forgotten."""
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
    devnet.node.request("evm_mine")
    system = LiveSystem(Node(proxies[0].url), deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    proxies[0].set_fault(
        build_error_fault({"eth_sendRawTransaction": {"code": -32000, "message": "request timed out"}})
    )
    with pytest.raises(NodeRefusedError, match="timed out"):
        loop.run_round()
    assert loop.pending_transaction_count == 1


def test_a_user_and_a_password_are_sent_and_never_told(
    proxies: ProxyPair, deployment: Deployment, said: list[str]
) -> None:
    secret = "http://me:pass%2Fword@" + proxies[0].url.removeprefix("http://") + "/v3/key?token=abc"
    client = NodeClient(secret)
    client.request("eth_chainId")
    assert proxies[0].request_headers["Authorization"] == "Basic " + b64encode(b"me:pass/word").decode()
    assert proxies[0].request_path == "/v3/key?token=abc"
    assert client.where == Node(secret).url == proxies[0].url
    NodeClient(proxies[1].url).request("eth_chainId")
    assert "Authorization" not in proxies[1].request_headers
    # Whatever goes wrong.
    nodes = Failover([secret, proxies[1].url], 5.0, said.append)
    Node("", client=nodes).require_deployment(deployment)
    proxies[0].set_fault(SENDS_PAGE)
    nodes.request("eth_chainId")
    proxies[0].close()
    for failing in (lambda: NodeClient(secret).request("eth_chainId"), lambda: Node(secret).chain_id):
        with pytest.raises(BackstopError) as raised:
            failing()
        said.append(str(raised.value))
    assert len(said) == 5 and all(proxies[0].url in each for each in (said[0], said[1], said[3], said[4]))
    assert not [line for line in said for each in ("me:", "pass", "key", "token", "abc") if each in line]
