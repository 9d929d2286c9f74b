"""A child process that runs a node: it ends with the parent, also when the parent is killed."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeClient, RpcError

START_SECONDS = 20.0
# Begins the names of their folders; the pid of the process that started it follows.
_FOLDERS = "backstop-node-"


class NodeProcess:
    """Node as a child process, which ends with its parent.

    The node's files are in a temporary folder, which is removed when the node ends.
    """

    def __init__(self, program_name: str) -> None:
        """Create the temporary folder; `_start_process` starts the node."""
        self.program_name = program_name
        _remove_stale_folders()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDERS}{os.getpid()}-"))
        self._clean_up = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._log = self.folder / "log"

    def _start_process(
        self,
        command: Sequence[str],
        *,
        logs_output: bool = True,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the node's process; without `logs_output` only its standard error is logged."""
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output if logs_output else subprocess.DEVNULL,  # never a pipe: nobody would empty it
                stderr=output,
                cwd=folder,
                env=None if environment is None else os.environ | environment,
                start_new_session=True,
                preexec_fn=build_parent_death_hook(),
            )
        atexit.register(self.stop_process)
        _exit_on_sigterm()

    @property
    def pid(self) -> int:
        return self._process.pid

    def connect_client(self, where: str) -> NodeClient:
        """Wait until the node answers at an address, and return a connected client.

        Raises BackstopError if the process ends or does not answer in time. Another node on the same port
        does not count.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                said = self.read_log_tail()
                self.stop_process()
                raise BackstopError(f"{self.program_name} did not start: {' '.join(said.split())}")
            try:
                client = NodeClient(where)
                client.request("eth_chainId")
                if self.is_listening:
                    return client
                client.close()
                time.sleep(0.01)  # another node answers; ours is about to take its port, or to end
            except RpcError:
                raise
            except BackstopError:
                time.sleep(0.01)  # a node that starts gives no other sign than an answer
        said = self.read_log_tail()
        self.stop_process()
        raise BackstopError(f"{self.program_name} does not answer after {START_SECONDS:.0f} s:\n{said}")

    def stop_process(self) -> None:
        """Terminate the process if it runs, and remove its folder."""
        atexit.unregister(self.stop_process)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._clean_up()

    @property
    def is_listening(self) -> bool:
        """True once the process listens on its port, as far as this class can tell."""
        return True

    @property
    def ended(self) -> bool:
        """True once the process has ended."""
        return self._process.poll() is not None

    def read_log_tail(self) -> str:
        """Return the last 2,000 characters of the process's log, or a note that it is empty."""
        try:
            return self._log.read_text(errors="replace")[-2_000:].strip() or "it said nothing"
        except OSError:
            return "it said nothing"


def _remove_stale_folders() -> None:
    """Delete temporary folders left behind by processes that no longer run."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*"):
        owner = folder.name.removeprefix(_FOLDERS).partition("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def build_parent_death_hook() -> Callable[[], None] | None:
    """Return a hook for a child process that makes the kernel kill it when its parent dies.

    Return None except on Linux and in the main thread.
    """
    # It watches the thread that started the child: only the main one lives as long as the process.
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    return ask


def _exit_on_sigterm() -> None:
    """Install a handler that exits on SIGTERM, so that child nodes are stopped.

    Without a handler SIGTERM would end this process at once.
    """
    if threading.current_thread() is threading.main_thread():
        with contextlib.suppress(ValueError):
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
