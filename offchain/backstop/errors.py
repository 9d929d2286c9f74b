"""The one base of every error that a user can mend."""

import re
from collections.abc import Callable
from typing import NoReturn


class BackstopError(Exception):
    """An error with its cause and its remedy; commands print its message, not a traceback."""


def refuse_url_as_local_path(text: str, fail: Callable[[str], NoReturn]) -> None:
    """Call `fail` if a URL stands where a local path is meant."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):  # Path("s3://a") has one slash left
        fail(f"{text!r} is a URL, and only local files are read and written: give a path")
