"""A small HTTP server beside the loop: every answer in a thread of its own, streams among them."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from backstop.errors import BackstopError

LOOPBACK = "127.0.0.1"
_MOST_STREAMS = 64
# Connections at a time, streams among them: each is a thread.
_MOST_CONNECTIONS = 128
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
# Seconds that a reader may take for what it asks and for what it is sent.
_SLOW = 10.0


class Answer(NamedTuple):
    """Complete HTTP answer: parts of the body, content type and status."""

    parts: Sequence[bytes]  # of the body
    kind: str  # the content type
    status: int = 200


Route = Callable[["Request"], "Answer | Iterator[bytes]"]
"""The answer to a path: a whole body, or events for as long as the client listens."""


class Request(NamedTuple):
    """HTTP request: its Accept header, and an event that is set when the server closes."""

    accept: str
    closing: threading.Event


class Server:
    """HTTP server on one address, which runs in a thread until it is closed."""

    def __init__(self, where: str, routes: Mapping[str, Route], option: str) -> None:
        try:
            host, port = parse_listen_address(where)
            self._http = _Http((host, port), _Handler)
        except OSError as error:
            reason = "the port is taken: choose another" if error.errno == 98 else error.strerror
            raise BackstopError(f"{option} {where}: {reason}") from None
        except BackstopError as error:
            raise BackstopError(f"{option}: {error}") from None
        self._http.routes = routes
        bound = int(self._http.server_address[1])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all event streams and free the port."""
        self._http.closing.set()
        self._http.shutdown()
        self._http.server_close()


def parse_listen_address(where: str) -> tuple[str, int]:
    """Return host and port of `PORT` (this machine only) or `ADDRESS:PORT`.

    Raise BackstopError if the port is not a number up to 65,535.
    """
    host, _, port = where.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or LOOPBACK
    if not port.isdecimal() or int(port) > 65_535:
        raise BackstopError(f"{where!r} is not a port: write 9464, or 0.0.0.0:9464 for all to see")
    return host, int(port)


def has_disconnected(connection: socket.socket) -> bool:
    """Return whether the client has disconnected.

    A write would still be accepted by the socket, and lost.
    """
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    routes: Mapping[str, Route]

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.closing = threading.Event()
        self.streams = threading.Semaphore(_MOST_STREAMS)
        self.connections = threading.Semaphore(_MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer the request in a new thread, or close the connection if there are too many."""
        if self.connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer the request, then free its place among the connections."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors of clients that disconnected."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    timeout = _SLOW

    def do_GET(self) -> None:
        if not self._is_meant():
            self._send_answer(Answer([b"another name than this machine's\n"], "text/plain", 421))
            return
        path = urlsplit(self.path).path
        route = self.server.routes.get(path)
        if route is None:
            known = " ".join(self.server.routes)
            self._send_answer(Answer([f"nothing here; there is {known}\n".encode()], "text/plain", 404))
            return
        answer = route(Request(self.headers.get("Accept", ""), self.server.closing))
        if isinstance(answer, Answer):
            self._send_answer(answer)
        elif self.server.streams.acquire(blocking=False):
            try:
                self._stream_parts(answer)
            finally:
                self.server.streams.release()
        else:
            self._send_answer(Answer([b"too many listen already\n"], "text/plain", 503))

    do_HEAD = do_GET

    def _is_meant(self) -> bool:
        """Return whether the Host header names this machine, if the server listens on this machine only.

        Otherwise a web page elsewhere could point its own host name here and read the answers.
        """
        if not ip_address(str(self.server.server_address[0])).is_loopback:
            return True
        try:
            name = urlsplit(f"//{self.headers.get('Host', LOOPBACK)}").hostname or ""
            return name == "localhost" or ip_address(name).is_loopback
        except ValueError:
            return False

    def _send_answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(sum(map(len, answer.parts))))
        self._end_headers()
        if self.command != "HEAD":
            for part in answer.parts:
                self.wfile.write(part)

    def _stream_parts(self, parts: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self._end_headers()
        if self.command != "HEAD":
            for part in parts:
                if has_disconnected(self.connection):
                    return
                self.wfile.write(part)

    def _end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Discard the log lines of http.server."""
