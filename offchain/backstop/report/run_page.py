"""Page of one run: its course, the payers, and the agreement of model and chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.report import run_table_rows, vault_and_pool_member_loss_rows
from backstop.report.auction_purchase_charts import MOST_DOTS
from backstop.report.debt_maturity import list_run_debt_maturities
from backstop.report.loss_charts import get_stage_color
from backstop.report.loss_sentence import compose_loss_sentence
from backstop.report.margin_loss_payment_charts import list_payer_steps
from backstop.report.page_links import build_parent_page_link
from backstop.report.rendering import as_script, read_inline_file, render_template
from backstop.report.replay_slider import collect_replay
from backstop.report.run_charts import build_charts
from backstop.report.run_section_headings import compose_headings
from backstop.report.slippage_by_sale_size_chart import compute_slippage, list_largest_auction_lot_by_market
from backstop.report.summary_panel import build_run_loss_strip
from backstop.simulation.discount_sale_totals import sum_discount_sales
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.loss_totals import add_loss_totals, sum_unpaid_margin_loss
from backstop.simulation.run_directory import Run, load_run
from backstop.simulation.stability_pool_totals import sum_stability_pool_figures


def write_run_page(run_folder: Path) -> Path:
    """Read a run directory, write its page `report.html`, and return the page's path."""
    return write_page(load_run(run_folder), Path(run_folder) / "report.html")


def write_page(run: Run, path: Path) -> Path:
    """Write the page of a run to `path`, and return the path."""
    write_files(path.parent, {path.name: render_page(run)})
    return path


def render_page(run: Run) -> str:
    """Return the page of a run as HTML."""
    summary = add_loss_totals(run.summary)
    auctions, bought = run_table_rows.list_auctions(run), run_table_rows.list_largest_purchases(run)
    fills, listed = run_table_rows.count_takes_by_discount(run), auctions[: run_table_rows.MOST_ROWS]
    vaults, steps = (
        vault_and_pool_member_loss_rows.list_vaults(auctions),
        vault_and_pool_member_loss_rows.list_step_costs(run, auctions),
    )
    shown_steps = vault_and_pool_member_loss_rows.select_largest_loss_steps(steps, run_table_rows.MOST_ROWS)
    shown_vaults, members = (
        vaults[: run_table_rows.MOST_ROWS],
        vault_and_pool_member_loss_rows.list_members(summary),
    )
    moved = collect_replay(run)
    return render_template(
        "run.html",
        summary,
        build_charts(run),
        meta=run.meta,
        answers=compose_headings(run, summary, auctions, fills, vaults, steps, members, moved),
        verdict=compose_loss_sentence(summary),
        strip=build_run_loss_strip(summary),
        stages=[
            (stage["stage"], get_stage_color(stage["stage"])[1:]) for stage in summary["losses"]["covered"]
        ],
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
        member_rows=members[: run_table_rows.MOST_ROWS],
        pools={row.stage for row in members},
        purchases=bought,
        listed={row.auction for row in bought},
        replay=moved,
        replay_data=as_script(moved),
        replay_script=read_inline_file("replay.js"),
        depths=list_largest_auction_lot_by_market(run),
        slippage=compute_slippage,
        above=build_parent_page_link(run.path),
        auctions_in_all=len(auctions),
        most_rows=run_table_rows.FIRST_ROWS,
        maturities=list_run_debt_maturities(summary),
        modes=("normal", "caution", "emergency"),
        keepers=run_table_rows.list_keeper_indices_by_profit(summary),
        reasons=run_table_rows.count_revert_reasons(summary),
        waiting=int(summary["actions"].get("waiting", 0)),
        short_of_penalty=sum(row.ended_by == "closed" and not row.lost_rad for row in auctions),
        unwound=sum(row.ended_by == "unwound" for row in auctions),
        loss_gap=compute_unexplained_loss(summary),
        causes=vault_and_pool_member_loss_rows.split_bad_debt(
            int(summary["losses"]["created_rad"]),
            auctions,
            steps,
            sum_discount_sales(summary).lost,
            (sum_stability_pool_figures(summary) or {}).get("lost_rad", 0),
        ),
        discount_types=[
            i for i, entry in enumerate(summary["collateral_types"]) if "discount_sales" in entry
        ],
        pool_types=[i for i, entry in enumerate(summary["collateral_types"]) if "stability_pool" in entry],
        pool_members=[
            (i, j)
            for i, entry in enumerate(summary["collateral_types"])
            for j in range(len(entry.get("stability_pool", {}).get("members", ())))
        ],
        margin_paid=list_margin_payers(summary),
        margin_left=sum_unpaid_margin_loss(summary["margin"]) if summary.get("margin") else 0,
        facts=summary.get("facts", []),
        assumptions=summary.get("assumptions", []),
    )


def list_margin_payers(summary: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    """Return the payers of the margin market's losses: name, colour, amount [wad] and summary path."""
    if not summary.get("margin"):
        return []
    return [
        (step.name, step.color[1:], step.amount, f"margin.{kind}_wad")
        for kind, step in zip(PAYERS, list_payer_steps(summary), strict=True)
    ]


def compute_unexplained_loss(run_summary: dict[str, Any]) -> int:
    """Return created - recovered - covered - outstanding losses [rad]; 0 if the summary is consistent."""
    losses = run_summary["losses"]
    covered = sum(int(stage["rad"]) for stage in losses["covered"])
    left = int(losses["created_rad"]) - int(losses["recovered_rad"]) - covered
    return left - int(losses["outstanding_rad"])
