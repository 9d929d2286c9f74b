"""How deep JSON text of strangers is nested: Python's own parser ends the process where it is too deep."""

from __future__ import annotations

import re
from itertools import accumulate

MOST_NESTED = 128
"""A trace of calls within calls takes two for each."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = [1 if each in b"[{" else -1 for each in range(256)]


def is_nested_too_deep(json_bytes: bytes, most_brackets: int) -> bool:
    """Return True if JSON text nests brackets deeper than MOST_NESTED, or has too many of them.

    Python's parser would exhaust its stack on deeper text, also with a recursion limit, once a library has
    raised it.
    """
    if json_bytes.count(b"[") + json_bytes.count(b"{") <= MOST_NESTED:
        return False
    brackets = _STRING.sub(b"", json_bytes).translate(None, _NO_BRACKETS)
    return (
        len(brackets) > most_brackets
        or max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MOST_NESTED
    )
