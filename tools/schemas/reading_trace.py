"""What readers ask of a document: each field of a YAML file, and what it was read as."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from backstop.simulation.scenario.yaml_document_reader import Field, Section

T = TypeVar("T")


class Keys(NamedTuple):
    """The keys that a section has to have, and those that it may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


class UnitReading(NamedTuple):
    """A reader of a quantity; `bounds` are those of a whole number."""

    reader: str
    symbol: str = ""


@dataclass
class ReadingTrace:
    """What one field of one document was read as; a reader may ask for several things."""

    value: Any
    null: bool
    keys: Keys | None = None
    is_mapping: bool = False
    is_list: bool = False
    is_text: bool = False
    units: set[UnitReading] = field(default_factory=set)
    bounds: list[tuple[int, int]] = field(default_factory=list)
    choices: tuple[str, ...] | None = None
    by_name: dict[str, ReadingTrace] = field(default_factory=dict)
    items: list[ReadingTrace] = field(default_factory=list)

    @property
    def is_read(self) -> bool:
        """Whether a reader has looked at it at all."""
        return bool(
            self.keys or self.is_mapping or self.is_list or self.is_text or self.units or self.choices
        )


class TracedField(Field):
    """A field that notes what it is read as."""

    def __init__(self, source: Field) -> None:
        self.trace = ReadingTrace(source.value if isinstance(source.value, str) else None, source.null)
        value: str | list[Field] | dict[str, Field]
        if isinstance(source.value, dict):
            entries = {name: TracedField(each) for name, each in source.value.items()}
            self.trace.by_name = {name: each.trace for name, each in entries.items()}
            value = dict(entries)
        elif isinstance(source.value, list):
            items = [TracedField(each) for each in source.value]
            self.trace.items = [each.trace for each in items]
            value = list(items)
        else:
            value = source.value
        super().__init__(source.file, source.line, source.path, value, source.null)

    @property
    def text(self) -> str:
        """The text of a value that has no unit."""
        self.trace.is_text = True
        return super().text

    def read_value(self, reader: Callable[[str], T]) -> T:
        """Note the reader of a unit."""
        if isinstance(reader, partial):
            self.trace.units.add(UnitReading(reader.func.__name__, str(reader.args[0])))
        else:
            self.trace.units.add(UnitReading(reader.__name__))
        return super().read_value(reader)

    def read_bounded(self, reader: Callable[[str], int], lowest: int, highest: int) -> int:
        """Note the bounds."""
        self.trace.bounds.append((lowest, highest))
        return super().read_bounded(reader, lowest, highest)

    def read_choice(self, options: Sequence[str]) -> str:
        """Note the words."""
        self.trace.choices = tuple(options)
        return super().read_choice(options)

    def read_items(self) -> list[Field]:
        """Note that it is a list."""
        self.trace.is_list = True
        return super().read_items()

    def read_mapping_entries(self) -> dict[str, Field]:
        """Note that it is a mapping."""
        self.trace.is_mapping = True
        return super().read_mapping_entries()

    def read_section(self, required: Sequence[str] = (), optional: Sequence[str] = ()) -> Section:
        """Note the keys."""
        keys = Keys(tuple(required), tuple(optional))
        assert self.trace.keys in (None, keys), f"{self.path} is read with two sets of keys"
        self.trace.keys = keys
        return super().read_section(required, optional)


def iter_traces(traces: Sequence[ReadingTrace]) -> Iterator[ReadingTrace]:
    """Yield those that were read."""
    return (each for each in traces if each.is_read)
