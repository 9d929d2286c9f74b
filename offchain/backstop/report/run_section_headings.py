"""Headings of a run's page: the finding of each section, in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.report.amounts import format_percent
from backstop.report.exact_amount_markup import (
    SummaryFigures,
    render_amount,
    render_count,
    render_day_and_time,
)
from backstop.report.opening_vaults_from_events import read_opening_book
from backstop.report.run_frames import (
    find_lowest_value_and_time,
    get_first_value,
    get_last_value,
    get_table,
    iter_rows_by_collateral_type,
    list_records,
)
from backstop.report.run_table_rows import AuctionRow, FillCounts
from backstop.report.slippage_by_sale_size_chart import compute_slippage, list_largest_auction_lot_by_market
from backstop.report.vault_and_pool_member_loss_rows import LossStep, MemberRow, VaultRow
from backstop.simulation.discount_sale_totals import sum_discount_sales
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.loss_totals import sum_unpaid_margin_loss
from backstop.simulation.run_directory import Run
from backstop.simulation.stability_pool_totals import sum_stability_pool_figures
from backstop.studies.risk_questions.liquidations_at_price_drop import compute_fall_rows

_MOST_NAMED = 3
_FALL = 3_000
"""Drop of all prices for which the opening book's heading names the liquidated debt [bps]."""


def compose_headings(
    run: Run,
    summary: Mapping[str, Any],
    auctions: Sequence[AuctionRow],
    fills: FillCounts | None,
    vaults: Sequence[VaultRow],
    steps: Sequence[LossStep],
    members: Sequence[MemberRow],
    moved: Mapping[str, Any] | None,
) -> dict[str, Markup]:
    """Return the short result of each section of a run's page, by section id.

    `moved` is the replay's data.
    """
    return {
        "crash": _describe_price_falls(run),
        "replay": _describe_peak_auction_debt(moved),
        "book": _describe_debt_that_fall_would_liquidate(run),
        "depth-of-markets": _describe_largest_lot_slippage(run),
        "auctions": _describe_lowest_price_paid(fills),
        "sales": _describe_discount_sales(summary),
        "pools": _describe_stability_pools(summary),
        "debt": _describe_vault_debt_change(run),
        "losses": _describe_paid_bad_debt(summary),
        "margin": _compose_margin_loss_heading(summary.get("margin")),
        "guards": _describe_margin_calls_and_modes(summary.get("guards")),
        "keepers": _describe_keepers(summary),
        "lots": _describe_auction_outcomes(auctions),
        "purchases": _describe_largest_collateral_buyer(run),
        "vaults": _describe_vault_owner_losses(vaults),
        "steps": _describe_costliest_step(steps),
        "members": _describe_count_of_members_at_loss(members),
        "mirror": _describe_model_agreement(summary),
    }


