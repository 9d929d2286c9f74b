"""The README's first screen equals the demo's output."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.demo import cli
from backstop.hosts.anvil import can_run_anvil
from tests.support.checkout_paths import ROOT

# The head of a program of Linux, for a processor that is not this one.
ARM = bytes.fromhex("7f454c460201010000000000000000000300b70001000000") + bytes(40)


def told() -> list[str]:
    """The lines of the README that say how the demo ends."""
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition("`make demo` ends like this:\n\n")
    block, _, _ = rest.partition("\nThe top of its report")
    return [line.removeprefix("    ") for line in block.splitlines() if line.strip() not in ("", "...")]


@pytest.fixture
def program_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which programs are looked for first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return folder


def write_program(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o755)


def test_the_readme_says_what_the_demo_prints(
    tmp_path: Path, program_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On revm, as where no Anvil runs: it comes to the same state; only the folder is called otherwise."""
    monkeypatch.chdir(tmp_path)
    write_program(program_folder / "anvil", ARM)
    result = CliRunner(mix_stderr=False).invoke(cli, [])
    assert result.exit_code == 0, result.stderr
    assert "no Anvil runs here (" in result.stderr and "): on revm" in result.stderr
    printed = [line.rstrip() for line in result.stdout.replace("-1-revm", "-1-anvil").splitlines()]
    lines = told()
    assert len(lines) > 15 and [line for line in lines if line not in printed] == []
    assert printed[-1] == "0 differences"
    assert (tmp_path / "runs" / "black-thursday-1-revm" / "report.html").is_file()


def test_an_anvil_of_another_processor_is_none(program_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not can_run_anvil()
    write_program(program_folder / "anvil", ARM)
    assert not can_run_anvil()
    write_program(program_folder / "anvil", b"#!/bin/sh\nexit 1\n")
    assert not can_run_anvil()
    (program_folder / "anvil").unlink()
    (program_folder / "anvil").symlink_to(ROOT / ".venv" / "bin" / "anvil")
    assert can_run_anvil()
