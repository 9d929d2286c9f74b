"""Every command that a page shows exists and has the options shown; the README has a row for each command."""

import importlib
import re
from functools import cache
from pathlib import Path

import click
import pytest

from backstop.files.installation import OLD_COMMANDS
from tests.support.checkout_paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = {file.stem for file in (ROOT / "scripts").glob("*.py")} - {"__init__", *OLD_COMMANDS}
SHOWN = re.compile(
    r"(?:ape run|(?:^\$ |; |do )backstop) ([a-z][a-z-]*)((?:(?!; | \| | > )[^`\n#])*)", re.MULTILINE
)
"""A command, alone or in a line of several, with its arguments."""
OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")


@cache
def options(name: str) -> set[str]:
    """The options of a command; `--help` is click's."""
    command = importlib.import_module(f"scripts.{name}").cli
    assert isinstance(command, click.Command)
    return {"--help"} | {text for each in command.params for text in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_what_they_are(page: Path) -> None:
    for name, rest in SHOWN.findall(page.read_text()):
        assert name in NAMES, name
        assert set(OPTION.findall(rest.replace("[", " ").replace("]", " "))) <= options(name), (name, rest)


def test_the_readme_has_a_row_for_each_command() -> None:
    table = (
        (ROOT / "README.md").read_text().partition("| question | command | page |")[2].partition("\n\n")[0]
    )
    cells = [row.split("|")[2] for row in table.splitlines()[2:]]
    assert {name for cell in cells for name in re.findall(r"`([a-z][a-z-]*)", cell)} == NAMES
    for cell in cells:
        for name, rest in re.findall(r"`([a-z][a-z-]*)([^`]*)`", cell):
            assert set(OPTION.findall(rest)) <= options(name), (name, rest)
