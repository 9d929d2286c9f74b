"""Page of an import: the file's repairs, its debt's distance from liquidation, and its owners."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report.amounts import format_percent
from backstop.report.answer_page import build_answer_columns_with_intervals
from backstop.report.chart_parts import Chart, shorten_name
from backstop.report.exact_amount_markup import SummaryFigures, render_count
from backstop.report.named_bars import BarPart, build_stacked_bars
from backstop.report.page_links import REPORT
from backstop.report.rendering import render_template
from backstop.report.risk_answer_charts import build_price_fall_debt_chart
from backstop.report.run_table_rows import FIRST_ROWS
from backstop.report.study_file_reader import read_study_files
from backstop.studies.import_summary import FILE
from backstop.studies.risk_questions.largest_owners_debt_and_loss_shares import OTHERS


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of an imported book with a scenario, and return its path."""
    summary, meta = read_study_files(directory, "import", (FILE, "meta.json"))
    rows = list(enumerate(summary["tables"]["falls"]))
    together = rows[-1][1]["falling"]
    columns = build_answer_columns_with_intervals(summary["columns"]["falls"])
    text = render_template(
        "import.html",
        summary,
        [build_price_fall_debt_chart(summary), build_owner_debt_chart(summary)],
        meta=meta,
        finding=compose_finding(summary),
        answers=compose_headings(summary),
        together=[row for row in rows if row[1]["falling"] == together],
        apart=[row for row in rows if row[1]["falling"] != together],
        together_columns=columns[1:],
        columns=columns,
        first_rows=FIRST_ROWS,
    )
    write_files(directory, {REPORT: text})
    return directory / REPORT


def compose_finding(summary: Mapping[str, Any]) -> Markup:
    """Return the import's main result: the debt, and its part that a price fall of 20% makes unsafe."""
    numbers = SummaryFigures(summary)
    place = _find_fall_of_all(summary, 2_000)
    return Markup(
        "{} stablecoins are owed, in {} of {}; if all prices fell by a fifth, {} of it could be liquidated."
    ).format(
        numbers.render_figure("debt_wad"),
        render_count(summary["vaults"], "vault"),
        render_count(summary["owners"], "owner"),
        numbers.render_figure(f"tables.falls.{place}.debt_share_bps"),
    )


def compose_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of the page, by section name."""
    numbers, owners = SummaryFigures(summary), summary["tables"]["owners"]
    named = sum(row["owner"] != OTHERS for row in owners)
    first, last = (_find_fall_of_all(summary, fall) for fall in (1_000, 5_000))
    assumed = sum(not row["is_given"] for row in summary["assumed"])
    ratios = [(each["ratio_bps"], place) for place, each in enumerate(summary["types"])]
    least, most = min(ratios), max(ratios)
    return {
        "rows": Markup("{} in {}").format(
            render_count(summary["vaults"], "vault"), render_count(len(summary["types"]), "collateral type")
        ),
        "falls": Markup("{} at a fall of 10%, {} at a fall of 50%").format(
            numbers.render_figure(f"tables.falls.{first}.debt_wad"),
            numbers.render_figure(f"tables.falls.{last}.debt_wad"),
        ),
        "owners": Markup("{} of the debt is that of {}").format(
            numbers.render_figure(f"tables.owners.{named - 1}.debt_so_far_bps"), render_count(named, "owner")
        ),
        "terms": Markup("Ratios from {} to {}" if least[0] < most[0] else "Each ratio is {}").format(
            *(numbers.render_figure(f"types.{place}.ratio_bps") for _, place in (least, most))
        ),
        "assumed": Markup("{} of the template, {} given").format(assumed, len(summary["assumed"]) - assumed),
    }


def build_owner_debt_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of the debts of the largest owners."""
    rows = [row for row in summary["tables"]["owners"] if row["owner"] != OTHERS]
    names = [shorten_name(row["owner"]) for row in rows]
    figure = build_stacked_bars(
        names, [BarPart("debt", "@first", [int(row["debt_wad"]) for row in rows])], WAD
    )
    told = "; ".join(
        f"{name} {format_percent(row['debt_share_bps'], BASIS_POINTS)}"
        for name, row in zip(names, rows, strict=True)
    )
    return Chart("owners-chart", "Debt of the largest owners", f"Shares of the debt. {told}.", figure)


def _find_fall_of_all(summary: Mapping[str, Any], fall_bps: int) -> int:
    """Return the index of the row for a fall of all prices by `fall_bps`."""
    rows = summary["tables"]["falls"]
    together = rows[-1]["falling"]
    return next(i for i, row in enumerate(rows) if (row["falling"], row["fall_bps"]) == (together, fall_bps))
