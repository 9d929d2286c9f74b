"""A small JSON-RPC client, over a Unix socket (IPC) or HTTP."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Protocol
from urllib.parse import urlsplit

from offchain.errors import BackstopError

TIMEOUT = 60.0
# Nodes limit the size of a batch.
_BATCH = 200


class RpcError(BackstopError):
    """The node answered with an error; `data` is what came with it, in hex, "" if nothing did."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        self.code = error.get("code")
        self.reason = str(error.get("message", ""))
        data = error.get("data")
        if isinstance(data, dict):
            data = data.get("data")
        self.data = data if isinstance(data, str) and data.startswith("0x") else ""
        super().__init__(f"the node refused {method}: {self.reason}")


class NodeGone(BackstopError):
    """The node does not answer, or no longer."""


class NotANode(NodeGone):
    """What answers is no node, or not now: a gateway's error page, say."""


class _Transport(Protocol):
    def exchange(self, request: bytes) -> bytes: ...

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
    """Requests to one node: `where` is the path of a socket or an http:// or https:// address."""

    def __init__(self, where: str, timeout: float = TIMEOUT) -> None:
        self.where = where
        self._transport: _Transport = (
            _Http(where, timeout) if where.startswith(("http://", "https://")) else _Ipc(where, timeout)
        )

    def request(self, method: str, *params: Any) -> Any:
        """The result of one call; raises RpcError if the node refuses it."""
        answer = self._exchange({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        return self._result(method, answer)

    def batch(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """One method with many parameters; the node may run them in any order."""
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH):
            part = calls[start : start + _BATCH]
            answers = self._exchange_all([(method, params) for params in part])
            results += [self._result(method, answer) for answer in answers]
        return results

    def each(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """A few calls in one exchange; where the node refuses one, the RpcError is its result."""
        results: list[Any] = []
        for (method, _), answer in zip(calls, self._exchange_all(calls), strict=True):
            try:
                results.append(self._result(method, answer))
            except RpcError as error:
                results.append(error)
        return results

    def close(self) -> None:
        self._transport.close()

    def _exchange_all(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """The answers, in order."""
        answers = self._exchange(
            [
                {"jsonrpc": "2.0", "id": i, "method": method, "params": params}
                for i, (method, params) in enumerate(calls)
            ]
        )
        if isinstance(answers, dict) and "error" in answers:  # it refuses them all
            raise RpcError(calls[0][0], answers["error"])
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise BackstopError(f"the node at {self.where} does not answer batches")
        return sorted(answers, key=lambda answer: int(answer["id"]))

    def _exchange(self, request: Any) -> Any:
        encoded = json.dumps(request, separators=(",", ":")).encode()
        try:
            return json.loads(self._transport.exchange(encoded))
        except TimeoutError:
            raise NodeGone(f"the node at {self.where} does not answer: is it overloaded?") from None
        except (OSError, HTTPException, EOFError) as error:
            raise NodeGone(f"the node at {self.where} is gone ({error}): start it again") from None
        except ValueError:
            raise NotANode(f"what answers at {self.where} is no Ethereum node") from None

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise NotANode(f"what answers at {self.where} is no Ethereum node")
        if "error" in answer:
            raise RpcError(method, answer["error"])
        return answer["result"]


class _Ipc:
    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def exchange(self, request: bytes) -> bytes:
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
                    return b"".join(parts)
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
        parts = urlsplit(url)
        if not parts.hostname:
            raise BackstopError(f"{url!r} is no address of a node: try http://127.0.0.1:8545")
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = connection(parts.hostname, parts.port, timeout=timeout)

    def exchange(self, request: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        opened = self._connection.sock
        # Nothing is asked for: what can be read is the end of a connection that stood idle too long.
        if opened is not None and select.select([opened], [], [], 0)[0]:
            self._connection.close()
        try:
            self._connection.request("POST", self._path, request, headers)
            return self._connection.getresponse().read()
        except (OSError, HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()
