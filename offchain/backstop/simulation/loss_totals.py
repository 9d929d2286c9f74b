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
    """Total loss of a run and its division [rad]: `lost == recovered + paid + unpaid`."""

    lost: int
    recovered: int  # of bad debt, without a stage
    paid: list[tuple[str, int]]  # by stage, then by payer of the margin market, in their orders
    unpaid: int


def compute_loss_totals(run_summary: Mapping[str, Any]) -> LossTotals:
    """Return the total losses of vaults and margin market from a run's summary [rad].

    A margin loss posted to the protocol counts once.
    """
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
    """Return the part of the margin market's losses that nothing has paid [wad].

    It is a shortfall, or debt that other positions of an insolvent account may still repay.
    """
    return int(margin["loss_wad"]) - sum(int(margin[f"{kind}_wad"]) for kind in PAYERS)


def build_model_chain_agreement_texts(difference_count: int, fields_compared: int) -> tuple[str, str]:
    """Return two texts: how many differences model and chain had, and how many fields were compared.

    For a run on the model alone they say that nothing was compared.
    """
    if fields_compared == 0:
        return "not compared", "on the model alone"
    return f"{difference_count} differences", f"{fields_compared:,} fields compared"


def add_loss_totals(run_summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's summary with loss totals and the margin market's groups added.

    A summary that already has totals is returned as a copy.
    """
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
