"""The README's first screen is what the demo prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.demo import cli
from tests.support.checkout_paths import ROOT


def told() -> list[str]:
    """The lines of the README that say how the demo ends."""
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition("`make demo` ends like this:\n\n")
    block, _, _ = rest.partition("\n[A first run]")
    return [line.removeprefix("    ") for line in block.splitlines() if line.strip() not in ("", "...")]


def test_the_readme_says_what_the_demo_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On revm, which comes to the same state as Anvil; only the folder is called otherwise."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner(mix_stderr=False).invoke(cli, ["--host", "revm"])
    assert result.exit_code == 0, result.stderr
    printed = [line.rstrip() for line in result.stdout.replace("-1-revm", "-1-anvil").splitlines()]
    lines = told()
    assert len(lines) > 15 and [line for line in lines if line not in printed] == []
    assert printed[-1] == "0 differences"
    assert (tmp_path / "runs" / "black-thursday-1-revm" / "report.html").is_file()
