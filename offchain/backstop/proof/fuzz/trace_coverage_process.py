"""A process that compiles and covers: one job a line on stdin, one answer a line on stdout, both JSON.

Compiling takes minutes where nothing is cached and cannot be interrupted, so it runs where it can be killed:
`CoverageProcess` asks such a process, and gives up as soon as it is told to.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.node_process import build_parent_death_hook
from backstop.proof.fuzz.contract_instrumentation import InstrumentedArtifacts
from backstop.proof.fuzz.decision_coverage import DecisionCoverage, cover_trace, make_empty_coverage
from backstop.proof.replayable_trace import read_trace

# How often an answer that is waited for is given up, if nobody wants it any more.
_LOOK_SECONDS = 0.1


class PartialCoverage(NamedTuple):
    """Decision coverage of the traces replayed so far, their number, and the number of all traces."""

    coverage: DecisionCoverage
    traces: int
    of: int


class CoverageProcess:
    """Context manager of a subprocess that compiles contracts and measures the coverage of traces.

    Once `over` returns true, the subprocess is killed and its work is discarded.
    """

    def __init__(self, artifacts: Artifacts, over: Callable[[], bool]) -> None:
        self._artifacts = artifacts
        self._over = over
        self._rest = b""
        self._surveyed = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backstop.proof.fuzz.trace_coverage_process", str(artifacts.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # it is ended together with the processes that compile for it
            preexec_fn=build_parent_death_hook(),
        )

    def request_plain_compilation(self) -> bool:
        """Compile the contracts in the subprocess, and load them. Return False if `over` came first."""
        if self._request_answer({"job": "compile"}) is None:
            return False
        self._artifacts.load()  # from the cache
        return True

    def request_marked_compilation(self) -> bool:
        """Compile the instrumented contracts in the subprocess. Return False if `over` came first."""
        self._surveyed = self._surveyed or self._request_answer({"job": "survey"}) is not None
        return self._surveyed

    def cover_traces(self, traces: Sequence[Path], show: Callable[[int], None]) -> PartialCoverage | None:
        """Replay trace files on instrumented contracts until `over`, and return the coverage so far.

        `show` is called with the number of replayed traces. Return None if time was over before compilation
        ended.
        """
        if not self.request_marked_compilation():
            return None
        coverage, done = make_empty_coverage(InstrumentedArtifacts(self._artifacts)), 0
        for trace in traces:
            show(done)
            answer = self._request_answer({"job": "cover", "trace": str(trace)})
            if answer is None:
                break
            for kind, marks in answer["marks"].items():
                coverage.record_reached_outcomes(kind, marks)
            done += 1
        return PartialCoverage(coverage, done, len(traces))

    def kill_process_group(self) -> None:
        """Kill the subprocess and all processes that it started. Idempotent."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> CoverageProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_process_group()

    def _request_answer(self, job: dict[str, str]) -> dict[str, Any] | None:
        """Return the subprocess's answer to one job; None once `over` returns true.

        Raises BackstopError if the job fails or the subprocess has ended.
        """
        if self._over() or self._process.returncode is not None:
            return None
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):  # told below
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        while b"\n" not in self._rest:
            if self._over():
                self.kill_process_group()  # it may be at something long
                return None
            if select.select([self._process.stdout], [], [], _LOOK_SECONDS)[0]:
                part = os.read(self._process.stdout.fileno(), 1 << 20)
                if not part:
                    raise BackstopError("the process that compiles and covers ended without a word")
                self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BackstopError(answer["error"])
        return answer


def answer_coverage_jobs() -> None:
    """Execute the compilation and coverage jobs requested on stdin, and print each result as JSON.

    Each line of stdin is one job as a JSON object. The process ends when its input ends.
    """
    # Only answers may go out here: what others print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    artifacts = Artifacts(Path(sys.argv[1]))
    marked = InstrumentedArtifacts(artifacts)
    for line in sys.stdin:
        job = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if job["job"] == "compile":
                artifacts.load()
            elif job["job"] == "survey":
                marked.load_surveys(marked.paths)
            else:
                marks = cover_trace(read_trace(Path(job["trace"]), artifacts), marked)
                answer["marks"] = {kind: sorted(reached) for kind, reached in marks.items()}
        except BackstopError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    answer_coverage_jobs()
