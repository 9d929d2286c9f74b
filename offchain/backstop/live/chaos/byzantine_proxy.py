"""A node that cannot be trusted: a proxy in front of a node, on a real port, with one fault at a time.

A fault reads the requests and the node's answers, and changes the answers. `FAULTS` lists all faults, each
with the result that is expected of two keepers: one with a second node, and one without.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import Any, NamedTuple

from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_hash.auto import keccak
from hexbytes import HexBytes

from backstop.live.monitor.http_server import has_disconnected

GWEI = 10**9
_TIP = 1_000 * GWEI
_LATE = 0.2
_AHEAD, _MOST_BLOCKS = 1_000, 8


@dataclass
class RpcExchange:
    """One JSON-RPC exchange through the proxy: the calls, the node's answers, and how they are sent."""

    asked: list[dict[str, Any]]
    told: list[dict[str, Any]]
    batch: bool
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Callable[[bytes], Iterator[bytes]] | None = None
    """The pieces that are sent instead of the body."""
    length: int | None = None
    """The length that is announced; None: the body's."""
    kept: dict[str, Any] = field(default_factory=dict)
    """State that a fault keeps from one exchange to the next."""
    closed: threading.Event = field(default_factory=threading.Event)
    """Set once the proxy is closed: a fault that waits waits no longer."""

    def change_results(self, method: str, change: Callable[[Any, Any], Any]) -> None:
        """Replace the results of all calls of a method by `change(parameters, result)`."""
        for call, answer in zip(self.asked, self.told, strict=True):
            if call["method"] == method and answer.get("result") is not None:
                answer["result"] = change(call["params"], answer["result"])

    def refuse_method(self, method: str, code: int, message: str) -> None:
        """Replace the answers to a method by an error; the method "" means all methods."""
        self.set_error(method, {"code": code, "message": message})

    def set_error(self, method: str, error: Any) -> None:
        """Replace the answers to a method by any error value, which need not be a valid error object.

        The method "" means all methods.
        """
        for call, answer in zip(self.asked, self.told, strict=True):
            if method in ("", call["method"]):
                answer.pop("result", None)
                answer["error"] = error


class Fault(NamedTuple):
    """Fault of a node that the proxy simulates, with the reaction that is expected of keepers.

    `change` alters an exchange. `stays`: a keeper with a second node need not leave the faulty node. `works`:
    a keeper without a second node works as usual. `swallows` is a method that is not passed on to the node.
    `blocks`: the fault shows only as blocks are mined.
    """

    name: str
    what: str
    change: Callable[[RpcExchange], None]
    stays: bool = False
    works: bool = False
    swallows: str = ""
    blocks: bool = False


# --------------------------------------------------------------------- transport


def _answer_late(talk: RpcExchange) -> None:
    time.sleep(_LATE)


def _stay_silent(talk: RpcExchange) -> None:
    def nothing(body: bytes) -> Iterator[bytes]:
        while True:
            time.sleep(0.1)
            yield b""

    talk.body = nothing


def _drip_bytes(talk: RpcExchange) -> None:
    def dripping(body: bytes) -> Iterator[bytes]:
        for at in range(len(body)):
            yield body[at : at + 1]
            time.sleep(0.1)

    talk.body = dripping


