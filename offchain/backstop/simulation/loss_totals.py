"""The first screen of a run: the total loss, its bearers, and the unpaid part.

Vaults and the margin market are added up. A loss that the margin market posted to the protocol is a loss of
both, and counted once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backstop.model.arithmetic import RAY
from backstop.simulation.loss_bearers import MARGIN_GROUPS, PAYERS

POSTED = "posted"
"""The kind of payment by which the margin market's loss becomes one of the protocol."""


class LossTotals(NamedTuple):
    """`lost == recovered + paid + unpaid`, rad."""

    lost: int
    recovered: int  # of bad debt, without a stage
    paid: list[tuple[str, int]]  # by stage, then by payer of the margin market, in their orders
    unpaid: int


def compute_loss_totals(run_summary: Mapping[str, Any]) -> LossTotals:
    """Add up the losses of a run, rad."""
    losses, margin = run_summary["losses"], run_summary["margin"] if run_summary.get("margin") else None
    lost, unpaid = int(losses["created_rad"]), int(losses["outstanding_rad"])
    paid = [(stage["stage"], int(stage["rad"])) for stage in losses["covered"]]
    if margin is not None:
        lost += (int(margin["loss_wad"]) - int(margin[f"{POSTED}_wad"])) * RAY
        unpaid += sum_unpaid_margin_loss(margin) * RAY
        paid += [
            (payer, int(margin[f"{kind}_wad"]) * RAY) for kind, payer in PAYERS.items() if kind != POSTED
        ]
    return LossTotals(lost, int(losses["recovered_rad"]), paid, unpaid)


def sum_unpaid_margin_loss(margin: Mapping[str, Any]) -> int:
    """Return the unpaid part of the margin market's losses, wad.

    It is a shortfall, or owed by other positions of an insolvent account, which prices may yet make good.
    """
    return int(margin["loss_wad"]) - sum(int(margin[f"{kind}_wad"]) for kind in PAYERS)


def build_model_chain_agreement_texts(difference_count: int, fields_compared: int) -> tuple[str, str]:
    """Say whether model and chain agreed, and over how much; a model alone has nothing to agree with."""
    if fields_compared == 0:
        return "not compared", "on the model alone"
    return f"{difference_count} differences", f"{fields_compared:,} fields compared"


def add_loss_totals(run_summary: Mapping[str, Any]) -> dict[str, Any]:
    """Add totals and the margin market's groups to a summary; return one that has them as it is."""
    if "totals" in run_summary:
        return dict(run_summary)
    head, margin = compute_loss_totals(run_summary), run_summary.get("margin")
    paid_by = list(run_summary["paid_by"])
    if margin:
        for name, group in MARGIN_GROUPS.items():
            amount = sum(int(margin[f"{kind}_wad"]) for kind in group.stages)
            paid_by.append(
                {"group": name, "wad": str(amount if group.stages else sum_unpaid_margin_loss(margin))}
            )
    totals = {
        "lost_rad": str(head.lost),
        "paid_rad": str(head.lost - head.unpaid),
        "unpaid_rad": str(head.unpaid),
    }
    return {**run_summary, "paid_by": paid_by, "totals": totals}
