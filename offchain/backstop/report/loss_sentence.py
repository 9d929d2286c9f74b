"""Sentence at the head of a run's page: each party's loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from backstop.report.exact_amount_markup import SummaryFigures, render_amount
from backstop.simulation.loss_bearers import ALL_GROUPS


def compose_loss_sentence(summary: dict[str, Any]) -> Markup:
    """Return one sentence of HTML that names each group with a loss in the run, and its amount."""
    numbers = SummaryFigures(summary)
    clauses = [
        Markup(ALL_GROUPS[entry["group"]].clause).format(numbers.render_figure(f"paid_by.{i}.wad"))
        for i, entry in enumerate(summary["paid_by"])
        if int(entry["wad"]) > 0
    ]
    alone = (summary.get("margin") or {}).get("left_alone_wad", "0")
    if int(alone):
        owed = numbers.render_figure("margin.left_alone_wad")
        clauses.append(Markup("at the last prices {} is owed in the margin market").format(owed))
    unsold = int(summary["ledger"]["in_auction_rad"])
    if unsold:
        # What it will not bring is no loss yet, and may become one.
        clauses.append(
            Markup("debt of {} is still at auction").format(numbers.render_figure("ledger.in_auction_rad"))
        )
    if not clauses:
        return Markup("No loss.") + compose_liquidity_vault_result(summary)
    sentence = _join_parts(clauses)
    if int(summary["totals"]["lost_rad"]) == 0:
        sentence += "" if int(alone) or unsold else "; no bad debt was left for anyone else to pay"
    elif int(summary["totals"]["unpaid_rad"]) == 0:
        sentence += "; nothing is outstanding"
    return Markup(sentence[:1].upper() + sentence[1:] + ".") + compose_liquidity_vault_result(summary)


def compose_liquidity_vault_result(summary: dict[str, Any]) -> Markup:
    """Return a sentence on the backstop pool's profit or loss; empty if the run has no such pool."""
    pool = (summary.get("margin") or {}).get("pool")
    if not pool:
        return Markup("")
    numbers, at, earned = SummaryFigures(summary), "margin.pool.", int(pool["earned_wad"])
    took = Markup(" The backstop pool took positions over {} times and {} of its members' {}").format(
        numbers.render_figure(f"{at}taken_over"),
        Markup("lost {}" if earned < 0 else "earned {}").format(render_amount(abs(earned), "wad"))
        + ("" if earned < 0 else " on top"),
        numbers.render_figure(f"{at}paid_in_wad"),
    )
    if not int(pool["left_wad"]) and not pool["lots_left"]:
        return took + Markup("; all of them have left with {}.").format(
            numbers.render_figure(f"{at}paid_out_wad")
        )
    return took + Markup("; {} is still in it.").format(numbers.render_figure(f"{at}left_wad"))


def _join_parts(parts: Sequence[Markup]) -> Markup:
    if len(parts) == 1:
        return parts[0]
    return Markup(", ").join(parts[:-1]) + " and " + parts[-1]
