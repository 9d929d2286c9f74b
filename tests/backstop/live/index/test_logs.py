"""Reading events from a node that limits the size of its answers, as services do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from typing import Any

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.rpc_client import NodeClient, NodeUnavailableError, RpcError
from backstop.live.node.rpc_node import Node
from tests.support.background_threads import BackgroundServer
from tests.support.many_vaults_devnet import ManyVaultsDevnet

pytestmark = pytest.mark.anvil


class Service:
    """In front of a real node: passes everything on, but refuses long ranges and long answers."""

    def __init__(self, node: str, most_blocks: int, most_logs: int) -> None:
        self.ranges: list[tuple[int, int, bool]] = []
        client, lock, ranges = NodeClient(node), threading.Lock(), self.ranges

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    answers = [answer(each) for each in (asked if isinstance(asked, list) else [asked])]
                body = json.dumps(answers if isinstance(asked, list) else answers[0]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            said: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
            try:
                result = client.request(request["method"], *request["params"])
            except RpcError as error:
                return said | {"error": {"code": error.code, "message": error.reason, "data": error.data}}
            if request["method"] == "eth_getLogs":
                first, last = (int(request["params"][0][end], 16) for end in ("fromBlock", "toBlock"))
                refused = last - first >= most_blocks or len(result) > most_logs
                ranges.append((first, last, refused))
                if refused:
                    return said | {"error": {"code": -32005, "message": "query returned too many results"}}
            return said | {"result": result}

        self.server = BackgroundServer(Handler)
        self.url = self.server.url


@pytest.fixture
def busy(town: ManyVaultsDevnet) -> Iterator[ManyVaultsDevnet]:
    """Some hundred blocks, two of them with many events."""
    names = ("taker", "liquidator", "crank", "bidder")
    for name in names:
        town.open_vault(name, 40, 20_000)
        town.send_node_request("anvil_mine", "0x30")
    town.send_node_request("evm_setAutomine", False)
    data = town.chain.get_function("VaultEngine", "deposit_and_draw", 5)
    for name in names * 3:
        owner = get_account(name)
        call = {"from": owner, "to": town.deployment.addresses["VaultEngine"], "gas": hex(1_000_000)}
        town.send_node_request(
            "eth_sendTransaction", call | {"data": "0x" + data.encode_call((0, owner, 0, 0, owner)).hex()}
        )
    town.send_node_request("evm_mine")
    town.send_node_request("evm_setAutomine", True)
    town.send_node_request("anvil_mine", "0x50")
    yield town


def test_ranges_that_are_refused_are_halved(busy: ManyVaultsDevnet) -> None:
    free = busy.build_index_follower()
    free.sync_to_head()
    service = Service(busy.devnet.url, most_blocks=40, most_logs=12)
    try:
        said: list[str] = []
        follower = busy.build_index_follower(Node(service.url), say=said.append)
        follower.sync_to_head()
    finally:
        service.server.stop()
    read = [(first, last) for first, last, refused in service.ranges if not refused]
    # Every block once, in order, though some ranges were refused.
    assert [first for first, _ in read[1:]] == [last + 1 for _, last in read[:-1]]
    assert read[0][0] == busy.deployment.block + 1 and read[-1][1] == follower.index.number
    assert len(read) < len(service.ranges)
    for (first, last, refused), (again, end, _) in pairwise(service.ranges):
        if refused:
            assert (again, end - again + 1) == (first, (last - first + 1) // 2)
    # After a refusal ranges grow again.
    assert max(last - first for first, last in read) > 8
    assert follower.index.sample_vaults(100, 0) == free.index.sample_vaults(100, 0)
    assert follower.list_sample_differences(100) == []
    assert said[-1].endswith("vaults") and "of" in said[-1]


def test_one_block_with_too_many_results_is_an_error(busy: ManyVaultsDevnet) -> None:
    service = Service(busy.devnet.url, most_blocks=1_000, most_logs=11)
    try:
        with pytest.raises(RpcError, match="too many results"):
            busy.build_index_follower(Node(service.url)).sync_to_head()
    finally:
        service.server.stop()


@pytest.mark.parametrize("change", [{"topics": ["0x" + "1" * 64]}, {"data": "0x" + "0" * 64}])
def test_a_log_that_cannot_be_is_one_line(busy: ManyVaultsDevnet, change: dict[str, Any]) -> None:
    logs = busy.build_index_follower().logs
    log, *_ = logs.request_logs_in_one_call(0, busy.devnet.node.get_head().number)
    logs.decode_vault_change_or_margin_call(log)
    with pytest.raises(NodeUnavailableError, match=r"a log of 0x[0-9a-f]+ has no form that it can have"):
        logs.decode_vault_change_or_margin_call(log | change)
