"""A small JSON-RPC client, over a Unix socket (IPC) or HTTP."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple, Protocol

from backstop.errors import BackstopError
from backstop.hosts.endpoint import check_scheme, endpoint, is_http, masked

TIMEOUT = 60.0
MOST_WAIT = 300.0
"""A node that asks for more is asked again after these seconds all the same."""
# Nodes limit the size of a batch.
_BATCH = 200


# Code 3 is a revert's, -32015 a failure of the EVM, the others are methods and parameters that a node does
# not know. What is asked too often is never the call's fault, whatever the words.
_OF_THE_CALL = (3, -32015, -32601, -32602, -32004)
_TOO_MUCH = (429, -32005)
# What the EVM says of a call that fails. All nodes would say so, by other codes.
_FAILED = (
    *("revert", "invalid opcode", "invalidfeopcode", "evm error", "out of gas", "gas required exceeds"),
    *("invalid jump", "stack underflow", "stack limit", "write protection", "code size", "intrinsic gas"),
    *("insufficient funds", "insufficient balance"),
)
# What a pool says of a transaction that it does not take.
_NOT_TAKEN = (
    *("nonce", "already", "known transaction", "underpriced", "gas", "fee", "chain id", "chainid"),
    *("signature", "sender", "oversized", "transaction type"),
)
_SENDS = ("eth_sendRawTransaction", "eth_sendTransaction")


class RpcError(BackstopError):
    """The answer to a call is an error; `data` is what came with it, in hex, "" if nothing did."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        self.method = method
        self.code = error.get("code")
        self.reason = str(error.get("message", ""))
        data = error.get("data")
        if isinstance(data, dict):
            data = data.get("data")
        self.data = data if isinstance(data, str) and data.startswith("0x") else ""
        super().__init__(f"the node refused {method}: {self.reason}")


class NodeGone(BackstopError):
    """The node does not answer, or no longer, or not now."""

    retry_after = 0.0
    """Seconds that the node wants to be left alone, as far as it says."""


class NodeRefused(RpcError, NodeGone):
    """The error is the node's, not the call's: another node may answer, or the same one later."""

    def __init__(self, where: str, method: str, error: dict[str, Any], retry_after: float) -> None:
        super().__init__(method, error)
        self.retry_after = retry_after
        later = f"; it asks for {retry_after:.0f} s" if retry_after else ""
        self.args = (f"the node at {where} refused {method}: {self.reason}{later}",)


class NotANode(NodeGone):
    """Something that answers and is no node, or not now: a gateway's error page, say."""


class _Answer(NamedTuple):
    body: bytes
    status: int = HTTPStatus.OK
    reason: str = ""
    retry_after: float = 0.0


class _Transport(Protocol):
    def exchange(self, request: bytes) -> _Answer: ...

    def close(self) -> None: ...


class Asked(Protocol):
    """Whom to ask: one client, or several nodes behind one."""

    @property
    def where(self) -> str: ...

    def request(self, method: str, *params: Any) -> Any: ...

    def batch(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]: ...

    def each(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]: ...

    def close(self) -> None: ...


