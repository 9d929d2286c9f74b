"""`ape run fuzz`: its output, its files, its resumption, and its failures."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli import replay, shrink
from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS
from backstop.proof.fuzz import fuzz_campaign
from backstop.proof.fuzz.campaign_counts import CampaignCounts, CountedCall
from backstop.proof.fuzz.fuzz_campaign import Campaign, CampaignProgress, CampaignSettings
from backstop.proof.fuzz.progress_text import ProgressFormatter
from tests.support.condition_wait import wait_until_true
from tests.support.revert_setter_and_source_helpers import edit_contracts, read_terminal

BRIEF = "tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it"

ROOT = CONTRACTS.parent
# As `ape run`, without Ape, which takes longer to start.
BACKSTOP = Path(sys.executable).with_name("backstop")
LAST = re.compile(r"steps=(\d+) steps_per_s=\d+ differences=(\d+) violations=(\d+)")


def start(*args, **options):
    return subprocess.Popen(
        [BACKSTOP, "fuzz", *map(str, args)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*args):
    process = start(*args)
    out, err = process.communicate()
    return process.returncode, out, err


def here(command, *args):
    """In this process: it has all that is compiled."""
    return CliRunner(mix_stderr=False).invoke(command, [str(arg) for arg in args])


def last_line(out):
    match = LAST.fullmatch(out.splitlines()[-1])
    assert match, out
    return tuple(map(int, match.groups()))


def played(out):
    """All counts of a campaign that are no times."""
    content = json.loads((out / "campaign.json").read_text())
    return content["tally"], content["done"], content["branches"]


# Covering has all contracts compiled with marks.
@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_a_campaign_ends_with_what_it_did(tmp_path):
    code, out, err = run("--steps", 2_500, "--seed", 3, "--out", tmp_path / "a")
    assert code == 0, err
    assert last_line(out) == (2_500, 0, 0)
    for word in (
        "VaultEngine.deposit_and_draw",
        "model: branches",
        "futures",
        "never",
    ):
        assert word in out
    # A call, and why it was refused.
    assert re.search(r"│ \w+\.\w+ .*│ \w+: [a-z]", out)
    corpus = list((tmp_path / "a/corpus").glob("*.json"))
    assert corpus
    assert not (tmp_path / "a/failures").exists()


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_json_is_json(tmp_path):
    code, out, _ = run("--steps", 500, "--out", tmp_path / "a", "--json")
    content = json.loads(out)
    assert code == 0 and content["steps"] == 500
    assert any(each["reasons"] for each in content["reached"].values())


def test_a_bug_ends_it(tmp_path):
    wrong = edit_contracts(tmp_path, "Stablecoin.vy", "_mint(to, amount)", "_mint(to, amount + 1)")
    code, out, _ = run("--seconds", 1, "--out", tmp_path / "a", "--contracts", wrong.root)
    assert code == 1 and last_line(out)[1:] == (1, 0)
    assert list((tmp_path / "a/failures").iterdir())


# What there was to reach is told as well: all contracts are compiled with marks for it.
@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_a_bug_ends_it_with_a_small_trace_and_a_test(tmp_path):
    wrong = edit_contracts(tmp_path, "Stablecoin.vy", "_mint(to, amount)", "_mint(to, amount + 1)")
    code, out, _ = run("--seconds", 60, "--out", tmp_path / "a", "--contracts", wrong.root)
    assert code == 1
    assert last_line(out)[1:] == (1, 0)
    (small,) = re.findall(r"backstop replay (\S+)", out)
    assert "shrunk from" in out and ".py" in out
    again = here(replay.cli, small, "--contracts", wrong.root)
    assert again.exit_code == 1 and "model and chain differ" in again.stderr
    right = here(replay.cli, small)
    assert right.exit_code == 0, right.stderr
    # The command for a trace that is already there.
    shrunk = here(shrink.cli, small, "--contracts", wrong.root)
    assert shrunk.exit_code == 0 and "shrunk from 1 to 1" in shrunk.stdout


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_interrupted_it_keeps_what_it_did_and_goes_on(tmp_path):
    out = tmp_path / "a"
    process = start("--steps", 100_000, "--out", out)
    wait_until_true(lambda: list(out.glob("corpus/*.json")), process)
    process.send_signal(signal.SIGINT)
    printed, err = process.communicate()
    steps = last_line(printed)[0]
    assert 0 < steps < 100_000
    assert "go on with: backstop fuzz" in err
    code, printed, err = run("--steps", steps + 200, "--out", out)
    assert code == 0, err
    assert last_line(printed)[0] == steps + 200


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_the_seconds_bound_the_whole_campaign(tmp_path, artifacts):
    artifacts.load()
    began = time.monotonic()
    code, out, err = run("--seconds", 1, "--out", tmp_path / "a")
    assert code == 0, err
    assert time.monotonic() - began < 300  # some ten, where nothing else runs; covering took minutes
    steps, *failures = last_line(out)
    assert steps > 0 and failures == [0, 0]  # the run under way is ended
    assert out.startswith("moves")
    assert (tmp_path / "a/campaign.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_interrupted_while_it_covers_it_ends_at_once(tmp_path, number):
    out = tmp_path / "a"
    # Sources that nobody has compiled: else covering may be over before the signal comes.
    edit_contracts(tmp_path, "modules/units.vy", "# pragma version", f"# {time.time_ns()}\n# pragma version")
    command = [BACKSTOP, "fuzz", "--steps", "300", "--contracts", tmp_path / "contracts", "--out", out]
    screen, stderr = pty.openpty()
    with (tmp_path / "printed").open("w+") as printed:  # a pipe nobody empties would hold it up
        process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=stderr)
        os.close(stderr)
        try:
            seen = read_terminal(screen, until="with marks")
            assert re.search(r"steps, \d+ s", seen)
            process.send_signal(number)
            began = time.monotonic()
            assert "what was done is kept" in read_terminal(screen)
            assert process.wait() == 130
            assert time.monotonic() - began < 120
        finally:
            process.kill()
            os.close(screen)
        printed.seek(0)
        assert last_line(printed.read()) == (300, 0, 0)
    assert json.loads((out / "campaign.json").read_text())["done"] == [[0, 0]]


def test_the_bar_tells_seconds_and_steps():
    progress = CampaignProgress()
    progress.tally.calls[CountedCall("draw", "VaultEngine", "deposit_and_draw", None)] = 14_000
    assert ProgressFormatter(None, 10).compute_progress_and_text(progress) == (
        0,
        1_000,
        "14,000 steps, 0 s, 10 s left, 0 failures",
    )
    assert ProgressFormatter(28_000, None).compute_progress_and_text(progress) == (
        500,
        1_000,
        "14,000 of 28,000 steps, 0 s, 0 failures",
    )
    late = ProgressFormatter(28_000, 10)
    late.began -= 7.5
    done, total, _ = late.compute_progress_and_text(progress)
    assert 750 <= done < total == 1_000


@pytest.fixture(scope="module")
def short_runs():
    """Shorten runs to a twentieth, so that two are soon played."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzz_campaign, "RUN_LENGTH", 100)
        yield


