"""Replay of measured vectors: each case of a group through its function, and every field that differs."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.studies.peer_liquidations import (
    aave_v3,
    aave_v4,
    euler_vault_kit,
    liquity_v1,
    liquity_v2,
    morpho_blue,
)
from backstop.studies.peer_liquidations.operation_sequence import select_operation_outcomes
from backstop.studies.peer_liquidations.vector_case import VectorCaseError

NOTHING = "nothing"
"""Stands for a field that one side does not have."""


@dataclass(frozen=True)
class VectorDifference:
    """Field of a test vector with a computed value that differs from the recorded value."""

    group: str
    case: int
    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        """Return the difference as one line of text."""
        return f"{self.group}, case {self.case}, {self.field}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class VectorGroup:
    """Group of test vectors: the function that computes a case, and the names of its fields.

    The fields are inputs, outcome and remarks.
    """

    compute: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    inputs: frozenset[str]
    outcome: frozenset[str]
    remarks: frozenset[str] = frozenset()
    select_outcome: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    def get_recorded_outcome(self, case: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the recorded fields of a case that the function must reproduce."""
        if self.select_outcome:
            return self.select_outcome(case)
        return {field: case[field] for field in self.outcome if field in case}


def _build_group(
    compute: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    inputs: Mapping[str, Any] | str,
    outcome: str,
    remarks: str = "",
    select_outcome: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> VectorGroup:
    names = inputs.split() if isinstance(inputs, str) else inputs
    return VectorGroup(
        compute, frozenset(names), frozenset(outcome.split()), frozenset(remarks.split()), select_outcome
    )


GROUPS: Mapping[str, VectorGroup] = {
    "morpho_liquidate": _build_group(
        morpho_blue.liquidate_morpho_position,
        morpho_blue.LIQUIDATE_FORM,
        "status seized repaid totals_after borrow_shares_after collateral_after",
        "kind",
    ),
    "morpho_accrue": _build_group(
        morpho_blue.accrue_morpho_interest, morpho_blue.ACCRUE_FORM, "after fee_shares_after"
    ),
    "aave": _build_group(
        aave_v3.liquidate_aave_v3_position, aave_v3.LIQUIDATE_FORM, "account status out reserves_after"
    ),
    "aave_deficit": _build_group(
        aave_v3.eliminate_aave_v3_deficit, aave_v3.DEFICIT_FORM, "status covered deficit_after scaled_after"
    ),
    "euler": _build_group(
        euler_vault_kit.liquidate_euler_position, euler_vault_kit.LIQUIDATE_FORM, "status out"
    ),
    "aave_v4_amounts": _build_group(aave_v4.compute_liquidation_amounts, "in", "out", "branch"),
    "aave_v4_bonus": _build_group(aave_v4.compute_liquidation_bonus, "in", "out"),
    "aave_v4_to_target": _build_group(aave_v4.compute_debt_to_target, "in", "out"),
    "aave_v4_deficit": _build_group(aave_v4.evaluate_deficit, "in", "out"),
    "aave_v4_whole": _build_group(
        aave_v4.liquidate_aave_v4_position,
        aave_v4.WHOLE_FORM,
        "out in_deficit deficit_ray hf_after",
        "branch gas risk_premium_after",
        aave_v4.select_whole_outcome,
    ),
    "liquity1": _build_group(
        liquity_v1.play_liquity_v1_sequence,
        liquity_v1.SEQUENCE_FORM,
        "ops",
        "style",
        select_operation_outcomes,
    ),
    "liquity2": _build_group(
        liquity_v2.play_liquity_v2_sequence,
        liquity_v2.SEQUENCE_FORM,
        "ops",
        "style",
        select_operation_outcomes,
    ),
    "liquity2_urgent": _build_group(
        liquity_v2.redeem_liquity_v2_urgently, "price amount batch troves", "status out troves_after"
    ),
}
"""Every group of vectors that is known, by name."""


def read_vector_groups(path: Path) -> dict[str, list[Any]]:
    """Return the cases of each group of test vectors in a JSON file, plain or gzipped.

    The file has {group: {"about": text, "cases": [...]}}. A text beside the groups is a remark. Raises
    BackstopError if the file is missing, cut off or of another form.
    """
    try:
        raw = path.read_bytes()
        text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        document = json.loads(text)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BackstopError(
            f"{path} cannot be read as vectors: {error}; give JSON, plain or gzipped"
        ) from error
    if not isinstance(document, dict):
        raise BackstopError(
            f"{path} is a {type(document).__name__}: vectors are an object with a field for each group"
        )
    groups = {}
    for name, group in document.items():
        if isinstance(group, str):
            continue
        if not isinstance(group, dict) or not isinstance(group.get("cases"), list):
            raise BackstopError(f"{path}, group {name!r} has no list `cases`")
        groups[name] = group["cases"]
    return groups


def replay_vector_group(name: str, cases: Sequence[Mapping[str, Any]]) -> list[VectorDifference]:
    """Compute each recorded case of a group, and return every field that differs from the record.

    Cases are numbered from 0. Raises BackstopError for an unknown group. Raises VectorCaseError for a case
    that lacks a field or an outcome, or has a field of another form or an unknown one.
    """
    if name not in GROUPS:
        raise BackstopError(f"group {name!r} is unknown; expected one of {', '.join(GROUPS)}")
    group = GROUPS[name]
    differences = []
    for number, case in enumerate(cases):
        place = f"{name}, case {number}"
        _check_case_fields(group, case, place)
        try:
            found = group.compute(case)
            expected = group.get_recorded_outcome(case)
        except VectorCaseError as error:
            raise VectorCaseError(f"case {number} of {error}") from error
        differences += [
            VectorDifference(name, number, *entry) for entry in _iter_differing_fields(expected, found, "")
        ]
    return differences


def _check_case_fields(group: VectorGroup, case: Any, place: str) -> None:
    if not isinstance(case, Mapping):
        raise VectorCaseError(f"{place} is {case!r:.60}: a case is an object")
    known = group.inputs | group.outcome | group.remarks
    for field in case:
        if field not in known:
            raise VectorCaseError(f"{place} has the field {field!r}: known are {', '.join(sorted(known))}")
    if not group.outcome & set(case):
        raise VectorCaseError(f"{place} records no outcome: give {' or '.join(sorted(group.outcome))}")


def _iter_differing_fields(expected: Any, found: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield place, expected and found value of each plain value that differs, in field order."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for field in [*expected, *(field for field in found if field not in expected)]:
            inner = f"{place}.{field}" if place else str(field)
            yield from _iter_differing_fields(expected.get(field, NOTHING), found.get(field, NOTHING), inner)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (each, other) in enumerate(zip(expected, found, strict=True)):
            yield from _iter_differing_fields(each, other, f"{place}[{number}]")
    elif type(expected) is not type(found) or expected != found:
        yield place, expected, found
