"""Reading of a finished study's folder, from which its page is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError


def read_study_files(directory: Path, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read JSON files that a finished study, search or sweep has; raise BackstopError if it has not."""
    documents = []
    for name in names:
        try:
            documents.append(json.loads((directory / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BackstopError(f"{directory} is not a finished {kind} ({name}: {error})") from None
    return documents
