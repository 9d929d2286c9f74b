"""Ports for processes that are killed and started again."""

import multiprocessing
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backstop.hosts.free_ports import _hold_own_ports, find_free_non_ephemeral_port

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
        monkeypatch.setattr("backstop.hosts.free_ports._held", [((taken, free), None)])
        assert {find_free_non_ephemeral_port() for _ in range(20)} == {free}


def test_two_processes_are_given_no_port_in_common() -> None:
    """What one was given, it listens on only a moment later."""
    code = "from backstop.hosts import free_ports as f; print(f._hold_own_ports()[0], flush=True); input()"
    own = _hold_own_ports()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        started = int(other.stdout.readline())
        with multiprocessing.get_context("fork").Pool(1) as pool:
            forked = pool.apply(_hold_own_ports)
        other.communicate("\n")
    assert len({own[0], started, forked[0]}) == 3 and len(own) == len(forked) == 100


def test_all_ports_are_given_where_every_slice_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    own = _hold_own_ports()
    monkeypatch.setattr("backstop.hosts.free_ports._OURS", own)
    monkeypatch.setattr("backstop.hosts.free_ports._held", [])
    assert _hold_own_ports() == own and find_free_non_ephemeral_port() in own
