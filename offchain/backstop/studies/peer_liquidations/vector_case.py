"""The form of a vector's case: checked inputs, and the refusals that a peer's contracts answer with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.errors import BackstopError

MAX_UINT256 = 2**256 - 1
MAX_UINT128 = 2**128 - 1
INTEGER, FLAG, TEXT = "an integer from 0 to 2**256 - 1", "true or false", "a text"
"""Forms of plain values; a list `[form]` means any number of values, a tuple one for each of its forms."""


class VectorCaseError(BackstopError):
    """Error for a test vector with a missing or unknown field, or a field of another form."""


class PeerRefusalError(Exception):
    """Error for a call that another system's contracts would revert, with the vectors' reason."""

    def __init__(self, reason: str) -> None:
        """Store the contract's revert text or error name, or `panic` for checked arithmetic."""
        super().__init__(reason)
        self.reason = reason


def check_field_forms(value: Any, form: Any, place: str, is_inner: bool = False) -> None:
    """Raise VectorCaseError, with the place, if the value does not have the form.

    A case may have further fields, for its outcome. An object inside a case (`is_inner`) may not.
    """
    if isinstance(form, Mapping):
        _check_object(value, form, place, is_inner)
    elif isinstance(form, list | tuple):
        if not isinstance(value, list | tuple) or (isinstance(form, tuple) and len(value) != len(form)):
            raise VectorCaseError(f"{place} is {value!r:.60}: it has to be {describe_form(form)}")
        for number, item in enumerate(value):
            check_field_forms(item, form[number % len(form)], f"{place}[{number}]", is_inner=True)
    else:
        if form == INTEGER:
            is_right = type(value) is int and 0 <= value <= MAX_UINT256
        else:
            is_right = type(value) is (bool if form == FLAG else str)
        if not is_right:
            raise VectorCaseError(f"{place} is {value!r:.60}: it has to be {form}")


def _check_object(value: Any, form: Mapping[str, Any], place: str, is_inner: bool) -> None:
    if not isinstance(value, Mapping):
        raise VectorCaseError(f"{place} is {value!r:.60}: it has to be {describe_form(form)}")
    for name, inner in form.items():
        if name not in value:
            raise VectorCaseError(f"{place} lacks the field {name!r}: give {describe_form(inner)}")
        check_field_forms(value[name], inner, f"{place}, field {name!r}", is_inner=True)
    for name in value if is_inner else ():
        if name not in form:
            raise VectorCaseError(f"{place} has the field {name!r}: known are {', '.join(form)}")


def describe_form(form: Any) -> str:
    """Return a description of a form in words, for error messages."""
    if isinstance(form, Mapping):
        return f"an object with {', '.join(form)}"
    if isinstance(form, tuple):
        return f"a list of {len(form)}"
    return "a list" if isinstance(form, list) else str(form)


def get_listed_item(items: list[Any], number: int, place: str) -> Any:
    """Return the item at an index from 0; raise VectorCaseError if there is none."""
    if number >= len(items):
        raise VectorCaseError(f"{place} is {number}: there are {len(items)}, numbered from 0")
    return items[number]


def check_uint256(value: int) -> int:
    """Return the value; raise PeerRefusalError("panic") if it is below 0 or from 2**256 on."""
    if not 0 <= value <= MAX_UINT256:
        raise PeerRefusalError("panic")
    return value
