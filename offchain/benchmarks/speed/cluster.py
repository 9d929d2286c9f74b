"""Paths an hour on processes and on a Dask cluster of this machine, and what a chunk costs besides its paths.

What it costs whoever runs the study is the limit of a large cluster: the scheduler passes one chunk on after
the other, and the study writes them one after the other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backstop.files.whole import write_json
from backstop.spread.cluster import cluster
from backstop.spread.workers import Workers, here, processes
from backstop.studies.stress.chunks import Chunk, rows_in
from backstop.studies.stress.columns import Columns
from backstop.studies.stress.engines import CHUNKS, Task, engine
from backstop.studies.stress.study import write_rows
from benchmarks.speed.stress import SCENARIO, SEED, Day

SCHEMA_VERSION = 1
PATHS = {"fast": 6_000, "exact": 40}
JOBS = 2_000
CHUNKS_WRITTEN = 400
HOUR = 3_600


class Rate(NamedTuple):
    """Paths of an engine on workers, and the seconds they took, start included."""

    engine: str
    way: str
    workers: int
    paths: int
    seconds: float

    @property
    def an_hour(self) -> float:
        """Paths an hour."""
        return self.paths / self.seconds * HOUR


class Cost(NamedTuple):
    """What one chunk costs besides its paths [seconds]."""

    passing: float
    writing: float

    @property
    def slower(self) -> float:
        """The one that is at its limit first."""
        return max(self.passing, self.writing)

    def most_workers(self, chunk: float) -> int:
        """Return how many workers are kept busy, of which each takes `chunk` seconds for one."""
        return int(chunk / self.slower)


def rates(day: Day, paths: dict[str, int] | None = None) -> Iterator[Rate]:
    """Measure each engine on one worker and on two, as processes and on a Dask cluster."""
    for name, count in (paths or PATHS).items():
        task = Task(day.scenario, SEED, name)
        engine(task).rows(0, 1)  # compiles for all workers
        for number in (1, 2):
            yield Rate(name, "processes", number, *_timed(here if number == 1 else processes(2), task, count))
        for number in (1, 2):
            with _dask(number) as address:
                yield Rate(name, "Dask", number, *_timed(cluster(address), task, count))


def cost(day: Day, jobs: int = JOBS, chunks: int = CHUNKS_WRITTEN) -> Cost:
    """Measure what a chunk costs the scheduler, by jobs that do nothing, and whoever writes it."""
    with _dask(2) as address:
        began = time.perf_counter()
        done = sum(each is not None for each in cluster(address)(_nothing, None, range(jobs)))
        passing = (time.perf_counter() - began) / done
    columns = Columns.of(day.scenario.parameters)
    rows = np.random.default_rng(SEED).integers(0, 10**12, (CHUNKS["fast"], len(columns.names)))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for number in range(chunks):
            write_rows(Path(folder, f"{number:08}.parquet"), columns.names, rows)
        writing = (time.perf_counter() - began) / chunks
    return Cost(passing, writing)


def chunk_seconds(found: Iterable[Rate]) -> dict[str, float]:
    """Return the seconds that one worker takes for one chunk, by engine."""
    return {
        each.engine: CHUNKS[each.engine] * each.seconds / each.paths for each in found if each.workers == 1
    }


def write_results(found: Iterable[Rate], costs: Cost, path: Path) -> None:
    """Write all measurements as JSON."""
    listed = [each._asdict() | {"paths_an_hour": round(each.an_hour)} for each in found]
    content = {"schema_version": SCHEMA_VERSION, "scenario": SCENARIO, "rates": listed}
    write_json(content | {"cost_of_a_chunk_seconds": costs._asdict()}, path)


def _timed(workers: Workers, task: Task, paths: int) -> tuple[int, float]:
    size = CHUNKS[task.engine]
    chunks = [Chunk(0, first, min(size, paths - first)) for first in range(0, paths, size)]
    began = time.perf_counter()
    done = sum(each[0].paths for each in workers(rows_in, (task,), chunks) if each is not None)
    return done, time.perf_counter() - began


def _nothing(shared: None, job: int) -> int:
    return job


class _dask:
    """A Dask cluster of so many processes of this machine."""

    def __init__(self, workers: int) -> None:
        from distributed import LocalCluster

        options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": ":0"}
        self._cluster = LocalCluster(n_workers=workers, **options)

    def __enter__(self) -> str:
        return str(self._cluster.scheduler_address)

    def __exit__(self, *error: object) -> None:
        self._cluster.close()
