"""The one base of every error that a user can mend."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import NoReturn

MOST_CHOICES = 8
"""Names that an error spells out."""


class BackstopError(Exception):
    """Error with its cause and its remedy; commands print its message without a traceback."""


def refuse_url_as_local_path(text: str, fail: Callable[[str], NoReturn]) -> None:
    """Call `fail` with a message if a text is a URL instead of a local path."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):  # Path("s3://a") has one slash left
        fail(f"{text!r} is a URL, and only local files are read and written: give a path")


def describe_choices(given: str, known_names: Iterable[str], listed_by: str) -> str:
    """Return a text that names the expected choices: all if they are few, else the closest match.

    In the second case the text points to `listed_by`, a page or command that lists all names.
    """
    names = list(known_names)
    if len(names) <= MOST_CHOICES:
        return f"expected one of {', '.join(names)}"
    near = get_close_matches(given, names, 1) or names[:1]
    return f"expected one of {len(names)} names, such as {near[0]}; {listed_by} lists them"
