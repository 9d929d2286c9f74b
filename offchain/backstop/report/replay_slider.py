"""Replay of a run: its prices, auctions, stages and keepers at each of some moments, as text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_line,
    build_panel_title,
    build_time_axis,
    compute_panel_domains,
    compute_range_from_zero,
    get_series_color,
    shorten_name,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.loss_charts import get_stage_color
from backstop.report.run_frames import get_first_value, get_table, iter_rows_by_collateral_type, list_records
from backstop.simulation.run_directory import Run

MOST_MOMENTS = 240
MOST_SHOWN = 6  # auctions and acts at a moment

ACTS = {
    "liquidate": "liquidated a vault",
    "liquidate_and_buy": "bought from an unsafe vault",
    "liquidate_and_sell": "bought from an unsafe vault and sold at once",
    "reset": "began an auction anew",
    "close": "closed an auction short",
    "cover": "had a loss covered",
    "raise_mode": "raised the mode",
    "lower_mode": "lowered the mode",
    "requestRedeem": "asked to leave a pool",
    "redeem": "left a pool",
}
"""Actions of keepers besides buying, by the method that they call; reports, steps and upkeep are left out."""


def build_replay_slider_chart(run: Run) -> Chart | None:
    """Return the chart of relative prices and auctioned debt on which the slider moves.

    None if the run is empty.
    """
    state = get_table(run, "state")
    if state.empty:
        return None
    start, end = run.summary["started_at"], run.summary["ended_at"]
    upper, lower = compute_panel_domains((1, 0.6), gap=0.14)
    data, legend, told = [], [], []
    debts: list[float | None] = []
    for number, symbol, rows in iter_rows_by_collateral_type(state):
        name, ink, x = shorten_name(symbol), get_series_color(number), to_milliseconds(rows["timestamp"])
        begun = get_first_value(rows, "market_price_ray")
        share = [float(f"{int(price) / begun:.6g}") for price in rows["market_price_ray"]]
        data.append(build_line(f"{name}, price", x, share, ink, width=2, shown=":.1%"))
        debt = to_plot_values(rows["in_auction_rad"], RAD)
        debts += debt
        data.append(build_line(f"{name}, in auctions", x, debt, ink, axis="y2", step=True, shown=":,.0f"))
        legend.append(LegendKey(name, ink))
        told.append(
            f"{name} falls to {amounts.format_percent(round(min(share) * BASIS_POINTS), BASIS_POINTS, 0)}"
        )
    figure = {
        "data": data,
        "layout": {
            "height": 320,
            "xaxis": build_time_axis(start, end) | {"anchor": "y2"},
            "yaxis": {"domain": upper, "tickformat": ".0%", "nticks": 5},
            "yaxis2": {
                "domain": lower,
                "tickformat": "~s",
                "nticks": 4,
                "range": compute_range_from_zero(debts),
            },
            "shapes": [],
            "annotations": [
                build_panel_title("market price, % of the first", upper),
                build_panel_title("debt in auctions, stablecoins", lower),
            ],
        },
    }
    label = f"Market prices against the first, and debt in auctions: {'; '.join(told)}."
    return Chart("replay-chart", "Prices and auctions", label, figure, tuple(legend))


def collect_replay(run: Run) -> dict[str, Any] | None:
    """Return the data that the page's slider shows at each of its moments; None if the run is empty.

    Figures are texts, rounded from exact integers. Events of a block are included at its moment.
    """
    state = get_table(run, "state")
    if state.empty:
        return None
    times = choose_moments(sorted(set(map(int, state["timestamp"]))))
    known, at_auction = _list_shown_auctions_and_open_counts(run, times)
    acts, done = _collect_keeper_acts(run, times)
    debt = _sum_column(run, "in_auction_rad", times)
    peak = max(range(len(times)), key=lambda i: debt[i])
    return {
        "times": [at * 1000 for at in times],
        "peak": peak,  # the moment at which most debt is in auctions, the first of equals
        "peak_rad": str(debt[peak]),
        "types": _collect_types(run, times),
        "stages": _collect_stage_payments(run, times),
        "lost": _accumulate_postings(_list_postings(run, "recognised"), times),
        "outstanding": [amounts.format_compact(each, RAD) for each in _sum_column(run, "deficit_rad", times)],
        "auctions": known,
        "open": at_auction,
        "acts": acts,
        "done": done,
    }


def choose_moments(times: Sequence[int], most: int = MOST_MOMENTS) -> list[int]:
    """Return at most `most` of the times, evenly spread, with the first and the last."""
    if len(times) <= most:
        return list(times)
    return [times[i * (len(times) - 1) // (most - 1)] for i in range(most)]


def _collect_types(run: Run, times: Sequence[int]) -> list[dict[str, Any]]:
    found = []
    for number, symbol, rows in iter_rows_by_collateral_type(get_table(run, "state")):
        at = [int(each) for each in rows["timestamp"]]
        every = list_records(rows)
        here = [every[bisect_right(at, each) - 1] for each in times]
        begun = get_first_value(rows, "market_price_ray")
        found.append(
            {
                "symbol": symbol,
                "color": get_series_color(number)[1:],
                "market": [amounts.format_compact(int(row["market_price_ray"]), RAY) for row in here],
                "feed": [amounts.format_compact(int(row["current_ray"]), RAY) for row in here],
                "change": [
                    amounts.format_percent(int(row["market_price_ray"]) - begun, begun) for row in here
                ],
                "unsafe": [int(row["unsafe_vaults"]) for row in here],
                "debt": [amounts.format_compact(int(row["in_auction_rad"]), RAD) for row in here],
            }
        )
    return found


def _list_postings(run: Run, kind: str, stage: str = "") -> list[tuple[int, int]]:
    """Return pairs of time and amount [rad] of waterfall postings of a kind, optionally of one stage."""
    posted = get_table(run, "waterfall")
    rows = [] if posted.empty else list_records(posted[posted["kind"] == kind])
    return [
        (int(row["timestamp"]), int(row["amount_rad"])) for row in rows if not stage or row["stage"] == stage
    ]


def _accumulate_postings(posted: Sequence[tuple[int, int]], times: Sequence[int]) -> dict[str, Any]:
    """Return the sum of postings up to each moment, as text and in thousandths of the total."""
    ordered = sorted(posted)
    when, running = [at for at, _ in ordered], [0, *accumulate(amount for _, amount in ordered)]
    whole = running[-1]
    sums = [running[bisect_right(when, each)] for each in times]
    return {
        "text": [amounts.format_compact(each, RAD) for each in sums],
        "part": [each * 1_000 // whole if whole else 0 for each in sums],
    }


def _collect_stage_payments(run: Run, times: Sequence[int]) -> list[dict[str, Any]]:
    whole = sum(amount for _, amount in _list_postings(run, "recognised"))
    found = []
    for entry in run.summary["losses"]["covered"]:
        paid = _list_postings(run, "covered", entry["stage"])
        if not paid:
            continue
        own = sum(amount for _, amount in paid)
        each = _accumulate_postings(paid, times)
        # Bars of all stages are of the same whole: what was lost by the end.
        each["part"] = [part * own // whole if whole else 0 for part in each["part"]]
        found.append({"stage": entry["stage"], "color": get_stage_color(entry["stage"])[1:]} | each)
    return found


def _sum_column(run: Run, column: str, times: Sequence[int]) -> list[int]:
    """Return the sum of a column of the state table over all collateral types, at each moment."""
    sums = dict.fromkeys(times, 0)
    for _, _, rows in iter_rows_by_collateral_type(get_table(run, "state")):
        at = [int(each) for each in rows["timestamp"]]
        values = [int(each) for each in rows[column]]
        for each in times:
            sums[each] += values[bisect_right(at, each) - 1]
    return [sums[each] for each in times]


def _list_shown_auctions_and_open_counts(
    run: Run, times: Sequence[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the auctions shown at any moment, and for each moment the open count and the largest ones."""
    auctions = get_table(run, "auctions")
    rows = [] if auctions.empty else list_records(auctions)
    # The largest first, so that at each moment the first that are open are the largest.
    rows.sort(key=lambda row: (-int(row["principal_rad"]), int(row["auction_id"])))
    started = np.array([int(row["started_at"]) for row in rows])
    ended = np.array([_get_auction_end_time_or_infinity(row["ended_at"]) for row in rows])
    known: dict[str, Any] = {}
    found = []
    for each in times:
        places = np.flatnonzero((started <= each) & (each < ended)).tolist()
        for row in (rows[place] for place in places[:MOST_SHOWN]):
            known[str(row["auction_id"])] = {
                "symbol": row["symbol"],
                "since": int(row["started_at"]) * 1000,
            } | {"debt": amounts.format_compact(int(row["principal_rad"]), RAD)}
        largest = [int(rows[place]["auction_id"]) for place in places[:MOST_SHOWN]]
        found.append({"count": len(places), "largest": largest})
    return known, found


