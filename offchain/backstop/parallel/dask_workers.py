"""Workers that are a Dask cluster, which may lose some and get others while it works.

Data that all jobs share is a task of the cluster's own, so that a later worker gets it. The task is run again
when all workers that had its result are gone. A job that a lost worker had is done by another.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from backstop.errors import BackstopError
from backstop.files.installation import translate_missing_extra_errors
from backstop.parallel.unordered_job_workers import AHEAD, TICK, Done, Workers

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

PATIENCE = 10.0
"""Longest wait for a scheduler, and for its first worker [seconds]."""

LONELY = 300.0
"""Longest wait for another worker once all are gone [seconds]."""

_COUNT_EVERY = 1.0
_PROGRAM = Path(__file__).parents[1]


def build_cluster_workers(address: str) -> Workers:
    """Return workers that run jobs on the Dask cluster of a scheduler's address."""

    def run(work: Callable[[S, J], R], shared: S, jobs: Iterable[J]) -> Done[J, R]:
        # Dask is optional, and slow to load.
        with translate_missing_extra_errors():
            from distributed import wait as wait_for

        client = _connect_scheduler(address)
        waiting: dict[Any, J] = {}
        todo = iter(jobs)
        crew = _WorkerPool(client, address)
        try:
            made = client.submit(_load_shared, pickle.dumps(shared), pure=False)
            ours = hash_modules()
            while True:
                for job in islice(todo, max(0, AHEAD * crew.count_worker_threads() - len(waiting))):
                    waiting[client.submit(_run_job_on_same_version, work, made, job, ours, pure=False)] = job
                if not waiting and crew.threads:
                    return
                try:
                    done = wait_for(list(waiting), timeout=TICK, return_when=FIRST).done if waiting else ()
                except TimeoutError:
                    done = ()
                for future in done:
                    yield waiting.pop(future), _get_result(future)
                if client.status != "running":
                    raise ConnectionError("the connection is lost")
                yield None
        except BackstopError:
            raise
        # Jobs themselves raise BackstopError, so any other error is about the cluster: a scheduler that ends
        # raises several kinds, depending on what it loses first.
        except (Exception, CancelledError) as error:
            raise BackstopError(
                f"the Dask cluster at {address} does not answer any more: {_first_line(error)}"
            ) from None
        finally:
            with suppress(Exception, CancelledError):  # the client may be half closed already
                client.close(timeout=2)

    return run


FIRST = "FIRST_COMPLETED"


def _connect_scheduler(address: str) -> Any:
    """Return a client of a Dask scheduler with at least one worker; raise BackstopError otherwise."""
    from distributed import Client

    # Dask logs a lost scheduler several times; the error below says it once.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        asyncio.run(_check_scheduler(address))
        client = Client(address, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise BackstopError(f"no Dask scheduler answers at {address}: {_first_line(error)}") from None
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        client.close(timeout=2)
        raise BackstopError(f"the Dask cluster at {address} has no workers") from None
    return client


class _WorkerPool:
    """Workers of a Dask cluster, which may join and leave at any time."""

    def __init__(self, client: Any, address: str) -> None:
        self.client = client
        self.address = address
        self.threads = 0
        self._looked = -_COUNT_EVERY
        self._alone_since = 0.0

    def count_worker_threads(self) -> int:
        """Return how many jobs the cluster can run at once.

        Raises BackstopError if it has had no workers for LONELY seconds.
        """
        now = time.monotonic()
        if now < self._looked + _COUNT_EVERY:
            return self.threads
        self._looked = now
        before, self.threads = self.threads, sum(self.client.nthreads().values())
        if self.threads:
            return self.threads
        if before:
            self._alone_since = now
        if now > self._alone_since + LONELY:
            raise BackstopError(f"the Dask cluster at {self.address} has had no workers for {LONELY:.0f} s")
        return 0


async def _check_scheduler(address: str) -> None:
    """Raise an error if no scheduler answers.

    A failed client would leave a thread behind that can block the next start.
    """
    from distributed.comm import connect
    from distributed.security import Security

    comm = await connect(address, timeout=PATIENCE, **Security().get_connection_args("client"))
    await comm.close()


def _load_shared(content: bytes) -> Any:
    return pickle.loads(content)


def _run_job_on_same_version(
    work: Callable[[S, J], R], shared_data: S, job: J, client_program_hash: str
) -> R:
    """Run a job; raise BackstopError if this worker runs another version of the program."""
    if hash_modules() != client_program_hash:
        raise BackstopError("a Dask worker has another version of this program: install the same everywhere")
    return work(shared_data, job)


@cache
def hash_modules() -> str:
    """Return a hash of all modules of this program; equal hashes mean equal results."""
    files = sorted((path.relative_to(_PROGRAM).as_posix(), path) for path in _PROGRAM.rglob("*.py"))
    hashed = sha256()
    for name, path in files:
        hashed.update(f"{name} {sha256(path.read_bytes()).hexdigest()}\n".encode())
    return hashed.hexdigest()


def _get_result(future: Any) -> Any:
    """Return the result of a Dask job; raise BackstopError if the job failed."""
    try:
        return future.result()
    except BackstopError:
        raise
    except Exception as error:
        if future.status != "error":  # the connection failed, not the worker
            raise
        raise BackstopError(f"a Dask worker failed: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
