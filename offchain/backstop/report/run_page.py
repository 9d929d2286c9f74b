"""Page of one run: what happened, who paid, and whether model and chain agreed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstop.files.whole import write_files
from backstop.report import run_tables
from backstop.report.auction_charts import MOST_DOTS
from backstop.report.depth_charts import depths, slippage
from backstop.report.first_screen import of_run
from backstop.report.links import above
from backstop.report.loss_charts import stage_color
from backstop.report.margin_charts import steps
from backstop.report.maturity import profile
from backstop.report.rendering import as_script, inline, render
from backstop.report.replay import replay
from backstop.report.run_charts import charts
from backstop.report.verdict import verdict
from backstop.simulation.bearers import PAYERS
from backstop.simulation.headline import completed, margin_left
from backstop.simulation.run_directory import Run, load_run


def write_report(directory: Path) -> Path:
    """Write report.html into a run directory, from the tables in it."""
    return write_page(load_run(directory), Path(directory) / "report.html")


def write_page(run: Run, path: Path) -> Path:
    """Write the page of a run that is already read."""
    write_files(path.parent, {path.name: page(run)})
    return path


def page(run: Run) -> str:
    """Render the page of a run as text."""
    summary = completed(run.summary)
    auctions, bought = run_tables.auctions(run), run_tables.purchases(run)
    moved = replay(run)
    return render(
        "run.html",
        summary,
        charts(run),
        meta=run.meta,
        verdict=verdict(summary),
        strip=of_run(summary),
        stages=[(stage["stage"], stage_color(stage["stage"])[1:]) for stage in summary["losses"]["covered"]],
        fills=run_tables.fills(run),
        most_dots=MOST_DOTS,
        auctions=auctions[: run_tables.MOST_ROWS],
        purchases=bought,
        listed={row.auction for row in bought},
        replay=moved,
        replay_data=as_script(moved),
        replay_script=inline("replay.js"),
        depths=depths(run),
        slippage=slippage,
        shown={row.id for row in auctions[: run_tables.MOST_ROWS]},
        above=above(run.path),
        auctions_in_all=len(auctions),
        most_rows=run_tables.FIRST_ROWS,
        maturities=profile(summary),
        modes=("normal", "caution", "emergency"),
        keepers=run_tables.by_profit(summary),
        reasons=run_tables.reasons(summary),
        loss_gap=loss_gap(summary),
        margin_paid=margin_paid(summary),
        margin_left=margin_left(summary["margin"]) if summary.get("margin") else 0,
        facts=summary.get("facts", []),
        assumptions=summary.get("assumptions", []),
    )


def margin_paid(summary: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    """List who paid for the margin market's losses: name, colour, wad, and the figure's path."""
    if not summary.get("margin"):
        return []
    return [
        (step.name, step.color[1:], step.amount, f"margin.{kind}_wad")
        for kind, step in zip(PAYERS, steps(summary), strict=True)
    ]


def loss_gap(summary: dict[str, Any]) -> int:
    """Return created - recovered - covered - outstanding [rad], which is 0 if all postings are there."""
    losses = summary["losses"]
    covered = sum(int(stage["rad"]) for stage in losses["covered"])
    left = int(losses["created_rad"]) - int(losses["recovered_rad"]) - covered
    return left - int(losses["outstanding_rad"])
