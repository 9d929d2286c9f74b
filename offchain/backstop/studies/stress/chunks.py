"""The work of a study: chunks of paths, for any workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backstop.studies.stress.columns import Rows
from backstop.studies.stress.engines import Task, get_engine


class Chunk(NamedTuple):
    """Consecutive paths of one task, given to a worker at once.

    `task` is the index of the task, `first` the number of the first path, `paths` the number of paths.
    """

    task: int
    first: int
    paths: int


def run_chunk(tasks: Sequence[Task], chunk: Chunk) -> Rows:
    """Run the paths of a chunk on its task's engine, and return one row of outcomes per path."""
    return get_engine(tasks[chunk.task]).run_paths(chunk.first, chunk.paths)
