"""Plain values of a scenario's fields, as a file that stands elsewhere has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backstop.simulation.scenario.yaml_document_reader import Field


def has_equal_sections(one: Field, other: Field, name: str) -> bool:
    """Return whether two documents have the same content in a section, or both lack it."""
    sections = [top.read_mapping_entries().get(name) for top in (one, other)]
    plain = [None if each is None else build_plain_values(each, name, Path()) for each in sections]
    return bool(plain[0] == plain[1])


def build_plain_values(field: Field, name: str, output_folder: Path) -> Any:
    """Convert a field of a document to plain values.

    Paths of files become relative to `output_folder`.
    """
    if isinstance(field.value, dict):
        return {key: build_plain_values(each, key, output_folder) for key, each in field.value.items()}
    if isinstance(field.value, list):
        return [build_plain_values(each, name, output_folder) for each in field.value]
    if name == "file":
        return os.path.relpath(field.file.parent / field.text, output_folder)
    return int(field.value) if field.value.isdigit() and str(int(field.value)) == field.value else field.value
