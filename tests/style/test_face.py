"""The package's face: a few names for notebooks, which nothing inside imports, and the list of commands."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

import backstop
from backstop.cli.main import QUESTIONS, get_module_name, main
from backstop.files.installation import CHECKOUT, OLD_COMMANDS

PACKAGE = Path(backstop.__file__).parent
COMMANDS = {name: told for commands in QUESTIONS.values() for name, told in commands.items()}


def test_every_name_of_the_face_is_there_with_its_type() -> None:
    """A name is told twice, for type checkers and at run time: both are the same."""
    face = ast.parse(Path(backstop.__file__).read_text())
    (typed,) = (node for node in face.body if isinstance(node, ast.If))
    imports = [node for node in typed.body if isinstance(node, ast.ImportFrom)]
    places = {alias.name: node.module for node in imports for alias in node.names}
    assert {*places, "__version__"} == set(backstop.__all__) <= set(dir(backstop))
    assert {name for name in dir(backstop) if not name.startswith("__")} == set(places)
    for name, module in places.items():
        assert getattr(backstop, name) is getattr(import_module(str(module)), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = backstop.nothing


def test_nothing_inside_imports_the_face() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        # Parsing all of the package takes seconds, and hardly any file has a line like that.
        found = re.search(r"^\s*(from backstop import|import .*\bbackstop\b(?!\.))", text, re.MULTILINE)
        for node in ast.walk(ast.parse(text)) if found else ():
            if isinstance(node, ast.Import):
                assert all(alias.name != "backstop" for alias in node.names), path
            if isinstance(node, ast.ImportFrom) and node.module == "backstop":
                assert not {alias.name for alias in node.names} & set(backstop.__all__), path


def test_the_list_of_commands_is_that_of_ape() -> None:
    assert CHECKOUT is not None
    scripts = {path.stem for path in (CHECKOUT / "scripts").glob("*.py")}
    assert {*COMMANDS, *OLD_COMMANDS} == scripts and not COMMANDS.keys() & OLD_COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_same_both_ways(name: str) -> None:
    found = main.get_command(click.Context(main), name)
    assert found is import_module(f"scripts.{name}").cli is import_module(get_module_name(name)).cli
    assert found.short_help == COMMANDS[name]


def test_benchmarks_are_the_checkouts(tmp_path: Path) -> None:
    """A dependency installs a folder of that name."""
    command = [sys.executable, "-c", "import benchmarks.cli as it; print(it.__file__)"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == f"{PACKAGE.parent / 'benchmarks' / 'cli' / '__init__.py'}\n"
