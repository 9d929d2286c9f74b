"""Write the JSON Schemas that the wheel ships, out of readers and examples: python -m tools.schemas.write.

What an option of a reader is shows in a document that has it: the scenarios of the library, and the files of
`examples`. An option that none of them has is an error, with its place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backstop.files.schemas import SCHEMAS
from backstop.live.operate.keeper_settings import read_keeper_settings_of_document
from backstop.live.operate.live_roles import ROLES
from backstop.simulation.scenario import scenario_loader, scenario_names
from backstop.simulation.scenario.episode_overlay import list_episode_names
from backstop.simulation.scenario.named_shocks import load_shock_library
from backstop.simulation.scenario.scenario_library import read_unchecked_scenario_fields
from backstop.simulation.scenario.yaml_document_reader import read_document
from tools.schemas.field_descriptions import (
    read_keeper_descriptions,
    read_scenario_descriptions,
    read_scenario_role_descriptions,
)
from tools.schemas.parameters_schema import build_parameters_schema
from tools.schemas.reading_trace import ReadingTrace, TracedField
from tools.schemas.schema_builder import Schema, SchemaBuilder, SchemaRules
from tools.schemas.shared_definitions import share_equal_parts

EXAMPLES = Path(__file__).with_name("examples")
_DRAFT = "http://json-schema.org/draft-07/schema#"
_TEXT = {"type": ["string", "number", "boolean"]}
_OPENING = {
    "type": "object",
    "properties": {"file": _TEXT},
    "required": ["file"],
    "additionalProperties": False,
}
"""A state that `export` wrote: no example has one."""
_ALIKE = (
    (("prices", "*"), ("equity_price",), ("feed_prices", "*")),
    (("parameters", "collateral_types", "*", "feed"), ("parameters", "equity", "feed")),
    tuple(("feed_faults", "*", kind, "cause") for kind in ("stuck", "delayed", "wrong")),
)
"""Places that one function reads."""


def trace_scenarios() -> tuple[list[ReadingTrace], set[str]]:
    """Read all scenarios; return what was asked of each, and the names of their types and assets."""
    traces, symbols = [], set()
    for name in (*scenario_names(), *map(str, sorted(EXAMPLES.glob("scenario-*.yaml")))):
        top, called = read_unchecked_scenario_fields(name)
        document = TracedField(top)
        read = scenario_loader._parse_scenario_sections(document, called)
        traces.append(document.trace)
        symbols |= {each.symbol for each in read.parameters.collateral_types} | set(read.asset_prices)
    return traces, symbols


def build_scenario_schema() -> Schema:
    """Return the schema of scenario files: whole ones, and those that extend another."""
    traces, symbols = trace_scenarios()
    definitions = {}
    for name, is_change in (("whole", False), ("change", True)):
        parts: dict[str, Schema] = {"parameters": {"$ref": "#/definitions/changed_parameters"}}
        parts["keepers"] = {"$ref": "#/definitions/changed_keepers"}
        parts["unsafe"] = {"type": "object", "additionalProperties": _TEXT}
        rules = SchemaRules(
            _spread_price_descriptions(read_scenario_descriptions()),
            symbols,
            by_file={("prices",), ("markets",), ("vault_book", "opened_at")},
            discriminators={("keepers", "*"): "role"}
            | {(*place, "model"): "kind" for place in (("prices", "*"), ("equity_price",))},
            replaced={("tries", "*", part): schema for part, schema in parts.items()}
            | {("opening",): _OPENING},
            alike=_ALIKE,
            refused={("parameters", "pools", "staked_equity", "income_share")},
        )
        builder = SchemaBuilder(rules, is_change, traces)
        schema = builder.build_document_schema()
        _require_all_read(builder, "scenario")
        _describe_roles(schema["properties"]["keepers"])
        schema["properties"] |= _build_overlay_properties()
        definitions[name] = schema
    change = definitions["change"]["properties"]
    definitions["changed_parameters"] = change["parameters"]
    definitions["changed_keepers"] = change["keepers"]
    change["parameters"] = {"$ref": "#/definitions/changed_parameters"}
    change["keepers"] = {"$ref": "#/definitions/changed_keepers"}
    return {
        "if": {"type": "object", "required": ["extends"]},
        "then": {"$ref": "#/definitions/change"},
        "else": {"$ref": "#/definitions/whole"},
        "definitions": definitions,
    }


def _spread_price_descriptions(found: dict[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    """Let what is said of the models of prices hold for that of equity, too."""
    start = ("prices", "*")
    return found | {("equity_price", *path[2:]): text for path, text in found.items() if path[:2] == start}


def _describe_roles(keepers: Schema) -> None:
    """Say of each role what it does, where its word is chosen."""
    told = read_scenario_role_descriptions()
    groups = next(each for each in (keepers, *keepers.get("anyOf", ())) if "additionalProperties" in each)
    entry = groups["additionalProperties"]
    for variant in entry.get("anyOf", [entry]):
        role = variant.get("properties", {}).get("role", {})
        if len(role.get("enum", ())) == 1:
            variant["description"] = role["description"] = told[role["enum"][0]]


def _build_overlay_properties() -> dict[str, Schema]:
    """Return the keys that are gone once a scenario is whole: what it extends, its shocks, its episode."""
    episode = {"enum": list_episode_names()}
    follow = {"type": "object", "additionalProperties": _TEXT}
    named = {"type": "object", "properties": {"name": episode, "follow": follow}, "required": ["name"]}
    shocks = {"type": "array", "items": {"enum": sorted(load_shock_library())}}
    return {
        "extends": {
            "description": "a scenario of the library, or a file: this one has what differs",
            **_TEXT,
        },
        "shocks": {"description": "named shocks of the library, laid over it in this order", **shocks},
        "episode": {
            "description": "a past crash whose prices, gas prices and outages are laid over it",
            "anyOf": [episode, {**named, "additionalProperties": False}, {"type": "null"}],
        },
    }


def build_keeper_schema() -> Schema:
    """Return the schema of a keeper's settings."""
    traces = []
    for path in sorted(EXAMPLES.glob("keeper-*.yaml")):
        document = TracedField(read_document(path))
        read_keeper_settings_of_document(document)
        traces.append(document.trace)
    rules = SchemaRules(
        read_keeper_descriptions(tuple(ROLES)),
        named={("roles",): tuple(ROLES), ("limits",): (*ROLES, "others")},
        alike=[[("roles", role, "strategy") for role in ("taker", "bidder", "recap_bidder")]],
    )
    builder = SchemaBuilder(rules, is_change=False, documents=traces)
    schema = builder.build_document_schema()
    _require_all_read(builder, "keeper")
    return schema


def _require_all_read(builder: SchemaBuilder, kind: str) -> None:
    """End with the places of which no example says what they are."""
    if builder.unread:
        places = ", ".join(dict.fromkeys(builder.unread))
        sys.exit(f"no example has {places}: add it to {EXAMPLES}/{kind}-*.yaml")


BUILDERS: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "scenario": ("A scenario of Backstop", build_scenario_schema),
    "keeper": ("Settings of Backstop's keeper", build_keeper_schema),
    "parameters": ("Parameters of a deployment of Backstop", build_parameters_schema),
}


def format_schema(name: str) -> str:
    """Return the file of a schema."""
    title, build = BUILDERS[name]
    document: dict[str, Any] = {"$schema": _DRAFT, "title": title, **share_equal_parts(build())}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in BUILDERS:
        (SCHEMAS / f"{name}.json").write_text(format_schema(name), encoding="utf-8")
        print(SCHEMAS / f"{name}.json")
