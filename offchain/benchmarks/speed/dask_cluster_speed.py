"""Paths an hour on processes and on a Dask cluster of this machine, and a chunk's overhead besides its paths.

The overhead in the study's own process limits a large cluster: the scheduler passes one chunk on after the
other, and the study writes them one after the other.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_json
from backstop.parallel.dask_workers import build_cluster_workers
from backstop.parallel.unordered_job_workers import Workers, build_process_workers, run_in_process
from backstop.studies.stress.chunks import Chunk, run_chunk
from backstop.studies.stress.columns import OutcomeColumns
from backstop.studies.stress.engines import CHUNKS, Task, get_engine
from backstop.studies.stress.resumable_path_study import write_parquet_rows
from benchmarks.speed.stress_speed import SCENARIO, SEED, StressDay

SCHEMA_VERSION = 1
AT_ONCE = {"fast": CHUNKS["fast"], "exact": 2}
"""Paths that a worker does at once, by engine: some dozens of times while it is measured."""
SECONDS = 15.0
"""For which each way works, once it has started."""
MOST = 300.0
"""Seconds after which a way that has finished nothing is given up."""
JOBS = 2_000
CHUNKS_WRITTEN = 400
HOUR = 3_600


class PathRate(NamedTuple):
    """Number of paths that workers ran on an engine, and their seconds after the first chunk."""

    engine: str
    way: str
    workers: int
    paths: int
    seconds: float

    @property
    def an_hour(self) -> float:
        """Paths an hour."""
        return self.paths / self.seconds * HOUR


class ChunkCost(NamedTuple):
    """Time that one chunk of paths costs the scheduler and the writer of results [seconds]."""

    passing: float
    writing: float

    @property
    def largest_seconds_per_chunk(self) -> float:
        """The larger of both costs, which limits the rate of chunks [seconds]."""
        return max(self.passing, self.writing)

    def compute_max_busy_workers(self, chunk_seconds: float) -> int:
        """Return how many workers one scheduler keeps busy if each takes `chunk_seconds` a chunk."""
        return int(chunk_seconds / self.largest_seconds_per_chunk)


def measure_paths_per_hour(
    stress_day: StressDay, say: Callable[[str], None] = lambda text: None
) -> Iterator[PathRate]:
    """Yield the path rate of each engine on one and two workers, as processes and on Dask.

    `say` receives progress messages.
    """
    for name in AT_ONCE:
        task = Task(stress_day.scenario, SEED, name)
        get_engine(task).run_paths(0, 1)  # compiles for all workers
        for number in (1, 2):
            say(f"{name} engine, {number} of 2 processes")
            yield PathRate(
                name,
                "processes",
                number,
                *_count_paths_and_seconds(run_in_process if number == 1 else build_process_workers(2), task),
            )
        for number in (1, 2):
            say(f"{name} engine, {number} of 2 workers of a Dask cluster")
            with _DaskCluster(number) as address:
                yield PathRate(
                    name, "Dask", number, *_count_paths_and_seconds(build_cluster_workers(address), task)
                )


def measure_chunk_cost(day: StressDay, jobs: int = JOBS, chunks: int = CHUNKS_WRITTEN) -> ChunkCost:
    """Return the seconds that passing on and writing one chunk take.

    Passing is measured by `jobs` empty jobs on a Dask cluster, writing by `chunks` Parquet files.
    """
    with _DaskCluster(2) as address:
        began, done = time.perf_counter(), 0
        with closing(build_cluster_workers(address)(_do_nothing, None, range(jobs))) as passed:
            for each in passed:
                done += each is not None
                if done and time.perf_counter() > began + MOST:
                    break
        passing = (time.perf_counter() - began) / done
    columns = OutcomeColumns.from_parameters(day.scenario.parameters)
    rows = np.random.default_rng(SEED).integers(0, 10**12, (CHUNKS["fast"], len(columns.names)))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for number in range(chunks):
            write_parquet_rows(Path(folder, f"{number:08}.parquet"), columns.names, rows)
        writing = (time.perf_counter() - began) / chunks
    return ChunkCost(passing, writing)


def compute_chunk_seconds(found: Iterable[PathRate]) -> dict[str, float]:
    """Return the seconds that one worker takes for one chunk, by engine."""
    return {
        each.engine: CHUNKS[each.engine] * each.seconds / each.paths for each in found if each.workers == 1
    }


def write_path_rates_json(path_rates: Iterable[PathRate], chunk_cost: ChunkCost, path: Path) -> None:
    """Write the path rates and the cost of a chunk to a JSON file."""
    listed = [each._asdict() | {"paths_an_hour": round(each.an_hour)} for each in path_rates]
    content = {"schema_version": SCHEMA_VERSION, "scenario": SCENARIO, "rates": listed}
    write_json(content | {"cost_of_a_chunk_seconds": chunk_cost._asdict()}, path)


def _count_paths_and_seconds(workers: Workers, task: Task) -> tuple[int, float]:
    """Return the number of paths that workers finish, and the seconds they take.

    The first chunk and the start are not counted. Raises BackstopError if no chunk is done in time.
    """
    size = AT_ONCE[task.engine]
    chunks = (Chunk(0, first, size) for first in count(0, size))
    began, first, done = time.perf_counter(), 0.0, -size
    with closing(workers(run_chunk, (task,), chunks)) as found:
        for each in found:
            now = time.perf_counter()
            if each is not None:
                first, done = first or now, done + size
            if done > 0 and now > first + SECONDS:
                break
            if now > began + MOST:
                raise BackstopError(f"no chunk was done within {MOST:.0f} s: is the machine too busy?")
    return done, time.perf_counter() - first


def _do_nothing(shared: None, job: int) -> int:
    return job


class _DaskCluster:
    """Context of a Dask cluster with a number of worker processes on this machine."""

    def __init__(self, workers: int) -> None:
        from distributed import LocalCluster

        options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": ":0"}
        options["silence_logs"] = logging.CRITICAL  # of what is left undone when time is up
        self._cluster = LocalCluster(n_workers=workers, **options)

    def __enter__(self) -> str:
        return str(self._cluster.scheduler_address)

    def __exit__(self, *error: object) -> None:
        self._cluster.close()
