"""Ports for processes that are killed and started again."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backstop.hosts import free_ports
from backstop.hosts.free_ports import find_free_non_ephemeral_port

GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not GIVEN.exists(), reason="only Linux says which ports connections are given")
def test_no_connection_is_given_it_while_its_process_is_down() -> None:
    first, last = (int(word) for word in GIVEN.read_text().split())
    assert not any(first <= find_free_non_ephemeral_port() <= last for _ in range(100))


def test_somebody_elses_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listening port, and a port that is only bound: the bind keeps it from all other processes."""
    with socket.socket() as other, socket.socket() as kept:
        for each in (other, kept):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        other.listen()
        taken, free = (each.getsockname()[1] for each in (other, kept))
        monkeypatch.setattr("backstop.hosts.free_ports._held", [((taken, free), None)])
        assert {find_free_non_ephemeral_port() for _ in range(20)} == {free}


def test_two_processes_are_given_no_port_in_common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process listens on its port only a moment later.

    Two slices of ports are used here, with no other process.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(free_ports, "_OURS", range(20_000, 20_200))
    monkeypatch.setattr(free_ports, "_held", [])
    own = free_ports._hold_own_ports()
    code = (
        "from backstop.hosts import free_ports as f; f._OURS = range(20_000, 20_200); "
        "print(*f._hold_own_ports(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as other:
        assert other.stdout is not None
        started = list(map(int, other.stdout.readline().split()))
        assert sorted([*own, *started]) == list(range(20_000, 20_200))
        free_ports._held.pop()[1].close()  # now the first is free again, and the second is held
        assert free_ports._hold_own_ports() == own
        free_ports._held.pop()
        with (tmp_path / f"backstop-ports-{own[0]}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert free_ports._hold_own_ports() == range(20_000, 20_200), "all where every slice is held"
        other.communicate("\n")


def test_a_forked_process_has_ports_of_its_own() -> None:
    own = free_ports._hold_own_ports()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # it ends at once, without what its parent cleans up
        try:
            os.write(writing, " ".join(map(str, free_ports._hold_own_ports())).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = set(map(int, told.read().split()))
    os.waitpid(child, 0)
    assert found and not {*own} & found
