"""Runs of a fuzz campaign on a cluster's worker: each thread plays them in a subprocess of its own.

As on one machine, the model has to be loaded with probes in it. The subprocess stays from one run to the
next, until another campaign comes or the worker ends. The files of a run go to the requesting process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import local
from typing import Any

_WORDS = 2_000


class _WorkerProcess:
    """Subprocess that plays fuzz runs and writes their files to a temporary folder of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="backstop-fuzz-")
        self.out = Path(self._folder.name)
        self._log = self.out / "worker.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backstop.proof.fuzz.fuzz_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._jobs, self._results = self._process.stdin, self._process.stdout
        self._send_job({"out": str(self.out), **settings})

    def play_run(self, job: dict[str, int]) -> dict[str, Any]:
        """Play one run in the subprocess and return its result.

        If the subprocess has ended, return the tail of its log under the key `crash`.
        """
        self._send_job(job)
        line = self._results.readline()
        if line.endswith("\n"):
            return dict(json.loads(line))
        text = self._log.read_text(errors="replace").strip()
        return {"crash": text[-_WORDS:] or "it ended without a word"}

    def close(self) -> None:
        """Kill the subprocess and delete its temporary folder."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def _send_job(self, what: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):  # what it said last is told instead of an answer
            print(json.dumps(what), file=self._jobs, flush=True)


_here = local()


def play_remote_run(settings: dict[str, Any], job: dict[str, int]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Play one fuzz run in the current thread's subprocess; return its result and its files by name.

    The subprocess is kept for later runs with equal settings. It is replaced if the settings change or the
    run crashes.
    """
    player: _WorkerProcess | None = getattr(_here, "player", None)
    if player is None or player.settings != settings:
        if player is not None:
            player.close()
        player = _here.player = _WorkerProcess(settings)
    result = player.play_run(job)
    if "crash" in result:
        player.close()
        _here.player = None
    names = [each for each in (result.get("trace"), result.get("failure", {}).get("trace")) if each]
    files = {}
    for name in names:
        files[name] = (player.out / name).read_bytes()
        (player.out / name).unlink()
    return result, files
