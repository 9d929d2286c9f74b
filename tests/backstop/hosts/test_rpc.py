"""The client: a deadline and a bound for the whole answer, and one error of its own for any that is wrong."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backstop.hosts import rpc_transport
from backstop.hosts.rpc_client import NodeClient
from backstop.hosts.rpc_errors import (
    MalformedAnswerError,
    NodeRefusedError,
    NodeUnavailableError,
    NotANodeError,
    RpcError,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Talk = Callable[[socket.socket, Any], None]


class Talker:
    """A server on a port that reads a request and then answers as its test prescribes."""

    def __init__(self) -> None:
        self.talk: Talk = lambda opened, asked: None
        self.asked: list[Any] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                opened, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(opened,), daemon=True).start()

    def _answer(self, opened: socket.socket) -> None:
        with opened:
            read = opened.makefile("rb")
            try:
                while line := read.readline():
                    length = 0
                    while line.strip():
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                        line = read.readline()
                    asked = json.loads(read.read(length))
                    self.asked.append(asked)
                    self.talk(opened, asked)
            except OSError:  # whoever asked has gone
                pass

    def says(self, answer: Callable[[Any], Any]) -> None:
        """Set the answers of the server, in JSON."""

        def talk(opened: socket.socket, asked: Any) -> None:
            send(opened, json.dumps(answer(asked)).encode())

        self.talk = talk

    def close(self) -> None:
        self._socket.close()


def send(opened: socket.socket, body: bytes) -> None:
    """Send a whole answer."""
    opened.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


@pytest.fixture
def talker() -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.close()


@pytest.fixture
def deep_recursion() -> Iterator[None]:
    """A limit as libraries set it: engines and compilers do."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    yield
    sys.setrecursionlimit(before)


def drip_of(before: bytes, each: bytes) -> Talk:
    """Send `before` at once, and then `each` every 50 ms, for ever."""

    def talk(opened: socket.socket, asked: Any) -> None:
        opened.sendall(before)
        while True:
            opened.sendall(each)
            time.sleep(0.05)

    return talk


@pytest.mark.parametrize(
    ("before", "each"),
    [
        (b"", b"H"),
        (HEAD, b"X-More: 1\r\n"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=("status", "headers", "body", "chunks", "other answers"),
)
def test_a_node_that_drips_is_left_at_the_deadline(talker: Talker, before: bytes, each: bytes) -> None:
    talker.talk = drip_of(before, each)
    began = time.monotonic()
    with pytest.raises(NodeUnavailableError, match=f"the node at {talker.url} does not answer"):
        NodeClient(talker.url, 0.4).request("eth_chainId")
    assert time.monotonic() - began < 1.5


def test_a_stop_is_heard_while_a_node_drips(talker: Talker) -> None:
    """Asked to stop, it waits for a second at most, however long it would have."""
    talker.talk = drip_of(HEAD + b"Content-Length: 100000\r\n\r\n", b" ")
    began = time.monotonic()
    with pytest.raises(NodeUnavailableError, match="does not answer"):
        NodeClient(talker.url, 60.0, lambda: time.monotonic() > began + 0.3).request("eth_chainId")
    assert time.monotonic() - began < 2


def test_an_answer_has_a_bound(talker: Talker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_transport, "MOST_BYTES", 1 << 20)
    sent = 0

    def talk(opened: socket.socket, asked: Any) -> None:
        nonlocal sent
        opened.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            sent += 1 << 16
            opened.sendall(b"10000\r\n" + b" " * (1 << 16) + b"\r\n")

    talker.talk = talk
    with pytest.raises(MalformedAnswerError, match="answers eth_getLogs wrongly: more than"):
        NodeClient(talker.url).request("eth_getLogs", {})
    assert sent < 1 << 25


def answers(**wrong: Any) -> Callable[[Any], Any]:
    """Answer every call with 0x1, except the methods in `wrong`."""

    def answer(asked: Any) -> Any:
        if isinstance(asked, list):
            return [answer(each) for each in asked]
        return {"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"} | wrong

    return answer


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"id": None}, "its id is None, not 1"),
        ({"id": 2}, "its id is 2, not 1"),
        ({"id": "1"}, "its id is '1', not 1"),
        ({"id": True}, "its id is True, not 1"),
        ({"result": None}, "None is not a number in hex"),
        ({"result": 1}, "1 is not a number in hex"),
        ({"result": "1"}, "'1' is not a number in hex"),
        ({"result": "0x"}, "'0x' is not a number in hex"),
        ({"result": "0x" + "1" * 17}, "has more than 64 bits"),
        ({"result": {}}, "dict is not a number in hex"),
        ({"id": 7, "error": {"code": 3, "message": "execution reverted"}}, "its id is 7, not 1"),
    ],
)
def test_a_wrong_answer_names_node_and_method(talker: Talker, wrong: dict[str, Any], told: str) -> None:
    talker.says(answers(**wrong))
    with pytest.raises(MalformedAnswerError) as raised:
        NodeClient(talker.url).request("eth_chainId")
    assert str(raised.value).startswith(f"the node at {talker.url} answers eth_chainId wrongly: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda told: told[:-1], "2 answers to a batch of 3"),
        (lambda told: told + told[:1], "4 answers to a batch of 3"),
        (lambda told: None, "no answers to a batch of 3"),
        (lambda told: [*told[:2], told[0]], "a batch with the id 1"),
        (lambda told: [*told[:2], None], "a batch with the id None"),
        (lambda told: [*told[:2], told[2] | {"id": None}], "a batch with the id None"),
        (lambda told: [*told[:2], told[2] | {"id": True}], "a batch with the id True"),
        (lambda told: [*told[:2], told[2] | {"id": 99}], "a batch with other ids"),
        (lambda told: [*told[:2], {"id": 3}], "neither a result nor an error"),
    ],
)
def test_a_batch_has_each_answer_once(talker: Talker, change: Callable[[Any], Any], told: str) -> None:
    talker.says(lambda asked: change(answers()(asked)))
    for batched in (
        lambda client: client.call_method_in_batches("eth_chainId", [()] * 3),
        lambda client: client.request_batch_keeping_errors(CALLS),
    ):
        with pytest.raises(MalformedAnswerError, match=told):
            batched(NodeClient(talker.url))


