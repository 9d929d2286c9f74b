"""The server of the page: a closed stream is noticed with the next event, and holds nothing up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException

import pytest

from backstop.live.monitor import http_server as module
from backstop.live.monitor.http_server import Answer, Request, Server
from tests.support.condition_wait import wait_until_true


class Events:
    """A stream that sends its next event on request; `over` is set once no client asks for more."""

    def __init__(self) -> None:
        self.next = threading.Event()
        self.over = threading.Event()

    def __call__(self, _request: Request) -> Iterator[bytes]:
        try:
            while True:
                yield b"data: {}\n\n"
                self.next.wait(60)
                self.next.clear()
        finally:
            self.over.set()


def test_a_reader_who_left_is_noticed_with_the_next_event() -> None:
    events = Events()
    server = Server("0", {"/events": events}, "--page")
    connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=10)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    assert answer.readline() == b"data: {}\n"
    events.next.set()
    assert answer.readline() == b"\n" and answer.readline() == b"data: {}\n"  # whoever stays gets them all
    answer.close()
    connection.close()
    events.next.set()  # a second one would find the connection reset: this one would still be taken
    wait_until_true(events.over.is_set, seconds=10)
    server.close()


def test_readers_who_left_make_room_for_others() -> None:
    """As many readers listen at once as there is room for; each leaves without notice."""
    events = Events()
    server = Server("0", {"/events": events}, "--page")
    port = int(server.url.rpartition(":")[2])
    for _ in range(70):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/events")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline() == b"data: {}\n"
        events.over.clear()
        answer.close()
        connection.close()
        events.next.set()
        wait_until_true(events.over.is_set, seconds=10)
    server.close()


def asked(server: Server, host: str) -> tuple[int, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=10)
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, dict(answer.headers)


def test_other_names_than_this_machines_are_not_answered() -> None:
    """A page from elsewhere could have its own name point here."""
    server = Server("0", {"/": lambda _: Answer([b"here"], "text/plain")}, "--page")
    for host in ("127.0.0.1:8080", "localhost", "localhost:9464", "[::1]:80", "127.0.0.2"):
        status, headers = asked(server, host)
        assert status == 200, host
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    for host in ("evil.example", "evil.example:80", "10.0.0.1", "", "[", "127.0.0.1.evil.example"):
        assert asked(server, host)[0] == 421, host
    server.close()
    # Who listens for others is reached by whatever name they have for it.
    server = Server("0.0.0.0:0", {"/": lambda _: Answer([b"here"], "text/plain")}, "--page")
    assert asked(server, "chain:9464")[0] == 200
    server.close()


def test_connections_have_a_bound_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CONNECTIONS", 4)
    monkeypatch.setattr(module._Handler, "timeout", 120.0)  # the idle ones stay
    server = Server("0", {"/": lambda _: Answer([b"here"], "text/plain")}, "--page")
    port = int(server.url.rpartition(":")[2])

    def answered() -> bool:
        try:
            return asked(server, "localhost")[0] == 200
        except (OSError, HTTPException):  # closed at once
            return False

    with ExitStack() as opened:
        idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(4)]
        for each in idle:
            opened.enter_context(each)
        wait_until_true(lambda: not answered())
        idle[0].close()
        wait_until_true(answered)
    server.close()
