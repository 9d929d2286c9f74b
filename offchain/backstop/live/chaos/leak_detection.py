"""Leak detection: samples of a process's memory and descriptors, and the slope of each.

A slope is Theil and Sen's, of the medians of equal spans of time, with its interval of 95%. Neither a burst
nor a start makes a slope, and slowly moving values are not taken for many independent samples.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

SPANS = 30
"""Equal spans of time of which medians are taken."""
WARM = 6
"""The part of the time, one in so many, that counts as the start, and is left out."""
LEAST = 1_800.0
"""The time after the start without which nothing is known [seconds]."""
MOST_BYTES, MOST_OPEN = 1 << 20, 1.0
"""The most that flat memory [bytes an hour] and flat descriptors [an hour] may grow."""


class ProcessUsage(NamedTuple):
    """Resources of a process at a moment: time [seconds], resident memory [bytes], descriptors, threads."""

    at: float
    memory: int
    open: int
    threads: int


def read_memory_and_descriptor_usage(pid: int, at: float) -> ProcessUsage | None:
    """Return the memory, file descriptors and threads of a process from Linux's /proc.

    `at` is the time to store with them [seconds]. None if the process has ended.
    """
    folder = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        memory = int(status["VmRSS"].split()[0]) * 1024
        return ProcessUsage(at, memory, len(os.listdir(folder / "fd")), int(status["Threads"]))
    except (OSError, KeyError):  # gone, or about to be
        return None


class Slope(NamedTuple):
    """Growth per hour, with the bounds of its 95% confidence interval."""

    value: float
    low: float
    high: float

    def get_verdict(self, most: float) -> str:
        """Return "flat" if the whole interval is at most `most`, or "grows" if all of it is above.

        Otherwise return "not known yet".
        """
        return "flat" if self.high <= most else "grows" if self.low > most else "not known yet"


def compute_theil_sen_slope(times: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Return the Theil-Sen slope of values by time, per hour, with its 95% interval.

    The start of the series is left out, and medians of equal time spans are used. None if the series is
    shorter than half an hour after that start, or too sparse.
    """
    import numpy as np
    from scipy.stats import theilslopes

    begin = times[0] + (times[-1] - times[0]) / WARM
    if times[-1] - begin < LEAST:
        return None
    at, what = (np.array(each, dtype=float) for each in (times, values))
    place = ((at - begin) / (times[-1] - begin) * SPANS).astype(int).clip(-1, SPANS - 1)
    spans = [place == number for number in range(SPANS) if (place == number).any()]
    if len(spans) < SPANS // 2:
        return None
    middle = [float(np.median(at[each])) / 3_600 for each in spans]
    found = theilslopes([float(np.median(what[each])) for each in spans], middle)
    return Slope(*(float(found[place]) for place in (0, 2, 3)))


def summarise_process_usage(process_name: str, usage_samples: Sequence[ProcessUsage]) -> dict[str, Any]:
    """Return the memory and descriptor figures of a process, with slopes per hour and verdicts."""
    warm = [
        each
        for each in usage_samples
        if each.at >= usage_samples[0].at + (usage_samples[-1].at - usage_samples[0].at) / WARM
    ]
    times = [each.at for each in usage_samples]
    figures: dict[str, Any] = {
        "name": process_name,
        "samples": len(usage_samples),
        "threads": usage_samples[-1].threads,
    }
    for what, most in (("memory", MOST_BYTES), ("open", MOST_OPEN)):
        values = [getattr(each, what) for each in usage_samples]
        found = compute_theil_sen_slope(times, values)
        figures[what] = {
            "warm": getattr(warm[0], what),
            "last": values[-1],
            "most": max(values),
            "an_hour": None if found is None else [round(each, 3) for each in found],
            "verdict": "not known yet" if found is None else found.get_verdict(most),
        }
    return figures
