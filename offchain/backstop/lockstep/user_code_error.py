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
    """Error of a user's declared code that raises: an action, condition, setup, view list or invariant."""


@contextmanager
def translate_user_errors(declared: str, *expected: type[Exception]) -> Iterator[None]:
    """Context manager that raises UserCodeError for each exception of a user's declared code.

    The error's text has the place in the user's file, the declaration and the reason. Exceptions of the types
    in `expected` pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (UserCodeError, *expected)):
            raise
        raise UserCodeError(describe_located_error(declared, error)) from error


def describe_located_error(declared: str, error: Exception) -> str:
    """Return a one-line text: the place in the user's code, the declaration, and the error."""
    place = find_user_place(error)
    told = f"{declared}{describe_user_error(error)}"
    return f"{place}: {told}" if place else told


def describe_user_error(error: Exception) -> str:
    """Return an error as a one-line suffix, such as " raises KeyError: 'typo'"."""
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
    """Return a text that lists the public names of the contract with the missing attribute."""
    contract = error.obj
    if not isinstance(contract, Contract):
        return ""
    own = {name for each in type(contract).__mro__ for name in vars(each)} | set(vars(contract))
    base = set(dir(Contract)) | {"world", "label", "address", "tables"}
    return f": there are {', '.join(sorted(name for name in own - base if not name.startswith('_')))}"


def find_user_place(error: BaseException) -> str:
    """Return "file:line" of the innermost code outside Backstop and Python; "" if there is none."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        if path.is_file() and not any(path.is_relative_to(each) for each in _FOREIGN):
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            return f"{shown}:{line}"
    return ""
