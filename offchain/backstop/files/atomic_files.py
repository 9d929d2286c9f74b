"""Files that are read whole and written whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError


def read_versioned_json(
    path: Path,
    file_description: str,
    version: int,
    missing_hint: str,
    repair_hint: str,
    older_versions: Collection[int] = (),
) -> dict[str, Any]:
    """Return the JSON object in a file that has this schema version.

    `older_versions` are also accepted, for callers that translate them. Raises BackstopError with a hint for
    a missing, invalid or otherwise versioned file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BackstopError(f"{file_description} {path} not found: {missing_hint}") from None
    except (OSError, ValueError) as error:
        raise BackstopError(f"{path} is not a valid {file_description} ({error}): {repair_hint}") from None
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != version and found not in older_versions:
        raise BackstopError(f"{path} has schema version {found}, this program reads {version}: {repair_hint}")
    assert isinstance(content, dict)
    return content


def write_json(content: Any, path: Path) -> None:
    """Replace a JSON file atomically, so that no reader sees part of it."""
    _replace_content(path, (json.dumps(content, indent=1), "\n"))  # `json.dump` writes each bracket by itself


def write_text(text: str, path: Path) -> None:
    """Replace a text file atomically, so that no reader sees part of it."""
    _replace_content(path, (text,))


def write_bytes(content: bytes, path: Path) -> None:
    """Replace a binary file atomically, so that no reader sees part of it."""
    _replace_content(path, (content,))


def write_long_json(content: Mapping[str, Any], name: str, items: Iterable[Any], path: Path) -> None:
    """Replace a JSON file atomically by an object that ends with a list of items named `name`.

    Each item is written on its own line; the items are not held in memory.
    """
    _replace_content(path, _iter_json_parts(content, name, items))


def _iter_json_parts(content: Mapping[str, Any], name: str, items: Iterable[Any]) -> Iterator[str]:
    yield json.dumps(dict(content) | {name: []}, indent=1).removesuffix("]\n}")
    between = "\n  "
    for item in items:
        yield between + json.dumps(item)
        between = ",\n  "
    yield "]\n}\n" if between == "\n  " else "\n ]\n}\n"


def _replace_content(path: Path, parts: Iterable[str | bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
        try:
            temporary.writelines(part.encode() if isinstance(part, str) else part for part in parts)
            temporary.flush()
        except OSError:  # a full disk has no room for what is half written
            os.unlink(temporary.name)
            raise
    os.chmod(temporary.name, 0o644)
    replace_file(Path(temporary.name), path)


def replace_file(part: Path, path: Path) -> None:
    """Replace a file atomically by a complete one in the same folder; safe against a power cut.

    Without the first sync the new name may reach the disk before the content, which leaves an empty file.
    Without the second sync the old file may come back.
    """
    _sync_path(part)
    os.replace(part, path)
    _sync_path(path.parent)


def _sync_path(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def encode_json_integer(value: int) -> int | str:
    """Return an integer for JSON, as a string if it exceeds 64 bits.

    Most JSON readers would lose the last digits of a larger number.
    """
    return value if -(2**63) <= value < 2**63 else str(value)


def write_files(out: Path, files: Mapping[str, str]) -> None:
    """Write texts into a directory by file name, each atomically; raise BackstopError on failure."""
    for name, text in files.items():
        part = out / f"{name}.part"
        try:
            part.write_text(text, encoding="utf-8")
            replace_file(part, out / name)
        except OSError as error:
            raise BackstopError(f"{out / name} cannot be written: {error.strerror or error}") from None
