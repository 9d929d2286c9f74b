"""An environment is installed for one checkout: in another, it does not silently run the first one's code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.report import cli as report
from backstop.files.installation import PACKAGE, format_command_as_started
from tests.distribution.conftest import ROOT


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Another checkout, with a package and tests of its own."""
    own = tmp_path / "second" / "offchain" / "backstop"
    own.mkdir(parents=True)
    (own / "__init__.py").touch()
    shutil.copytree(
        ROOT / "tests", tmp_path / "second" / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "second" / "tests" / "test_nothing.py").write_text("def test_nothing() -> None: ...\n")
    return tmp_path / "second"


def test_commands_refuse(second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(second / "tests")
    refused = CliRunner(mix_stderr=False).invoke(report, ["runs/none"])
    assert refused.exit_code == 1
    told = f"Error: this is the checkout {second}, but `backstop` is imported from {PACKAGE}: "
    assert refused.stderr.startswith(told) and refused.stderr.count("\n") == 1
    monkeypatch.chdir(second.parent)  # outside, any environment will do
    assert "runs/none not found" in CliRunner(mix_stderr=False).invoke(report, ["runs/none"]).stderr


def test_tests_refuse(second: Path) -> None:
    path = os.pathsep.join(map(str, (PACKAGE.parent, second)))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:ape_test",
            "--import-mode=importlib",
            "tests/test_nothing.py",
        ],
        cwd=second,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: this is the checkout {second}, but `backstop` is imported from {PACKAGE}" in done.stderr


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ("/usr/bin/backstop", "backstop stress"),
        ("/x/site-packages/backstop/cli/__main__.py", "python -m backstop.cli stress"),
        ("/x/bin/ape", "ape run stress"),
        ("-c", "ape run stress"),
    ],
)
def test_a_command_is_printed_as_it_was_started(
    started: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started, "stress"])
    assert format_command_as_started("stress") == told
