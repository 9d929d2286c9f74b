"""Lines of JSON from strangers: every field is checked before it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backstop.errors import BackstopError

_LONGEST = 2_000  # characters of a line


def parse_object(line: bytes, version: int, fields: Sequence[str], what: str) -> dict[str, Any]:
    """Read an object that has these fields and no others, `schema_version` among them."""
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
    """Read a whole number that is a string of digits."""
    text = content[name]
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,78}" if signed else r"[0-9]{1,78}", text):
        raise BackstopError(f"{name!r} is a whole number in quotes")
    if abs(int(text)) > most:
        raise BackstopError(f"{name!r} is too large")
    return int(text)


def parse_hex_string_to_lowercase(content: Mapping[str, Any], name: str, byte_count: int) -> str:
    """Read so many bytes in hex, in small letters."""
    text = content[name]
    if not isinstance(text, str) or not re.fullmatch(rf"0x[0-9a-fA-F]{{{2 * byte_count}}}", text):
        raise BackstopError(f"{name!r} is {byte_count} bytes in hex")
    return text.lower()
