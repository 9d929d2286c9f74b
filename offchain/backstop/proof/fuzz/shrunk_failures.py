"""Failing traces on disk: shrunk, and made a test of."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from backstop.files.installation import format_command_as_started
from backstop.hosts.artifacts import Artifacts
from backstop.lockstep.rollback_trace_tester import Failure
from backstop.proof.fuzz.protocol_trace_shrinking import shrink_trace
from backstop.proof.fuzz.regression_test_writer import write_regression
from backstop.proof.replayable_trace import read_trace, write_trace_json

# Most failures are small within a few seconds; some hang on what hundreds of steps made.
SECONDS = 60.0


class ShrunkFailure(NamedTuple):
    """Failure of a trace, with the minimal trace's file and a test file that replays it.

    `before` and `after` are the numbers of steps without the setup, before and after shrinking.
    """

    failure: Failure
    before: int
    after: int
    trace: Path
    test: Path

    def __str__(self) -> str:
        return (
            f"{self.failure.text}\n"
            f"  shrunk from {self.before} to {self.after} actions after the opening\n"
            f"  replay it:  {format_command_as_started('replay')} {self.trace}\n"
            f"  as a test:  {self.test}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.failure.kind,
            "text": self.failure.text,
            "actions": [self.before, self.after],
            "trace": str(self.trace),
            "test": str(self.test),
        }


def shrink_file(
    path: Path,
    artifacts: Artifacts,
    stopped: Callable[[], bool] = lambda: False,
    show: Callable[[int], None] = lambda steps: None,
    seconds: float = SECONDS,
) -> ShrunkFailure:
    """Shrink the failing trace in a file, and write the minimal trace and a test beside that file.

    Shrinking ends after `seconds`, or once `stopped` returns true, with the smallest trace so far. Raises
    BackstopError if the file is not a trace or the trace does not fail.
    """
    trace = read_trace(path, artifacts)
    end = time.monotonic() + seconds
    small, failure = shrink_trace(trace, artifacts, lambda: stopped() or time.monotonic() > end, show)
    target = path.with_name(f"{path.stem}-small.json")
    write_trace_json(small, target)
    test = write_regression(small, failure, path.parent)
    before, after = (len(each.steps) - each.opening for each in (trace, small))
    return ShrunkFailure(failure, before, after, target, test)
