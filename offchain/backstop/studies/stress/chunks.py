"""The work of a study: chunks of paths, for any workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backstop.studies.stress.columns import Rows
from backstop.studies.stress.engines import Task, get_engine


class Chunk(NamedTuple):
    """Consecutive paths of one task: the task's position, the first path, how many."""

    task: int
    first: int
    paths: int


def run_chunk(tasks: Sequence[Task], chunk: Chunk) -> Rows:
    """Run a chunk's paths."""
    return get_engine(tasks[chunk.task]).run_paths(chunk.first, chunk.paths)
