"""Lines about what happens: as they stand for people, with their fields as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Line(str):
    """A sentence, and the same in fields."""

    fields: dict[str, Any]

    def __new__(cls, text: str, event: str, **fields: Any) -> Line:
        line = super().__new__(cls, text)
        line.fields = {"event": event, **fields}
        return line


def to_stderr(as_json: bool) -> Callable[[str], None]:
    """Print lines as they come: `12:00:00 text`, or one object a line with `time`, `event` and `text`."""

    def human(text: str) -> None:
        print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)

    def structured(text: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        fields = text.fields if isinstance(text, Line) else {"event": "note"}
        line = {"time": time, **fields, "text": str(text)}
        print(json.dumps(line), file=sys.stderr, flush=True)

    return structured if as_json else human