class Client:
    """Requests to one node, by the path of its socket or its http:// or https:// address.

    `where` is the address without what may be secret in it.
    """

    def __init__(self, address: str, timeout: float = TIMEOUT) -> None:
        check_scheme(address)
        self.where = masked(address)
        self._transport: _Transport = _Http(address, timeout) if is_http(address) else _Ipc(address, timeout)
        self._retry_after = 0.0

    def request(self, method: str, *params: Any) -> Any:
        """Run one call; raise RpcError if its result is an error, NodeRefused if the node's own."""
        answer = self._exchange(method, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        return self._result(method, answer)

    def batch(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run one method with many parameters; the node may run them in any order."""
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH):
            part = calls[start : start + _BATCH]
            answers = self._exchange_all([(method, params) for params in part])
            results += [self._result(method, answer) for answer in answers]
        return results

    def each(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Run a few calls in one exchange; where an answer is an error, the RpcError is its result."""
        results: list[Any] = []
        for (method, _), answer in zip(calls, self._exchange_all(calls), strict=True):
            try:
                results.append(self._result(method, answer))
            except NodeRefused:
                raise
            except RpcError as error:
                results.append(error)
        return results

    def close(self) -> None:
        self._transport.close()

    def _exchange_all(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Send calls in one exchange; return the answers in the calls' order."""
        answers = self._exchange(
            calls[0][0],
            [
                {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
                for i, (method, params) in enumerate(calls)
            ],
        )
        if isinstance(answers, dict) and answers.get("error") is not None:  # it refuses them all
            raise self._error(calls[0][0], answers["error"])
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise BackstopError(f"the node at {self.where} does not answer batches")
        return sorted(answers, key=lambda answer: int(answer["id"]))

    def _exchange(self, method: str, request: Any) -> Any:
        encoded = json.dumps(request, separators=(",", ":")).encode()
        try:
            answer = self._transport.exchange(encoded)
        except TimeoutError:
            raise NodeGone(f"the node at {self.where} does not answer: is it overloaded?") from None
        except (OSError, HTTPException, EOFError) as error:
            raise NodeGone(f"the node at {self.where} is gone ({error}): start it again") from None
        self._retry_after = answer.retry_after
        status = f"HTTP {answer.status} {answer.reason}".rstrip()
        if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            raise self._error(method, {"code": HTTPStatus.TOO_MANY_REQUESTS, "message": status})
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self._no_node("" if answer.status == HTTPStatus.OK else f" ({status})") from None

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise self._no_node()
        if answer.get("error") is not None:
            raise self._error(method, answer["error"])
        return answer.get("result")

    def _error(self, method: str, told: Any) -> RpcError:
        error = told if isinstance(told, dict) else {"message": told}
        own = RpcError(method, error)
        return own if _of_the_call(own) else NodeRefused(self.where, method, error, self._retry_after)

    def _no_node(self, why: str = "") -> NotANode:
        return NotANode(f"what answers at {self.where} is no Ethereum node{why}")


def _of_the_call(error: RpcError) -> bool:
    """Return True if an error is the call's own answer.

    Every node would give it, or the method is not known.
    """
    if error.code in _TOO_MUCH:
        return False
    words = error.reason.lower()
    if error.data or any(each in words for each in _FAILED):
        return True
    if error.method in _SENDS and any(each in words for each in _NOT_TAKEN):
        return True
    if error.method == "eth_getBlockByNumber" and "pending" in words:  # it makes none
        return True
    # Some say by the code of a wrong parameter that they have not got as far as that block.
    return error.code in _OF_THE_CALL and "outofrange" not in words and "header not found" not in words


def retry_after(header: str | None, now: float) -> float:
    """Read a Retry-After, a number of seconds or a date; 0 if it is neither, MOST_WAIT at most. Seconds."""
    text = (header or "").strip()
    try:
        wanted = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - now
    except ValueError:
        return 0.0
    return max(0.0, min(wanted, MOST_WAIT))


class _Ipc:
    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def exchange(self, request: bytes) -> _Answer:
        try:
            opened = self._socket = self._socket or self._open()
            opened.sendall(request)
            parts = []
            while True:
                part = opened.recv(1 << 20)
                if not part:
                    raise EOFError("it closed the connection")
                parts.append(part)
                # Every answer ends with a line feed, and none is inside.
                if part.endswith(b"\n"):
                    return _Answer(b"".join(parts))
        except (OSError, EOFError):
            self.close()  # what is still on its way answers another request
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(self._timeout)
        try:
            opened.connect(self._path)
        except OSError as error:
            opened.close()
            raise NodeGone(f"no node listens at {self._path} ({error}): start one") from None
        return opened


class _Http:
    def __init__(self, url: str, timeout: float) -> None:
        found = endpoint(url)
        self._path = found.path
        self._headers = {"Content-Type": "application/json"}
        if found.authorization:
            self._headers["Authorization"] = found.authorization
        connection = HTTPSConnection if found.secure else HTTPConnection
        self._connection = connection(found.host, found.port, timeout=timeout)

    def exchange(self, request: bytes) -> _Answer:
        opened = self._connection.sock
        # Nothing is asked for: what can be read is the end of a connection that stood idle too long.
        if opened is not None and select.select([opened], [], [], 0)[0]:
            self._connection.close()
        try:
            self._connection.request("POST", self._path, request, self._headers)
            answer = self._connection.getresponse()
            wait = retry_after(answer.getheader("Retry-After"), time.time())
            return _Answer(answer.read(), answer.status, answer.reason, wait)
        except (OSError, HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()
