"""Grid of settings: a scenario, and fields of it that take several values (docs/reference/sweep-grids.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from pathlib import Path

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import Scenario, quantity_units
from backstop.simulation.scenario.parameter_misfit_refusal import BrokenRuleError
from backstop.simulation.scenario.scenario_library import ORDERS, read_unchecked_scenario_fields
from backstop.simulation.scenario.scenario_loader import parse_scenario
from backstop.simulation.scenario.yaml_document_reader import Field, merge_documents, read_document
from backstop.studies.borrower_response import (
    RESPONSES,
    STILL,
    build_response_books,
    keep_shared_vaults,
)

SCHEMA_VERSION = 1
MOST_POINTS = 1_000

GAINS = ("efficiency", "debt", "revenue")
"""Kinds of gain that a setting may have: see `measure_gain` in parameter_sweep.py."""

BOOK = "vault_book"
"""Section of a scenario with fields that move the book by themselves."""


@dataclass(frozen=True)
class Axis:
    """Dimension of a grid: its values as text, and the change of the scenario that each value makes."""

    name: str
    title: str
    values: tuple[str, ...]
    changes: tuple[Field, ...]
    paths: tuple[str, ...] = ()  # of the fields that move along the axis


@dataclass(frozen=True)
class Point:
    """Setting of a grid: the index of its value on each axis, and the resulting scenario."""

    places: tuple[int, ...]
    scenario: Scenario
    has_own_book: bool = False  # vaults that its fields alone do not make


@dataclass(frozen=True)
class RefusedPoint:
    """Setting of a grid that breaks a rule of parameters, and is therefore not run.

    `rule` is the rule's name, `finding` says in one line what breaks it, with file and line.
    """

    places: tuple[int, ...]
    rule: str
    finding: str  # in one line, with file and line


@dataclass(frozen=True)
class Grid:
    """Checked grid of settings, with the limit of the expected shortfall that a setting may have."""

    name: str
    title: str
    scenario: str
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    gain: str | None  # one of GAINS; None is revenue, or debt where nobody pays a fee
    limit: int  # micro stablecoins
    level: int  # of the shortfall, basis points
    refused: tuple[RefusedPoint, ...] = ()
    owners: str = STILL  # one of RESPONSES
    remarks: tuple[str, ...] = ()  # of vaults that are left out

    def build_change(self, point: Point) -> Field:
        """Return the part of a scenario file that turns the grid's scenario into this setting."""
        chosen = (axis.changes[place] for axis, place in zip(self.axes, point.places, strict=True))
        return reduce(lambda whole, change: merge_documents(whole, change, ORDERS), chosen)

    def get_value_texts(self, point: Point | RefusedPoint) -> tuple[str, ...]:
        """Return the value of each axis at this setting, as it is written in the grid file."""
        return tuple(axis.values[place] for axis, place in zip(self.axes, point.places, strict=True))


def load_grid(path: Path, owners: str | None = None, seed: int = 1) -> Grid:
    """Read a grid file and build the scenarios of all its settings.

    Errors thus show before any run. `owners` is one of RESPONSES and overrides the file. `seed` draws the
    vaults that responding owners hold. Settings that break a rule of parameters are listed in `refused`.
    Raises BackstopError for invalid values, and if each setting breaks a rule.
    """
    top = read_document(path)
    section = top.read_section(
        ("schema_version", "title", "scenario", "limit", "level", "axes"), ("gain", "owners")
    )
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
    if owners is None:
        owners = section["owners"].read_choice(RESPONSES) if "owners" in section else STILL
    if owners != STILL:
        _refuse_moved_books(axes)
    points, refused = _build_points(base, name, axes, with_book=owners == STILL)
    grid = Grid(
        name=path.stem,
        title=" ".join(section["title"].text.split()),
        scenario=str(beside) if called.endswith((".yaml", ".yml")) else called,
        axes=axes,
        points=points,
        gain=section["gain"].read_choice(GAINS) if "gain" in section else None,
        limit=section["limit"].read_value(quantity_units.read_stablecoin) // 10**12,
        level=section["level"].read_bounded(quantity_units.read_basis_points, 5_000, BASIS_POINTS - 1),
        refused=refused,
        owners=owners,
    )
    if not points:
        raise BackstopError(
            f"{path.name}: each of its {count:,} settings breaks a rule, the first {refused[0].rule}: "
            f"{refused[0].finding}"
        )
    return _share_books(grid, base, name, seed)


def _refuse_moved_books(axes: Sequence[Axis]) -> None:
    """Raise an error if an axis changes the vaults, as responding owners already change them."""
    for axis in axes:
        entries = axis.changes[0].read_mapping_entries()
        if BOOK in entries:
            entries[BOOK].raise_error(
                f"the axis {axis.name} moves the book itself, and so do owners who respond: "
                f"take the field out, or set owners to {STILL}"
            )


def _share_books(grid: Grid, base: Field, name: str, seed: int) -> Grid:
    """Return the grid with the same vaults in all its settings, changed by the owners' response.

    Without a response, vaults that some setting would refuse are left out of all settings. A grid with an
    axis that changes the vaults is returned as it was.
    """
    scenarios = [point.scenario for point in grid.points]
    if grid.owners != STILL:
        found = build_response_books(
            parse_scenario(base, name, drops_opening_state=True), scenarios, grid.owners, seed
        )
    elif any(BOOK in axis.changes[0].read_mapping_entries() for axis in grid.axes):
        return grid
    else:
        found = keep_shared_vaults(scenarios)
    points = tuple(
        replace(point, scenario=scenario, has_own_book=scenario is not point.scenario)
        for point, scenario in zip(grid.points, found.scenarios, strict=True)
    )
    return replace(grid, points=points, remarks=found.remarks)


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
    """Return the part of a scenario file that has these values at these dotted paths."""
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
    """Return the text at a dotted path of a file; "" if it is missing, null, or no single value."""
    here = top
    for name in _split_field_path(path):
        if not isinstance(here.value, dict) or name not in here.value:
            return ""
        here = here.value[name]
    return here.value if isinstance(here.value, str) and not here.null else ""


def _split_field_path(field_path: str) -> list[str]:
    """Split a dotted path into keys.

    Quotes keep the dots of a symbol: 'types."USDC.e".initial_ratio'.
    """
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|([^."]+)', field_path)]


def describe_places(axes: Sequence[Axis], places: Sequence[int]) -> str:
    """Return a setting's axis names and values as text, for example `ratio 130%, step 90 s`."""
    return ", ".join(f"{axis.name} {axis.values[place]}" for axis, place in zip(axes, places, strict=True))


def _build_points(
    base: Field, name: str, axes: Sequence[Axis], *, with_book: bool
) -> tuple[tuple[Point, ...], tuple[RefusedPoint, ...]]:
    found, refused = [], []
    for places in product(*(range(len(axis.values)) for axis in axes)):
        changed = base
        for axis, place in zip(axes, places, strict=True):
            changed = merge_documents(changed, axis.changes[place], ORDERS)
        try:
            # A recorded state belongs to its own terms, so the vault book is opened anew.
            scenario = parse_scenario(changed, name, drops_opening_state=True, with_book=with_book)
        except BrokenRuleError as error:
            refused.append(RefusedPoint(places, error.rule, f"{error.place}: {error.finding}"))
            continue
        except BackstopError as error:
            raise BackstopError(f"{error} (with {describe_places(axes, places)})") from None
        found.append(Point(places, scenario))
    return tuple(found), tuple(refused)
