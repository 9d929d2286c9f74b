"""Write the reference pages of commands and of the Python package: python -m tools.reference.write.

A command's page is its help, a function's entry its signature and its docstring, so neither says more or less
than the program. tests/docs/test_reference_pages.py holds the pages equal to what this module writes.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import backstop
from backstop.cli.main import QUESTIONS, main

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
COLUMNS = 100
_ROW = re.compile(r"^\| [^|]*\| ([^|]*)\| (\[.*\]\(.*\)) \|$", re.MULTILINE)
_GENERATED = "<!-- Written by: python -m tools.reference.write -->\n"


def _read_guides() -> dict[str, list[str]]:
    """Return the links of the README's table by command, as seen from the pages of commands."""
    guides: dict[str, list[str]] = {}
    for commands, links in _ROW.findall((ROOT / "README.md").read_text()):
        for name in re.findall(r"`([a-z][a-z-]*)", commands):
            for link in (
                links.replace("](docs/reference/", "](../").replace("](docs/", "](../../").split(", [")
            ):
                text = link if link.startswith("[") else f"[{link}"
                if text not in guides.setdefault(name, []):
                    guides[name].append(text)
    return guides


def _iter_commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and its subcommands, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            if not child.hidden:
                yield from _iter_commands(child, f"{path} {name}")


def _format_help(path: str, command: click.Command) -> str:
    """Return the help of a command as `--help` prints it in a terminal of 100 columns."""
    context = click.Context(
        command, info_name=path, terminal_width=COLUMNS, max_content_width=COLUMNS, color=False
    )
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def format_command_page(name: str, guides: list[str]) -> str:
    """Return the page of a command: its purpose, its guides, and the help of it and its subcommands."""
    found = main.get_command(click.Context(main), name)
    assert found is not None
    short = next(commands[name] for commands in QUESTIONS.values() if name in commands).rstrip(".")
    text = f"# backstop {name}\n\n{_GENERATED}\n{short}.\n"
    if guides:
        text += f"\nGuide: {', '.join(guides)}.\n"
    for path, command in _iter_commands(found, f"backstop {name}"):
        title = f"\n## {path.removeprefix('backstop ')}\n" if path.count(" ") > 1 else ""
        text += f"{title}\n```text\n{_format_help(path, command)}\n```\n"
    return text


def format_command_index() -> str:
    """Return the page that lists all commands, by the question that each answers."""
    text = f"# Commands\n\n{_GENERATED}\n"
    text += "Each command is `backstop NAME`, and in a checkout `ape run NAME` as well.\n"
    for question, commands in QUESTIONS.items():
        text += f"\n## {question}\n\n| command | purpose |\n|---|---|\n"
        text += "".join(f"| [`{name}`]({name}.md) | {short} |\n" for name, short in commands.items())
    return text


def _format_signature(name: str, value: Any) -> str:
    """Return the call of a function or class as its source has it, one parameter a line if it is long."""
    node = ast.parse(inspect.getsource(value).strip()).body[0]
    if isinstance(node, ast.ClassDef):
        fields = [ast.unparse(each) for each in node.body if isinstance(each, ast.AnnAssign)]
        public = "".join(f"\n    {each}" for each in fields if not each.startswith("_"))
        return f"class {name}{':' if public else ''}{public}"
    assert isinstance(node, ast.FunctionDef)
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = ast.unparse(node.args)
    line = f"{name}({arguments}){result}"
    if len(line) <= COLUMNS:
        return line
    lines = re.sub(r", (?=\*, |\*\w|\w+: )", ",\n    ", arguments)
    return f"{name}(\n    {lines},\n){result}"


def _format_entry(name: str, value: Any, level: str = "##") -> str:
    """Return the heading, signature and docstring of a public name."""
    title = name.rpartition(".")[2]
    text = (
        f"\n{level} {title}\n\n```python\n{_format_signature(name, value)}\n```\n\n{inspect.getdoc(value)}\n"
    )
    if inspect.isclass(value):
        for member, each in inspect.getmembers(value, inspect.isfunction):
            if not member.startswith("_") and member in vars(value):
                text += _format_entry(f"{name}.{member}", each, level + "#")
    return text


def format_python_page() -> str:
    """Return the page of the package's public names."""
    text = f"# Python package\n\n{_GENERATED}\n"
    text += "The public names of `import backstop`, for notebooks and scripts.\n\n"
    text += '```pycon\n>>> import backstop\n>>> backstop.load_scenario("black-thursday").title\n'
    text += f"{backstop.load_scenario('black-thursday').title!r}\n```\n"
    for name in backstop.__all__:
        if not name.startswith("__"):
            text += _format_entry(name, getattr(backstop, name))
    local = import_module("backstop.proof.local_protocol").LocalProtocol
    return text + _format_entry("LocalProtocol", local)


def build_reference_pages() -> dict[Path, str]:
    """Return the text of each generated page by its file."""
    guides = _read_guides()
    folder = REFERENCE / "commands"
    pages = {
        folder / f"{name}.md": format_command_page(name, guides.get(name, []))
        for commands in QUESTIONS.values()
        for name in commands
    }
    pages[folder / "README.md"] = format_command_index()
    pages[REFERENCE / "python.md"] = format_python_page()
    return pages


if __name__ == "__main__":
    pages = build_reference_pages()
    for old in (REFERENCE / "commands").glob("*.md"):
        if old not in pages:
            old.unlink()
    for file, text in pages.items():
        file.parent.mkdir(exist_ok=True)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(file.relative_to(ROOT), file=sys.stderr)
