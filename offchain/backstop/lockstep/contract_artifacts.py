"""Contracts of a user's project: ABI, bytecode, and the place of each variable, if it is known.

They come from files that the user names (the standard JSON output of solc, artifacts of Foundry, Hardhat or
Ape), from Ape where Ape runs, or from Vyper sources under the project's `contracts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.hosts.abi_codec import Function
from backstop.hosts.artifacts import Artifact
from backstop.hosts.storage_layout import StorageVariable


class SlotPart(NamedTuple):
    """Variable, or part of one, within a storage slot: its name, bit offset, width in bits and type."""

    name: str
    shift: int
    bits: int
    type_name: str

    @property
    def value_type(self) -> str:
        """Type of the variable by its ABI name, such as `uint256`; another text if it has none."""
        name = self.type_name.removeprefix("t_")
        return "address" if re.match(r"address|contract\(", name) else name


class IntegerRange(NamedTuple):
    """Lowest and highest value of an integer type; `type_name` begins with its article."""

    type_name: str
    low: int
    high: int


_BITS = range(8, 257, 8)
INTEGER_RANGES = {f"uint{bits}": IntegerRange(f"a uint{bits}", 0, 2**bits - 1) for bits in _BITS}
INTEGER_RANGES |= {
    f"int{bits}": IntegerRange(f"an int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in _BITS
}
_DEFAULTS: dict[str, tuple[type, str]] = {
    "address": (str, "ZERO_ADDRESS"),
    "bool": (bool, "False"),
    "bytes32": (bytes, "bytes(32)"),
} | dict.fromkeys(INTEGER_RANGES, (int, "0"))
"""Type of a variable -> type of its values in Python, and its usual default in words."""


@dataclass(frozen=True)
class LaidOutVariable:
    """Storage variable with its place; `parts` are all variables that share its slot.

    The first part's name is the variable's path. `size` is its number of slots, 0 for mappings and dynamic
    arrays.
    """

    place: StorageVariable
    parts: tuple[SlotPart, ...]
    size: int = 1


@dataclass(frozen=True)
class ProjectArtifact(Artifact):
    """Compiled contract of a user's project; `variables` is None if its storage layout is unknown."""

    variables: Mapping[str, LaidOutVariable] | None = None
    why_no_layout: str = ""
    errors: Mapping[bytes, Function] = field(default_factory=dict)

    def find_variable(self, path: str) -> StorageVariable:
        """Return the storage place of the variable at a path of the layout.

        Raises BackstopError, with the known paths, if there is none.
        """
        return self.get_variable(path).place

    def get_variable(self, path: str) -> LaidOutVariable:
        """Return the variable at a path, with the variables that share its slot.

        Raises BackstopError if no variable is there, or if it is not the first one of its slot.
        """
        variables = self.variables or {}
        if path in variables:
            return variables[path]
        for first, each in variables.items():
            if any(part.name == path for part in each.parts):
                raise BackstopError(
                    f"{self.kind}: {path!r} shares a slot with {first!r}: declare a record at {first!r} with "
                    f"{_describe_record(each)}"
                )
        known = ", ".join(sorted(variables)) or "nothing"
        raise BackstopError(f"{self.kind} stores no {path!r}; it stores {known}")

    def check_table(self, path: str, default: Any) -> None:
        """Raise BackstopError if a model's table at a path does not fit the contract's variable.

        `default` is the table's value for an empty slot. Its type and, for a record, its bit widths must fit.
        """
        found = self.get_variable(path)
        widths = getattr(default, "BITS", None)
        bounds = [(part.shift, part.bits) for part in found.parts]
        if widths is None:
            if len(found.parts) > 1:
                raise BackstopError(
                    f"{self.kind}: {path!r} shares its slot: declare a record at it with "
                    f"{_describe_record(found)}"
                )
        elif len(found.parts) > 1 and list(zip(default.SHIFTS, widths, strict=True)) != bounds:
            raise BackstopError(
                f"{self.kind}: the record at {path!r} has widths {tuple(widths)}; expected "
                f"{_describe_record(found)}"
            )
        fields = [default] if widths is None else list(default) if len(found.parts) > 1 else []
        for part, value in zip(found.parts, fields, strict=False):
            wanted, told = _DEFAULTS.get(part.value_type, (type(value), ""))
            if type(value) is not wanted:
                article = "an" if part.value_type[0] in "ai" else "a"
                of = f" for {part.name!r}" if len(fields) > 1 else ""
                raise BackstopError(
                    f"{self.kind}: the table at {path!r} has the default {value!r}{of}, the variable is "
                    f"{article} {part.value_type}: expected the default {told}"
                )

    @cached_property
    def functions(self) -> list[Function]:
        """Functions that may change state, sorted by signature."""
        found = {each.signature: each for each in self.contract_abi.by_selector.values() if not each.view}
        return [found[signature] for signature in sorted(found)]


def _describe_record(variable: LaidOutVariable) -> str:
    named = ", ".join(f"{part.name.rpartition('.')[2]} {part.bits}" for part in variable.parts)
    return f"fields of these bits, in this order: {named}"


def build_artifact(
    kind: str,
    abi_json: list[dict[str, Any]],
    bytecode: str,
    place: str,
    variables: Mapping[str, LaidOutVariable] | None,
    why_no_layout: str = "",
) -> ProjectArtifact:
    """Build a project artifact from ABI, bytecode and layout; functions, events and errors are kept.

    Raises BackstopError if the bytecode is empty or not linked. `place` names the source in messages.
    """
    code = bytecode.removeprefix("0x")
    if not code:
        raise BackstopError(f"{place}: {kind} has no bytecode: name a contract, not an interface")
    try:
        bytes.fromhex(code)
    except ValueError:
        raise BackstopError(
            f"{place}: the bytecode of {kind} has places for libraries: link it before"
        ) from None
    known = [entry for entry in abi_json if entry.get("type") in ("function", "event", "constructor")]
    errors = {}
    for entry in abi_json:
        if entry.get("type") == "error":
            error = Function({**entry, "outputs": [], "stateMutability": "pure"})
            errors[error.selector] = error
    return ProjectArtifact(kind, known, code, 0, {}, {}, variables, why_no_layout, errors)