def _cut_answer(talk: RpcExchange) -> None:
    talk.body = lambda body: iter([body[: len(body) // 2]])


def _break_json(talk: RpcExchange) -> None:
    talk.body = lambda body: iter([b" " + body[:-2] + b"  "])


def _send_error_page(talk: RpcExchange) -> None:
    talk.status, talk.body = (
        502,
        lambda body: iter([b"<html>bad gateway</html>".ljust(len(body))[: len(body)]]),
    )


def _send_too_many_requests(talk: RpcExchange) -> None:
    talk.status, talk.headers = 429, {"Retry-After": "1"}


def _send_huge_answer(talk: RpcExchange) -> None:
    talk.body, talk.length = lambda body: repeat(b" " * (1 << 20)), 1 << 40


def _send_nested_json(talk: RpcExchange) -> None:
    talk.body, talk.length = lambda body: iter([b"[" * 100_000]), 100_000


# ---------------------------------------------------------------------- envelope


def _build_answer_id_fault(change_id: Callable[[int], Any]) -> Callable[[RpcExchange], None]:
    def changed(talk: RpcExchange) -> None:
        for answer in talk.told:
            answer["id"] = change_id(answer["id"])

    return changed


def _reorder_answers(talk: RpcExchange) -> None:
    talk.told.reverse()


def _swap_ids(talk: RpcExchange) -> None:
    numbers = [answer["id"] for answer in talk.told]
    for answer, number in zip(talk.told, numbers[1:] + numbers[:1], strict=True):
        answer["id"] = number


def _drop_last_batch_answer(talk: RpcExchange) -> None:
    if talk.batch:
        talk.told.pop()


def _duplicate_first_batch_answer_in_place(talk: RpcExchange) -> None:
    if talk.batch:
        talk.told.append(talk.told[0])


def _send_nulls(talk: RpcExchange) -> None:
    for answer in talk.told:
        answer["result"] = None


def _refuse_all(talk: RpcExchange) -> None:
    talk.refuse_method("", -32000, "header not found")


# ------------------------------------------------------------------------ values


def _change_words(talk: RpcExchange) -> None:
    def changed(params: Any, result: str) -> str:
        # The reader of slots is called with its code beside; the last digit of each word is another.
        if len(params) < 3:
            return result
        digits = [result[at : at + 64] for at in range(2, len(result), 64)]
        return "0x" + "".join(each[:-1] + ("1" if each[-1] != "1" else "2") for each in digits)

    talk.change_results("eth_call", changed)
    talk.change_results("eth_getStorageAt", lambda params, result: hex(int(result, 16) ^ 3))


def _change_words_and_refuse_proofs(talk: RpcExchange) -> None:
    _change_words(talk)
    talk.refuse_method("eth_getProof", -32601, "the method eth_getProof does not exist")


def _break_proofs(talk: RpcExchange) -> None:
    def broken(params: Any, proof: dict[str, Any]) -> dict[str, Any]:
        for each in proof["storageProof"]:
            each["proof"] = [node[:-2] + "00" for node in each["proof"]]
        return proof

    _change_words(talk)
    talk.change_results("eth_getProof", broken)


def _build_receipt_fault(change_receipt: Callable[[dict[str, Any]], Any]) -> Callable[[RpcExchange], None]:
    def of_block(params: Any, receipts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for each in receipts:
            change_receipt(each)
        return receipts

    def of_one(params: Any, receipt: dict[str, Any]) -> dict[str, Any]:
        change_receipt(receipt)
        return receipt

    def changed(talk: RpcExchange) -> None:
        talk.change_results("eth_getBlockReceipts", of_block)
        talk.change_results("eth_getTransactionReceipt", of_one)

    return changed


def _change_events(receipt: dict[str, Any]) -> None:
    for log in (each for each in receipt["logs"] if each["data"] != "0x"):
        log["data"] = log["data"][:-1] + ("1" if log["data"][-1] != "1" else "2")


def _omit_transactions(talk: RpcExchange) -> None:
    def changed(params: Any, block: dict[str, Any]) -> dict[str, Any]:
        return block | {"transactions": []}

    talk.change_results("eth_getBlockByNumber", changed)
    talk.change_results("eth_getBlockReceipts", lambda params, receipts: [])


def _change_input(talk: RpcExchange) -> None:
    def changed(params: Any, block: dict[str, Any]) -> dict[str, Any]:
        for each in block["transactions"]:
            if isinstance(each, dict) and each["input"][-1] != "1":
                each["input"] = each["input"][:-1] + "1"
        return block

    talk.change_results("eth_getBlockByNumber", changed)


def _change_sender(talk: RpcExchange) -> None:
    def changed(params: Any, block: dict[str, Any]) -> dict[str, Any]:
        for each in block["transactions"]:
            if isinstance(each, dict):
                each["from"] = "0x" + each["from"][:1:-1]
        return block

    talk.change_results("eth_getBlockByNumber", changed)


def _build_suggested_tip_fault(tip: int | None) -> Callable[[RpcExchange], None]:
    told = None if tip is None else hex(tip)

    def history(params: Any, found: dict[str, Any]) -> dict[str, Any]:
        return found | {"reward": [[told] * len(params[2]) for _ in found["reward"]]}

    def changed(talk: RpcExchange) -> None:
        talk.change_results("eth_feeHistory", history)
        talk.change_results("eth_maxPriorityFeePerGas", lambda params, result: told)

    return changed


def _claim_higher_head_number(talk: RpcExchange) -> None:
    def changed(params: Any, block: dict[str, Any]) -> dict[str, Any]:
        if params[0] != "latest":
            return block
        number = int(block["number"], 16) + _AHEAD
        return block | {"number": hex(number), "hash": f"{number:#066x}", "parentHash": block["hash"]}

    talk.change_results("eth_getBlockByNumber", changed)
    talk.change_results("eth_blockNumber", lambda params, number: hex(int(number, 16) + _AHEAD))


def _change_hashes(talk: RpcExchange) -> None:
    talk.change_results(
        "eth_getBlockByNumber", lambda params, block: block | {"hash": "0x" + block["hash"][:1:-1]}
    )


def _change_chain(talk: RpcExchange) -> None:
    talk.change_results("eth_chainId", lambda params, result: "0x1")


def _repeat_old_head(talk: RpcExchange) -> None:
    """Return as newest block the block that was newest when the fault began."""

    def newest(params: Any, block: dict[str, Any]) -> dict[str, Any]:
        return dict(talk.kept.setdefault("head", block)) if params[0] == "latest" else block

    talk.change_results("eth_getBlockByNumber", newest)
    if "head" in talk.kept:
        talk.change_results("eth_blockNumber", lambda params, number: talk.kept["head"]["number"])


def _swallow_transactions(talk: RpcExchange) -> None:
    """Report sent transactions as pending without passing them on to the node."""
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if call["method"] == "eth_sendRawTransaction":
            raw = bytes.fromhex(call["params"][0][2:])
            name = "0x" + keccak(raw).hex()
            fields = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
            sender = str(Account.recover_transaction(raw)).lower()
            told = {"hash": name, "from": sender, "to": "0x" + bytes(fields["to"]).hex()}
            talk.kept[name] = told | {"input": "0x" + bytes(fields["data"]).hex(), "blockHash": None}
            answer["result"] = name
        elif call["method"] == "eth_getTransactionByHash" and answer.get("result") is None:
            answer["result"] = talk.kept.get(call["params"][0])


FAULTS = (
    Fault("late", "each answer takes 0.2 s", _answer_late, stays=True, works=True),
    Fault("silent", "nothing is answered", _stay_silent),
    Fault("drip", "a byte each tenth of a second", _drip_bytes),
    Fault("cut", "the connection ends in the middle of an answer", _cut_answer),
    Fault("no JSON", "an answer with its end missing", _break_json),
    Fault("error page", "HTTP 502 with a page", _send_error_page),
    Fault("too many", "HTTP 429 with `Retry-After: 1`", _send_too_many_requests),
    Fault("huge", "an answer without end", _send_huge_answer),
    Fault("nested", "an answer of 100,000 brackets", _send_nested_json),
    Fault("busy", "each call is refused: header not found", _refuse_all),
    Fault("null ids", "answers without an id", _build_answer_id_fault(lambda number: None)),
    Fault("other ids", "answers to other calls", _build_answer_id_fault(lambda number: number + 1)),
    Fault("batches in another order", "as nodes may", _reorder_answers, stays=True, works=True),
    Fault("swapped ids", "answers of a batch with each other's ids", _swap_ids),
    Fault("short batches", "an answer less than calls", _drop_last_batch_answer),
    Fault("long batches", "an answer more than calls", _duplicate_first_batch_answer_in_place),
    Fault("nulls", "each result is null", _send_nulls),
    Fault("wrong words", "another word of each slot", _change_words, works=True),
    Fault("wrong words unproven", "another word, and proofs are refused", _change_words_and_refuse_proofs),
    Fault("wrong words, false proofs", "another word, and proofs that prove nothing", _break_proofs),
    Fault(
        "failed",
        "receipts say that a transaction failed",
        _build_receipt_fault(lambda each: each.update(status="0x0")),
    ),
    Fault(
        "no events", "receipts without their events", _build_receipt_fault(lambda each: each.update(logs=[]))
    ),
    Fault("other events", "receipts with other events", _build_receipt_fault(_change_events)),
    Fault("no transactions", "blocks without their transactions", _omit_transactions),
    Fault("other transactions", "blocks with other calls in them", _change_input),
    Fault("other senders", "blocks whose calls are said to be somebody else's", _change_sender),
    Fault(
        "high tips",
        "others are said to tip 1,000 gwei",
        _build_suggested_tip_fault(_TIP),
        stays=True,
        works=True,
    ),
    Fault("null tips", "others are said to tip null", _build_suggested_tip_fault(None)),
    Fault("head ahead", "a newest block that nobody has", _claim_higher_head_number),
    Fault("stale head", "its newest block stays the newest", _repeat_old_head, blocks=True),
    Fault(
        "swallows",
        "transactions are taken, and passed on to nobody",
        _swallow_transactions,
        swallows="eth_sendRawTransaction",
        blocks=True,
    ),
    Fault("other blocks", "each block has another hash", _change_hashes),
    Fault("other chain", "it says that it is on chain 1", _change_chain),
)


def _limit_log_range(talk: RpcExchange) -> None:
    for call, answer in zip(talk.asked, talk.told, strict=True):
        if call["method"] == "eth_getLogs":
            first, last = (int(call["params"][0][end], 16) for end in ("fromBlock", "toBlock"))
            if last - first >= _MOST_BLOCKS:
                answer.pop("result", None)
                answer["error"] = {"code": -32005, "message": "query returned more than 10000 results"}


def _build_log_fault(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[RpcExchange], None]:
    return lambda talk: talk.change_results("eth_getLogs", lambda params, logs: change(logs))


def _raise_debts(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the logs with their last word raised by 1, which is a vault's normalized debt."""
    return [log | {"data": f"{log['data'][:-64]}{int(log['data'][-64:], 16) + 1:064x}"} for log in logs]


OF_LOGS = (
    Fault("short ranges", "logs of more than 8 blocks are refused", _limit_log_range, stays=True, works=True),
    Fault("null logs", "logs are null", _build_log_fault(lambda logs: None)),
    Fault("empty logs", "logs without fields", _build_log_fault(lambda logs: [{}])),
    Fault("no log at all", "no logs were written", _build_log_fault(lambda logs: [])),
    Fault(
        "a log missing", "the last log of each answer is left out", _build_log_fault(lambda logs: logs[:-1])
    ),
    Fault(
        "logs twice",
        "each log is told twice",
        _build_log_fault(lambda logs: [log for each in logs for log in (each, each)]),
        stays=True,
        works=True,
    ),
    Fault("other debts", "logs of vaults that owe more", _build_log_fault(_raise_debts)),
)
"""Faults that the vault index meets, which reads logs."""


class ByzantineProxy:
    """HTTP proxy in front of a local node, which simulates one fault at a time (`fault`, None for none).

    An exception in a fault's own code is printed on stderr, as http.server does.
    """

    def __init__(self, port: int) -> None:
        self.fault: Fault | None = None
        self.dripping = False
        """Whether an answer is under way that comes in pieces."""
        self._kept: dict[str, Any] = {}
        self.asked: list[str] = []
        """Methods that were asked for, in order."""
        self.request_path = ""
        self.request_headers: dict[str, str] = {}
        """Of the last request."""
        self._closed = threading.Event()
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body after its headers would wait 40 ms

            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                hostile.relay_request(self, port, request)

            def log_message(self, *args: object) -> None:
                """Discard the log lines of http.server."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Ignore errors of clients that disconnected, such as a keeper after its timeout."""
                if not isinstance(sys.exc_info()[1], OSError | HTTPException):
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def set_fault(self, fault: Fault | None) -> None:
        """Replace the current fault (None for none), and forget the state that the old fault kept."""
        self._kept.clear()  # what another one remembered
        self.fault = fault

    def close(self) -> None:
        """Close the proxy: free its port, and close the connections of all clients."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def relay_request(self, handler: BaseHTTPRequestHandler, port: int, request: bytes) -> None:
        """Forward a JSON-RPC request to the node on `port`, and send the answer with the fault applied."""
        if self._closed.is_set():
            handler.close_connection = True
            return
        self.request_path, self.request_headers = handler.path, dict(handler.headers)
        calls, fault = json.loads(request), self.fault
        if fault is not None and isinstance(calls, dict) and calls["method"] == fault.swallows:
            answers: Any = {"jsonrpc": "2.0", "id": calls["id"], "result": None}
        else:
            node = HTTPConnection("127.0.0.1", port)
            node.request("POST", "/", request, {"Content-Type": "application/json"})
            answers = json.loads(node.getresponse().read())
            node.close()
        batch = isinstance(calls, list)
        talk = RpcExchange(
            calls if batch else [calls],
            answers if batch else [answers],
            batch,
            kept=self._kept,
            closed=self._closed,
        )
        self.asked += [each["method"] for each in talk.asked]
        if fault is not None:
            talk.told.sort(key=lambda each: int(each["id"]))
            fault.change(talk)
        body = json.dumps(talk.told if talk.batch else talk.told[0]).encode()
        handler.send_response(talk.status)
        for name, value in talk.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body) if talk.length is None else talk.length))
        handler.end_headers()
        for part in [body] if talk.body is None else talk.body(body):
            handler.wfile.write(part)
            self.dripping = talk.body is not None
            if has_disconnected(handler.connection):  # nothing is written for nobody, for ever
                raise ConnectionResetError
        if talk.body is not None:
            handler.close_connection = True
