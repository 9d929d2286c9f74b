"""Files of compiled contracts: the standard JSON output of solc, artifacts of Foundry, Hardhat and Ape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.storage_layout import StorageVariable
from backstop.lockstep.contract_artifacts import LaidOutVariable, ProjectArtifact, SlotPart, build_artifact

_NO_LAYOUT = "it was compiled without storageLayout in its outputSelection"
_EXPECTED = "expected the standard JSON output of solc, or an artifact of Foundry, Hardhat or Ape"
_HEX = re.compile(r"(0x)?([0-9a-fA-F]{2})+")


def read_artifact_files(paths: Iterable[Path]) -> dict[str, ProjectArtifact]:
    """Return the contracts in artifact files, by name and by "source:name".

    Raises BackstopError if a file is missing, invalid, or the result of a failed compilation.
    """
    found: dict[str, ProjectArtifact] = {}
    for path in paths:
        content = _read_json_object(path)
        _refuse_compiler_errors(content, path)
        entries = list(_iter_contract_entries(content, path))
        if not entries:
            raise BackstopError(f"{path}: {_EXPECTED}")
        found |= read_contract_entries(entries, path)
    return found


def read_contract_entries(
    entries: Iterable[tuple[str, str, Mapping[str, Any]]], path: Path
) -> dict[str, ProjectArtifact]:
    """Return deployable contracts by name and by "source:name", from parsed artifact entries.

    A name that several contracts share is left out. Interfaces, abstract contracts and unlinked code are left
    out too, since they cannot be deployed.
    """
    found: dict[str, ProjectArtifact] = {}
    ambiguous: set[str] = set()
    for source, kind, entry in entries:
        bytecode = _get_bytecode(entry)
        if isinstance(entry.get("abi"), list) and _HEX.fullmatch(bytecode):
            if kind in found:
                ambiguous.add(kind)
            found[kind] = found[f"{source}:{kind}"] = _build_file_artifact(kind, entry, bytecode, path)
    return {name: each for name, each in found.items() if name not in ambiguous}


def _read_json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BackstopError(f"artifacts file {path} not found: compile the contracts") from None
    except (OSError, ValueError) as error:
        raise BackstopError(f"{path} is not whole JSON ({error}): compile the contracts again") from None
    if not isinstance(content, dict):
        raise BackstopError(f"{path}: {_EXPECTED}")
    return content


def _refuse_compiler_errors(content: Mapping[str, Any], path: Path) -> None:
    for error in content.get("errors") or ():
        if isinstance(error, dict) and error.get("severity") == "error":
            told = str(error.get("formattedMessage") or error.get("message")).strip().splitlines()[0]
            raise BackstopError(f"{path}: the compiler failed: {told}")


def _iter_contract_entries(
    content: Mapping[str, Any], path: Path
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the source, the name and the entry of each contract in an artifact file's content."""
    if isinstance(content.get("contracts"), dict):  # solc
        for source, contracts in content["contracts"].items():
            for name, entry in contracts.items():
                yield source, name, entry
    elif isinstance(content.get("contractTypes"), dict):  # a manifest of Ape
        for name, entry in content["contractTypes"].items():
            yield str(entry.get("sourceId")), name, entry
    elif "abi" in content:
        yield str(content.get("sourceName")), str(content.get("contractName") or path.stem), content


def _get_bytecode(entry: Mapping[str, Any]) -> str:
    """Return the creation bytecode of an artifact entry of any compiler; "" without one."""
    evm = entry.get("evm") or {}
    code = evm.get("bytecode") or entry.get("deploymentBytecode") or entry.get("bytecode")
    if isinstance(code, dict):
        code = code.get("object") or code.get("bytecode")
    return code if isinstance(code, str) else ""


