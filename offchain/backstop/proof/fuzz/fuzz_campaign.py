"""Many runs on several processes: shared out, counted, kept on disk, taken up again.

A run is a fresh deployment with a seed of its own, made from the campaign's seed and the run's number:
the same campaign plays the same runs for any number of processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_bytes, write_json
from backstop.files.output_directories import refuse_other
from backstop.parallel.unordered_job_workers import Workers
from backstop.proof.fuzz import cluster_worker
from backstop.proof.fuzz.campaign_counts import CampaignCounts
from backstop.proof.fuzz.state_coverage import StateCoverage
from backstop.proof.fuzz.steering_targets import LAG, ROUND, choose_targets, is_steered_run

SCHEMA_VERSION = 2
# Steps of one run. Longer ones go deeper, shorter ones see more deployments.
RUN_LENGTH = 2_000
CHECKPOINT_SECONDS = 10.0
# The time that runs under way have to end once somebody stops the campaign; then they are given up.
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class CampaignSettings:
    """Settings of a fuzz campaign. A resumed campaign must have equal settings, apart from its steps."""

    seed: int
    steps: int | None  # None: until stopped
    host: str = "revm"
    check_every: int = 100
    contracts: str | None = None
    # Whether promises that are not kept yet are asserted as well.
    promises: bool = False
    # Whether every other run is steered to states that no run has reached.
    steered: bool = True
    # A file of planted faults that the runs are put to.
    planted: str | None = None


@dataclass
class CampaignProgress:
    """Progress of a fuzz campaign: its counts, failures, kept traces and state coverage so far."""

    tally: CampaignCounts = field(default_factory=CampaignCounts)
    done: set[int] = field(default_factory=set)
    seconds: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)
    corpus: list[str] = field(default_factory=list)
    branches: bytearray = field(default_factory=bytearray)
    # By round, what its runs say about states; -1 has those of the rounds before all others here.
    rounds: dict[int, StateCoverage] = field(default_factory=dict)
    # Of planted faults, the first step that reports each, as if one run followed the other.
    reported: dict[str, int] = field(default_factory=dict)

    @property
    def state_coverage(self) -> StateCoverage:
        """State coverage of all runs: the state predicates, and pairs of predicates, that held."""
        return self.compute_state_coverage_up_to_round(max(self.rounds, default=0))

    def compute_state_coverage_up_to_round(self, last_round: int) -> StateCoverage:
        """Return the merged state coverage of all rounds of runs up to and including `last_round`."""
        found = StateCoverage()
        for number in sorted(self.rounds):
            if number <= last_round:
                found.add_coverage(self.rounds[number])
        return found

    def fold_rounds(self, before: int) -> None:
        """Merge the state coverage of all rounds before `before` into one entry, under the key -1."""
        for number in sorted(self.rounds):
            if 0 <= number < before:
                self.rounds.setdefault(-1, StateCoverage()).add_coverage(self.rounds.pop(number))

    @property
    def differences(self) -> int:
        return sum(failure["kind"] == "difference" for failure in self.failures)

    @property
    def violations(self) -> int:
        return sum(failure["kind"] == "violation" for failure in self.failures)


class Campaign:
    """Fuzz campaign with a folder of its own: campaign.json, corpus/, failures/ and worker logs.

    Its worker processes run in the folder `cwd` with `environment`, so that they may test another checkout.
    """

    def __init__(
        self,
        settings: CampaignSettings,
        out: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.out = out
        self._cwd = cwd
        self._environment = environment
        self.file = out / "campaign.json"
        self.progress = CampaignProgress()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._processes: list[subprocess.Popen[str]] = []
        self._given_up = False
        self._next = 0
        self._shared = 0  # steps given to workers, and those done before
        self._began = 0.0
        self._before = 0.0

    @classmethod
    def load_or_start(cls, settings: CampaignSettings, out: Path) -> Campaign:
        """Return a campaign resumed from the checkpoint in its folder, or a new one if there is none.

        Raises BackstopError if the checkpoint is invalid or has other settings. A different number of steps
        is allowed.
        """
        campaign = cls(settings, out)
        if not campaign.file.exists():
            return campaign
        content = read_versioned_json(
            campaign.file, "campaign", SCHEMA_VERSION, "check --out", "start again in another folder"
        )
        try:
            # More steps than before is a longer campaign of the same runs.
            same = {
                key: content["settings"][key]
                for key in ("seed", "host", "check_every", "contracts", "promises", "steered", "planted")
            }
            mine = {key: getattr(settings, key) for key in same}
            progress = CampaignProgress(
                tally=CampaignCounts.from_json(content["tally"]),
                done={i for first, last in content["done"] for i in range(first, last + 1)},
                seconds=float(content["seconds"]),
                failures=list(content["failures"]),
                corpus=list(content["corpus"]),
                branches=bytearray.fromhex(content["branches"]),
                reported=dict(content["reported"]),
                rounds={
                    int(number): StateCoverage.from_json(each) for number, each in content["rounds"].items()
                },
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BackstopError(
                f"{campaign.file} is not a valid campaign ({error!r}): start again in another folder"
            ) from None
        refuse_other(out, same, mine)
        campaign.progress = progress
        return campaign

    def play_runs(
        self,
        workers: int = 1,
        seconds: float | None = None,
        keep_going: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        show: Callable[[CampaignProgress], None] = lambda progress: None,
        cluster: Workers | None = None,
    ) -> CampaignProgress:
        """Play runs until the steps are done, the time is over, a stop is requested, or a run fails.

        The time is over after `seconds`. A stop is requested when `stopped` returns true. With `keep_going`,
        a failed run does not end the campaign. Runs in progress are finished. After a stop request they have
        5 seconds, and then count as not begun. With `cluster`, its workers play the runs instead of local
        processes, and a stop request discards their unfinished runs at once. Raises BackstopError if a worker
        crashes.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._began, self._before = time.monotonic(), self.progress.seconds
        self._shared = self.progress.tally.steps
        deadline = None if seconds is None else self._began + seconds

        def has_ended() -> bool:
            late = deadline is not None and time.monotonic() > deadline
            return late or stopped() or (bool(self.progress.failures) and not keep_going)

        if cluster is not None:
            return self._run_on_cluster(cluster, has_ended, show)
        crashes: list[str] = []
        threads = [
            threading.Thread(target=self._feed_worker_process, args=(number, has_ended, crashes), daemon=True)
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        saved, ended = time.monotonic(), None
        try:
            while any(thread.is_alive() for thread in threads):
                threads[0].join(0.2)
                for thread in threads[1:]:
                    thread.join(0.05)
                now = time.monotonic()
                if ended is None and stopped():
                    ended = now
                if ended is not None and now > ended + GRACE_SECONDS:
                    self._kill_workers()
                with self._lock:
                    show(self.progress)
                    if now - saved > CHECKPOINT_SECONDS:
                        self.save_checkpoint()
                        saved = now
        finally:
            self._kill_workers()
            self.save_checkpoint()
        show(self.progress)
        if crashes:
            raise BackstopError(f"a worker failed, what was done is kept in {self.out}:\n{crashes[0]}")
        return self.progress

    def save_checkpoint(self) -> None:
        """Write settings and progress to campaign.json, atomically."""
        progress, settings = self.progress, self.settings
        content = {
            "schema_version": SCHEMA_VERSION,
            "settings": {
                "seed": settings.seed,
                "steps": settings.steps,
                "host": settings.host,
                "check_every": settings.check_every,
                "contracts": settings.contracts,
                "promises": settings.promises,
                "steered": settings.steered,
                "planted": settings.planted,
            },
            "run_length": RUN_LENGTH,
            "done": _find_ranges(progress.done),
            "seconds": progress.seconds,
            "steps_done": progress.tally.steps,
            "tally": progress.tally.to_json(),
            "failures": progress.failures,
            "corpus": progress.corpus,
            "branches": progress.branches.hex(),
            "reported": dict(sorted(progress.reported.items())),
            "rounds": {str(number): each.to_json() for number, each in sorted(progress.rounds.items())},
        }
        write_json(content, self.file)

    # ----------------------------------------------------------------- workers

    def _run_on_cluster(
        self, cluster: Workers, has_ended: Callable[[], bool], show: Callable[[CampaignProgress], None]
    ) -> CampaignProgress:
        """Play runs on the workers of a cluster, and store each run's files and result when it arrives."""
        saved = time.monotonic()
        try:
            given = {**self._build_worker_settings(), "contracts": None}  # those of each worker
            jobs = iter(lambda: self._take_next_run_settings(has_ended), None)
            with closing(cluster(cluster_worker.play_remote_run, given, jobs)) as results:
                for done in results:
                    if done is not None:
                        _, (result, files) = done
                        if "crash" in result:
                            raise BackstopError(
                                f"a worker failed, what was done is kept in {self.out}:\n{result['crash']}"
                            )
                        for name, content in files.items():
                            write_bytes(content, self.out / name)
                        with self._lock:
                            self._merge_result(result)
                    show(self.progress)
                    if time.monotonic() - saved > CHECKPOINT_SECONDS:
                        self.save_checkpoint()
                        saved = time.monotonic()
                    if has_ended():
                        break
        finally:
            self.save_checkpoint()
        return self.progress

    def _build_worker_settings(self) -> dict[str, Any]:
        """Return the settings that a worker process needs to play runs."""
        settings = self.settings
        return {
            "host": settings.host,
            "seed": settings.seed,
            "check_every": settings.check_every,
            "contracts": settings.contracts,
            "promises": settings.promises,
            "planted": settings.planted,
        }

    def _kill_workers(self) -> None:
        self._given_up = True
        for process in self._processes:
            process.kill()

    def _feed_worker_process(
        self, worker_number: int, has_ended: Callable[[], bool], crash_texts: list[str]
    ) -> None:
        """Start one worker process and send it runs, one after another, until the campaign ends.

        If the process crashes, append the tail of its log to `crash_texts`.
        """
        with (self.out / f"worker-{worker_number}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "backstop.proof.fuzz.fuzz_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._cwd,
                env=self._environment,
            )
            assert process.stdin is not None and process.stdout is not None
            self._processes.append(process)
            first = {"out": str(self.out), **self._build_worker_settings()}
            try:
                print(json.dumps(first), file=process.stdin, flush=True)
                while (
                    not has_ended()
                    and not crash_texts
                    and (job := self._take_next_run_settings(has_ended)) is not None
                ):
                    print(json.dumps(job), file=process.stdin, flush=True)
                    line = process.stdout.readline()
                    if self._given_up and not line.endswith("\n"):
                        return
                    result = (
                        json.loads(line) if line else {"crash": self._read_worker_log_tail(worker_number)}
                    )
                    if "crash" in result:
                        crash_texts.append(str(result["crash"]))
                        return
                    with self._lock:
                        self._merge_result(result)
            except OSError:
                if not self._given_up:
                    crash_texts.append(self._read_worker_log_tail(worker_number))
            finally:
                with suppress(BrokenPipeError):  # it may be dead, with a job on its way
                    process.stdin.close()
                process.wait()

    def _read_worker_log_tail(self, worker_number: int) -> str:
        text = (self.out / f"worker-{worker_number}.log").read_text(errors="replace").strip()
        return text[-2_000:] or "it ended without a word"

    def _take_next_run_settings(self, has_ended: Callable[[], bool]) -> dict[str, Any] | None:
        """Reserve the next run and return its settings; None if all steps are handed out.

        The settings are the run's index, its number of steps and, for a steered run, the states that it
        should reach. Before a steered run, wait until the earlier rounds that it learns from are complete.
        None also if the campaign ends during this wait.
        """
        with self._changed:
            steps = RUN_LENGTH
            if self.settings.steps is not None:
                steps = min(steps, self.settings.steps - self._shared)
            if steps <= 0:
                return None
            while self._next in self.progress.done:
                self._next += 1
            index = self._next
            self._next += 1
            self._shared += steps
            if not self.settings.steered or not is_steered_run(index):
                return {"index": index, "steps": steps}
            known = index // ROUND - LAG
            needed = set(range((known + 1) * ROUND))
            while not needed <= self.progress.done:
                if has_ended():
                    return None
                self._changed.wait(0.2)
            self.progress.fold_rounds(known - LAG)
            targets = choose_targets(
                self.progress.compute_state_coverage_up_to_round(known), self.settings.seed, index
            )
            return {"index": index, "steps": steps, "targets": targets}

    def _merge_result(self, result: dict[str, Any]) -> None:
        progress = self.progress
        before = progress.tally.reached_feature_set
        progress.tally.add_counts(CampaignCounts.from_json(result["tally"]))
        progress.done.add(result["index"])
        if "states" in result:
            number = result["index"] // ROUND
            progress.rounds.setdefault(number, StateCoverage()).add_coverage(
                StateCoverage.from_json(result["states"])
            )
        for name, step in result.get("reported", {}).items():
            step += result["index"] * RUN_LENGTH
            progress.reported[name] = min(step, progress.reported.get(name, step))
        self._changed.notify_all()
        # As it is kept: what is shown again is what was printed.
        progress.seconds = round(self._before + time.monotonic() - self._began, 3)
        branches = bytes.fromhex(result.get("branches", ""))
        reached = sum(progress.branches)
        if len(progress.branches) < len(branches):
            progress.branches.extend(bytes(len(branches) - len(progress.branches)))
        for i, mark in enumerate(branches):
            progress.branches[i] |= mark
        if "failure" in result:
            progress.failures.append(result["failure"])
        if "trace" in result:
            # What is news to one process may be known to another.
            if progress.tally.reached_feature_set != before or sum(progress.branches) != reached:
                progress.corpus.append(result["trace"])
            else:
                (self.out / result["trace"]).unlink(missing_ok=True)


def _find_ranges(numbers: set[int]) -> list[tuple[int, int]]:
    """Return the first and last number of each run of consecutive numbers in a set."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
