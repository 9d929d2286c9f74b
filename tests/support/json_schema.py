"""JSON Schema, draft 7, as far as the package's schemas use it, and YAML as editors read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

_KINDS = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
_TOLD = {"description", "title", "$schema", "definitions", "then", "else"}


class SchemaChecker:
    """One schema. A keyword that it does not know is a mistake of the schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def find_fault(self, value: Any) -> str | None:
        """Return the place and the kind of a fault; None if the value fits."""
        return self._find_fault(self._schema, value, "")

    def _find_fault(self, schema: dict[str, Any], value: Any, place: str) -> str | None:
        for keyword, asked in schema.items():
            if keyword in _TOLD:
                continue
            fault = getattr(self, f"_check_{keyword.removeprefix('$')}")(asked, value, place, schema)
            if fault is not None:
                return str(fault)
        return None

    def _check_ref(self, asked: str, value: Any, place: str, schema: dict[str, Any]) -> str | None:
        start, section, name = asked.split("/")
        assert (start, section) == ("#", "definitions") and set(schema) <= {"$ref", *_TOLD}
        return self._find_fault(self._schema[section][name], value, place)

    def _check_if(self, asked: dict[str, Any], value: Any, place: str, schema: dict[str, Any]) -> str | None:
        branch = "then" if self._find_fault(asked, value, place) is None else "else"
        return self._find_fault(schema[branch], value, place)

    def _check_type(self, asked: str | list[str], value: Any, place: str, _: Any) -> str | None:
        kinds = [asked] if isinstance(asked, str) else asked
        fits = any(
            isinstance(value, _KINDS[kind]) and isinstance(value, bool) is (kind == "boolean")
            for kind in kinds
        )
        fits = fits or ("integer" in kinds and isinstance(value, float) and value.is_integer())
        return None if fits else f"{place}: {value!r} is not of type {asked}"

    def _check_enum(self, asked: list[Any], value: Any, place: str, _: Any) -> str | None:
        return None if value in asked else f"{place}: {value!r} is not one of {asked}"

    def _check_pattern(self, asked: str, value: Any, place: str, _: Any) -> str | None:
        fits = not isinstance(value, str) or re.search(asked, value, re.ASCII)
        return None if fits else f"{place}: {value!r} does not match {asked}"

    def _check_minimum(self, asked: int, value: Any, place: str, _: Any) -> str | None:
        return f"{place}: {value} is under {asked}" if isinstance(value, int) and value < asked else None

    def _check_maximum(self, asked: int, value: Any, place: str, _: Any) -> str | None:
        return f"{place}: {value} is above {asked}" if isinstance(value, int) and value > asked else None

    def _check_required(self, asked: list[str], value: Any, place: str, _: Any) -> str | None:
        missing = [name for name in asked if isinstance(value, dict) and name not in value]
        return f"{place}: {missing[0]} is missing" if missing else None

    def _check_properties(self, asked: dict[str, Any], value: Any, place: str, _: Any) -> str | None:
        faults = (
            self._find_fault(asked[name], each, f"{place}.{name}")
            for name, each in (value.items() if isinstance(value, dict) else ())
            if name in asked
        )
        return next((each for each in faults if each), None)

    def _check_additionalProperties(
        self, asked: bool | dict[str, Any], value: Any, place: str, schema: dict[str, Any]
    ) -> str | None:
        for name, each in value.items() if isinstance(value, dict) else ():
            if name not in schema.get("properties", {}):
                if asked is False:
                    return f"{place}: {name} is unknown"
                assert isinstance(asked, dict)
                if (fault := self._find_fault(asked, each, f"{place}.{name}")) is not None:
                    return fault
        return None

    def _check_items(self, asked: dict[str, Any], value: Any, place: str, _: Any) -> str | None:
        several = enumerate(value) if isinstance(value, list) else ()
        faults = (self._find_fault(asked, each, f"{place}[{i}]") for i, each in several)
        return next((each for each in faults if each), None)

    def _check_minItems(self, asked: int, value: Any, place: str, _: Any) -> str | None:
        return f"{place}: too few" if isinstance(value, list) and len(value) < asked else None

    def _check_maxItems(self, asked: int, value: Any, place: str, _: Any) -> str | None:
        return f"{place}: too many" if isinstance(value, list) and len(value) > asked else None

    def _check_allOf(self, asked: list[dict[str, Any]], value: Any, place: str, _: Any) -> str | None:
        return next((fault for each in asked if (fault := self._find_fault(each, value, place))), None)

    def _check_anyOf(self, asked: list[dict[str, Any]], value: Any, place: str, _: Any) -> str | None:
        faults = [self._find_fault(each, value, place) for each in asked]
        return None if None in faults else " or ".join(map(str, faults))


def read_yaml_as_editors_do(text: str) -> Any:
    """Return what YAML 1.2 says: `00:00` and `1_000` are text, where YAML 1.1 has numbers."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None
    return _build_value(node)


def _build_value(node: Node) -> Any:
    if isinstance(node, MappingNode):
        return {key.value: _build_value(value) for key, value in node.value}
    if not isinstance(node, ScalarNode):
        return [_build_value(each) for each in node.value]
    text = node.value
    if node.style is not None:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    return text


def load_schema(path: Path) -> SchemaChecker:
    """Return the checker of a schema's file."""
    return SchemaChecker(json.loads(path.read_text(encoding="utf-8")))