def _build_file_artifact(kind: str, entry: Mapping[str, Any], bytecode: str, path: Path) -> ProjectArtifact:
    layout, variables, why = entry.get("storageLayout"), None, _NO_LAYOUT
    if isinstance(layout, dict) and "storage" in layout:
        try:
            variables, why = _read_solidity_layout(layout), ""
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(f"{path}: the storageLayout of {kind} is not whole ({error!r})") from None
    return build_artifact(kind, entry["abi"], bytecode, str(path), variables, why)


# ------------------------------------------------------------------ Solidity's layout


def _read_solidity_layout(layout: Mapping[str, Any]) -> dict[str, LaidOutVariable]:
    """Return the storage variables of a Solidity layout by name.

    Variables with the same name, private in different base contracts, are left out.
    """
    types = layout.get("types") or {}
    labels = [item["label"] for item in layout["storage"]]
    storage = [item for item in layout["storage"] if labels.count(item["label"]) == 1]
    return dict(_iter_members(storage, types, "", StorageVariable(0, 0)))


def _iter_members(
    members: Iterable[Mapping[str, Any]], types: Mapping[str, Any], prefix: str, base: StorageVariable
) -> Iterator[tuple[str, LaidOutVariable]]:
    """Yield the variables of a contract or struct with their places; variables of one slot together."""
    by_slot: dict[int, list[Mapping[str, Any]]] = {}
    for member in members:
        by_slot.setdefault(int(member["slot"]), []).append(member)
    for slot, group in by_slot.items():
        place = _move_place(base, slot)
        first = group[0]
        if len(group) == 1 and not _is_value(types[first["type"]]):
            yield from _iter_type(first["type"], types, prefix + first["label"], place)
            continue
        parts = tuple(
            SlotPart(
                prefix + each["label"],
                8 * int(each["offset"]),
                8 * int(types[each["type"]]["numberOfBytes"]),
                each["type"],
            )
            for each in sorted(group, key=lambda each: int(each["offset"]))
        )
        yield parts[0].name, LaidOutVariable(place, parts)


def _is_value(type_: Mapping[str, Any]) -> bool:
    return type_["encoding"] == "inplace" and "members" not in type_ and "base" not in type_


def _iter_type(
    type_name: str, types: Mapping[str, Any], path: str, place: StorageVariable
) -> Iterator[tuple[str, LaidOutVariable]]:
    """Yield each part of a type that has storage slots of its own, with its path and place."""
    type_ = types[type_name]
    encoding = type_["encoding"]
    if _is_value(type_):
        bits = 8 * int(type_["numberOfBytes"])
        yield path, LaidOutVariable(place, (SlotPart(path, 0, bits, type_name),))
    elif encoding == "mapping":
        key = types[type_["key"]]
        level = "text_key" if key["encoding"] == "bytes" else "key_first"
        yield from _iter_type(type_["value"], types, path, place.add_level(level))
    elif "members" in type_:
        yield from _iter_members(type_["members"], types, f"{path}.", place)
    elif encoding == "dynamic_array":
        yield f"{path}.length", LaidOutVariable(place, (SlotPart(f"{path}.length", 0, 256, ""),), 0)
        yield from _iter_items(type_["base"], types, path, place.add_level("data"))
    elif encoding == "inplace":
        yield from _iter_items(type_["base"], types, path, place)
    else:  # bytes and strings: one slot for a short one, and no table can be at it
        yield path, LaidOutVariable(place, (SlotPart(path, 0, 256, type_name),), 0)


def _iter_items(
    type_name: str, types: Mapping[str, Any], path: str, place: StorageVariable
) -> Iterator[tuple[str, LaidOutVariable]]:
    """Yield the items of an array with their places, unless several items share a slot."""
    size = int(types[type_name]["numberOfBytes"])
    if size > 16 or not _is_value(types[type_name]):
        yield from _iter_type(type_name, types, path, place.add_level("index", -(-size // 32)))


def _move_place(place: StorageVariable, slots: int) -> StorageVariable:
    if not place.levels:
        return place._replace(slot=place.slot + slots)
    return place.add_level("member", slots) if slots else place
