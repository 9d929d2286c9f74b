"""A reader of pages in headless Chromium: presses keys, taps, saves files, and runs axe."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from tests.support.chromium import CACHE, run_node_driver

DRIVER = Path(__file__).with_name("use_page.mjs")


def run_visits(visits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Take the steps of every visit; return each step's result, and the console messages as `problems`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run_node_driver(DRIVER, {"visits": visits})
    assert done.returncode == 0, done.stderr[-2_000:]
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen
