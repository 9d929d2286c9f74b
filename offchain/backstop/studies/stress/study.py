"""Study in a folder of its own: many paths of one scenario, stored in chunks, resumable.

    study.json      settings that define the study
    chunks/         outcomes of finished chunks, each written whole or not at all
    paths.parquet   all outcomes, in the order of the paths
    summary.json    figures of the outcomes
    meta.json       when, how long, with which versions

Equal studies have equal files but for meta.json, on any machine, with however many interruptions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backstop.errors import BackstopError
from backstop.files.outputs import content, refuse_other
from backstop.files.whole import read_json, replace_file, write_files, write_json
from backstop.simulation.progress import Interrupted, Progress
from backstop.spread.workers import Workers, here
from backstop.studies.stress.chunks import Chunk, rows_in
from backstop.studies.stress.columns import Columns, Rows
from backstop.studies.stress.engines import CHUNKS, Task

SCHEMA_VERSION = 1


class Study:
    """Outcomes of the first paths of a task, in a folder."""

    def __init__(self, task: Task, paths: int, out: Path) -> None:
        self.task = task
        self.paths = paths
        self.out = out
        self.columns = Columns.of(task.scenario.parameters)
        self.file = out / "study.json"
        self.size = CHUNKS[task.engine]

    @classmethod
    def open(cls, task: Task, paths: int, out: Path) -> Study:
        """Begin a study or resume it; more paths than before extend it."""
        study = cls(task, paths, out)
        if not study.file.exists():
            study._begin()
            return study
        there = read_json(study.file, "study", SCHEMA_VERSION, "check --out", "start in another folder")
        refuse_other(out, there, study._settings())
        return study

    def _begin(self) -> None:
        try:
            (self.out / "chunks").mkdir(parents=True, exist_ok=True)
            write_json(self._settings(), self.file)
        except OSError as error:
            raise BackstopError(f"{self.out} cannot be written: {error.strerror or error}") from None

    def _settings(self) -> dict[str, object]:
        """Return study.json, which has to be equal for a study to be resumed."""
        return {
            "schema_version": SCHEMA_VERSION,
            "scenario": self.task.scenario.name,
            "seed": self.task.seed,
            "engine": self.task.engine,
            "chunk": self.size,
            "columns": list(self.columns.names),
            "content of the scenario": content(self.task.scenario),
        }

    # ---------------------------------------------------------------------- run

    def run(
        self,
        workers: Workers = here,
        progress: Progress = lambda done, total, text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Rows:
        """Run the paths that are missing and return all outcomes, in the order of the paths."""
        return run_all([self], workers, progress, stop)[0]

    def pending(self, place: int) -> list[Chunk]:
        """List the chunks that are missing, for workers to whom this is the task at `place`."""
        return [chunk for chunk in self._chunks(place) if not self._file_of(chunk).exists()]

    def keep(self, chunk: Chunk, rows: Rows) -> None:
        """Write the outcomes of a chunk."""
        write_rows(self._file_of(chunk), self.columns.names, rows)

    def finish(self) -> Rows:
        """Join all chunks, once they are complete, and write paths.parquet."""
        names = self.columns.names
        rows = np.concatenate([read_rows(self._file_of(chunk), names) for chunk in self._chunks(0)])
        write_rows(self.out / "paths.parquet", names, rows)
        return rows

    def write(self, summary: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Write summary.json and meta.json of the study."""
        files = {"summary.json": summary, "meta.json": meta}
        write_files(
            self.out,
            {name: json.dumps(each, indent=2, sort_keys=True) + "\n" for name, each in files.items()},
        )

    def _chunks(self, place: int) -> Iterator[Chunk]:
        for first in range(0, self.paths, self.size):
            yield Chunk(place, first, min(self.size, self.paths - first))

    def _file_of(self, chunk: Chunk) -> Path:
        last = chunk.first + chunk.paths - 1
        return self.out / "chunks" / f"{chunk.first:08}-{last:08}.parquet"


def run_all(
    studies: Sequence[Study], workers: Workers, progress: Progress, stop: Callable[[], bool]
) -> list[Rows]:
    """Run several studies on the same workers and return their outcomes."""
    pending = [chunk for place, study in enumerate(studies) for chunk in study.pending(place)]
    total = sum(study.paths for study in studies)
    done = total - sum(chunk.paths for chunk in pending)
    with closing(workers(rows_in, [study.task for study in studies], pending)) as results:
        try:
            progress(done, total, "paths")
            for result in results:
                if result is not None:
                    chunk, rows = result
                    studies[chunk.task].keep(chunk, rows)
                    done += chunk.paths
                    progress(done, total, "paths")
                if stop() and done < total:
                    raise Interrupted("stopped")
        except BackstopError as error:
            error.args = (f"{error}; {done:,} of {total:,} paths are kept, the same command goes on",)
            raise
    return [study.finish() for study in studies]


def write_rows(path: Path, names: Iterable[str], rows: Rows) -> None:
    """Write a Parquet file, whole or not at all; equal rows give equal bytes."""
    table = pa.table({name: pa.array(rows[:, i]) for i, name in enumerate(names)})
    part = path.with_suffix(".part")
    try:
        pq.write_table(table, part, compression="zstd")
        replace_file(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BackstopError(f"{path} cannot be written: {error.strerror or error}") from None


def read_rows(path: Path, names: Iterable[str]) -> Rows:
    """Read rows that write_rows has written."""
    try:
        table = pq.read_table(path)
        return np.stack([table[name].to_numpy() for name in names], axis=1)
    except (OSError, KeyError, pa.ArrowException) as error:
        text = str(error).splitlines()[0]
        raise BackstopError(
            f"{path} cannot be read ({text}): delete it, and the same command goes on"
        ) from None