def _describe_price_falls(run: Run) -> Markup:
    falls = []
    for _, symbol, rows in iter_rows_by_collateral_type(get_table(run, "state")):
        before, (low, _) = (
            get_first_value(rows, "market_price_ray"),
            find_lowest_value_and_time(rows, "market_price_ray"),
        )
        if low < before:
            falls.append((before - low, before, symbol))
    if not falls:
        return Markup("No price fell")
    falls.sort(key=lambda each: -each[0] * RAY // each[1])
    named = Markup(", ").join(
        Markup("{} {} {}").format(symbol, "fell by" if i == 0 else "by", format_percent(fall, before))
        for i, (fall, before, symbol) in enumerate(falls[:_MOST_NAMED])
    )
    rest = len(falls) - _MOST_NAMED
    return named + (Markup(", and {} less").format(render_count(rest, "other")) if rest > 0 else "")


def _describe_peak_auction_debt(replay_data: Mapping[str, Any] | None) -> Markup:
    """Return a text on the moment with the most debt under auction, where the slider starts."""
    if not replay_data:
        return Markup("")
    at = replay_data["peak"]
    count, when = replay_data["open"][at]["count"], render_day_and_time(replay_data["times"][at] // 1000)
    if not count:
        return Markup("No auction was open at any moment")
    return Markup("Most debt stood at auction on {}: {}, in {}").format(
        when, render_amount(replay_data["peak_rad"], "rad"), render_count(count, "auction")
    )


def _describe_debt_that_fall_would_liquidate(run: Run) -> Markup:
    book = read_opening_book(run)
    if book is None:
        return Markup("")
    prices = {each.symbol: each.price for each in book.types.values()}
    rows = compute_fall_rows(book.positions, prices, (_FALL,))
    debt = sum(row["debt_wad"] for row in rows if row["falling"] in prices)
    return Markup("{} off all prices would liquidate {}").format(
        format_percent(_FALL, BASIS_POINTS, 0), render_amount(debt, "wad")
    )


def _describe_largest_lot_slippage(run: Run) -> Markup:
    least = max(
        (compute_slippage(each.largest, each.depth) for each in list_largest_auction_lot_by_market(run)),
        default=0,
    )
    return Markup("The largest lot sold at once would bring {} less").format(
        format_percent(least, BASIS_POINTS)
    )


def _describe_lowest_price_paid(purchase_counts: FillCounts | None) -> Markup:
    if purchase_counts is None:
        return Markup("Nothing was bought")
    if purchase_counts.under_half:
        of = render_count(purchase_counts.purchases, "purchase")
        return Markup("{} of {} paid less than half of the market price").format(
            render_amount(purchase_counts.under_half, "count"), of
        )
    return Markup("The cheapest purchase paid {} of the market price").format(
        format_percent(*purchase_counts.lowest)
    )


def _describe_discount_sales(summary: Mapping[str, Any]) -> Markup:
    totals = sum_discount_sales(summary)
    if not totals.sales:
        return Markup("No vault was sold at a discount")
    text = Markup("{} repaid {} for a bonus of {}").format(
        render_count(totals.sales, "sale"),
        render_amount(totals.principal - totals.lost, "rad"),
        render_amount(totals.bonus, "wad"),
    )
    return text + (Markup(" and lost {}").format(render_amount(totals.lost, "rad")) if totals.lost else "")


def _describe_stability_pools(summary: Mapping[str, Any]) -> Markup:
    totals = sum_stability_pool_figures(summary)
    if totals is None or not totals["offsets"]:
        return Markup("No vault was repaid by a stability pool")
    gain = totals["gain_wad"]
    return Markup("{} repaid {}, and members {} {} by the end").format(
        render_count(totals["offsets"], "offset"),
        render_amount(totals["repaid_rad"], "rad"),
        "gained" if gain >= 0 else "lost",
        render_amount(abs(gain), "wad"),
    )


def _describe_vault_debt_change(run: Run) -> Markup:
    frames = [rows for _, _, rows in iter_rows_by_collateral_type(get_table(run, "state"))]
    before, after = (
        sum(end(rows, "performing_rad") for rows in frames) for end in (get_first_value, get_last_value)
    )
    if before == after:
        return Markup("Vaults owe {}, as before").format(render_amount(after, "rad"))
    return Markup("Vaults owed {}, and owe {} now").format(
        render_amount(before, "rad"), render_amount(after, "rad")
    )


def _describe_paid_bad_debt(summary: Mapping[str, Any]) -> Markup:
    numbers, losses = SummaryFigures(summary), summary["losses"]
    created, paid = int(losses["created_rad"]), [int(each["rad"]) for each in losses["covered"]]
    if created == 0:
        return Markup("No auction ended short")
    if not sum(paid):
        return Markup("No stage has paid any of {} of bad debt").format(
            numbers.render_figure("losses.created_rad")
        )
    most = max(range(len(paid)), key=lambda i: paid[i])
    return Markup("{} of {} of bad debt is paid, most by the {}").format(
        format_percent(sum(paid), created),
        numbers.render_figure("losses.created_rad"),
        losses["covered"][most]["stage"].replace("_", " "),
    )


def _compose_margin_loss_heading(margin: Mapping[str, Any] | None) -> Markup:
    if not margin or int(margin["loss_wad"]) == 0:
        return Markup("No account came to owe more than it had") if margin else Markup("")
    owed, left = render_amount(margin["loss_wad"], "wad"), sum_unpaid_margin_loss(margin)
    if left:
        return Markup("{} was owed beyond margins, {} of it is not yet covered").format(
            owed, render_amount(left, "wad")
        )
    kind, payer = max(PAYERS.items(), key=lambda each: int(margin[f"{each[0]}_wad"]))
    return Markup("{} was owed beyond margins and is paid, most by {}: {}").format(
        owed, payer, render_amount(margin[f"{kind}_wad"], "wad")
    )


def _describe_margin_calls_and_modes(guards: Mapping[str, Any] | None) -> Markup:
    if not guards:
        return Markup("")
    calls = guards["calls"]
    if not calls["made"]:
        return Markup("No vault was called") if not guards["modes"] else Markup("The mode was raised")
    return Markup("{} of {} met").format(
        render_amount(calls["met"], "count"), render_count(calls["made"], "margin call")
    ) + (Markup(", and the mode was raised") if guards["modes"] else "")


def _describe_keepers(summary: Mapping[str, Any]) -> Markup:
    keepers = summary["keepers"]
    if not keepers:
        return Markup("There were none")
    together = sum(int(each["profit_wad"]) for each in keepers)
    # Whoever did most of what all did together: of a loss, who lost most.
    sign = 1 if together >= 0 else -1
    most = max(keepers, key=lambda each: sign * int(each["profit_wad"]))
    text = Markup("Together they {} {}").format(
        "earned" if sign > 0 else "lost", _render_absolute_amount(together)
    )
    if sign * int(most["profit_wad"]) <= 0:
        return text
    return text + Markup("; {} most, {}").format(
        most["name"], _render_absolute_amount(int(most["profit_wad"]))
    )


def _render_absolute_amount(amount_wad: int) -> Markup:
    return render_amount(abs(amount_wad), "wad")


def _describe_auction_outcomes(auctions: Sequence[AuctionRow]) -> Markup:
    if not auctions:
        return Markup("There was no auction")
    short = [row for row in auctions if row.lost_rad]
    if not short:
        others = {end: sum(row.ended_by == end for row in auctions) for end in ("open", "unwound")}
        raised = len(auctions) - sum(others.values())
        found = [
            (raised, f"raised {'its' if raised == 1 else 'their'} debt"),
            (others["open"], f"{'is' if others['open'] == 1 else 'are'} open"),
            (others["unwound"], "ended in settlement"),
        ]
        (first, did), *rest = [(count, what) for count, what in found if count]
        return Markup(", ").join(
            [
                Markup("{} {}").format(render_count(first, "auction"), did),
                *(Markup("{} {}").format(render_amount(count, "count"), what) for count, what in rest),
            ]
        )
    return Markup("{} of {} lost {}").format(
        render_amount(len(short), "count"),
        render_count(len(auctions), "auction"),
        render_amount(sum(row.lost_rad for row in short), "rad"),
    )


def _describe_largest_collateral_buyer(run: Run) -> Markup:
    worth: dict[str, int] = {}
    paid: dict[str, int] = {}
    for take in list_records(get_table(run, "takes")):
        buyer = str(take["taker_name"] or take["taker"])
        value = int(take["slice_wad"]) * int(take["market_price_ray"]) // RAY
        worth[buyer] = worth.get(buyer, 0) + value
        paid[buyer] = paid.get(buyer, 0) + int(take["paid_wad"])
    if not worth:
        return Markup("No purchase")
    most = max(worth, key=lambda buyer: (worth[buyer], buyer))
    return Markup("{} bought most: collateral worth {} for {}").format(
        most, render_amount(worth[most], "wad"), render_amount(paid[most], "wad")
    )


def _describe_vault_owner_losses(vaults: Sequence[VaultRow]) -> Markup:
    lost, left = sum(row.owner_lost_wad for row in vaults), sum(row.left_rad for row in vaults)
    return Markup("Owners of {} lost {} and left {} to others").format(
        render_count(len(vaults), "vault"),
        render_amount(lost, "wad"),
        render_amount(left, "rad") if left else "nothing",
    )


def _describe_costliest_step(loss_steps: Sequence[LossStep]) -> Markup:
    cost: dict[int, int] = {}
    for row in loss_steps:
        if row.what == "cheap sale" or row.what.startswith("bad debt"):
            cost[row.step] = cost.get(row.step, 0) + row.amount_rad
    if not cost:
        return Markup("No step of an auction caused a loss")
    worst = max(cost, key=lambda step: (cost[step], -step))
    return Markup("Step {} cost most: {}").format(worst, render_amount(cost[worst], "rad"))


def _describe_count_of_members_at_loss(members: Sequence[MemberRow]) -> Markup:
    lost = sum(row.change_wad < 0 for row in members)
    if not lost:
        return Markup("No member has less than its deposit")
    return Markup("{} of {} {}").format(
        render_amount(lost, "count"),
        render_count(len(members), "member"),
        "has less than it put in" if lost == 1 else "have less than they put in",
    )


def _describe_model_agreement(summary: Mapping[str, Any]) -> Markup:
    if not summary["fields_compared"]:
        return Markup("The model ran alone")
    if summary["differences"]:
        return Markup("Model and chain differ")
    return Markup("Model and chain agree on every field")
