"""The heap of a mirror: large strings, in many threads, leave nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Threads make and drop what is as large as a page of the mirror's, beside something small that stays.
PROGRAM = """
import os, sys, threading
from backstop.live.chaos.leak_detection import read_memory_and_descriptor_usage
from backstop.live.operate.heap_trim import configure_malloc_arenas_and_mmap
if sys.argv[1] == "small":
    configure_malloc_arenas_and_mmap()
kept = []
def work():
    for _ in range(30):
        large = ["x" * size for size in (300_000, 700_000, 1_700_000)]
        kept.append(bytes(1_500))
        del large
before = read_memory_and_descriptor_usage(os.getpid(), 0.0).memory
for _ in range(40):
    threads = [threading.Thread(target=work) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
print(read_memory_and_descriptor_usage(os.getpid(), 0.0).memory - before - 1_500 * len(kept))
"""


def left_behind(how: str) -> int:
    """Return the bytes in use beyond the kept ones."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True, text=True)
    return int(done.stdout)


@pytest.mark.deep(brief="tests/backstop/live/operate/test_mirror.py::test_memory_does_not_grow")
def test_large_strings_leave_nothing_behind() -> None:
    assert left_behind("small") < 2 << 20 < left_behind("as it comes")
