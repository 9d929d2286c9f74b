"""The way of a request to a node and back: HTTP or a Unix socket, with a deadline for the whole answer.

A deadline for each read is not enough: a node that sends a byte now and then would hold a keeper for ever. So
every wait for bytes is cut into short ones, and ends with the deadline, or soon after the process was told to
stop.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from backstop.hosts.endpoint import parse_endpoint

MOST_WAIT = 300.0
"""A node that asks for more is asked again after these seconds all the same."""
MOST_BYTES = 1 << 27
"""Of one answer: a hundred full blocks of a busy chain with their receipts are a quarter of it."""
LAST_WORD = 1.0
"""Seconds that an answer may take once the process was told to stop."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# A wait is no longer than this, so that a signal is heard.
_SLICE = 0.2
_CONNECT = 5.0
_PART = 1 << 20
# What a TLS context is given for its sockets.
_PATIENCE = "patience"


class TransportAnswer(NamedTuple):
    """Raw answer to a request: body, HTTP status and the wait that the server asked for [seconds]."""

    body: bytes
    status: int = HTTPStatus.OK
    reason: str = ""
    retry_after: float = 0.0


class NoAnswerError(Exception):
    """Error: no answer arrived; the message gives the reason."""


class AnswerTimeoutError(NoAnswerError):
    """Error: no complete answer arrived before the deadline."""


class NoListenerError(NoAnswerError):
    """Error: no process listens at the address."""


class AnswerTooLongError(Exception):
    """Error: an answer is longer than MOST_BYTES."""


class Transport(Protocol):
    """Interface of a connection to a node that is opened at first use."""

    def send_request(self, request: bytes, headers: Mapping[str, str] = NO_HEADERS) -> TransportAnswer:
        """Send a request with optional headers and return the answer.

        Raises NoAnswerError or AnswerTooLongError.
        """

    def close(self) -> None: ...


class ExchangeDeadline:
    """Deadline of one request and its answer; a stop signal of the process shortens it."""

    def __init__(self, timeout: float, stop: Callable[[], bool]) -> None:
        self.timeout = timeout
        self._stop = stop
        self._until = 0.0
        self._stopping = False

    def start_exchange(self) -> None:
        """Start the deadline for a new request."""
        self._until, self._stopping = time.monotonic() + self.timeout, False

    def get_wait_seconds(self) -> float:
        """Return how long the next read may block [seconds]; raise TimeoutError after the deadline."""
        now = time.monotonic()
        if not self._stopping and self._stop():
            self._stopping, self._until = True, min(self._until, now + LAST_WORD)
        if now >= self._until:
            raise TimeoutError
        return min(self._until - now, _SLICE)


def _read_socket_with_deadline(
    deadline: ExchangeDeadline, connection: socket.socket, read: Callable[..., int], args: tuple[Any, ...]
) -> int:
    """Read from a socket in short waits until the deadline."""
    while True:
        connection.settimeout(deadline.get_wait_seconds())
        try:
            return read(*args)
        except TimeoutError:
            continue


class _Socket(socket.socket):
    patience: ExchangeDeadline

    def recv_into(self, *args: Any) -> int:
        return _read_socket_with_deadline(self.patience, self, super().recv_into, args)


class _TlsSocket(ssl.SSLSocket):
    def recv_into(self, *args: Any) -> int:
        # The library makes this socket; of ours only the context gets there.
        return _read_socket_with_deadline(getattr(self.context, _PATIENCE), self, super().recv_into, args)


class _PlainConnection(HTTPConnection):
    patience: ExchangeDeadline

    def connect(self) -> None:
        super().connect()
        plain = self.sock
        self.sock = _Socket(plain.family, plain.type, plain.proto, plain.detach())
        self.sock.patience = self.patience


