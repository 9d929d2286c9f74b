"""Ports for processes that are killed and started again."""

import socket
from pathlib import Path

import pytest

from backstop.hosts.ports import free_port

GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not GIVEN.exists(), reason="only Linux says which ports connections are given")
def test_no_connection_is_given_it_while_its_process_is_down() -> None:
    first, last = (int(word) for word in GIVEN.read_text().split())
    assert not any(first <= free_port() <= last for _ in range(100))


def test_somebody_elses_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        monkeypatch.setattr("backstop.hosts.ports._OURS", range(taken, taken + 2))
        assert {free_port() for _ in range(20)} == {taken + 1}
