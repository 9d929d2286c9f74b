"""A YAML file as fields that know their place: each can say `file:line: path: what is wrong`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from backstop.errors import BackstopError, refuse_url_as_local_path

T = TypeVar("T")

# Written in C where PyYAML was built with it: a scenario is read twenty times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Field:
    """Value of a YAML document with its file, line and path, for precise error messages.

    Scalars stay text until a reader of units converts them. `null` marks an empty value, which counts as
    missing.
    """

    def __init__(
        self,
        file: Path,
        line: int,
        path: str,
        value: str | list[Field] | dict[str, Field],
        null: bool = False,
    ) -> None:
        self.file = file
        self.line = line
        self.path = path
        self.value = value
        self.null = null

    def raise_error(self, problem: str) -> NoReturn:
        """Raise BackstopError with the problem, prefixed by file, line and path."""
        raise BackstopError(self.format_error(problem))

    def format_error(self, problem: str) -> str:
        """Return the problem, prefixed by file, line and path."""
        place = f"{self.path}: " if self.path else ""
        return f"{self.file.name}:{self.line}: {place}{problem}"

    # ------------------------------------------------------------------ scalars

    @property
    def text(self) -> str:
        if not isinstance(self.value, str):
            self.raise_error(f"is {self._value_kind}: write a single value")
        return self.value

    @property
    def _value_kind(self) -> str:
        """Kind of the value, for messages about an unexpected kind."""
        if isinstance(self.value, str):
            return "empty" if self.null else f"the single value {self.value!r}"
        return "a list" if isinstance(self.value, list) else "a section"

    def find_local_file(self) -> Path:
        """Return the path of the file that the value names, relative to the document's folder.

        Raises BackstopError if the value is a URL or a directory.
        """
        refuse_url_as_local_path(self.text, self.raise_error)
        path = self.file.parent / self.text
        if path.is_dir():
            self.raise_error(f"{self.text!r} is a directory: give a file")
        return path

    def read_value(self, reader: Callable[[str], T]) -> T:
        """Convert the text with a reader of units; a ValueError becomes a BackstopError with the place."""
        text = self.text
        try:
            return reader(text)
        except ValueError as error:
            self.raise_error(str(error))

    def read_bounded(self, reader: Callable[[str], int], lowest: int, highest: int) -> int:
        """Convert the text to an integer between `lowest` and `highest`, both included.

        Raises BackstopError if it is out of bounds.
        """
        value = self.read_value(reader)
        if value < lowest:
            self.raise_error(f"{self.text!r} is too low: the least is {lowest} (as stored)")
        if value > highest:
            self.raise_error(f"{self.text!r} is too high: the most is {highest} (as stored)")
        return value

    def read_choice(self, options: Sequence[str]) -> str:
        """Return the text if it is one of the options; raise BackstopError otherwise."""
        if self.text not in options:
            self.raise_error(f"{self.text!r} is not one of: {', '.join(options)}")
        return self.text

    # --------------------------------------------------------------- containers

    def read_items(self) -> list[Field]:
        """Return the entries of a list; raise BackstopError if the value is no list."""
        if not isinstance(self.value, list):
            self.raise_error(f"is {self._value_kind}: write a list, each entry after `- `")
        return self.value

    def read_mapping_entries(self) -> dict[str, Field]:
        """Return the entries of a mapping in the order of the file; raise BackstopError if it is none."""
        if not isinstance(self.value, dict):
            self.raise_error(f"is {self._value_kind}: write a section of `name: value` lines")
        return self.value

    def find_given_exclusive_key(self, one: str, other: str) -> str:
        """Return which of two keys the mapping has; raise BackstopError for both or neither."""
        entries = {name: entry for name, entry in self.read_mapping_entries().items() if not entry.null}
        if one in entries and other in entries:
            places = " and ".join(
                f"`{name}` ({entries[name].file.name}:{entries[name].line})" for name in (one, other)
            )
            self.raise_error(f"has {places}, which contradict each other: remove one of them")
        if one not in entries and other not in entries:
            self.raise_error(f"needs either `{one}` or `{other}`")
        return one if one in entries else other

    def read_section(self, required: Sequence[str] = (), optional: Sequence[str] = ()) -> Section:
        """Return a mapping as a section after a check of its keys.

        Raises BackstopError for an unknown key, or a missing required one. A null entry counts as missing.
        """
        entries = self.read_mapping_entries()
        known = [*required, *optional]
        for name, entry in entries.items():
            if name not in known:
                entry.raise_error(f"unknown field; known here: {', '.join(known)}")
        for name in required:
            if name not in entries or entries[name].null:
                self.raise_error(f"{name!r} is missing")
        return Section({name: entry for name, entry in entries.items() if not entry.null})


class Section:
    """Checked mapping of fields: required ones by `[]`, optional ones by `get()`."""

    def __init__(self, entries: dict[str, Field]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> Field:
        return self._entries[name]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    @property
    def fields_by_name(self) -> Mapping[str, Field]:
        """Fields that the document gives, by name."""
        return self._entries

    def get(self, name: str) -> Field | None:
        return self._entries.get(name)


_MOST_FIELDS = 100_000
"""Fields that aliases may stand for, where they are many times those that are written."""


def read_document(path: Path) -> Field:
    """Read a YAML file as a field; its top level must be a mapping.

    Raises BackstopError if the file cannot be read or is not valid YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors begin a file with a byte-order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text: save it as UTF-8"
        raise BackstopError(f"{path}: cannot be read: {reason}") from None
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BackstopError(f"{path.name}:{line}: is not YAML: {error.problem}") from None
    except Exception as error:  # the reader of YAML has errors outside its own base class
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackstopError(f"{path.name}:1: is not YAML: {first}") from None
    if node is None:
        raise BackstopError(f"{path.name}:1: is empty: write a section of `name: value` lines")
    if not isinstance(node, MappingNode):
        raise BackstopError(f"{path.name}:1: is not a section of `name: value` lines")
    try:
        sizes = dict[int, int]()
        size = _count_yaml_fields_with_aliases_expanded(path, node, sizes)
        if size > _MOST_FIELDS and size > 10 * len(sizes):
            raise BackstopError(f"{path.name}:1: its aliases (*) stand for {size:,} fields: write fewer")
        return _build_field_tree(path, "", node)
    except RecursionError:
        raise BackstopError(f"{path.name}:1: is nested too deeply: write sections of a few levels") from None


