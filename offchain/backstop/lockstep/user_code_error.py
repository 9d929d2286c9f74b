"""Errors of a user's own file: one line with the place there, instead of a traceback through the engine."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backstop.contract_base import Contract, NoSuchFunctionError, RevertError
from backstop.errors import BackstopError

_FOREIGN = (
    Path(__file__).resolve().parents[1],
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")),
)


class UserCodeError(BackstopError):
    """The error of an action, a condition, a setup, a list of views or an invariant that raises."""


@contextmanager
def translate_user_errors(declared: str, *expected: type[Exception]) -> Iterator[None]:
    """Raise UserCodeError, with place and reason, for each exception that a declaration's code raises.

    Expected errors pass.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (UserCodeError, *expected)):
            raise
        raise UserCodeError(describe_located_error(declared, error)) from error


def describe_located_error(declared: str, error: Exception) -> str:
    """Return one line: the place in the user's code, the declaration there, and the error."""
    place = find_user_place(error)
    told = f"{declared}{describe_user_error(error)}"
    return f"{place}: {told}" if place else told


def describe_user_error(error: Exception) -> str:
    """Return what an error says, in one line: " raises KeyError: 'typo'", ": Token has no attribute 'x'"."""
    if isinstance(error, BackstopError):
        return f": {error}"
    if isinstance(error, NoSuchFunctionError) and error.told:
        return f": {error.told}{_list_names(error)}"
    if isinstance(error, RevertError):
        return f" reverts with {error.reason!r}: catch RevertError where that is meant"
    told = " ".join(str(error).split())
    if isinstance(error, AttributeError) and isinstance(error.obj, Contract):
        return f": {told}{_list_names(error)}"
    return f" raises {type(error).__name__}" + (f": {told}" if told else "")


def _list_names(error: AttributeError) -> str:
    """Return the names that the contract has of which an attribute was asked."""
    contract = error.obj
    if not isinstance(contract, Contract):
        return ""
    own = {name for each in type(contract).__mro__ for name in vars(each)} | set(vars(contract))
    base = set(dir(Contract)) | {"world", "label", "address", "tables"}
    return f": there are {', '.join(sorted(name for name in own - base if not name.startswith('_')))}"


def find_user_place(error: BaseException) -> str:
    """Return "file:line" of the innermost code that is not Backstop's or Python's; "" if there is none."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if path.is_file() and not any(path.is_relative_to(each) for each in _FOREIGN):
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            return f"{shown}:{line}"
    return ""
