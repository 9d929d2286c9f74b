"""Reading of a finished study's folder, from which its page is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError


def read_study_files(directory: Path, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the JSON files of a finished study, search or sweep as documents.

    Raises BackstopError if a file is missing or invalid; `kind` names the result in the message.
    """
    documents = []
    for name in names:
        try:
            documents.append(json.loads((directory / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BackstopError(f"{directory} is not a finished {kind} ({name}: {error})") from None
    return documents
