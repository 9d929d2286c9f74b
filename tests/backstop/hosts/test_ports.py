"""Ports for processes that are killed and started again."""

import socket
from pathlib import Path

import pytest

from backstop.hosts.free_ports import find_free_non_ephemeral_port

GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not GIVEN.exists(), reason="only Linux says which ports connections are given")
def test_no_connection_is_given_it_while_its_process_is_down() -> None:
    first, last = (int(word) for word in GIVEN.read_text().split())
    assert not any(first <= find_free_non_ephemeral_port() <= last for _ in range(100))


def test_somebody_elses_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is listened on; the other is bound only, which keeps it from everybody else meanwhile."""
    with socket.socket() as other, socket.socket() as kept:
        for each in (other, kept):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        other.listen()
        taken, free = (each.getsockname()[1] for each in (other, kept))
        monkeypatch.setattr("backstop.hosts.free_ports._OURS", (taken, free))
        assert {find_free_non_ephemeral_port() for _ in range(20)} == {free}
