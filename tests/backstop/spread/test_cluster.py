"""Studies, sweeps, hunts and campaigns on a Dask cluster that loses workers and gets others."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backstop.cli import command_helpers
from backstop.cli.fuzz import cli as fuzz
from backstop.cli.hunt import cli as hunt
from backstop.cli.stress import cli as stress
from backstop.cli.sweep import cli as sweep
from backstop.errors import BackstopError
from backstop.parallel import dask_workers as module
from backstop.parallel.dask_workers import build_cluster_workers
from backstop.proof.fuzz.fuzz_campaign import Campaign, CampaignSettings
from backstop.studies.stress.engines import Task
from backstop.studies.stress.resumable_path_study import Study
from tests.support.certificates import make_certificates
from tests.support.checkout_paths import DATA
from tests.support.fake_s3_store import run_fake_s3_store

SMALL = DATA / "stress" / "small.yaml"
GRID = DATA / "stress" / "ratios.yaml"
BRIEF = pytest.mark.deep(
    brief="tests/backstop/spread/test_cluster.py::test_a_worker_with_another_program_is_refused"
)


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    """A Dask cluster of processes, with nannies that restart killed workers."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as found:
        yield found


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def run(command: Any, *args: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(command, [str(each) for each in args])


def kill_workers(local: Any) -> int:
    """Kill all of a cluster's workers where they are; return how many there were."""
    pids = [worker.process.pid for worker in local.workers.values()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


def check_equal(found: Mapping[str, bytes], whole: Mapping[str, bytes]) -> None:
    """The same files, to the byte; but a page says when it was made, and how long that took."""
    assert found.keys() == whole.keys()
    for name in whole.keys() - {"meta.json", "report.html"}:
        assert found[name] == whole[name], name
    assert len(found["report.html"]) > 10_000


@pytest.mark.deep(
    brief="tests/backstop/spread/test_cluster.py::test_a_worker_with_another_program_is_refused"
)
def test_a_study_outlives_all_its_workers(
    local: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It gets new ones: the objects in the store equal the files of a study on one process, to the byte."""
    # What comes to the same bytes may take its time: on a busy machine others start in minutes.
    monkeypatch.setattr(module, "LONELY", 1_800.0)
    monkeypatch.setattr(module, "PATIENCE", 300.0)
    study = "--paths", 30, "--engine", "model", SMALL
    assert run(stress, *study, "--out", tmp_path / "whole").exit_code == 0
    killed: list[int] = []

    def disturb(done: int, total: int, text: str) -> None:
        if text == "paths" and done == 10:
            killed.append(kill_workers(local))
            local.scale(2)
        if text == "paths" and done == 20:
            local.scale(1)

    class Bar:
        def __enter__(self) -> Any:
            return disturb

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr("backstop.cli.stress.show_progress_bar", Bar)
    monkeypatch.setattr(command_helpers, "RUNS", tmp_path / "runs")
    with run_fake_s3_store(monkeypatch) as (objects, _):
        result = run(stress, *study, "--dask", local.scheduler_address, "--out", "s3://results/a/study")
        assert result.exit_code == 0, result.stderr
        stored = objects.read_objects_under_prefix("a/study")
    assert killed and killed[0] >= 1
    whole = files(tmp_path / "whole")
    assert len([name for name in whole if "chunks/" in name]) == 3
    check_equal(stored, whole)


@BRIEF
def test_a_sweep_on_a_cluster_that_loses_workers(local: Any, tmp_path: Path) -> None:
    flags = "--paths", 20, "--engine", "model", GRID
    assert run(sweep, *flags, "--out", tmp_path / "whole").exit_code == 0
    local.scale(2)
    result = run(sweep, *flags, "--dask", local.scheduler_address, "--out", tmp_path / "spread")
    assert result.exit_code == 0, result.stderr
    check_equal(files(tmp_path / "spread"), files(tmp_path / "whole"))


@BRIEF
def test_a_hunt_on_a_cluster_finds_the_same(local: Any, tmp_path: Path) -> None:
    flags = "--cases", 4, "--plans", 4, "--trials", 3
    here = run(hunt, *flags, "--out", tmp_path / "here")
    there = run(hunt, *flags, "--dask", local.scheduler_address, "--out", tmp_path / "there")
    printed = there.stdout.replace(str(tmp_path / "there"), str(tmp_path / "here"))
    assert (there.exit_code, printed) == (here.exit_code, here.stdout), there.stderr
    check_equal(files(tmp_path / "there"), files(tmp_path / "here"))


def counted(out: Path) -> dict[str, Any]:
    """Return a campaign's results without its time, and without the choice between two equal traces."""
    content = json.loads((out / "campaign.json").read_text())
    return {name: content[name] for name in ("done", "steps_done", "tally", "failures", "branches")}


@BRIEF
def test_a_campaign_on_a_cluster_plays_the_same_runs(
    local: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("backstop.proof.fuzz.fuzz_campaign.RUN_LENGTH", 200)
    settings = CampaignSettings(5, 1_000)
    Campaign.load_or_start(settings, tmp_path / "here").play_runs()
    seen: list[int] = []

    def show(progress: Any) -> None:
        if len(progress.done) == 1 and not seen:
            seen.append(kill_workers(local))

    progress = Campaign.load_or_start(settings, tmp_path / "there").play_runs(
        cluster=build_cluster_workers(local.scheduler_address), show=show
    )
    assert seen and counted(tmp_path / "there") == counted(tmp_path / "here")
    assert progress.corpus
    for name in progress.corpus:
        assert json.loads((tmp_path / "there" / name).read_text())["steps"]


def test_a_campaign_plays_the_contracts_of_each_worker(local: Any, tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    result = run(fuzz, "--dask", local.scheduler_address, "--contracts", tmp_path / "contracts")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: --contracts: given with --dask, whose workers have their own; expected one of the two\n"
    )


def test_a_worker_with_another_program_is_refused(
    local: Any, small: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "hash_modules", lambda: "another")
    with pytest.raises(BackstopError, match="a Dask worker has another version of this program"):
        Study.open_or_resume(Task(small, 1, "model"), 20, tmp_path).run_missing_paths(
            build_cluster_workers(local.scheduler_address)
        )


def end(local: Any, done: int) -> None:
    if done:
        local.scale(0)


@pytest.mark.deep(
    brief="tests/backstop/spread/test_cluster.py::test_a_worker_with_another_program_is_refused"
)
def test_a_cluster_without_workers_is_waited_for_and_then_given_up(
    small: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(module, "LONELY", 0.5)
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options, protocol="tcp") as lone:
        study = Study.open_or_resume(Task(small, 1, "model"), 30, tmp_path)
        with pytest.raises(BackstopError) as caught:
            study.run_missing_paths(
                build_cluster_workers(lone.scheduler_address),
                progress=lambda done, total, text: end(lone, done),
            )
    text = str(caught.value)
    assert "has had no workers for 0 s" in text and "of 30 paths are kept, the same command goes on" in text


@pytest.mark.deep(
    brief="tests/backstop/spread/test_cluster.py::test_a_worker_with_another_program_is_refused"
)
def test_a_cluster_with_certificates(small: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from distributed import LocalCluster, Security

    found, others = make_certificates(tmp_path / "ours"), make_certificates(tmp_path / "theirs")
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tls",
        host="127.0.0.1",
        security=Security(
            require_encryption=True, **found.get_security_options("scheduler", "worker", "client")
        ),
        dashboard_address=":0",
    ) as safe:
        address = safe.scheduler_address
        assert address.startswith("tls://")
        study = Study.open_or_resume(Task(small, 1, "model"), 20, tmp_path / "out")
        monkeypatch.setattr(module, "PATIENCE", 3)
        for wrong in ({}, others.get_dask_environment("client")):
            with configured(wrong), pytest.raises(BackstopError) as caught:
                study.run_missing_paths(build_cluster_workers(address))
            text = str(caught.value)
            assert text.startswith(f"no Dask scheduler answers at {address}: ") and "\n" not in text
        with configured(found.get_dask_environment("client")):
            study.run_missing_paths(build_cluster_workers(address))
    Study.open_or_resume(Task(small, 1, "model"), 20, tmp_path / "plain").run_missing_paths()
    assert files(tmp_path / "out") == files(tmp_path / "plain")


def configured(environment: dict[str, str]) -> Any:
    """As in a process that was started with this environment, which Dask reads when it is imported."""
    import dask.config

    def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for name, each in value.items():
                yield from leaves(f"{path}.{name}" if path else name, each)
        else:
            yield path, value

    return dask.config.set(dict(leaves("", dask.config.collect(paths=[], env=environment))))
