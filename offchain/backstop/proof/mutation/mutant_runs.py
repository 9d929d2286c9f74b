"""Trials of mutants, shared out to processes: a sample of each contract, or all."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS, ROOT, Artifacts
from backstop.proof.mutation.contract_mutants import FILES, Mutant, shuffle_mutants
from backstop.proof.mutation.contract_scores import ContractScore
from backstop.proof.mutation.mutant_results import MutantResult, MutantResultStore

# Tests that take so many times as long as without a fault hang; a busy machine has its moments, so not
# before so many seconds. Without a fault, the longest.
PATIENCE = 5
SHORTEST = 60
LONGEST = 600

Show = Callable[[str, Mutant, MutantResult], None]


@dataclass
class _MutantQueue:
    """Queue of a contract's untried mutants, and how many of them may still count."""

    waiting: list[Mutant]
    left: float  # how many may still count

    def take(self) -> Mutant | None:
        if self.over:
            return None
        self.left -= 1
        return self.waiting.pop(0)

    @property
    def over(self) -> bool:
        return not self.waiting or self.left < 1


class MutantRuns:
    """Mutation test of some contracts: the tests run on each sampled mutant in several processes.

    The order depends on the seed only. Results are saved after each mutant.
    """

    def __init__(
        self,
        contracts: Iterable[str],
        results: MutantResultStore,
        sample: int | None,
        seed: int = 1,
        argued: Iterable[tuple[str, ...]] = (),
        tests: Iterable[str] = (),
    ) -> None:
        limit = math.inf if sample is None else sample
        self.results = results
        self.scores = {contract: ContractScore(contract) for contract in contracts}
        self.argued = frozenset(argued)
        self.tests = list(tests)
        self._queues = {
            contract: _MutantQueue(shuffle_mutants(contract, seed), limit) for contract in self.scores
        }
        self._lock = threading.Lock()
        self._crashes: list[str] = []

    @property
    def expected_mutant_count(self) -> int:
        """Expected number of counted mutants at the end of the run."""
        left = sum(min(queue.left, len(queue.waiting)) for queue in self._queues.values())
        return int(left) + sum(score.mutant_count for score in self.scores.values())

    def try_mutants_and_report_completion(
        self,
        workers: int = 2,
        stopped: Callable[[], bool] = lambda: False,
        show: Show = lambda contract, mutant, result: None,
    ) -> bool:
        """Run the tests on all queued mutants in worker processes; return whether all were tried.

        `show` is called after each mutant. Raises BackstopError if a worker fails.
        """
        Artifacts().load()
        with tempfile.TemporaryDirectory(prefix="backstop-mutants-") as folder:
            threads = [
                threading.Thread(
                    target=self._drive_worker, args=(Path(folder) / str(i), stopped, show), daemon=True
                )
                for i in range(workers)
            ]
            for thread in threads:
                thread.start()
            # Python runs handlers of signals only between two steps of the main thread.
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.2)
        if self._crashes:
            raise BackstopError(self._crashes[0])
        return all(queue.over for queue in self._queues.values())

    def _drive_worker(self, folder: Path, stopped: Callable[[], bool], show: Show) -> None:
        """Send mutants to one worker process until none is left or the run is stopped."""
        folder.mkdir()
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "backstop.proof.mutation.mutation_worker", str(folder), *self.tests],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
            )
        try:
            patience = 0.0
            while (
                not stopped() and not self._crashes and (job := self._take_untried_mutant(show)) is not None
            ):
                contract, mutant = job
                patience = patience or self._measure_patience(process, mutant)
                text = mutant.apply((CONTRACTS / mutant.file).read_text())
                result = self._run_tests(process, mutant, text, patience)
                with self._lock:
                    self.results.add_result(mutant, result)
                    self._add_result_to_score(contract, mutant, result)
                    show(contract, mutant, result)
        except (OSError, ValueError):
            words = (folder / "log").read_text(errors="replace").strip()[-2_000:]
            self._crashes.append(f"the tests cannot be run:\n{words}")
        except BackstopError as error:
            self._crashes.append(str(error))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    def _take_untried_mutant(self, show: Show) -> tuple[str, Mutant] | None:
        """Return the next mutant without a valid result, counting the known ones on the way, or None."""
        with self._lock:
            for contract, queue in self._queues.items():
                while (mutant := queue.take()) is not None:
                    known = self.results.get_result(mutant)
                    if known is None:
                        return contract, mutant
                    self._add_result_to_score(contract, mutant, known)
                    show(contract, mutant, known)
        return None

    def _add_result_to_score(self, contract: str, mutant: Mutant, result: MutantResult) -> None:
        if not result.counts:
            # It makes room for another.
            self._queues[contract].left += 1
        self.scores[contract].add_mutant(mutant, result, mutant.key in self.argued)

    def _measure_patience(self, process: subprocess.Popen[str], mutant: Mutant) -> float:
        """Return the time limit for the tests on a mutant [seconds].

        It is five times the duration without a fault, and 60 seconds at least. Raises BackstopError if the
        tests fail without a fault.
        """
        text = (CONTRACTS / mutant.file).read_text()
        result = self._run_tests(process, mutant, text, LONGEST, is_unchanged=True)
        if result.outcome != "survived":
            raise BackstopError(f"{result.by} fails without any fault: mend that first")
        return max(SHORTEST, PATIENCE * result.seconds)

    def _run_tests(
        self,
        process: subprocess.Popen[str],
        mutant: Mutant,
        text: str,
        seconds: float,
        is_unchanged: bool = False,
    ) -> MutantResult:
        assert process.stdin is not None and process.stdout is not None
        job = {
            "file": mutant.file,
            "text": text,
            "unchanged": is_unchanged,
            "seconds": seconds,
            "function": mutant.function,
            "folders": _list_test_folders(mutant.file),
            "hints": self.results.list_killers(mutant),
        }
        print(json.dumps(job), file=process.stdin, flush=True)
        return MutantResult(suite=self.results.suite, **json.loads(process.stdout.readline()))


def _list_test_folders(file: str) -> list[str]:
    """Return the unit test folders for a contract file: its own first, then its contract's."""
    contract = next(name for name, files in FILES.items() if file in files)
    return [Path(file).with_suffix("").as_posix(), contract]