def _count_yaml_fields_with_aliases_expanded(file: Path, node: Node, known_counts: dict[int, int]) -> int:
    """Return the number of fields of a YAML node with all aliases expanded.

    `known_counts` caches counts by node id; 0 marks a node with a count in progress. Raises BackstopError if
    a node contains itself.
    """
    if known_counts.get(id(node)) == 0:
        line = node.start_mark.line + 1
        raise BackstopError(f"{file.name}:{line}: an alias (*) of it is part of what it stands for")
    if id(node) not in known_counts:
        known_counts[id(node)] = 0
        inside: list[Node] = []
        if isinstance(node, SequenceNode):
            inside = node.value
        elif isinstance(node, MappingNode):
            inside = [value for _, value in node.value]
        known_counts[id(node)] = 1 + sum(
            _count_yaml_fields_with_aliases_expanded(file, each, known_counts) for each in inside
        )
    return known_counts[id(node)]


def _build_field_tree(file: Path, path: str, yaml_node: Node) -> Field:
    line = yaml_node.start_mark.line + 1
    if isinstance(yaml_node, ScalarNode):
        return Field(
            file, line, path, yaml_node.value.strip(), null=yaml_node.tag == "tag:yaml.org,2002:null"
        )
    if isinstance(yaml_node, SequenceNode):
        items = [_build_field_tree(file, f"{path}[{i}]", item) for i, item in enumerate(yaml_node.value)]
        return Field(file, line, path, items)
    entries: dict[str, Field] = {}
    for key, value in yaml_node.value:
        name = str(key.value)
        place = f"{path}.{name}" if path else name
        if name in entries:
            raise BackstopError(f"{file.name}:{key.start_mark.line + 1}: {place}: given twice")
        entry = _build_field_tree(file, place, value)
        # A section starts on the line of its first entry: its name says more.
        entry.line = key.start_mark.line + 1
        entries[name] = entry
    return Field(file, line, path, entries)


