"""A node that outlives a command: an Anvil, with its state in a file if one is given, or a Hardhat."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from backstop.deployment.role_accounts import ACCOUNTS
from backstop.errors import BackstopError
from backstop.files.atomic_files import replace_file
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.hardhat import HardhatProcess
from backstop.hosts.host_interface import CHAIN_ID
from backstop.hosts.rpc_client import RpcError
from backstop.live.node.rpc_node import Node

_EVERY = 2.0
# Anvil writes for less than this, ns.
_SETTLED = 300_000_000


class Fork(NamedTuple):
    """Source of a forked chain: URL of its node, and the last block to keep (None: the newest)."""

    url: str
    block: int | None = None


def run_anvil_until_stopped(
    port: int,
    state: Path | None,
    timestamp: int | None,
    *,
    fork: Fork | None = None,
    started: Callable[[Node], None],
    stop: Callable[[], bool],
) -> None:
    """Run an Anvil node on a local port until `stop` returns true.

    `state` is the file that keeps the chain's state between runs; None keeps nothing. `timestamp` is the time
    of the first block [seconds]. `started` is called with the node once it answers. Raise BackstopError if
    the port is in use, if Anvil ends by itself, or if a fork is combined with `state` or `timestamp`.
    """
    _require_free_port(port)
    flags = ["--port", str(port), "--accounts", str(len(ACCOUNTS))]
    flags += ["--chain-id", str(CHAIN_ID)] if fork is None else _build_anvil_fork_flags(fork)
    if fork is not None and (state is not None or timestamp is not None):
        raise BackstopError(
            "a fork has the state and the time of its chain: leave out --state and --timestamp"
        )
    file = None if state is None else _StateFile(state)
    if file is not None:
        flags += file.anvil_flags
    if timestamp is not None:
        if file is not None and file.working.exists():
            raise BackstopError(f"{state} has its own time: leave out --timestamp, or name a new file")
        flags += ["--timestamp", str(timestamp)]
    process = AnvilProcess(*flags, throw_away=False)
    try:
        process.connect_client(f"http://127.0.0.1:{port}").close()
        node = Node(f"http://127.0.0.1:{port}")
        if file is not None and file.begun_at is not None:
            # A chain whose time was driven ahead must not go back when it is started again.
            node.request("anvil_setTime", max(int(time.time()), node.get_head().timestamp + 1))
        started(node)
        due = 0.0
        while not stop():
            if process.ended:
                raise BackstopError(f"anvil ended by itself:\n{process.read_log_tail()}")
            if file is not None and time.monotonic() > due:
                began = time.monotonic()
                if file.copy_anvil_state_if_whole():
                    # A long history takes longer to check: it must not take all the time.
                    due = time.monotonic() + max(_EVERY, 10 * (time.monotonic() - began))
            time.sleep(0.05)  # so that a signal to stop is heard
    finally:
        process.stop_process()
        if file is not None:
            file.copy_last_state_and_delete()


def run_hardhat_until_stopped(
    project: Path,
    port: int,
    timestamp: int | None,
    *,
    started: Callable[[Node], None],
    stop: Callable[[], bool],
) -> None:
    """Run a Hardhat node of the project folder on a local port until `stop` returns true.

    `timestamp` is the time of the first block [seconds]. `started` is called with the node once it answers.
    Raise BackstopError if the port is in use or Hardhat ends by itself.
    """
    _require_free_port(port)
    process = HardhatProcess(project, port, timestamp=timestamp, accounts=len(ACCOUNTS), throw_away=False)
    url = f"http://127.0.0.1:{port}"
    try:
        process.connect_client(url).close()
        started(Node(url))
        while not stop():
            if process.ended:
                raise BackstopError(f"hardhat ended by itself:\n{process.read_log_tail()}")
            time.sleep(0.05)  # so that a signal to stop is heard
    finally:
        process.stop_process()


def _build_anvil_fork_flags(fork: Fork) -> list[str]:
    """Return the command-line flags for an Anvil that continues another chain.

    Raise BackstopError if the source chain has not reached the block, or if its node has no state of that
    block.
    """
    node = Node(fork.url)
    chain_id, head = node.chain_id, node.get_head().number
    if fork.block is not None and fork.block > head:
        raise BackstopError(f"the chain at {node.url} has no block {fork.block} yet: it is at {head}")
    block = head if fork.block is None else fork.block
    try:
        node.request("eth_getBalance", ACCOUNTS["admin"], hex(block))
    except RpcError as error:
        raise BackstopError(
            f"the node at {node.url} has no state of block {block} ({error.reason}): an archive node has"
        ) from None
    return ["--fork-url", fork.url, "--fork-block-number", str(block), "--chain-id", str(chain_id)]


class _StateFile:
    """File that keeps the state of an Anvil chain between runs.

    Anvil writes a working file in place and may be killed meanwhile. So only a complete working file is
    copied over the state file.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.working = state.with_name(state.name + ".anvil")
        self._kept = 0
        self.begun_at: int | None = None
        """When the chain in the file began; None if there is none."""
        try:
            state.parent.mkdir(parents=True, exist_ok=True)
            self.working.unlink(missing_ok=True)
            if state.exists():
                self.begun_at = read_start_time(state)
                shutil.copyfile(state, self.working)
        except OSError as error:
            raise BackstopError(f"the state cannot be kept in {state}: {error.strerror}") from None

    @property
    def anvil_flags(self) -> list[str]:
        """Command-line flags that make Anvil load and save its state.

        Anvil saves once a second, since a killed node saves nothing at its end. The first block gets the
        timestamp of the saved chain's first block. Otherwise there would be two first blocks, and either
        might count.
        """
        begins = [] if self.begun_at is None else ["--timestamp", str(self.begun_at)]
        return ["--state", str(self.working), "--state-interval", "1", *begins]

    def copy_anvil_state_if_whole(self) -> bool:
        """Copy Anvil's last save to the state file if it is new and complete; return whether it was copied.

        Raise BackstopError if the state file cannot be written.
        """
        if not self.working.exists():
            return False
        try:
            written = self.working.stat().st_mtime_ns
            if written == self._kept or time.time_ns() - written < _SETTLED:
                return False
            content = self.working.read_bytes()
            if self.working.stat().st_mtime_ns != written or not _is_json_object(content):
                return False
            self._replace_state(content)
            self._kept = written
            return True
        except OSError as error:
            raise BackstopError(f"the state cannot be kept in {self.state}: {error.strerror}") from None

    def copy_last_state_and_delete(self) -> None:
        """Copy Anvil's last save to the state file and delete the working file, after Anvil has ended.

        An incomplete save is not copied. Errors of the file system are ignored.
        """
        with suppress(OSError):
            content = self.working.read_bytes()
            if _is_json_object(content):
                self._replace_state(content)
            self.working.unlink()

    def _replace_state(self, content: bytes) -> None:
        fresh = self.state.with_name(self.state.name + ".part")
        fresh.write_bytes(content)
        replace_file(fresh, self.state)


def read_start_time(state: Path) -> int:
    """Return the timestamp of the first block in a saved state of Anvil [seconds].

    Raise BackstopError if the file is not a state of Anvil.
    """
    try:
        headers = [block["header"] for block in json.loads(state.read_bytes())["blocks"]]
        return min(int(each["timestamp"], 16) for each in headers if int(each["number"], 16) == 0)
    except (ValueError, KeyError, TypeError):
        raise BackstopError(f"{state} is not a state of an Anvil: remove it, or name another file") from None


def _is_json_object(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


def _require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError:
            raise BackstopError(f"{port} is not a port") from None
        except OSError as error:
            raise BackstopError(
                f"port {port} cannot be used ({error.strerror}): stop what listens there, "
                "or give another --port"
            ) from None
