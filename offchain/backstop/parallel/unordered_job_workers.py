"""Workers that do jobs: this process, several, or a Dask cluster, with equal results.

Each is a generator, which takes a function, the data that all jobs share, and the jobs. The generator yields
(job, result) in any order, or None while nothing is ready, so that its caller can check whether to stop.
Closing it stops the work, and jobs under way are lost.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from backstop.errors import BackstopError

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

Done = Generator[tuple[J, R] | None, None, None]


class Workers(Protocol):
    """Interface of a function that runs jobs on workers and yields results in any order.

    The work function and all data are pickled, since they are sent to other processes.
    """

    def __call__(self, work: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Done[J, R]: ...


AHEAD = 2
"""Jobs given to each worker at a time, so that none is idle."""

ROOT = str(Path(__file__).parents[2])

TICK = 0.2
"""Longest wait before a None [seconds]."""


def run_in_process(work: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Done[J, R]:
    """Run jobs one after the other in this process; yield each job with its result."""
    for job in jobs:
        yield job, work(shared, job)


def build_process_workers(count: int) -> Workers:
    """Return workers that run jobs in `count` processes of this machine."""

    def run(work: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Done[J, R]:
        others = set(active_children())
        # Children inherit sys.path, from which Ape has removed the project.
        sys.path.insert(0, ROOT)
        # A fork would copy locks that other threads hold.
        pool = ProcessPoolExecutor(count, get_context("spawn"), _initialise_worker, (work, shared))
        waiting: dict[Future[R], J] = {}
        todo = iter(jobs)
        try:
            while True:
                for job in islice(todo, AHEAD * count - len(waiting)):
                    waiting[pool.submit(_apply_given_work, job)] = job
                if not waiting:
                    return
                done, _ = wait(waiting, TICK, FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
                yield None
        except BrokenProcessPool:
            raise BackstopError("a worker process died: it was killed, or memory ran out") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(active_children()) - others:
                child.terminate()  # without waiting for its job
            sys.path.remove(ROOT)

    return run


_given: tuple[Callable[[Any, Any], Any], Any]


def _initialise_worker(work: Callable[[Any, Any], Any], shared: Any) -> None:
    """Store the work function in a worker process, and ignore Ctrl-C, since the parent stops it."""
    global _given
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _given = work, shared


def _apply_given_work(job: Any) -> Any:
    work, shared = _given
    return work(shared, job)
