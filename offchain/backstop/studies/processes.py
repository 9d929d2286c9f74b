"""Numbered work on several processes, until somebody stops it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from backstop.errors import BackstopError

T = TypeVar("T")

WAIT = 0.2
"""The longest that a stop goes unheard [seconds]; work under way is lost."""


def spread(
    work: Callable[[int], T], numbers: Iterator[int], workers: int, stopped: Callable[[], bool]
) -> Iterator[tuple[int, T]]:
    """Yield each number with what came of it, as it is done."""
    if workers == 1:
        for number in numbers:
            if stopped():
                return
            yield number, work(number)
        return
    # A fork would copy locks that other threads hold.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin)
    waiting: dict[Future[T], int] = {}
    try:
        while not stopped():
            for number in islice(numbers, workers - len(waiting)):
                waiting[pool.submit(work, number)] = number
            if not waiting:
                return
            done, _ = wait(waiting, WAIT, FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool:
        raise BackstopError("a worker was killed; what was found is kept: the same command goes on") from None
    finally:
        for process in (pool._processes or {}).values():
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Leave signals to the parent, which tells its workers when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