def _get_auction_end_time_or_infinity(ended_at: Any) -> float:
    return float("inf") if ended_at is None or ended_at != ended_at else int(ended_at)


def _collect_keeper_acts(run: Run, times: Sequence[int]) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Return keepers' actions as texts, and for each moment the indices of the last ones, newest first."""
    names = {keeper["name"] for keeper in run.summary["keepers"]}
    acts: list[tuple[int, int, str]] = []
    for row in list_records(get_table(run, "takes")) if not get_table(run, "takes").empty else []:
        price = amounts.format_compact(int(row["price_ray"]), RAY)
        took = f"took {amounts.format_compact(int(row['slice_wad']), WAD)} {row['symbol']} at {price}"
        who = row["taker_name"] or row["taker"]
        acts.append((int(row["timestamp"]), int(row["step"]), f"{who} {took}, auction {row['auction_id']}"))
    actions = get_table(run, "actions")
    if not actions.empty:
        mine = actions["sender_name"].isin(names) & actions["method"].isin(list(ACTS)) & actions["ok"]
        acts += [
            (int(row["timestamp"]), int(row["step"]), f"{row['sender_name']} {ACTS[row['method']]}")
            for row in list_records(actions[mine])
        ]
    acts.sort()
    when = [at for at, _, _ in acts]
    kept: dict[int, int] = {}
    done = []
    for each in times:
        last = bisect_right(when, each)
        shown = range(last - 1, max(-1, last - 1 - MOST_SHOWN), -1)
        done.append([kept.setdefault(i, len(kept)) for i in shown])
    return [{"at": acts[i][0] * 1000, "text": acts[i][2]} for i in kept], done
