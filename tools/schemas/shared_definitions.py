"""Equal parts of a schema, written once: a scenario says in many places what a price or an auction is."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

Schema = dict[str, Any]

_LEAST = 160
"""Characters of a part that is worth a name."""


def share_equal_parts(schema: Schema) -> Schema:
    """Return a schema that allows the same, with parts that it has several times among its definitions."""
    counts: Counter[str] = Counter()
    _count_parts(schema, counts)
    names: dict[str, str] = {}
    definitions: dict[str, Schema] = {}
    shared = _replace_parts(schema, "", counts, names, definitions)
    shared["definitions"] = dict(sorted((shared.get("definitions", {}) | definitions).items()))
    return shared


def _count_parts(part: Any, counts: Counter[str]) -> None:
    """Count the parts; what is inside equal ones counts once."""
    if isinstance(part, dict):
        text = json.dumps(part)
        if _is_schema(part) and len(text) >= _LEAST:
            counts[text] += 1
            if counts[text] > 1:
                return
        for each in part.values():
            _count_parts(each, counts)
    elif isinstance(part, list):
        for each in part:
            _count_parts(each, counts)


def _replace_parts(
    part: Any, place: str, counts: Counter[str], names: dict[str, str], definitions: dict[str, Schema]
) -> Any:
    if isinstance(part, list):
        return [_replace_parts(each, place, counts, names, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    text = json.dumps(part)
    if text in names:
        return {"$ref": f"#/definitions/{names[text]}"}

    def replace_inside() -> Schema:
        return {
            name: _replace_parts(each, _name_place(place, name), counts, names, definitions)
            for name, each in part.items()
        }

    if counts[text] < 2 or not _is_schema(part):
        return replace_inside()
    taken = {*names.values()}
    stem = place or "part"
    names[text] = next(name for name in _iter_numbered(stem) if name not in taken)
    definitions[names[text]] = replace_inside()
    return {"$ref": f"#/definitions/{names[text]}"}


def _is_schema(part: Schema) -> bool:
    """Whether it allows something; the properties of a section only look like it."""
    return any(isinstance(part.get(key), str | list) for key in ("type", "anyOf", "enum"))


def _name_place(place: str, name: str) -> str:
    """Return the name of what stands in a key: the key's, or that of the section that it is inside."""
    inside = ("properties", "additionalProperties", "items", "anyOf", "definitions", "whole", "change")
    return place if name in inside else name


def _iter_numbered(stem: str) -> Any:
    yield stem
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1
