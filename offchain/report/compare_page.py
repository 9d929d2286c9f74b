"""The page of a comparison: one crash, several ways to bear it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offchain.groups import GROUPS
from offchain.report.compare_charts import charts
from offchain.report.page import render
from offchain.runs import load_run
from offchain.side_by_side import value_at


def page(comparison: Mapping[str, Any], directory: Path) -> str:
    """The page as text, from a comparison and the run directories beside it."""
    from offchain.compare import margin_lines, vault_lines

    runs = [load_run(directory / row["preset"]) for row in comparison["presets"]]
    return render(
        "compare.html",
        comparison,
        charts(comparison, runs),
        rows=vault_lines(comparison),
        margin_rows=margin_lines(comparison),
        has=lambda i, line: value_at(comparison["presets"][i], line.figure) is not None,
        asked=[
            group
            for i, group in enumerate(GROUPS.values())
            if any(row["loss_paid_by"][i]["present"] for row in comparison["presets"])
        ],
        differences=sum(row["differences"] for row in comparison["presets"]),
        compared=sum(row["fields_compared"] for row in comparison["presets"]),
    )
