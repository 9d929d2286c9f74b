"""Keepers and mirrors as processes of their own, which are killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from backstop.errors import BackstopError
from backstop.files.installation import PACKAGE
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.node_process import build_parent_death_hook

PATIENCE = 120.0
"""Seconds in which a process has to get somewhere: more than enough on a busy machine."""

_COMMAND = "import sys; from backstop.cli.{} import cli; cli()"


class FollowerProcess:
    """Process of a keeper or a mirror that follows the chain, with a status port and a log file."""

    def __init__(self, name: str, command: str, flags: list[str], folder: Path) -> None:
        self.name = name
        self.command = command
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.port = find_free_non_ephemeral_port()
        self.flags = [*flags, "--metrics", str(self.port), "--stale", "0"]
        self.point = ""
        """The point at which it is to kill itself, if it is."""
        self.ready = False
        """Whether it has caught up with the chain since it was started."""
        self.away = True
        """Whether it is meant not to work: it was killed, or stands still."""
        self.starts = 0
        self._output: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start_process(self, point: str = "", count: int = 1) -> None:
        """Start the process; it kills itself the `count`-th time that it reaches the crash point `point`.

        A crash point is a named place in a keeper's code. Without `point` the process does not kill itself. A
        process that still runs is ended first.
        """
        self.close()
        self.point, self.ready, self.away = point, False, False
        self.starts += 1
        program = ["-c", _COMMAND.format(self.command)]
        if point:
            program = ["-m", "backstop.live.chaos.crash_points", point, str(count), self.command]
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", *program, *self.flags],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
            stdin=subprocess.DEVNULL,
            stdout=self.log.with_suffix(".out").open("ab"),
            stderr=self._output,
            preexec_fn=build_parent_death_hook(),
        )

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id; None if the process is not running."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def code(self) -> int | None:
        """Exit code of the ended process; None before."""
        return None if self._process is None else self._process.poll()

    def get_health(self) -> dict[str, Any] | None:
        """Return the content of the process's /health page; None if the process does not answer."""
        try:
            try:
                answer = urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5)
            except HTTPError as error:  # what is wrong is said in the same way
                answer = error
            with answer:
                return dict(json.load(answer))
        except (OSError, HTTPException, ValueError):  # it is not there, or died over its answer
            return None

    def is_at_block(self, block: int) -> bool:
        """Return whether the newest block that the process has followed is `block`.

        If so, the process counts as ready.
        """
        health = self.get_health()
        found = health is not None and health.get("block") == block
        self.ready |= found
        return found

    def kill_process(self) -> None:
        """End the process by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.ready, self.away = False, True

    def abort_process(self) -> None:
        """End a process that hangs by SIGABRT, which writes a stack trace to its log."""
        assert self._process is not None
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()
        self.ready, self.away = False, True

    def freeze_process(self) -> None:
        """Halt the process by SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self.away = True

    def unfreeze_process(self) -> None:
        """Continue a halted process by SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self.ready, self.away = False, False

    def send_sigterm(self) -> None:
        """Ask the process to end by SIGTERM, if it is running."""
        assert self._process is not None
        if self.running:
            self._process.terminate()

    def stop_process(self) -> int:
        """End the process by SIGTERM, wait for its end, and return its exit code.

        Raise BackstopError if the process does not end within 120 seconds.
        """
        assert self._process is not None
        self.send_sigterm()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill_process()
            raise BackstopError(f"{self.name} did not end within {PATIENCE:.0f} s of SIGTERM") from None

    def read_last_lines(self) -> str:
        """Return the last three lines of the process's log, joined by slashes."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:])

    def iter_json_log_records(self) -> Iterator[dict[str, Any]]:
        """Yield the records of the process's JSON log, without a line that its death cut off."""
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                content = json.loads(line)
            except ValueError:
                continue
            if isinstance(content, dict):
                yield content

    def close(self) -> None:
        """Kill the process if it is running, and close its log file."""
        if self.running:
            self.kill_process()
        if self._output is not None:
            self._output.close()


def wait_for_condition(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until `condition` returns true; raise BackstopError after `patience` seconds.

    `what` is the text of the error.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise BackstopError(f"after {patience:.0f} s {what}")
        time.sleep(0.005)
