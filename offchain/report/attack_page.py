"""The page of a search: the worst that was found, what it was made of, where the loss went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from offchain.attack.printing import WANTED, clock, wanted
from offchain.errors import BackstopError
from offchain.groups import ALL_GROUPS
from offchain.report.attack_charts import charts
from offchain.report.page import render
from offchain.side_by_side import write_files


def write_page(directory: Path) -> Path:
    """Write report.html into the folder of a finished search."""
    documents: list[dict[str, Any]] = []
    for name in ("summary.json", "meta.json"):
        try:
            documents.append(json.loads((directory / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BackstopError(f"{directory} is not a finished search ({name}: {error})") from None
    summary, meta = documents
    text = render(
        "attack.html",
        summary,
        charts(summary),
        meta=meta,
        labels={name: group.label for name, group in ALL_GROUPS.items()},
        wanted=wanted(summary),
        what=WANTED[summary["goal"]],
        at=clock,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"
