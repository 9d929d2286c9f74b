"""JSON Schemas of the files that people write, for editors: made by tools/schemas out of their readers."""

from __future__ import annotations

from pathlib import Path

SCHEMAS = Path(__file__).parent
"""The folder of the schemas."""