CALLS = [("eth_chainId", ()), ("eth_blockNumber", ()), ("eth_gasPrice", ())]


def test_a_batch_in_any_order_is_put_right(talker: Talker) -> None:
    talker.says(lambda asked: [{"id": each["id"], "result": hex(each["id"])} for each in reversed(asked)])
    client = NodeClient(talker.url)
    assert client.request_batch_keeping_errors(CALLS) == ["0x1", "0x2", "0x3"]
    assert client.call_method_in_batches("eth_gasPrice", [(), ()]) == ["0x4", "0x5"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[" * 100_000, MalformedAnswerError),
        (b'{"id":1,"result":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}", MalformedAnswerError),
        (b"<html>", NotANodeError),
        (b"\xff\xfe\x00", NotANodeError),
        (b"", NotANodeError),
        (b'{"id":1,"result":' + b"9" * 5_000 + b"}", NotANodeError),
        (b"[]", NotANodeError),
        (b'{"id":1,"error":"rate limited"}', NodeRefusedError),
        (b'{"id":1,"error":{"code":3,"message":"revert","data":"0xq"}}', RpcError),
    ],
    ids=range(9),
)
def test_anything_else_is_an_error_of_its_own(
    talker: Talker, body: bytes, error: type[Exception], deep_recursion: None
) -> None:
    talker.talk = lambda opened, asked: send(opened, body)
    with pytest.raises(error) as raised:
        NodeClient(talker.url).request("eth_call", {})
    assert str(raised.value).isprintable()


def test_what_is_long_is_not_deep(talker: Talker) -> None:
    """Brackets in a text, and many beside each other, nest nothing."""
    wides: tuple[Any, ...] = ([[]] * 5_000, "[" * 5_000, ['"[', {"{": "\\"}] * 300)
    for wide in wides:
        talker.says(answers(result=wide))
        assert NodeClient(talker.url).request("anvil_anything") == wide


@pytest.mark.parametrize(
    "said",
    [
        b"\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        HEAD + b"Content-Length: many\r\n\r\n{}",
        HEAD + b"Content-Length: -1\r\n\r\n{}",
        HEAD + b"Content-Length: 5, 6\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 200 + b"\r\n",
        HEAD + b"Content-Length: 50\r\n\r\n{}",
    ],
    ids=range(11),
)
def test_what_is_no_http_is_a_node_that_is_gone(talker: Talker, said: bytes) -> None:
    def talk(opened: socket.socket, asked: Any) -> None:
        opened.sendall(said)
        opened.shutdown(socket.SHUT_RDWR)

    talker.talk = talk
    with pytest.raises(NodeUnavailableError) as raised:
        NodeClient(talker.url).request("eth_chainId")
    assert talker.url in str(raised.value) and str(raised.value).isprintable()


def test_a_late_answer_answers_nothing_else(talker: Talker) -> None:
    """After an error the connection is closed, so a late answer on it is dropped."""
    late = threading.Event()

    def talk(opened: socket.socket, asked: Any) -> None:
        if len(talker.asked) == 1:
            late.wait(5)
        send(opened, json.dumps({"id": asked["id"], "result": hex(asked["id"])}).encode())

    talker.talk = talk
    client = NodeClient(talker.url, 0.3)
    with pytest.raises(NodeUnavailableError, match="does not answer"):
        client.request("eth_gasPrice")
    late.set()
    assert client.request("eth_gasPrice") == "0x2"


@pytest.mark.parametrize(
    ("method", "params", "result", "told"),
    [
        ("eth_getLogs", ({},), None, "None is not a list"),
        ("eth_getLogs", ({},), [{}], "address is missing"),
        ("eth_getBlockByNumber", ("0x5", False), {}, "number is missing"),
        (
            "eth_getTransactionReceipt",
            ("0x" + "1" * 64,),
            {"transactionHash": "0x1"},
            "transactionHash: '0x1'",
        ),
        ("eth_getStorageAt", (), "0x" + "f" * 65, "is not a number in hex"),
        ("eth_call", (), "0xabc", "are no bytes in hex"),
        ("eth_maxPriorityFeePerGas", (), None, "None is not a number in hex"),
        ("eth_sendRawTransaction", ("0x01",), "0x" + "1" * 64, "was not asked for"),
        ("eth_getBlockReceipts", ("0x1",), [None], "None is not an object"),
    ],
)
def test_each_method_has_its_form(
    talker: Talker, method: str, params: tuple[Any, ...], result: Any, told: str
) -> None:
    talker.says(answers(result=result))
    with pytest.raises(MalformedAnswerError, match=f"answers {method} wrongly: .*({told})"):
        NodeClient(talker.url).request(method, *params)
