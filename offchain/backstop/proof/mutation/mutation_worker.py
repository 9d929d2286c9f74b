"""A process that has collected the tests once and runs them against one mutant after the other.

One job a line on stdin, one result a line on stdout, both JSON. Each mutant has a fork of its own, so
imports and collection, which take longer than most tests, are done once.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from backstop.hosts.artifacts import CACHE, CONTRACTS, Artifacts

# The tests that have to notice a fault, quick and telling ones first, after the contract's own unit tests.
TESTS = ("tests/backstop/proof/fuzz/test_campaign.py", "tests/contracts", "tests/flows", "tests/exploits")
# Left out: they look at no contract that is mutated.
IGNORED = ("tests/backstop/report", "tests/contracts/devnet")
MARKS = "not anvil and not hardhat and not browser"
OPTIONS = ("-s", "-q", "--durations=0", "-m", MARKS, "-p", "no:cacheprovider", "-p", "no:ape_test")


class MutantTestPlugin:
    """Pytest plugin that runs the collected tests once for each mutant job from standard input."""

    def __init__(self, folder: Path, answers: TextIO) -> None:
        self.root = folder / "contracts"
        self.cache = folder / "artifacts"
        self.answers = answers
        self.failed: str | None = None
        shutil.copytree(CONTRACTS, self.root)
        shutil.copytree(CACHE, self.cache)
        # The project's own cache keeps a few hundred files: mutants would push out what everybody uses.
        Artifacts.__init__.__defaults__ = (CONTRACTS, self.cache)
        self.originals = self._compile_bytecode_without_metadata()
        self.kept = set(self.cache.iterdir())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        session.config.option.contracts = self.root
        for line in sys.stdin:
            print(json.dumps(self._run_job(session, json.loads(line))), file=self.answers, flush=True)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def _run_job(self, session: pytest.Session, job: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        with self._apply_mutant_temporarily(job["file"], job["text"]):
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                self._run_tests_in_child(session, job, writer)
            os.close(writer)
            ready, _, _ = select.select([reader], [], [], job["seconds"])
            if not ready:
                os.kill(child, signal.SIGKILL)
            with os.fdopen(reader) as pipe:
                text = pipe.read()
            os.waitpid(child, 0)
        if not ready:
            result = {"outcome": "killed", "by": f"over {job['seconds']:.0f} seconds"}
        else:
            result = json.loads(text) if text else {"outcome": "killed", "by": "the end of the process"}
        return {**result, "seconds": round(time.monotonic() - began, 2)}

    @contextmanager
    def _apply_mutant_temporarily(self, file: str, text: str) -> Iterator[None]:
        """Return a context manager that writes a mutant's text into the copied contracts.

        On exit the original text is restored, and compiled files of the mutant are deleted.
        """
        path = self.root / file
        original = path.read_bytes()
        path.write_text(text)
        try:
            yield
        finally:
            path.write_bytes(original)
            for compiled in set(self.cache.iterdir()) - self.kept:
                compiled.unlink()

    def _run_tests_in_child(self, session: pytest.Session, job: dict[str, Any], result_pipe: int) -> None:
        """Run the tests in the forked process, write the result to the pipe, and exit."""
        try:
            with os.fdopen(result_pipe, "w") as pipe:
                json.dump(self._compile_and_test_mutant(session, job), pipe)
        finally:
            os._exit(0)

    def _compile_and_test_mutant(self, session: pytest.Session, job: dict[str, Any]) -> dict[str, Any]:
        try:
            compiled = self._compile_bytecode_without_metadata()
        except Exception:  # most are refused by the compiler, some break it
            return {"outcome": "invalid"}
        if compiled == self.originals and not job["unchanged"]:
            return {"outcome": "same code"}
        items = sorted(session.items, key=lambda item: _rank_test_by_job_hints(item.nodeid, job))
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed is not None:
                return {"outcome": "killed", "by": self.failed}
        return {"outcome": "survived"}

    def _compile_bytecode_without_metadata(self) -> dict[str, bytes]:
        """Return the bytecode of all protocol contracts, without the source hash at its end."""
        artifacts = Artifacts(self.root, self.cache)
        codes = {}
        for kind, path in artifacts.paths.items():
            if path.parent == artifacts.root:
                code = artifacts[kind].bytecode
                codes[kind] = code[: -int.from_bytes(code[-2:])]
        return codes


def _rank_test_by_job_hints(test_id: str, job: dict[str, Any]) -> int:
    """Return the sort rank of a test: the likelier it is to kill the mutant, the lower."""
    if test_id in job["hints"]:
        return 0
    for folder in job["folders"]:
        if test_id.startswith(f"tests/contracts/{folder}/"):
            return 1 if f"/test_{job['function'].strip('_')}.py" in test_id else 2
    return 3 + next((place for place, tests in enumerate(TESTS) if test_id.startswith(tests)), len(TESTS))


def answer_mutant_jobs() -> None:
    """Run pytest as a worker process that answers mutant jobs until standard input ends.

    Interrupt signals are ignored, since the main process decides when to stop.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Only answers may go out here: what tests print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, *tests = sys.argv[1:]
    if not tests:
        tests = [*(f"--ignore={path}" for path in IGNORED), *TESTS]
    arguments = [*OPTIONS, f"--basetemp={folder}/tests", *tests]
    sys.exit(pytest.main(arguments, plugins=[MutantTestPlugin(Path(folder), answers)]))


if __name__ == "__main__":
    answer_mutant_jobs()
