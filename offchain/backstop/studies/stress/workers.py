"""Who runs the paths: this process, several, or a Dask cluster. What comes out does not depend on it.

Each is a generator: it takes tasks and chunks of their paths, and gives back (chunk, rows) in any order, or
None where there is nothing yet, so that whoever asks can look whether to stop. To close it is to stop: what
is under way then is lost.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.installation import naming_extras
from backstop.studies.stress.engines import Task, engine
from backstop.studies.stress.outcome import Rows


class Chunk(NamedTuple):
    """Paths in a row: of which task, by its place, the first, and how many."""

    task: int
    first: int
    paths: int


Done = Generator[tuple[Chunk, Rows] | None, None, None]
Workers = Callable[[Sequence[Task], Iterable[Chunk]], Done]

AHEAD = 2
"""Chunks given to each worker, so that none is idle."""

ROOT = str(Path(__file__).parents[3])

TICK = 0.2
"""Seconds after which there is a None."""

PATIENCE = 10
"""Seconds to wait for a scheduler, and for its first worker."""


def here(tasks: Sequence[Task], chunks: Iterable[Chunk]) -> Done:
    """This process: one chunk after the other."""
    for chunk in chunks:
        yield chunk, _rows(tasks[chunk.task], chunk)


def _rows(task: Task, chunk: Chunk) -> Rows:
    return engine(task).rows(chunk.first, chunk.paths)


# -------------------------------------------------------------------- processes


def processes(count: int) -> Workers:
    """So many processes of this machine."""

    def run(tasks: Sequence[Task], chunks: Iterable[Chunk]) -> Done:
        from multiprocessing import active_children, get_context

        others = set(active_children())
        # Children search where we do, and Ape takes the project off that list again.
        sys.path.insert(0, ROOT)
        # A fork would take other threads' locks with it.
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
                child.terminate()  # or it would finish its chunk first
            sys.path.remove(ROOT)

    return run


_tasks: Sequence[Task] = ()


def _begin(tasks: Sequence[Task]) -> None:
    """The study tells a worker process when to stop, signals do not."""
    global _tasks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tasks = tasks


def _rows_here(chunk: Chunk) -> Rows:
    return _rows(_tasks[chunk.task], chunk)


# ------------------------------------------------------------------------- Dask


def cluster(address: str) -> Workers:
    """The workers of a Dask cluster, by its scheduler's address."""

    def run(tasks: Sequence[Task], chunks: Iterable[Chunk]) -> Done:
        import asyncio
        import logging
        from asyncio import CancelledError

        with naming_extras():
            from distributed import Client
            from distributed import wait as wait_for

        # It tells in several ways of a scheduler that is gone; we say so once.
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
        # Whatever the paths themselves raise is a BackstopError: this is about reaching the cluster. A
        # scheduler that ends first loses its workers, then what they hold, then us.
        except (Exception, CancelledError) as error:
            raise BackstopError(f"the Dask cluster at {address} is gone: {_first_line(error)}") from None
        finally:
            with suppress(Exception, CancelledError):  # it may be half closed already
                client.close(timeout=2)

    return run


async def _reach(address: str) -> None:
    """Raises if nobody answers: a client would leave a thread behind, whose end can hang another's start."""
    from distributed.comm import connect

    comm = await connect(address, timeout=PATIENCE)
    await comm.close()


def _rows_of(future: Any) -> Rows:
    """What a worker has found."""
    try:
        rows: Rows = future.result()
    except BackstopError:
        raise
    except Exception as error:
        if future.status != "error":  # it was not the worker that failed
            raise
        raise BackstopError(f"a Dask worker failed: {_first_line(error)}") from None
    return rows


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")


def chosen_workers(count: int, address: str | None) -> Workers:
    """What the options of a command say: a Dask cluster if there is an address, else so many processes."""
    if address is not None:
        return cluster(address)
    return here if count == 1 else processes(count)
