"""The default campaign finds realistic bugs of such systems, and shows each in a few steps.

The patches in `bugs/` are applied to a copy of the contracts; docs/explanation/bugs.md has the cost of each.
"""

import shutil
import subprocess
from itertools import islice
from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS, Artifacts
from backstop.hosts.host_registry import open_host
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.fuzz.protocol_trace_shrinking import shrink_trace
from backstop.proof.lockstep import replay_trace_in_lockstep
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

BUGS = sorted((Path(__file__).parent / "bugs").glob("*.patch"))
RUNS, RUN_LENGTH = 20, 1_000
MOST_ACTIONS = 12
# Of a stage's share, and of who is rewarded; the others are found in deep runs.
BRIEFLY = {"02-whole-target-for-a-zero-slice", "08-reward-farming"}
# Some failures hang on a long history: then the next one is shrunk.
MOST_TRACES = 4


def patched(patch: Path, folder: Path) -> Artifacts:
    """The contracts with a bug."""
    shutil.copytree(CONTRACTS, folder / "contracts")
    subprocess.run(["git", "apply", str(patch)], cwd=folder, check=True)
    return Artifacts(folder / "contracts")


def campaign(artifacts: Artifacts):
    """The failing runs of `ape test`'s campaign and of `ape run fuzz --seed 1`, and where each fails."""
    for run in range(RUNS):
        with open_host("revm") as host:
            machine = FuzzRun(host, derive_run_seed(1, run), artifacts=artifacts, traces=None)
            try:
                for _ in machine.play_random_steps(RUN_LENGTH):
                    pass
                machine.both.compare_state()
                machine.both.audit_storage()
            except BackstopError as error:
                # In a future that is asked about a difference is later than the last step that is kept.
                found = (
                    error.differences[0].step if isinstance(error, DivergenceError) else machine.both.steps
                )
                yield machine.both.build_trace(str(error)), found


def shrunk_enough(trace, artifacts):
    """Return the trace shrunk to at most MOST_ACTIONS: a smaller one would take longer."""
    left = [len(trace.steps)]
    return shrink_trace(trace, artifacts, stopped=lambda: left[-1] <= MOST_ACTIONS, show=left.append)


def test_there_are_ten():
    assert len(BUGS) == 10


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(
    "patch",
    build_pytest_params_with_deep_marks(
        BUGS,
        {patch.stem for patch in BUGS} - BRIEFLY,
        "tests/backstop/proof/fuzz/test_seeded_bugs.py::test_it_is_found_as_soon_as_when_all_is_read_after_every_step",
    ),
)
def test_it_is_found_as_soon_as_when_all_is_read_after_every_step(patch, tmp_path):
    artifacts = patched(patch, tmp_path)
    trace, found = next(campaign(artifacts))
    assert trace.opening < len(trace.steps)
    with open_host("revm", trace.started_at) as host, pytest.raises(DivergenceError) as caught:
        replay_trace_in_lockstep(trace, host, artifacts=artifacts, check_every=1)
    assert caught.value.differences[0].step == found


# How a trace shrinks, tests/backstop/proof/fuzz/test_shrink.py tells in every run.
@pytest.mark.deep(
    brief="tests/backstop/proof/fuzz/test_seeded_bugs.py::test_it_is_found_as_soon_as_when_all_is_read_after_every_step"
)
@pytest.mark.parametrize("patch", BUGS, ids=lambda patch: patch.stem)
def test_it_is_shown_in_a_few_actions(patch, tmp_path):
    artifacts = patched(patch, tmp_path)
    sizes = []
    for trace, _ in islice(campaign(artifacts), MOST_TRACES):
        small, failure = shrunk_enough(trace, artifacts)
        assert failure.kind == "difference"
        sizes.append(len(small.steps) - small.opening)
        if sizes[-1] <= MOST_ACTIONS:
            break
    assert sizes, "not found"
    assert 1 <= min(sizes) <= MOST_ACTIONS
