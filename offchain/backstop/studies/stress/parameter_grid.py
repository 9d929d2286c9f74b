"""Grid of settings: a scenario, and fields of it that take several values (docs/do/stress.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from pathlib import Path

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario, quantity_units
from backstop.simulation.scenario.scenario_library import ORDERS, read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.simulation.scenario.yaml_document_reader import Field, merge_documents, read_document

SCHEMA_VERSION = 1
MOST_POINTS = 1_000

GAINS = ("efficiency", "debt")
"""Kinds of gain that a setting may have: see `gain_of` in sweep.py."""


@dataclass(frozen=True)
class Axis:
    """One dimension of the grid: its values as they are written, and the change that each makes."""

    name: str
    title: str
    values: tuple[str, ...]
    changes: tuple[Field, ...]
    paths: tuple[str, ...] = ()  # of the fields that move along the axis


@dataclass(frozen=True)
class Point:
    """One setting: the position of its value on each axis, and the scenario that it makes."""

    places: tuple[int, ...]
    scenario: Scenario


@dataclass(frozen=True)
class Grid:
    """Checked grid; a setting is good enough if its expected shortfall is within the limit."""

    name: str
    title: str
    scenario: str
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    gain: str  # one of GAINS
    limit: int  # micro stablecoins
    level: int  # of the shortfall, basis points

    def build_change(self, point: Point) -> Field:
        """Return the part of a scenario file that makes this point of the scenario."""
        chosen = (axis.changes[place] for axis, place in zip(self.axes, point.places, strict=True))
        return reduce(lambda whole, change: merge_documents(whole, change, ORDERS), chosen)

    def get_value_texts(self, point: Point) -> tuple[str, ...]:
        """Return a point's values, as they are written."""
        return tuple(axis.values[place] for axis, place in zip(self.axes, point.places, strict=True))


def load_grid(path: Path) -> Grid:
    """Read a grid and build all its scenarios, so that errors show before anything runs."""
    top = read_document(path)
    section = top.read_section(("schema_version", "title", "scenario", "gain", "limit", "level", "axes"))
    if section["schema_version"].read_value(quantity_units.read_whole_number) != SCHEMA_VERSION:
        section["schema_version"].raise_error(
            f"is version {section['schema_version'].text}, this program reads {SCHEMA_VERSION}"
        )
    called = section["scenario"].text
    beside = path.parent / called
    try:
        base, name = read_unchecked_scenario_fields(beside if called.endswith((".yaml", ".yml")) else called)
    except BackstopError as error:
        section["scenario"].raise_error(str(error))
    axes = tuple(_parse_axis(name, entry) for name, entry in section["axes"].read_mapping_entries().items())
    if not axes:
        section["axes"].raise_error("needs at least one axis")
    count = 1
    for axis in axes:
        count *= len(axis.values)
    if count > MOST_POINTS:
        section["axes"].raise_error(f"make {count:,} settings: {MOST_POINTS:,} is the most")
    return Grid(
        name=path.stem,
        title=" ".join(section["title"].text.split()),
        scenario=str(beside) if called.endswith((".yaml", ".yml")) else called,
        axes=axes,
        points=tuple(_build_points(base, name, axes)),
        gain=section["gain"].read_choice(GAINS),
        limit=section["limit"].read_value(quantity_units.read_stablecoin) // 10**12,
        level=section["level"].read_bounded(quantity_units.read_basis_points, 5_000, BASIS_POINTS - 1),
    )


def _parse_axis(name: str, field: Field) -> Axis:
    section = field.read_section(("fields",), ("title",))
    fields = section["fields"].read_mapping_entries()
    if not fields:
        section["fields"].raise_error("names no field of the scenario")
    columns = {path: values.read_items() for path, values in fields.items()}
    first = next(iter(columns.values()))
    for path, values in columns.items():
        if not values:
            fields[path].raise_error("has no values")
        if len(values) != len(first):
            fields[path].raise_error(f"has {len(values)} values, the axis's first field {len(first)}")
    texts = [value.text for value in first]
    if len(set(texts)) < len(texts):
        next(iter(fields.values())).raise_error("has a value twice")
    title = section.get("title")
    return Axis(
        name=name,
        title=name if title is None else title.text,
        values=tuple(texts),
        changes=tuple(
            build_field_changes(field, {path: values[i] for path, values in columns.items()})
            for i in range(len(texts))
        ),
        paths=tuple(columns),
    )


def build_field_changes(origin: Field, fields_by_path: Mapping[str, Field]) -> Field:
    """Build the part of a scenario file that has these values at these paths."""
    top = Field(origin.file, origin.line, "", {})
    for path, value in fields_by_path.items():
        here = top.read_mapping_entries()
        *sections, last = _split_field_path(path)
        for depth, name in enumerate(sections, start=1):
            here = here.setdefault(
                name, Field(value.file, value.line, ".".join(sections[:depth]), {})
            ).read_mapping_entries()
        here[last] = Field(value.file, value.line, path, value.value, value.null)
    return top


def read_field_text_or_empty(top: Field, path: str) -> str:
    """Return what a file says at a path; nothing where it says nothing, or more than one value."""
    here = top
    for name in _split_field_path(path):
        if not isinstance(here.value, dict) or name not in here.value:
            return ""
        here = here.value[name]
    return here.value if isinstance(here.value, str) and not here.null else ""


def _split_field_path(field_path: str) -> list[str]:
    """Split a path into keys, where quotes keep a symbol's dots: 'types."USDC.e".initial_ratio'."""
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([^."]+)', field_path)]


def _build_points(base: Field, name: str, axes: Sequence[Axis]) -> list[Point]:
    found = []
    for places in product(*(range(len(axis.values)) for axis in axes)):
        changed = base
        for axis, place in zip(axes, places, strict=True):
            changed = merge_documents(changed, axis.changes[place], ORDERS)
        try:
            # A recorded state belongs to its own terms, so the vault book is opened anew.
            scenario = parse_scenario(changed, name, drops_opening_state=True)
        except BackstopError as error:
            chosen = ", ".join(f"{axis.name} {axis.values[k]}" for axis, k in zip(axes, places, strict=True))
            raise BackstopError(f"{error} (with {chosen})") from None
        found.append(Point(places, scenario))
    return found
