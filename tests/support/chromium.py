"""Opens pages in headless Chromium through the Node driver; a browser that cannot start fails the tests."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout_paths import ROOT

DRIVER = Path(__file__).with_name("inspect_page.mjs")
VERSION: str = json.loads((ROOT / "package.json").read_text())["devDependencies"]["@sparticuz/chromium"]
# Unpacked here, not in a folder that others share; its package takes what is unpacked, of any version.
CACHE = ROOT / ".cache" / f"chromium-{VERSION}"
TIMEOUT = 120


def collect_browser_page_facts(
    pages: Sequence[Path],
    widths: Sequence[int] = (1280, 360),
    schemes: Sequence[str] = ("light",),
    axe: bool = False,
) -> list[dict[str, Any]]:
    """Collect the browser's facts of every page, at every width, in every colour scheme.

    `faults` are axe's, which looks at the first width.
    """
    request: dict[str, Any] = {
        "pages": [str(page) for page in pages],
        "widths": list(widths),
        "schemes": list(schemes),
    }
    request["axe"] = axe
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would unpack the browser over each other
        done = run_node_driver(DRIVER, request)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the browser's driver ended with {done.returncode}"]
        pytest.fail(lines[0] if done.returncode == 3 else "\n".join(lines[-12:]), pytrace=False)
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen


def run_node_driver(driver_script: Path, request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the driver once."""
    node = shutil.which("node")
    if node is None:
        pytest.fail("node is missing; `make setup` installs it", pytrace=False)
    return subprocess.run(
        [node, str(driver_script), json.dumps(request)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "TMPDIR": str(CACHE)},
    )
