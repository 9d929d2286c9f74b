"""Background work beside a test, in threads of this process: none of its output reaches the test's."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from backstop.hosts.rpc_client import NodeUnavailableError

Stop = Callable[[], bool]


@contextmanager
def run_thread_until_context_ends(work: Callable[[Stop], object]) -> Iterator[None]:
    """Work until told to stop, as in a process of its own.

    An exception in the thread is raised at the end.
    """
    done = threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work(done.is_set)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(60)
    assert not thread.is_alive(), "it does not stop"
    if raised:
        raise raised[0]


class BackgroundServer(ThreadingHTTPServer):
    """Serves on a port of this machine, until it is stopped. Clients and upstream nodes may go away."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The connection is closed; only a mistake of the handler is told."""
        if not isinstance(sys.exc_info()[1], OSError | HTTPException | NodeUnavailableError):
            super().handle_error(request, client_address)

    @classmethod
    def build_post_server(cls, answer: Callable[[bytes, Message], dict[str, Any]]) -> BackgroundServer:
        """One that answers what is posted, and its headers, with JSON."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a body after its headers would wait 40 ms

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told = json.dumps(answer(body, self.headers)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *args: object) -> None:
                pass

        return cls(Handler)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
