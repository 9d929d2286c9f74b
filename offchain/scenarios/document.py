"""A YAML file as fields that know their place: each can say `file:line: path: what is wrong`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from offchain.errors import BackstopError

T = TypeVar("T")


class Field:
    """One value of the file. Scalars stay text until a reader of units turns them into integers."""

    def __init__(self, file: Path, line: int, path: str, value: str | list[Field] | dict[str, Field]) -> None:
        self.file = file
        self.line = line
        self.path = path
        self.value = value

    def fail(self, problem: str) -> NoReturn:
        """Stop with the one line that names file, line and field."""
        place = f"{self.path}: " if self.path else ""
        raise BackstopError(f"{self.file.name}:{self.line}: {place}{problem}")

    # ------------------------------------------------------------------ scalars

    @property
    def text(self) -> str:
        if not isinstance(self.value, str):
            self.fail("is not a single value")
        return self.value

    def read(self, reader: Callable[[str], T]) -> T:
        """The value, turned into T by a reader of units."""
        text = self.text
        try:
            return reader(text)
        except ValueError as error:
            self.fail(str(error))

    def between(self, reader: Callable[[str], int], lowest: int, highest: int) -> int:
        """An integer within bounds, both included."""
        value = self.read(reader)
        if value < lowest:
            self.fail(f"{self.text!r} is too low: the least is {lowest} (as stored)")
        if value > highest:
            self.fail(f"{self.text!r} is too high: the most is {highest} (as stored)")
        return value

    def choice(self, options: Sequence[str]) -> str:
        """One of a few words."""
        if self.text not in options:
            self.fail(f"{self.text!r} is not one of: {', '.join(options)}")
        return self.text

    # --------------------------------------------------------------- containers

    def items(self) -> list[Field]:
        """The entries of a list."""
        if not isinstance(self.value, list):
            self.fail("is not a list")
        return self.value

    def entries(self) -> dict[str, Field]:
        """The entries of a mapping, whatever their keys, in the file's order."""
        if not isinstance(self.value, dict):
            self.fail("is not a section of `name: value` lines")
        return self.value

    def section(self, required: Sequence[str] = (), optional: Sequence[str] = ()) -> Section:
        """A mapping with known keys: a missing or unknown one is an error."""
        entries = self.entries()
        known = [*required, *optional]
        for name, entry in entries.items():
            if name not in known:
                entry.fail(f"unknown field; known here: {', '.join(known)}")
        for name in required:
            if name not in entries:
                self.fail(f"{name!r} is missing")
        return Section(entries)


class Section:
    """A checked mapping: required fields by [], optional ones by get()."""

    def __init__(self, entries: dict[str, Field]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> Field:
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    @property
    def entries(self) -> Mapping[str, Field]:
        """The fields that are given."""
        return self._entries

    def get(self, name: str) -> Field | None:
        return self._entries.get(name)


def read_document(path: Path) -> Field:
    """Read a file; its top is a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BackstopError(f"{path}: cannot be read: {reason}") from None
    yaml = YAML()
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BackstopError(f"{path.name}:{line}: is not YAML: {error.problem}") from None
    except Exception as error:  # the reader of YAML has errors outside its own base class
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackstopError(f"{path.name}:1: is not YAML: {first}") from None
    if not isinstance(node, MappingNode):
        raise BackstopError(f"{path.name}:1: is not a section of `name: value` lines")
    return _field(path, "", node)


def _field(file: Path, path: str, node: Node) -> Field:
    line = node.start_mark.line + 1
    if isinstance(node, ScalarNode):
        # The parser marks where a folded text was folded.
        return Field(file, line, path, str(node.value).replace("\a", "").strip())
    if isinstance(node, SequenceNode):
        items = [_field(file, f"{path}[{i}]", item) for i, item in enumerate(node.value)]
        return Field(file, line, path, items)
    entries: dict[str, Field] = {}
    for key, value in node.value:
        name = str(key.value)
        place = f"{path}.{name}" if path else name
        if name in entries:
            raise BackstopError(f"{file.name}:{key.start_mark.line + 1}: {place}: given twice")
        entry = _field(file, place, value)
        # A section starts on the line of its first entry: its name says more.
        entry.line = key.start_mark.line + 1
        entries[name] = entry
    return Field(file, line, path, entries)


def merge(base: Field, change: Field, orders: Sequence[str] = ()) -> Field:
    """What a file that extends another means: sections merge, `null` removes, all else is replaced.

    Sections at the paths `orders` mean something by their order: what names entries there replaces them all.
    """
    if not (isinstance(base.value, dict) and isinstance(change.value, dict)):
        return change
    if change.path in orders and _replaces_order(base.value, change.value):
        return change
    entries = dict(base.value)
    for name, entry in change.value.items():
        if _is_null(entry):
            entries.pop(name, None)
        else:
            entries[name] = merge(entries[name], entry, orders) if name in entries else entry
    return Field(change.file, change.line, change.path, entries)


def _replaces_order(base: dict[str, Field], change: dict[str, Field]) -> bool:
    """Whether a change of an ordered section is a new order, and does not only remove entries."""
    removed = {name: entry for name, entry in change.items() if _is_null(entry)}
    anew = len(removed) < len(change)
    for name, entry in removed.items():
        if anew:
            entry.fail("is null beside others, which are the whole order: leave it out")
        if name not in base:
            entry.fail(f"is not in the order that is extended: {', '.join(base)}")
    return anew


def _is_null(field: Field) -> bool:
    return field.value in ("null", "~")