class HttpTransport:
    """Connection to an http:// or https:// address, kept open between requests."""

    def __init__(self, url: str, patience: ExchangeDeadline) -> None:
        found = parse_endpoint(url)
        self._patience = patience
        self._path = found.path
        self._headers = {"Content-Type": "application/json", "User-Agent": "backstop"}
        if found.authorization:
            self._headers["Authorization"] = found.authorization
        self._connection: HTTPConnection
        timeout = min(patience.timeout, _CONNECT)
        if found.secure:
            context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
            context.load_default_certs()
            context.sslsocket_class = _TlsSocket
            setattr(context, _PATIENCE, patience)
            self._connection = HTTPSConnection(found.host, found.port, timeout=timeout, ssl_context=context)
        else:
            self._connection = _PlainConnection(found.host, found.port, timeout=timeout)
            self._connection.patience = patience

    def send_request(self, request: bytes, headers: Mapping[str, str] = NO_HEADERS) -> TransportAnswer:
        """Send a request by HTTP POST and return the answer; after an error the connection is closed."""
        connection, whole = self._connection, False
        self._patience.start_exchange()
        # Nothing is asked for: what can be read is the end of a connection that stood idle too long.
        if not connection.is_closed and not connection.is_connected:
            connection.close()
        try:
            if connection.is_closed:
                connection.connect()
            connection.sock.settimeout(self._patience.timeout)
            told = self._headers | dict(headers)
            connection.request("POST", self._path, request, told, preload_content=False, decode_content=False)
            answer = connection.getresponse()
            body = self._read_body_up_to_limit(answer)
            whole = True
            wait = parse_retry_after_header(answer.headers.get("Retry-After"), time.time())
            return TransportAnswer(body, answer.status, answer.reason or "", wait)
        except TimeoutError:
            raise AnswerTimeoutError from None
        except (OSError, HTTPException, HTTPError, ValueError) as error:
            if isinstance(error.__cause__, TimeoutError):
                raise AnswerTimeoutError from None
            raise NoAnswerError(_describe_error(error)) from None
        finally:
            if not whole:
                connection.close()

    def close(self) -> None:
        """Close the HTTP connection."""
        self._connection.close()

    def _read_body_up_to_limit(self, http_response: Any) -> bytes:
        parts, size = [], 0
        while part := http_response.read(_PART):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise AnswerTooLongError
        return b"".join(parts)


class IpcTransport:
    """Connection to the Unix socket of a node on this machine."""

    def __init__(self, path: str, patience: ExchangeDeadline) -> None:
        self._path = path
        self._patience = patience
        self._socket: _Socket | None = None
        self._part = bytearray(_PART)

    def send_request(self, request: bytes, headers: Mapping[str, str] = NO_HEADERS) -> TransportAnswer:
        """Send a request and return the answer; after an error the connection is closed.

        Otherwise a late answer would be taken for the answer to the next request.
        """
        self._patience.start_exchange()
        whole = False
        try:
            opened = self._socket = self._socket or self._open_socket()
            opened.settimeout(self._patience.timeout)
            opened.sendall(request)
            body = self._read_answer_to_line_feed(opened)
            whole = True
            return TransportAnswer(body)
        except TimeoutError:
            raise AnswerTimeoutError from None
        except OSError as error:
            raise NoAnswerError(str(error)) from None
        finally:
            if not whole:
                self.close()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read_answer_to_line_feed(self, opened_socket: _Socket) -> bytes:
        """Read one answer, up to the line feed that ends it."""
        body, part = bytearray(), self._part
        while True:
            count = opened_socket.recv_into(part)
            if not count:
                raise NoAnswerError("it closed the connection")
            body += memoryview(part)[:count]
            if len(body) > MOST_BYTES:
                raise AnswerTooLongError
            if body.endswith(b"\n"):
                return bytes(body)

    def _open_socket(self) -> _Socket:
        opened = _Socket(socket.AF_UNIX)
        opened.patience = self._patience
        opened.settimeout(min(self._patience.timeout, _CONNECT))
        try:
            opened.connect(self._path)
        except OSError as error:
            opened.close()
            raise NoListenerError(str(error)) from None
        return opened


def parse_retry_after_header(header: str | None, now: float) -> float:
    """Return the wait in a Retry-After header [seconds], at most MOST_WAIT.

    The header is a number of seconds or a date. Return 0 if it is neither.
    """
    text = (header or "").strip()
    try:
        wanted = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, min(wanted, MOST_WAIT))


def _describe_error(error: Exception) -> str:
    """Return an error's message without the object name that urllib3 puts before it."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return re.sub(r"^.*? object at 0x[0-9a-f]+>:? ?", "", str(cause)) or type(cause).__name__
