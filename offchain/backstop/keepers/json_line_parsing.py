"""Lines of JSON from strangers: every field is checked before it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backstop.errors import BackstopError

_LONGEST = 2_000  # characters of a line


def parse_object(line: bytes, version: int, fields: Sequence[str], what: str) -> dict[str, Any]:
    """Parse a line of JSON into an object that has exactly the given fields.

    Raises BackstopError if the line is longer than 2,000 bytes, is no JSON object, has another
    `schema_version` than `version`, or lacks or adds a field. `what` names the object in the message.
    """
    try:
        content = json.loads(line) if len(line) <= _LONGEST else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise BackstopError("it is not a JSON object")
    if content.get("schema_version") != version:
        raise BackstopError(f"this program reads schema_version {version}")
    wrong = [name for name in fields if name not in content] or [n for n in content if n not in fields]
    if wrong:
        raise BackstopError(f"{what} has the fields {', '.join(fields)}: see {wrong[0]!r}")
    return content


def parse_number(content: Mapping[str, Any], name: str, most: int, *, signed: bool = False) -> int:
    """Return the integer of a field that is a string of decimal digits.

    A minus sign is allowed if `signed`. Raises BackstopError for any other text, or if the absolute value
    exceeds `most`.
    """
    text = content[name]
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,78}" if signed else r"[0-9]{1,78}", text):
        raise BackstopError(f"{name!r} is a whole number in quotes")
    if abs(int(text)) > most:
        raise BackstopError(f"{name!r} is too large")
    return int(text)


def parse_hex_string_to_lowercase(content: Mapping[str, Any], name: str, byte_count: int) -> str:
    """Return a field of `byte_count` bytes in hex with prefix `0x`, in lower case.

    Raises BackstopError if the field has another form or length.
    """
    text = content[name]
    if not isinstance(text, str) or not re.fullmatch(rf"0x[0-9a-fA-F]{{{2 * byte_count}}}", text):
        raise BackstopError(f"{name!r} is {byte_count} bytes in hex")
    return text.lower()