_MODEL, _POINTS, _FILE = ("model",), ("published", "assumed", "volatility"), ("file", "column", "every")
_PRICE = {
    **dict.fromkeys(_MODEL, (*_POINTS, *_FILE, "prints")),
    **dict.fromkeys(_POINTS, (*_MODEL, *_FILE, "prints")),
    **dict.fromkeys(_FILE, (*_MODEL, *_POINTS)),
}


def merge_documents(base: Field, change: Field, orders: Sequence[str] = ()) -> Field:
    """Return a document merged with a change: sections merge, `null` removes, other values replace.

    A field that is an alternative to a field of the base (such as `file` to `generated`) replaces it. At the
    paths in `orders` the order of a section matters, so a change that lists entries replaces the whole
    section.
    """
    if not (isinstance(base.value, dict) and isinstance(change.value, dict)):
        return change
    if change.path in orders and _is_complete_new_order(base.value, change.value):
        return change
    entries = {
        name: entry
        for name, entry in base.value.items()
        if not _is_key_replaced_by_alternative_key(name, base, change)
    }
    for name, entry in change.value.items():
        if entry.null:
            entries.pop(name, None)
        else:
            entries[name] = merge_documents(entries[name], entry, orders) if name in entries else entry
    return Field(change.file, change.line, change.path, entries)


def _is_complete_new_order(base_entries: dict[str, Field], changed_entries: dict[str, Field]) -> bool:
    """Return True if a change of an ordered section lists entries, False if it only removes some."""
    removed = {name: entry for name, entry in changed_entries.items() if entry.null}
    anew = len(removed) < len(changed_entries)
    for name, entry in removed.items():
        if anew:
            entry.raise_error("is null beside others, which are the whole order: leave it out")
        if name not in base_entries:
            entry.raise_error(f"is not in the order that is extended: {', '.join(base_entries)}")
    return anew


_INSTEAD: tuple[tuple[str, Mapping[str, tuple[str, ...]]], ...] = (
    ("vault_book", {"file": ("generated", "total"), "generated": ("file", "rows")}),
    ("prices.", _PRICE),
    ("feed_prices.", _PRICE),
    ("equity_price", _PRICE),
    ("owners", {"file": ("every", "idle", "defend", "release"), "every": ("file",), "defend": ("file",)}),
    ("markets.", {"depth": ("debt_to_depth",), "debt_to_depth": ("depth",)}),
)
"""At which paths a key takes the place of which others, of a file that is extended."""


def _is_key_replaced_by_alternative_key(key_name: str, base_field: Field, change_field: Field) -> bool:
    """Return True if the change gives an alternative to this key of the base section."""
    assert isinstance(change_field.value, dict)
    given = {key for key, entry in change_field.value.items() if not entry.null}
    return key_name not in given and any(
        key_name in instead.get(key, ())
        for start, instead in _INSTEAD
        if base_field.path == start or (start.endswith(".") and base_field.path.startswith(start))
        for key in given
    )


def remove_nulls(field: Field, keep: Sequence[str] = ()) -> Field:
    """Return a document without null entries; sections at the paths in `keep` stay unchanged."""
    if isinstance(field.value, list):
        items = [remove_nulls(item, keep) for item in field.value]
        return Field(field.file, field.line, field.path, items)
    if not isinstance(field.value, dict) or field.path in keep:
        return field
    entries = {name: remove_nulls(entry, keep) for name, entry in field.value.items() if not entry.null}
    return Field(field.file, field.line, field.path, entries)
