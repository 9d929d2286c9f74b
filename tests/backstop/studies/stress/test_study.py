"""A study's files depend neither on the machine nor on interruptions; finished work is not lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backstop.errors import BackstopError
from backstop.parallel import dask_workers as dask
from backstop.parallel import unordered_job_workers
from backstop.parallel.dask_workers import build_cluster_workers
from backstop.parallel.unordered_job_workers import build_process_workers, run_in_process
from backstop.parallel.worker_backend_selection import select_workers
from backstop.simulation.progress_and_interruption import RunInterruptedError
from backstop.simulation.scenario import load_scenario
from backstop.studies.stress.engines import Task, get_engine
from backstop.studies.stress.resumable_path_study import Study, read_parquet_rows
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true

BRIEF = "tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped"

PATHS = 45
"""Four chunks and a half."""


@pytest.fixture(scope="module")
def task(small) -> Task:
    return Task(small, 1, "model")


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory) -> Path:
    """Return a study without interruptions."""
    out = tmp_path_factory.mktemp("studies") / "whole"
    Study.open_or_resume(task, PATHS, out).run_missing_paths()
    return out


def files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def test_rows_are_those_of_the_engine_in_order(task, whole):
    study = Study(task, PATHS, whole)
    rows = read_parquet_rows(whole / "paths.parquet", study.columns.names)
    assert rows[:, 0].tolist() == list(range(PATHS))
    assert np.array_equal(rows, get_engine(task).run_paths(0, PATHS))


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
@pytest.mark.parametrize("count", [2, 3])
def test_processes_write_equal_files(task, whole, tmp_path, count):
    Study.open_or_resume(task, PATHS, tmp_path / "out").run_missing_paths(build_process_workers(count))
    assert files(tmp_path / "out") == files(whole)


@pytest.fixture(scope="module")
def scheduler():
    """A Dask cluster of two processes."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as local:
        yield local.scheduler_address


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_a_dask_cluster_writes_equal_files(task, whole, tmp_path, scheduler):
    Study.open_or_resume(task, PATHS, tmp_path / "out").run_missing_paths(build_cluster_workers(scheduler))
    assert files(tmp_path / "out") == files(whole)


def test_it_goes_on_where_it_was_stopped(task, whole, tmp_path):
    out = tmp_path / "out"
    stops = iter([False, True])
    with pytest.raises(
        RunInterruptedError, match="stopped; 20 of 45 paths are kept, the same command goes on"
    ):
        Study.open_or_resume(task, PATHS, out).run_missing_paths(stop=lambda: next(stops))
    kept = {path: path.stat().st_mtime_ns for path in (out / "chunks").iterdir()}
    assert len(kept) == 2
    Study.open_or_resume(task, PATHS, out).run_missing_paths()
    assert files(out) == files(whole)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.deep(brief=BRIEF)
def test_a_longer_study_takes_over_the_paths_of_a_shorter_one(task, whole, tmp_path, monkeypatch):
    out, asked = tmp_path / "out", []
    Study.open_or_resume(task, 20, out).run_missing_paths()

    def watched(work, tasks, chunks):
        asked.extend(chunks)
        return run_in_process(work, tasks, asked)

    Study.open_or_resume(task, PATHS, out).run_missing_paths(watched)
    assert asked == [(0, 20, 10), (0, 30, 10), (0, 40, 5)]
    assert files(out) == files(whole)


@pytest.mark.deep(brief=BRIEF)
def test_what_was_half_written_is_written_again(task, whole, tmp_path):
    out = tmp_path / "out"
    Study.open_or_resume(task, 20, out).run_missing_paths()
    first = min((out / "chunks").iterdir())
    first.rename(first.with_suffix(".part"))
    Study.open_or_resume(task, PATHS, out).run_missing_paths()
    assert files(out) == files(whole)


KILLED = """
from pathlib import Path
from backstop.simulation.scenario import load_scenario
from backstop.studies.stress.engines import Task
from backstop.studies.stress.resumable_path_study import Study
from backstop.parallel.unordered_job_workers import build_process_workers
if __name__ == "__main__":
    task = Task(load_scenario({scenario!r}), 1, "model")
    Study.open_or_resume(task, {paths}, Path({out!r})).run_missing_paths(build_process_workers(2))
"""


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_a_killed_study_goes_on_to_equal_files(whole, task, tmp_path):
    out, script = tmp_path / "out", tmp_path / "killed.py"
    script.write_text(KILLED.format(scenario="tests/data/stress/small.yaml", paths=PATHS, out=str(out)))
    process = subprocess.Popen(
        [sys.executable, script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'offchain'}{os.pathsep}{ROOT}"},
        start_new_session=True,
    )
    wait_until_true(lambda: list(out.glob("chunks/*.parquet")), process, 120)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(out.glob("chunks/*.parquet"))
    Study.open_or_resume(task, PATHS, out).run_missing_paths()
    assert {name: content for name, content in files(out).items() if not name.endswith(".part")} == files(
        whole
    )


