"""`ape run simulate`: results on stdout, one line for an error, and the data kept on a signal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.command_helpers import handle_stop_signals
from backstop.cli.simulate import cli
from backstop.simulation.run_directory import load_run
from tests.support.checkout_paths import ROOT
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.revert_setter_and_source_helpers import read_terminal

BRIEF = "tests/backstop/simulation/test_simulate.py::test_a_stopped_run_keeps_what_it_has"

SMALL = str(ROOT / "tests" / "data" / "runs" / "small.yaml")


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


def test_the_table(tmp_path) -> None:
    result = run("--scenario", SMALL, "--host", "revm", "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.stderr
    report = tmp_path / "run" / "report.html"
    for piece in ("A small crash", "bad debt created", "0 differences", str(report)):
        assert piece in result.stdout
    meta = load_run(tmp_path / "run").meta
    assert meta["command"] == f"ape run simulate --scenario {SMALL} --host revm --seed 1"
    assert report.is_file()


def test_json(tmp_path) -> None:
    out = tmp_path / "run"
    result = run("--scenario", SMALL, "--host", "model", "--seed", "3", "--out", str(out), "--json")
    printed = json.loads(result.stdout)
    assert printed.pop("run_dir") == str(out)
    assert printed == json.loads((out / "summary.json").read_text())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("--scenario", "white-friday"),
            "Error: scenario 'white-friday' is unknown; expected one of",
        ),
        (("--scenario", "nowhere.yaml"), "Error: scenario file nowhere.yaml not found"),
        (("--seed", "-1"), "-1 is not in the range"),
        (("--host", "ganache"), "'ganache' is not one of"),
    ],
)
def test_bad_input_is_one_line(args, message) -> None:
    result = run("--host", "model", *args)
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_help_has_examples() -> None:
    assert "ape run simulate --scenario black-thursday-healthy --host revm" in run("--help").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_set_a_flag_and_are_given_back(number) -> None:
    before = signal.getsignal(number)
    with handle_stop_signals() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        with pytest.raises(SystemExit) as caught:
            os.kill(os.getpid(), number)
            time.sleep(1)
        assert caught.value.code == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.deep(brief="tests/backstop/simulation/test_simulate.py::test_a_stopped_run_keeps_what_it_has")
@pytest.mark.parametrize(
    "number", build_pytest_params_with_deep_marks((signal.SIGINT, signal.SIGTERM), (signal.SIGTERM,), BRIEF)
)
def test_a_signal_keeps_partial_results(tmp_path, number) -> None:
    # Long enough to be stopped in the middle on any machine.
    (tmp_path / "long.yaml").write_text(
        f"extends: {SMALL}\n"
        "duration: 30 d\n"
        "equity_price: {assumed: {720:00: 45 USD}}\n"
        "prices:\n"
        "  ETH: {assumed: {720:00: 110 USD}}\n"
        "  WBTC: {assumed: {720:00: 5_000 USD}}\n"
        "  XAUT: {assumed: {720:00: 1_500 USD}}\n"
    )
    command: list[str | Path] = [Path(sys.executable).parent / "backstop", "simulate", "--host", "revm"]
    out = tmp_path / "run"
    # On a terminal it says what it is at.
    screen, stderr = pty.openpty()
    process = subprocess.Popen(
        [*command, "--scenario", tmp_path / "long.yaml", "--out", out],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    os.close(stderr)
    try:
        assert "running" in read_terminal(screen, until="running")
        process.send_signal(number)
        errors = read_terminal(screen)
        assert process.wait(60) not in (0, -number)
    finally:
        process.kill()
        os.close(screen)
    assert "Traceback" not in errors
    assert "Error: stopped " in errors and str(out) in errors
    assert load_run(out).summary["completed"] is False
