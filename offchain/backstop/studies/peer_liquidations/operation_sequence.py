"""Sequences of operations on one system: outcome, payments and state after each, as the vectors have them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Protocol

from backstop.studies.peer_liquidations.vector_case import (
    PeerRefusalError,
    VectorCaseError,
    check_field_forms,
)

OUTCOME_FIELDS = ("status", "paid", "state")


class PeerSystem(Protocol):
    """Interface of a model of a whole system (troves and stability pool) that operations change."""

    def apply_operation(self, operation: Mapping[str, Any]) -> list[int] | None:
        """Apply an operation, and return the amounts paid; None if it pays nothing.

        Raises PeerRefusalError if the system's contracts would revert.
        """

    def describe_state(self, depositors: list[str]) -> dict[str, Any]:
        """Return the state in the fields of the test vectors."""


def play_operations(
    case: Mapping[str, Any], system: PeerSystem, forms: Mapping[str, Mapping[str, Any]], group: str
) -> dict[str, Any]:
    """Apply the operations of a case, and return `ops`: outcome, payments and state after each.

    A refused operation changes nothing. Raises VectorCaseError for an operation of another form.
    """
    if not isinstance(case.get("ops"), list):
        raise VectorCaseError(f"{group}, field 'ops' is {case.get('ops')!r:.60}: give a list of operations")
    outcomes = []
    for number, operation in enumerate(case["ops"]):
        _check_operation(operation, forms, f"{group}, ops[{number}]")
        before = copy.deepcopy(system)
        outcome: dict[str, Any] = {"status": "ok"}
        try:
            paid = system.apply_operation(operation)
            if paid is not None:
                outcome["paid"] = paid
        except PeerRefusalError as refusal:
            system, outcome = before, {"status": refusal.reason}
        outcomes.append({**outcome, "state": system.describe_state(case["depositors"])})
    return {"ops": outcomes}


def _check_operation(operation: Any, forms: Mapping[str, Mapping[str, Any]], place: str) -> None:
    kind = str(operation.get("op")) if isinstance(operation, Mapping) else ""
    if kind not in forms:
        raise VectorCaseError(f"{place} is {operation!r:.60}: `op` has to be one of {', '.join(forms)}")
    inputs = {name: value for name, value in operation.items() if name not in OUTCOME_FIELDS and name != "op"}
    check_field_forms(inputs, forms[kind], place, is_inner=True)


def select_operation_outcomes(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded outcome, payments and state after each operation of a sequence."""
    return {"ops": [{name: each[name] for name in OUTCOME_FIELDS if name in each} for each in case["ops"]]}
