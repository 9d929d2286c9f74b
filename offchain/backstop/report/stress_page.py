"""Page of a study: the losses of many paths, the payers, and the confidence of the figures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.report.multi_run_section_headings import compose_study_headings
from backstop.report.page_links import build_parent_page_link, build_study_path_link
from backstop.report.price_fans import build_price_fans
from backstop.report.rendering import render_template
from backstop.report.stress_charts import build_stress_charts
from backstop.report.study_file_reader import read_study_files
from backstop.report.summary_panel import build_group_strip, compose_study_finding
from backstop.simulation.loss_bearers import GROUPS
from backstop.studies.stress.resumable_path_study import read_parquet_rows

MOST_PATHS = 100  # that a page lists

CAPS = {
    "buyers": "buyers' capital is used up",
    "stablecoins": "too few stablecoins circulate for the markets' depth",
    "other": "neither, and something is unsold",
}
"""Causes that cap sales, as the page names them."""


def write_stress_page(directory: Path) -> Path:
    """Write the page `report.html` of a finished study, and return its path."""
    summary, meta, study = read_study_files(directory, "study", ("summary.json", "meta.json", "study.json"))
    names = study["columns"]
    rows = read_parquet_rows(directory / "paths.parquet", names)
    columns = {name: rows[:, i] for i, name in enumerate(names)}
    fans = build_price_fans(summary)
    text = render_template(
        "stress.html",
        summary,
        [*build_stress_charts(summary, columns), *fans],
        fans=[each.id for each in fans],
        meta=meta,
        answers=compose_study_headings(summary, _find_critical_ratio(columns)),
        labels={name: group.label for name, group in GROUPS.items()},
        finding=compose_study_finding(summary),
        above=build_parent_page_link(directory),
        worst=_list_worst_paths(directory, summary, columns),
        strip=build_group_strip(summary, "of bad debt on average, by payer", "paid.mean.value_micro"),
        spreads=_list_table_row_names_and_paths(summary),
        caps=CAPS,
        deeper=_find_deeper_markets(summary),
        at=partial(_get_value, summary),
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def _find_deeper_markets(summary: Mapping[str, Any]) -> int | None:
    """Return the index of the driver case with deeper markets; None if the study has none."""
    keys = [each["key"] for each in (summary.get("drivers") or {"cases": []})["cases"]]
    return keys.index("twice-depth") if "twice-depth" in keys else None


def _find_critical_ratio(columns: Mapping[str, Any]) -> int | None:
    """Return the largest of the lowest collateral ratios of paths with bad debt [basis points].

    None if no path has bad debt.
    """
    lost = columns["lowest_ratio"][columns["bad_debt"] > 0]
    return int(lost.max()) if len(lost) else None


def _list_worst_paths(
    directory: Path, summary: Mapping[str, Any], columns: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the paths with the most bad debt, each with a link to its run."""
    names = ("path", "bad_debt", "outstanding", "liquidations")
    rows = [
        dict(zip(names, map(int, row), strict=True)) for row in zip(*(columns[n] for n in names), strict=True)
    ]
    found = sorted((row for row in rows if row["bad_debt"]), key=lambda row: (-row["bad_debt"], row["path"]))
    return [
        row | {"link": build_study_path_link(directory, summary, row["path"])} for row in found[:MOST_PATHS]
    ]


def _list_table_row_names_and_paths(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the page's table as pairs of name and summary path."""
    types = [
        (f"of it {each['symbol']}", f"collateral_types.{i}.bad_debt")
        for i, each in enumerate(summary["collateral_types"])
        if len(summary["collateral_types"]) > 1
    ]
    stages = [
        (f"paid by {each['stage'].replace('_', ' ')}", f"stages.{i}.covered")
        for i, each in enumerate(summary["stages"])
    ]
    return [
        ("bad debt", "bad_debt"),
        *types,
        *stages,
        ("outstanding at the end", "outstanding"),
        ("debt unsold a day after the end", "unsold"),
        ("debt liquidated", "liquidated_debt"),
    ]


def _get_value(summary: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path of the summary."""
    here: Any = summary
    for part in path.split("."):
        here = here[int(part)] if isinstance(here, list) else here[part]
    return here
