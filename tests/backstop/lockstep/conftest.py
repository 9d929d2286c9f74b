"""Projects of a user's own, outside the repository, made by the page's instructions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from backstop.lockstep.declaration_loader import load_campaign
from tests.support.checkout_paths import ROOT

NAME = "tests/test_token.py::campaign"
PAGE = ROOT / "docs" / "how-to" / "lockstep.md"
BUG = "    if amount < allowed:\n        self.allowance[owner][msg.sender] = allowed - amount\n"
REPAIRED = "    self.allowance[owner][msg.sender] = allowed - amount\n"


def list_page_blocks() -> list[str]:
    """Return the files and parts of files that the page shows."""
    return re.findall(r"```(?:vyper|python)\n(.*?)```", PAGE.read_text(), re.DOTALL)


class NewcomerProject:
    """The project of the page: a contract with a bug, and the file that finds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contract, self.file, self.regression = list_page_blocks()[:3]
        assert BUG in self.contract
        self.write("contracts/Token.vy", self.contract)
        self.write("tests/test_token.py", self.file)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def repair_contract(self) -> None:
        """Repair the bug by the page's instructions."""
        self.write("contracts/Token.vy", self.contract.replace(BUG, REPAIRED))

    def run_pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pytest in the project as its user does, without Ape."""
        return self.run_command(
            [sys.executable, "-m", "pytest", "-p", "no:ape_test", "-p", "no:hypothesispytest"], arguments
        )

    def run_command(
        self, command: Sequence[str], arguments: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, which finds this package."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment["PYTHONPATH"] = str(ROOT / "offchain")
        # Byte code is told apart by its source's size and second: a file that is written again may have both.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return subprocess.run(
            [*command, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True
        )


@pytest.fixture
def newcomer(tmp_path: Path) -> NewcomerProject:
    """The project of the page, in a folder of its own."""
    return NewcomerProject(tmp_path)


@pytest.fixture
def module(newcomer: NewcomerProject) -> ModuleType:
    """The user's file, its contract repaired."""
    newcomer.repair_contract()
    return sys.modules[load_campaign(NAME, newcomer.folder).actions[0].function.__module__]
