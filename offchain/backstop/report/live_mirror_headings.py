"""Headings of the live page: the state of each section at this block, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from backstop.model.arithmetic import BASIS_POINTS
from backstop.report.amounts import format_duration_text, format_percent
from backstop.report.exact_amount_markup import (
    SummaryFigures,
    render_amount,
    render_count,
    render_day_and_time,
)
from backstop.report.multi_run_section_headings import compose_audit_headings

FALL = 10
"""Place in the levels of the fall that the heading tells of: 10%."""


def compose_live_headings(figures: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short state of each section of the live page; empty before the first block."""
    if not figures:
        return {}
    numbers, unsafe = SummaryFigures(figures), figures["bands"][0]
    audited = compose_audit_headings(figures, figures["found"])
    selling = len(figures["auctions"]) + len(figures["sales"])
    answers = {
        "prices": audited.get("types", Markup("No vault has debt")),
        "history": _describe_debt_history(figures["history"]["points"]),
        "levels": _describe_debt_unsafe_after_fall(figures["levels"]),
        "vaults": Markup("No vault is unsafe"),
        "auctions": Markup("Nothing is being sold"),
        "calls": Markup("No vault is called"),
        "losses": audited["losses"],
        "queue": _describe_deleveraging_queue(figures.get("queue")),
        "sheet": audited["sheet"],
        "keepers": Markup("No calls"),
        "actions": Markup("Nothing yet"),
        "mirror": Markup("Model and chain agree"),
    }
    if not int(figures["coverage"]["to_cover_rad"]):
        answers["losses"] = Markup("Nothing is to cover")
    if unsafe["vaults"]:
        answers["vaults"] = Markup("{} with a debt of {}").format(
            render_count(unsafe["vaults"], "unsafe vault"), numbers.render_figure("bands.0.debt_rad")
        )
    if selling:
        answers["auctions"] = Markup("{} under way").format(render_count(selling, "sale"))
    if figures["calls"]:
        answers["calls"] = Markup("{} called").format(render_count(len(figures["calls"]), "vault"))
    if figures["keepers"]:
        first = figures["keepers"][0]
        answers["keepers"] = Markup("{} earned most: {}").format(
            first["who"].replace("_", " "), numbers.render_figure("keepers.0.gained_wad")
        )
        if int(first["gained_wad"]) <= 0:
            answers["keepers"] = Markup("No keeper earned anything")
    if figures["actions"]:
        last = figures["actions"][0]
        answers["actions"] = Markup("{} last, at {}").format(
            last["who"].replace("_", " "), render_day_and_time(last["timestamp"])
        )
    if figures["found"]:
        answers["mirror"] = Markup("Model and chain differ")
    return answers


def _describe_deleveraging_queue(queue: Mapping[str, Any] | None) -> Markup:
    """Return a text on the accounts that would be deleveraged first.

    These are the accounts in the first fifth of the lots of a side.
    """
    if queue is None or queue["policy"] != "ranked":
        return Markup("No account comes before another")
    first = sum(side["lights"][0]["accounts"] for side in queue["sides"])
    if not first:
        return Markup("No account would be closed")
    return Markup("{} in the first fifth of a side").format(render_count(first, "account"))


def _describe_debt_history(points: Any) -> Markup:
    if not points:
        return Markup("")
    first, last = points[0], points[-1]
    now, change = last.debt + last.in_auction, last.debt + last.in_auction - first.debt - first.in_auction
    if last.timestamp == first.timestamp:
        return Markup("Debt of {}; it begins here").format(render_amount(now, "rad"))
    went = "rose" if change > 0 else "fell"
    if change == 0:
        return Markup("Debt stayed at {} for {}").format(
            render_amount(now, "rad"), _format_time_between(first, last)
        )
    return Markup("Debt {} by {} to {} in {}").format(
        went, render_amount(abs(change), "rad"), render_amount(now, "rad"), _format_time_between(first, last)
    )


def _format_time_between(first_point: Any, last_point: Any) -> str:
    return format_duration_text(last_point.timestamp - first_point.timestamp)


def _describe_debt_unsafe_after_fall(price_fall_levels: Mapping[str, Any]) -> Markup:
    row = price_fall_levels["all"][FALL]
    return Markup("A fall of {} makes {} of debt unsafe").format(
        format_percent(row["fall_bps"], BASIS_POINTS, 0), render_amount(row["debt_rad"], "rad")
    )
