"""A JSON Schema out of what readers asked of documents: their keys, units, bounds and words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.schemas.reading_trace import Keys, ReadingTrace, UnitReading
from tools.schemas.unit_patterns import build_unit_schema, describe_unit

Schema = dict[str, Any]
Path = tuple[str, ...]

_NULL: Schema = {"type": "null"}
_TEXT: Schema = {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True)
class SchemaRules:
    """What the readers do not say of themselves.

    `named` are keys of mappings that a reader compares with a table; `by_file` are sections whose keys other
    parts of the same file name; `discriminators` are keys by whose word a section has others; `replaced` are
    parts that are read later. `alike` are places that one function reads: what is seen at one holds at each.
    `refused` are keys that a reader knows, to say why they do not go there.
    """

    descriptions: Mapping[Path, str]
    symbols: Collection[str] = ()
    named: Mapping[Path, Sequence[str]] = field(default_factory=dict)
    by_file: Collection[Path] = ()
    discriminators: Mapping[Path, str] = field(default_factory=dict)
    replaced: Mapping[Path, Schema] = field(default_factory=dict)
    alike: Collection[Collection[Path]] = ()
    refused: Collection[Path] = ()


class SchemaBuilder:
    """Builds the schema of whole documents, and that of documents that change another."""

    def __init__(self, rules: SchemaRules, is_change: bool, documents: Sequence[ReadingTrace]) -> None:
        self._rules = rules
        self._is_change = is_change
        self._documents = documents
        self.unread: list[str] = []
        """Keys and words that no document has: the schema would not know what they are."""

    def build_document_schema(self) -> Schema:
        """Return the schema of the documents."""
        return self.build_schema((), self._documents)

    def build_schema(self, path: Path, traces: Sequence[ReadingTrace]) -> Schema:
        """Return the schema of what these traces are, which stand at one place of their documents."""
        for places in self._rules.alike:
            if path in places:
                traces = [each for place in places for each in _find_traces(self._documents, place)]
        if path in self._rules.replaced:
            return self._describe(path, self._rules.replaced[path], "")
        read = [each for each in traces if each.is_read]
        if not read:
            if not any(each.null for each in traces):
                self.unread.append(".".join(path))
            return dict(_NULL)
        found: list[Schema] = []
        containers = [each for each in read if each.by_name or (each.is_mapping and each.value is None)]
        containers = [each for each in containers if not each.items]
        if containers:
            found += self._build_mapping_schemas(path, containers)
        lists = [each for each in read if each.is_list]
        if lists:
            items = [item for each in lists for item in each.items]
            found.append({"type": "array", "items": self.build_schema((*path, "[]"), items)})
        scalars = [each for each in read if each.value is not None]
        unit = ""
        if scalars:
            schema, unit = self._build_scalar_schema(scalars)
            found.append(schema)
        if any(each.null for each in traces):
            found.append(_NULL)
        return self._describe(path, found[0] if len(found) == 1 else {"anyOf": found}, unit)

    def _describe(self, path: Path, schema: Schema, unit: str) -> Schema:
        about = self._rules.descriptions.get(path, "")
        text = ": ".join(each for each in (about, f"as {unit}" if unit else "") if each)
        return {"description": text, **schema} if text else dict(schema)

    def _build_scalar_schema(self, scalars: Sequence[ReadingTrace]) -> tuple[Schema, str]:
        """Return the schema of a single value, and how its quantity is written."""
        choices = [each.choices for each in scalars if each.choices]
        words = list(dict.fromkeys(word for each in choices for word in each))
        if words and not set(words) <= set(self._rules.symbols):
            return {"enum": words}, ""
        units = sorted({self._without_symbol(unit) for each in scalars for unit in each.units})
        if not units:
            return dict(_TEXT), ""
        bounds = [each for scalar in scalars for each in scalar.bounds]
        schemas = [build_unit_schema(unit, bounds) for unit in units]
        unique = [each for i, each in enumerate(schemas) if each not in schemas[:i]]
        told = " or ".join(dict.fromkeys(describe_unit(unit) for unit in units))
        return unique[0] if len(unique) == 1 else {"anyOf": unique}, told

    def _without_symbol(self, unit: UnitReading) -> UnitReading:
        return UnitReading(unit.reader) if unit.symbol in self._rules.symbols else unit

    # ------------------------------------------------------------------ mappings

    def _build_mapping_schemas(self, path: Path, traces: Sequence[ReadingTrace]) -> list[Schema]:
        if path in self._rules.named:
            return [self._build_named_schema(path, traces)]
        sections = [each for each in traces if each.keys is not None and path not in self._rules.by_file]
        if not sections:
            entries = [entry for each in traces for entry in each.by_name.values()]
            schema = self.build_schema((*path, "*"), entries)
            return [{"type": "object", "additionalProperties": self._allow_null(schema, self._is_change)}]
        variants = dict.fromkeys(each.keys for each in sections if each.keys)
        if len(variants) == 1 or self._is_change:
            required = tuple(dict.fromkeys(name for keys in variants for name in keys.required))
            optional = tuple(dict.fromkeys(name for keys in variants for name in keys.optional))
            optional = tuple(name for name in optional if name not in required)
            return [self._build_section_schema(path, Keys(required, optional), sections, sections)]
        found = []
        word = self._rules.discriminators.get(path)
        told = set()
        for keys in variants:
            own = [each for each in sections if each.keys == keys]
            schema = self._build_section_schema(path, keys, own, sections)
            if word is not None:
                values = sorted({str(each.by_name[word].value) for each in own})
                told |= set(values)
                schema["properties"][word] = {**schema["properties"][word], "enum": values}
            found.append(schema)
        if word is not None:
            known = next(each.by_name[word].choices for each in sections) or ()
            self.unread += [f"{'.'.join(path)} with {word}: {each}" for each in known if each not in told]
        return found

    def _build_named_schema(self, path: Path, traces: Sequence[ReadingTrace]) -> Schema:
        properties = {}
        for name in self._rules.named[path]:
            entries = [each.by_name[name] for each in traces if name in each.by_name]
            if not entries:
                self.unread.append(".".join((*path, name)))
            schema = self.build_schema((*path, name), entries)
            properties[name] = self._allow_null(schema, any(each.null for each in entries))
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def _build_section_schema(
        self, path: Path, keys: Keys, own: Sequence[ReadingTrace], all_sections: Sequence[ReadingTrace]
    ) -> Schema:
        """Return the schema of sections with these keys; what stands in a key is as in the other sections.

        But for a single value that these have: its unit may be theirs alone, as that of capital.
        """
        properties = {}
        for name in (*keys.required, *keys.optional):
            if (*path, name) in self._rules.refused:
                continue
            entries = [each.by_name[name] for each in all_sections if name in each.by_name]
            theirs = [each.by_name[name] for each in own if name in each.by_name]
            if any(each.is_read for each in theirs) and all(each.value is not None for each in entries):
                entries = theirs
            schema = self.build_schema((*path, name), entries)
            properties[name] = self._allow_null(schema, self._is_change or name in keys.optional)
        required = {"required": sorted(keys.required)} if keys.required and not self._is_change else {}
        return {"type": "object", "properties": properties, **required, "additionalProperties": False}

    @staticmethod
    def _allow_null(schema: Schema, is_allowed: bool) -> Schema:
        """Return a schema that an empty value fits too: it is as if the key were left out."""
        if not is_allowed or schema == _NULL or _NULL in schema.get("anyOf", ()):
            return schema
        about = {"description": schema["description"]} if "description" in schema else {}
        bare = {name: value for name, value in schema.items() if name != "description"}
        parts = bare["anyOf"] if set(bare) == {"anyOf"} else [bare]
        return {**about, "anyOf": [*parts, _NULL]}


def _find_traces(documents: Sequence[ReadingTrace], path: Path) -> list[ReadingTrace]:
    """Return what stands at a place of these documents."""
    found = list(documents)
    for name in path:
        if name == "[]":
            found = [item for each in found for item in each.items]
        elif name == "*":
            found = [entry for each in found for entry in each.by_name.values()]
        else:
            found = [each.by_name[name] for each in found if name in each.by_name]
    return found
