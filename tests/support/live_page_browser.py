"""A browser on the live page, and a mirror that serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.chromium import CACHE, ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet

DRIVER = ROOT / "tests" / "support" / "watch_page.mjs"


def start_mirror_process(
    url: str, deployment_file: Path, port: int, stderr_file: Path
) -> subprocess.Popen[str]:
    """Start a process that mirrors a deployment and serves its page; its output goes to a file."""
    flags = (
        "--network",
        url,
        "--deployment",
        str(deployment_file),
        "--page",
        str(port),
        "--max-block-age",
        "0",
    )
    return subprocess.Popen(
        [sys.executable, "-c", "from backstop.cli.mirror import cli; cli()", *flags],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=stderr_file.open("a"),
        text=True,
    )


def wait_until_page_address_printed(mirror: subprocess.Popen[str], stderr_file: Path) -> None:
    """Until the mirror says where its page is."""
    wait_until_true(
        lambda: "the live page is at" in stderr_file.read_text(), mirror, told=stderr_file.read_text
    )


class LivePageBrowser:
    """A browser on a page; it notes what it sees until it is told to stop."""

    def __init__(self, url: str, folder: Path, widths: Sequence[int], axe: bool = False) -> None:
        request = {"url": url, "widths": list(widths), "axe": axe}
        self._log = folder / "notes"
        CACHE.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [*("node", str(DRIVER)), json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("w"),
            env={**os.environ, "TMPDIR": str(CACHE)},
            text=True,
        )

    def wait_until_page_shows(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the page shows the expected content."""

        def holds() -> bool:
            note = self._last_note()
            return note != "" and condition(json.loads(note))

        wait_until_true(holds, self.process, 120, self._last_note)

    def wait_until_page_shows_block(self, number: int) -> None:
        """Until the page shows it."""
        self.wait_until_page_shows(lambda note: note["block"] == number)

    def _last_note(self) -> str:
        """Return the last note, if any; a line that is still being written is none."""
        lines = [line for line in self._log.read_text().splitlines() if line.endswith("}")]
        return lines[-1] if lines else ""

    def finish_and_get_observations(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self._log.read_text()[-2_000:]
        seen: dict[str, Any] = json.loads(out)
        return seen


def stop_all(mirror: subprocess.Popen[str], reader: LivePageBrowser | None, devnet: Devnet) -> None:
    """Stop a mirror, the browser on its page, if one was started, and the chain."""
    mirror.kill()
    mirror.wait()
    if reader is not None:
        reader.process.kill()
        reader.process.wait()
    devnet.process.stop_process()
