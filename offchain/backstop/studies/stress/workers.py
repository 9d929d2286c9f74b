"""Workers that run paths: this process, several, or a Dask cluster, with equal results.

Each is a generator: it takes tasks and chunks of their paths, and yields (chunk, rows) in any order, or None
while nothing is ready, so that its caller can check whether to stop. Closing it stops the work, and chunks
under way are lost.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from asyncio import CancelledError
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.files.installation import naming_extras
from backstop.studies.stress.columns import Rows
from backstop.studies.stress.engines import Task, engine


class Chunk(NamedTuple):
    """Consecutive paths of one task: the task's position, the first path, how many."""

    task: int
    first: int
    paths: int


Done = Generator[tuple[Chunk, Rows] | None, None, None]
Workers = Callable[[Sequence[Task], Iterable[Chunk]], Done]

AHEAD = 2
"""Chunks given to each worker at a time, so that none is idle."""

ROOT = str(Path(__file__).parents[3])

TICK = 0.2
"""Longest wait before a None [seconds]."""

PATIENCE = 10
"""Longest wait for a scheduler, and for its first worker [seconds]."""


def here(tasks: Sequence[Task], chunks: Iterable[Chunk]) -> Done:
    """Run the chunks in this process, one after the other."""
    for chunk in chunks:
        yield chunk, _rows(tasks[chunk.task], chunk)


def _rows(task: Task, chunk: Chunk) -> Rows:
    return engine(task).rows(chunk.first, chunk.paths)


# -------------------------------------------------------------------- processes


def processes(count: int) -> Workers:
    """Return workers that run in `count` processes of this machine."""

    def run(tasks: Sequence[Task], chunks: Iterable[Chunk]) -> Done:
        others = set(active_children())
        # Children inherit sys.path, from which Ape has removed the project.
        sys.path.insert(0, ROOT)
        # A fork would copy locks that other threads hold.
        pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (tasks,))
        waiting: dict[Future[Rows], Chunk] = {}
        todo = iter(chunks)
        try:
            while True:
                for chunk in islice(todo, AHEAD * count - len(waiting)):
                    waiting[pool.submit(_rows_here, chunk)] = chunk
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
                child.terminate()  # without waiting for its chunk
            sys.path.remove(ROOT)

    return run


_tasks: Sequence[Task] = ()


def _begin(tasks: Sequence[Task]) -> None:
    """Prepare a worker process, which ignores Ctrl-C: the study tells it when to stop."""
    global _tasks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tasks = tasks


def _rows_here(chunk: Chunk) -> Rows:
    return _rows(_tasks[chunk.task], chunk)


# ------------------------------------------------------------------------- Dask


def cluster(address: str) -> Workers:
    """Return workers that run on a Dask cluster, by its scheduler's address."""

    def run(tasks: Sequence[Task], chunks: Iterable[Chunk]) -> Done:
        # Dask is optional, and slow to load.
        with naming_extras():
            from distributed import Client
            from distributed import wait as wait_for

        # Dask logs a lost scheduler several times; the error below says it once.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            asyncio.run(_reach(address))
            client = Client(address, timeout=PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise BackstopError(f"there is no Dask scheduler at {address}: {error}") from None
        waiting: dict[Any, Chunk] = {}
        todo = iter(chunks)
        try:
            try:
                client.wait_for_workers(1, timeout=PATIENCE)
            except TimeoutError:
                raise BackstopError(f"the Dask cluster at {address} has no workers") from None
            threads = sum(client.nthreads().values())
            shared = [client.scatter(task, broadcast=True) for task in tasks]
            while True:
                for chunk in islice(todo, AHEAD * threads - len(waiting)):
                    waiting[client.submit(_rows, shared[chunk.task], chunk, pure=False)] = chunk
                if not waiting:
                    return
                try:
                    done = wait_for(list(waiting), timeout=TICK, return_when=FIRST_COMPLETED).done
                except TimeoutError:
                    done = set()
                for future in done:
                    yield waiting.pop(future), _rows_of(future)
                if client.status != "running":
                    raise ConnectionError("the connection is lost")
                yield None
        except BackstopError:
            raise
        # Paths themselves raise BackstopError, so any other error is about the cluster: a scheduler that ends
        # raises several kinds, depending on what it loses first.
        except (Exception, CancelledError) as error:
            raise BackstopError(f"the Dask cluster at {address} is gone: {_first_line(error)}") from None
        finally:
            with suppress(Exception, CancelledError):  # the client may be half closed already
                client.close(timeout=2)

    return run


async def _reach(address: str) -> None:
    """Raise if nobody answers: a client would leave a thread behind that can hang the next start."""
    from distributed.comm import connect

    comm = await connect(address, timeout=PATIENCE)
    await comm.close()


def _rows_of(future: Any) -> Rows:
    """Return a worker's rows, or raise its failure as one BackstopError."""
    try:
        rows: Rows = future.result()
    except BackstopError:
        raise
    except Exception as error:
        if future.status != "error":  # the connection failed, not the worker
            raise
        raise BackstopError(f"a Dask worker failed: {_first_line(error)}") from None
    return rows


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")


def chosen_workers(count: int, address: str | None) -> Workers:
    """Return the workers that a command's options ask for: Dask at an address, or processes."""
    if address is not None:
        return cluster(address)
    return here if count == 1 else processes(count)
