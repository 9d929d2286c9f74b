"""The server of the page: who leaves a stream is noticed with the next event, and holds nothing up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection

from backstop.live.watch.server import Request, Server
from tests.support.waiting import wait_for


class Events:
    """A stream whose next event comes when it is told to; `over` says that nobody asks for more."""

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
    wait_for(events.over.is_set, seconds=10)
    server.close()


def test_readers_who_left_make_room_for_others() -> None:
    """As many listen at once as there is room for; each leaves without a word."""
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
        wait_for(events.over.is_set, seconds=10)
    server.close()