@pytest.fixture(scope="module")
def whole(short_runs, tmp_path_factory):
    """A campaign of two runs, by one process."""
    out = tmp_path_factory.mktemp("whole") / "a"
    Campaign.load_or_start(CampaignSettings(5, 200), out).play_runs()
    return out


@pytest.mark.deep(brief=BRIEF)
def test_the_number_of_processes_changes_nothing(whole, tmp_path):
    Campaign.load_or_start(CampaignSettings(5, 200), tmp_path / "a").play_runs(workers=2)
    assert played(tmp_path / "a") == played(whole)


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_a_resumed_campaign_is_the_whole_one(whole, tmp_path):
    out = tmp_path / "a"
    Campaign.load_or_start(CampaignSettings(5, 100), out).play_runs()
    assert played(out) != played(whole)
    Campaign.load_or_start(CampaignSettings(5, 200), out).play_runs()
    assert played(out) == played(whole)


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_a_resumed_campaign_has_the_steps_it_is_asked_for(tmp_path):
    for steps in (300, 2_500):
        progress = Campaign.load_or_start(CampaignSettings(5, steps), tmp_path / "a").play_runs(workers=2)
        assert progress.tally.steps == steps


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_fuzz_command.py::test_a_bug_ends_it")
def test_a_campaign_is_not_mixed_with_another(whole):
    with pytest.raises(BackstopError, match="was made with seed 5, not 6: "):
        Campaign.load_or_start(CampaignSettings(6, 200), whole)


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 1}', '{"schema_version": 9}'])
def test_a_broken_file_is_one_clear_error(tmp_path, content):
    (tmp_path / "campaign.json").write_text(content)
    with pytest.raises(BackstopError, match=re.escape(str(tmp_path / "campaign.json"))):
        Campaign.load_or_start(CampaignSettings(1, 1), tmp_path)


def test_a_worker_that_dies_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.devnull)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(BackstopError, match="a worker failed"):
        Campaign.load_or_start(CampaignSettings(1, 10), tmp_path / "a").play_runs()


def test_tallies_add_up_and_are_kept():
    one, two = CampaignCounts(), CampaignCounts()
    one.calls[CountedCall("draw", "VaultEngine", "deposit_and_draw", None)] = 2
    two.calls[CountedCall("draw", "VaultEngine", "deposit_and_draw", "vault_engine: unsafe")] = 3
    two.covers["0+1"] = 1
    one.add_counts(two)
    assert one.steps == 5
    assert CampaignCounts.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert ("cover", "0+1") in one.reached_feature_set