# ---------------------------------------------------------------- what goes wrong


def refused(call) -> str:
    with pytest.raises(BackstopError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_another_study_is_not_gone_on_with(small, whole):
    text = refused(lambda: Study.open_or_resume(Task(small, 2, "model"), PATHS, whole))
    assert f"{whole} was made with seed 1, not 2: " in text


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_a_full_disk_is_one_line_and_nothing_is_lost(task, whole, tmp_path):
    out = tmp_path / "out"
    study = Study.open_or_resume(task, PATHS, out)
    # The third chunk is written to a device that is always full.
    (out / "chunks" / "00000020-00000029.part").symlink_to("/dev/full")
    text = refused(study.run_missing_paths)
    assert "cannot be written: " in text and "No space left on device" in text
    assert "20 of 45 paths are kept, the same command goes on" in text
    Study.open_or_resume(task, PATHS, out).run_missing_paths()
    assert files(out) == files(whole)


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_a_chunk_that_is_damaged_is_named(task, tmp_path):
    out = tmp_path / "out"
    study = Study.open_or_resume(task, 20, out)
    study.run_missing_paths()
    first = min((out / "chunks").iterdir())
    first.write_bytes(b"nonsense")
    assert f"{first} cannot be read" in refused(Study.open_or_resume(task, 20, out).run_missing_paths)


def die(job: object) -> None:
    os._exit(9)


@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_it_goes_on_where_it_was_stopped")
def test_a_worker_that_dies_is_one_line(task, tmp_path, monkeypatch):
    monkeypatch.setattr(unordered_job_workers, "_apply_given_work", die)
    text = refused(
        lambda: Study.open_or_resume(task, PATHS, tmp_path / "out").run_missing_paths(
            build_process_workers(2)
        )
    )
    assert "a worker process died" in text and "0 of 45 paths are kept" in text


@pytest.mark.parametrize("count", [1, 2])
def test_a_scenario_that_an_engine_does_not_know_is_one_line(tmp_path, count):
    task = Task(load_scenario("may-2021"), 1, "fast")
    study = Study.open_or_resume(task, PATHS, tmp_path / "out")
    assert "the fast engine does not know" in refused(
        lambda: study.run_missing_paths(select_workers(count, None))
    )


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("nonsense", "no Dask scheduler answers at nonsense: missing port"),
    ],
)
def test_a_scheduler_that_is_not_there(task, tmp_path, monkeypatch, address, problem):
    monkeypatch.setattr(dask, "PATIENCE", 1)
    assert problem in refused(
        lambda: Study.open_or_resume(task, PATHS, tmp_path / "out").run_missing_paths(
            build_cluster_workers(address)
        )
    )


CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    one = {"n_workers": 1, "threads_per_worker": 1, "processes": False}
    with LocalCluster(**one, protocol="tcp", host="127.0.0.1", dashboard_address=":0") as local:
        print(local.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "closed"])
@pytest.mark.deep(brief="tests/backstop/studies/stress/test_study.py::test_a_scheduler_that_is_not_there")
def test_a_scheduler_that_dies_is_one_line_and_nothing_is_lost(task, whole, tmp_path, killed):
    out = tmp_path / "out"
    study = Study.open_or_resume(task, PATHS, out)
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'offchain'}{os.pathsep}{ROOT}"},
    )
    with process:
        asks, answers = process.stdin, process.stdout
        assert asks is not None and answers is not None
        address = answers.readline().strip()

        def end_after_one(done, total, text):
            if done == 10:
                process.kill() if killed else asks.close()
                process.wait(60)

        text = refused(
            lambda: study.run_missing_paths(build_cluster_workers(address), progress=end_after_one)
        )
    # One that is closed in order closes its workers first.
    problems = (f"the Dask cluster at {address} does not answer any more: ", "a Dask worker failed: ")
    assert text.startswith(problems[:1] if killed else problems)
    assert "of 45 paths are kept" in text and "\n" not in text
    Study.open_or_resume(task, PATHS, out).run_missing_paths()
    assert files(out) == files(whole)
