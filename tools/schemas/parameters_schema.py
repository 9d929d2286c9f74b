"""The JSON Schema of a file of parameters: out of the dataclasses that it is read into."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from typing import Any

from backstop.deployment.parameter_dataclasses import Parameters
from tools.schemas.field_descriptions import read_field_comments

Schema = dict[str, Any]


def build_parameters_schema() -> Schema:
    """Return the schema of the parameters alone, or of a file that has them under `parameters`."""
    definitions: dict[str, Schema] = {}
    _build_type_schema(Parameters, definitions)
    alone = {"$ref": f"#/definitions/{Parameters.__name__}"}
    return {
        "if": {"type": "object", "required": ["parameters"]},
        "then": {"properties": {"parameters": alone}},
        "else": alone,
        "definitions": dict(sorted(definitions.items())),
    }


def _build_type_schema(annotated_type: Any, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a type; records go to the definitions."""
    origin, args = typing.get_origin(annotated_type), typing.get_args(annotated_type)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_build_type_schema(args[0], definitions), {"type": "null"}]}
    if origin is tuple:
        schema = {"type": "array", "items": _build_type_schema(args[0], definitions)}
        return schema if Ellipsis in args else {**schema, "minItems": len(args), "maxItems": len(args)}
    if dataclasses.is_dataclass(annotated_type):
        assert isinstance(annotated_type, type)
        if annotated_type.__name__ not in definitions:
            definitions[annotated_type.__name__] = {}
            definitions[annotated_type.__name__] = _build_record_schema(annotated_type, definitions)
        return {"$ref": f"#/definitions/{annotated_type.__name__}"}
    if annotated_type is int:
        # Integers beyond 64 bits are text: most readers of JSON would lose their last digits.
        return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]+$"}]}
    return {"type": {str: "string", bool: "boolean"}[annotated_type]}


def _build_record_schema(record: Any, definitions: dict[str, Schema]) -> Schema:
    hints, comments = typing.get_type_hints(record), read_field_comments(record)
    properties = {}
    for name, hint in hints.items():
        schema = _build_type_schema(hint, definitions)
        about = {"description": comments[name]} if name in comments else {}
        properties[name] = {"allOf": [schema], **about} if "$ref" in schema and about else {**about, **schema}
    later = {each.name for each in dataclasses.fields(record) if each.metadata.get("later")}
    return {
        "description": inspect.cleandoc(record.__doc__ or ""),
        "type": "object",
        "properties": properties,
        "required": sorted(hints.keys() - later),
        "additionalProperties": False,
    }
