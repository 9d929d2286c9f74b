"""Page of one run: what happened, who paid, and whether model and chain agreed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.report import people_tables, run_tables
from backstop.report.auction_charts import MOST_DOTS
from backstop.report.depth_charts import depths, slippage
from backstop.report.first_screen import of_run
from backstop.report.links import above
from backstop.report.loss_charts import stage_color
from backstop.report.margin_charts import steps
from backstop.report.maturity import profile
from backstop.report.rendering import as_script, inline, render
from backstop.report.replay import replay
from backstop.report.run_answers import answers
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
    fills, listed = run_tables.fills(run), auctions[: run_tables.MOST_ROWS]
    vaults, steps = people_tables.vaults(auctions), people_tables.loss_steps(run, auctions)
    shown_steps = people_tables.most(steps, run_tables.MOST_ROWS)
    shown_vaults, members = vaults[: run_tables.MOST_ROWS], people_tables.members(summary)
    moved = replay(run)
    return render(
        "run.html",
        summary,
        charts(run),
        meta=run.meta,
        answers=answers(run, summary, auctions, fills, vaults, steps, members, moved),
        verdict=verdict(summary),
        strip=of_run(summary),
        stages=[(stage["stage"], stage_color(stage["stage"])[1:]) for stage in summary["losses"]["covered"]],
        fills=fills,
        most_dots=MOST_DOTS,
        auctions=listed,
        shown_auctions={row.id for row in listed},
        vault_rows=shown_vaults,
        vaults_in_all=len(vaults),
        vault_anchors={row.anchor for row in shown_vaults},
        loss_steps=shown_steps,
        steps_in_all=len(steps),
        stepped={row.vault for row in shown_steps if row.vault},
        charged_stages={row.who for row in shown_steps if not row.vault},
        member_rows=members[: run_tables.MOST_ROWS],
        pools={row.stage for row in members},
        purchases=bought,
        listed={row.auction for row in bought},
        replay=moved,
        replay_data=as_script(moved),
        replay_script=inline("replay.js"),
        depths=depths(run),
        slippage=slippage,
        above=above(run.path),
        auctions_in_all=len(auctions),
        most_rows=run_tables.FIRST_ROWS,
        maturities=profile(summary),
        modes=("normal", "caution", "emergency"),
        keepers=run_tables.by_profit(summary),
        reasons=run_tables.reasons(summary),
        waiting=int(summary["actions"].get("waiting", 0)),
        short_of_penalty=sum(row.ended_by == "closed" and not row.lost_rad for row in auctions),
        unwound=sum(row.ended_by == "unwound" for row in auctions),
        loss_gap=loss_gap(summary),
        causes=people_tables.causes(int(summary["losses"]["created_rad"]), auctions, steps),
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
