"""Page of a search: the worst that was found, what it was made of, where the loss went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files import write_files
from backstop.report.attack_charts import charts
from backstop.report.attack_table import WANTED, clock, wanted
from backstop.report.rendering import render
from backstop.simulation.bearers import ALL_GROUPS


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
