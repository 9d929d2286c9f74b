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
from backstop.files.atomic_files import read_versioned_json, replace_file, write_files, write_json
from backstop.files.output_directories import hash_value_repr, refuse_other
from backstop.parallel.unordered_job_workers import Workers, run_in_process
from backstop.simulation.progress_and_interruption import Progress, RunInterruptedError
from backstop.studies.stress.chunks import Chunk, run_chunk
from backstop.studies.stress.columns import OutcomeColumns, Rows
from backstop.studies.stress.engines import CHUNKS, Task

SCHEMA_VERSION = 1


class Study:
    """Outcomes of the first paths of a task, stored in a folder in chunks."""

    def __init__(self, task: Task, paths: int, out: Path) -> None:
        self.task = task
        self.paths = paths
        self.out = out
        self.columns = OutcomeColumns.from_parameters(task.scenario.parameters)
        self.file = out / "study.json"
        self.size = CHUNKS[task.engine]

    @classmethod
    def open_or_resume(cls, task: Task, paths: int, out: Path) -> Study:
        """Create a study's folder, or reopen one with the same settings.

        More paths than before extend it. Raises BackstopError if the folder holds another study.
        """
        study = cls(task, paths, out)
        if not study.file.exists():
            study._create_files()
            return study
        there = read_versioned_json(
            study.file, "study", SCHEMA_VERSION, "check --out", "start in another folder"
        )
        refuse_other(out, there, study._build_settings_json())
        return study

    def _create_files(self) -> None:
        try:
            (self.out / "chunks").mkdir(parents=True, exist_ok=True)
            write_json(self._build_settings_json(), self.file)
        except OSError as error:
            raise BackstopError(f"{self.out} cannot be written: {error.strerror or error}") from None

    def _build_settings_json(self) -> dict[str, object]:
        """Return the content of study.json, which must be equal for a study to be resumed."""
        return {
            "schema_version": SCHEMA_VERSION,
            "scenario": self.task.scenario.name,
            "seed": self.task.seed,
            "engine": self.task.engine,
            "chunk": self.size,
            "columns": list(self.columns.names),
            "content of the scenario": hash_value_repr(self.task.scenario),
        }

    # ---------------------------------------------------------------------- run

    def run_missing_paths(
        self,
        workers: Workers = run_in_process,
        progress: Progress = lambda done, total, text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Rows:
        """Run the paths that are not stored yet, and return the outcome rows of all paths in order.

        Raises RunInterruptedError if `stop` returns True before the end. Finished chunks are kept.
        """
        return run_all([self], workers, progress, stop)[0]

    def list_pending_chunks(self, task_index: int) -> list[Chunk]:
        """Return the chunks that are not stored yet.

        `task_index` is the task's index for the workers.
        """
        return [
            chunk for chunk in self._iter_all_chunks(task_index) if not self._get_chunk_path(chunk).exists()
        ]

    def write_chunk(self, chunk: Chunk, rows: Rows) -> None:
        """Write the outcome rows of a chunk to its Parquet file."""
        write_parquet_rows(self._get_chunk_path(chunk), self.columns.names, rows)

    def join_chunks(self) -> Rows:
        """Write the outcome rows of all chunks to paths.parquet, and return them.

        All chunks must be stored.
        """
        names = self.columns.names
        rows = np.concatenate(
            [read_parquet_rows(self._get_chunk_path(chunk), names) for chunk in self._iter_all_chunks(0)]
        )
        write_parquet_rows(self.out / "paths.parquet", names, rows)
        return rows

    def write_results(self, summary: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Write summary.json and meta.json to the study's folder."""
        files = {"summary.json": summary, "meta.json": meta}
        write_files(
            self.out,
            {name: json.dumps(each, indent=2, sort_keys=True) + "\n" for name, each in files.items()},
        )

    def _iter_all_chunks(self, task_index: int) -> Iterator[Chunk]:
        for first in range(0, self.paths, self.size):
            yield Chunk(task_index, first, min(self.size, self.paths - first))

    def _get_chunk_path(self, chunk: Chunk) -> Path:
        last = chunk.first + chunk.paths - 1
        return self.out / "chunks" / f"{chunk.first:08}-{last:08}.parquet"


def run_all(
    studies: Sequence[Study], workers: Workers, progress: Progress, stop: Callable[[], bool]
) -> list[Rows]:
    """Run the missing paths of several studies, and return the outcome rows of each study.

    All studies share the workers. Raises RunInterruptedError if `stop` returns True before the end. Finished
    chunks are kept.
    """
    pending = [chunk for place, study in enumerate(studies) for chunk in study.list_pending_chunks(place)]
    total = sum(study.paths for study in studies)
    done = total - sum(chunk.paths for chunk in pending)
    with closing(workers(run_chunk, [study.task for study in studies], pending)) as results:
        try:
            progress(done, total, "paths")
            for result in results:
                if result is not None:
                    chunk, rows = result
                    studies[chunk.task].write_chunk(chunk, rows)
                    done += chunk.paths
                    progress(done, total, "paths")
                if stop() and done < total:
                    raise RunInterruptedError("stopped")
        except BackstopError as error:
            error.args = (f"{error}; {done:,} of {total:,} paths are kept, the same command goes on",)
            raise
    return [study.join_chunks() for study in studies]


def write_parquet_rows(path: Path, column_names: Iterable[str], rows: Rows) -> None:
    """Write outcome rows to a Parquet file atomically; equal rows give equal bytes.

    Raises BackstopError if the file cannot be written.
    """
    table = pa.table({name: pa.array(rows[:, i]) for i, name in enumerate(column_names)})
    part = path.with_suffix(".part")
    try:
        pq.write_table(table, part, compression="zstd")
        replace_file(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BackstopError(f"{path} cannot be written: {error.strerror or error}") from None


def read_parquet_rows(path: Path, column_names: Iterable[str]) -> Rows:
    """Read the outcome rows that `write_parquet_rows` has written, with these columns.

    Raises BackstopError if the file cannot be read or lacks a column.
    """
    try:
        table = pq.read_table(path)
        return np.stack([table[name].to_numpy() for name in column_names], axis=1)
    except (OSError, KeyError, pa.ArrowException) as error:
        text = str(error).splitlines()[0]
        raise BackstopError(
            f"{path} cannot be read ({text}): delete it, and the same command goes on"
        ) from None
