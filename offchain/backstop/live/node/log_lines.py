"""Log lines: as text for people, with their fields as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Line(str):
    """Log line: a text with an event name and further fields for structured logs."""

    fields: dict[str, Any]

    def __new__(cls, text: str, event: str, **fields: Any) -> Line:
        line = super().__new__(cls, text)
        line.fields = {"event": event, **fields}
        return line


def build_stderr_line_printer(as_json: bool) -> Callable[[str], None]:
    """Return a function that prints log lines to stderr.

    A line is `12:00:00 text`, or with `as_json` a JSON object with `time`, `event`, `text` and the line's
    fields.
    """

    def human(text: str) -> None:
        _print_line(f"{datetime.now():%H:%M:%S} {text}")

    def structured(text: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        fields = text.fields if isinstance(text, Line) else {"event": "note"}
        line = {"time": time, **fields, "text": str(text)}
        _print_line(json.dumps(line))

    return structured if as_json else human


def _print_line(text: str) -> None:
    """Print a line to stderr, ignoring failures such as a full disk or a closed pipe."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    except OSError:
        pass
