"""A small JSON-RPC client, over a Unix socket (IPC) or HTTP, that checks every answer.

Each result is either an answer of the form that its method has, or one of two errors. RpcError is the call's
own answer, as a revert is; after a NodeUnavailableError another node may be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import count
from typing import Any, Protocol

from backstop.hosts.endpoint import is_http, mask_url, require_http_or_socket_path
from backstop.hosts.rpc_errors import (
    MalformedAnswerError,
    NodeRefusedError,
    NodeUnavailableError,
    NotANodeError,
    RpcError,
    format_one_line,
)
from backstop.hosts.rpc_response_schema import (
    TooNestedError,
    check_result,
    parse_json_refusing_deep_nesting,
    shorten_value,
)
from backstop.hosts.rpc_transport import (
    MOST_BYTES,
    NO_HEADERS,
    AnswerTimeoutError,
    AnswerTooLongError,
    ExchangeDeadline,
    HttpTransport,
    IpcTransport,
    NoAnswerError,
    NoListenerError,
    Transport,
)

TIMEOUT = 60.0
# Nodes limit the size of a batch.
_BATCH = 200


class RpcClient(Protocol):
    """Interface of a JSON-RPC client of one node, or of a failover group of nodes."""

    @property
    def where(self) -> str: ...

    def request(self, method: str, *params: Any, size: int | None = None) -> Any: ...

    def call_method_in_batches(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]: ...

    def request_batch_keeping_errors(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]: ...

    @property
    def count(self) -> int: ...

    def list_other_nodes(self) -> Sequence[NodeClient]: ...

    def drop_nodes_of_other_chain(self, chain_id: int, genesis: str, block: int, contract: str) -> None: ...

    def is_confirmed_by_another_node(self, number: int, block_hash: str) -> bool: ...

    def record_height(self, height: int) -> None: ...

    def switch_node(self, problem: str) -> bool: ...

    def close(self) -> None: ...


def never_stop() -> bool:
    """Return False: default for `stop` callbacks that report whether the process should end."""
    return False


class NodeClient:
    """JSON-RPC client of one node at a socket path or an http:// or https:// address.

    `where` is the address without parts that may be secret. A complete answer must arrive within `timeout`
    seconds. After `stop` returns True, requests end soon. `headers` returns the HTTP headers for a request
    body.
    """

    def __init__(
        self,
        address: str,
        timeout: float = TIMEOUT,
        stop: Callable[[], bool] = never_stop,
        headers: Callable[[bytes], Mapping[str, str]] = lambda body: NO_HEADERS,
    ) -> None:
        require_http_or_socket_path(address)
        self.where = mask_url(address)
        patience = ExchangeDeadline(timeout, stop)
        self._transport: Transport = (
            HttpTransport(address, patience) if is_http(address) else IpcTransport(address, patience)
        )
        self._headers = headers
        self._retry_after = 0.0
        self._ids = count(1)

    def request(self, method: str, *params: Any, size: int | None = None) -> Any:
        """Call an RPC method and return its checked result.

        Raises RpcError if the node answers with an error, NodeUnavailableError if it does not answer. With
        `size` the result must be exactly that number of bytes in hex.
        """
        number = next(self._ids)
        asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = self._send_request_and_parse_answer(method, asked)
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise NotANodeError(f"the server at {self.where} is not an Ethereum node")
        error = answer.get("error")
        # Who refuses need not have read the id.
        if not _is_same_id(answer.get("id"), number) and (
            error is None or self._build_error(method, error).of_the_call
        ):
            raise self._build_malformed_error(
                method, f"its id is {shorten_value(answer.get('id'))}, not {number}"
            )
        result = self._extract_result(method, params, answer)
        if size is not None and (not isinstance(result, str) or len(result) != 2 + 2 * size):
            raise self._build_malformed_error(method, f"{size} bytes were asked for, it has others")
        return result

    def call_method_in_batches(self, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call one RPC method with many parameter lists, in batches, and return the results in order.

        The node may execute the calls in any order.
        """
        results: list[Any] = []
        for start in range(0, len(calls), _BATCH):
            part = [(method, params) for params in calls[start : start + _BATCH]]
            answers = self._exchange_batch(part)
            results += [
                self._extract_result(*each, answer) for each, answer in zip(part, answers, strict=True)
            ]
        return results

    def request_batch_keeping_errors(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Send several calls in one batch; return their results, with an RpcError for a failed call."""
        results: list[Any] = []
        for (method, params), answer in zip(calls, self._exchange_batch(calls), strict=True):
            try:
                results.append(self._extract_result(method, params, answer))
            except NodeRefusedError:
                raise
            except RpcError as error:
                results.append(error)
        return results

    count = 1
    """Nodes that may be asked."""

    def list_other_nodes(self) -> Sequence[NodeClient]:
        """Return the other nodes of the client: none, since this client has one node."""
        return ()

    def drop_nodes_of_other_chain(self, chain_id: int, genesis: str, block: int, contract: str) -> None:
        """Do nothing: a client of one node has no others to drop."""

    def is_confirmed_by_another_node(self, number: int, block_hash: str) -> bool:
        """Return True: without a second node a block needs no confirmation."""
        return True

    def record_height(self, height: int) -> None:
        """Do nothing: a client of one node compares no block heights."""

    def switch_node(self, problem: str) -> bool:
        """Return False: a client of one node cannot switch to another."""
        return False

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        self._transport.close()

    def _exchange_batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Send calls in one batch; return the raw answers in the order of the calls."""
        numbers = [next(self._ids) for _ in calls]
        answers = self._send_request_and_parse_answer(
            calls[0][0],
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                for number, (method, params) in zip(numbers, calls, strict=True)
            ],
        )
        method = calls[0][0]
        if isinstance(answers, dict) and answers.get("error") is not None:  # it refuses them all
            raise self._build_error(method, answers["error"])
        if not isinstance(answers, list) or len(answers) != len(calls):
            told = len(answers) if isinstance(answers, list) else "no"
            raise self._build_malformed_error(method, f"{told} answers to a batch of {len(calls)}")
        found: dict[int, Any] = {}
        for answer in answers:
            number = answer.get("id") if isinstance(answer, dict) else None
            if not isinstance(number, int) or isinstance(number, bool) or number in found:
                raise self._build_malformed_error(method, f"a batch with the id {shorten_value(number)}")
            found[number] = answer
        if found.keys() != set(numbers):
            raise self._build_malformed_error(method, "a batch with other ids than were asked for")
        return [found[number] for number in numbers]

    def _send_request_and_parse_answer(self, method: str, request: Any) -> Any:
        encoded = json.dumps(request, separators=(",", ":")).encode()
        try:
            answer = self._transport.send_request(encoded, self._headers(encoded))
        except AnswerTimeoutError:
            raise NodeUnavailableError(
                f"the node at {self.where} does not answer: is it overloaded?"
            ) from None
        except NoListenerError as error:
            raise NodeUnavailableError(f"no node listens at {self.where} ({error}): start one") from None
        except NoAnswerError as error:
            raise NodeUnavailableError(
                f"the node at {self.where} is gone ({format_one_line(str(error))}): start it again"
            ) from None
        except AnswerTooLongError:
            raise self._build_malformed_error(method, f"more than {MOST_BYTES >> 20} MiB") from None
        self._retry_after = answer.retry_after
        status = format_one_line(f"HTTP {answer.status} {answer.reason}".rstrip())
        if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            raise self._build_error(method, {"code": HTTPStatus.TOO_MANY_REQUESTS, "message": status})
        try:
            return parse_json_refusing_deep_nesting(answer.body)
        except TooNestedError:
            raise self._build_malformed_error(method, "JSON that is nested without end") from None
        except ValueError:
            why = "" if answer.status == HTTPStatus.OK else f" ({status})"
            raise NotANodeError(f"the server at {self.where} is not an Ethereum node{why}") from None

    def _extract_result(self, method: str, params: Sequence[Any], answer: dict[str, Any]) -> Any:
        if answer.get("error") is not None:
            raise self._build_error(method, answer["error"])
        if "result" not in answer:
            raise self._build_malformed_error(method, "neither a result nor an error")
        result = answer["result"]
        try:
            check_result(method, params, result)
        except ValueError as error:
            raise self._build_malformed_error(method, str(error)) from None
        return result

    def _build_error(self, method: str, told: Any) -> RpcError:
        error = told if isinstance(told, dict) else {"message": told}
        own = RpcError(method, error)
        return own if own.of_the_call else NodeRefusedError(self.where, method, error, self._retry_after)

    def _build_malformed_error(self, method: str, what: str) -> MalformedAnswerError:
        return MalformedAnswerError(self.where, method, what)


def _is_same_id(told: Any, number: int) -> bool:
    """Return True if a JSON id is this integer; True and 1.0 do not count as 1."""
    return type(told) is int and told == number
