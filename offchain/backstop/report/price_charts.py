"""Charts of the crash: prices, liquidations, and the cost of getting a transaction in."""

from __future__ import annotations

import json
from collections.abc import Iterator

from backstop.model.arithmetic import RAD, RAY
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_bars,
    build_line,
    build_panel_title,
    build_time_axis,
    compute_panel_domains,
    compute_range,
    compute_range_from_zero,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.keeper_outage_shading import build_keeper_outage_legend, build_outage_shapes
from backstop.report.run_frames import (
    find_lowest_value_and_time,
    get_first_value,
    get_table,
    iter_rows_by_collateral_type,
    list_records,
)
from backstop.simulation.run_directory import Run

GWEI = 10**9


def iter_price_charts(run: Run) -> Iterator[Chart]:
    """Yield a chart for each collateral type: market price, feed price, and liquidated debt."""
    start, end = run.summary["started_at"], run.summary["ended_at"]
    bucket = choose_bucket_seconds(end - start)
    liquidated = _list_liquidations_by_type(run)
    sold_at_once = {
        c
        for c, each in enumerate(run.summary["collateral_types"])
        if "discount_sales" in each or "stability_pool" in each
    }
    for number, symbol, rows in iter_rows_by_collateral_type(get_table(run, "state")):
        x = to_milliseconds(rows["timestamp"])
        market, feed = to_plot_values(rows["market_price_ray"], RAY), to_plot_values(rows["current_ray"], RAY)
        pool = [price or None for price in to_plot_values(rows["pool_price_ray"], RAY)]  # 0: no pool
        begun = liquidated.get(number, [])
        sent = "liquidated" if number in sold_at_once else "sent to auction"
        height: dict[int, float] = {}
        for liquidated_at, principal in begun:
            at = (liquidated_at - start) // bucket * bucket + start
            height[at] = height.get(at, 0.0) + principal / RAD
        at = sorted(height)
        upper, lower = compute_panel_domains((0.7, 0.22))
        figure = {
            "data": [
                build_line("pool", x, pool, "@faint", width=1),
                build_line("feed", x, feed, "@second", step=True),
                build_line("market", x, market, "@first", width=2),
                build_bars(
                    "liquidated",
                    to_milliseconds(at),
                    [float(f"{height[key]:.6g}") for key in at],
                    "@loss",
                    bucket * 1000,
                    axis="y2",
                ),
            ],
            "layout": {
                "height": 380,
                "xaxis": build_time_axis(start, end) | {"anchor": "y2"},
                "yaxis": {"domain": upper, "range": compute_range([*market, *feed, *pool])},
                "yaxis2": {
                    "domain": lower,
                    "range": compute_range_from_zero(height.values()),
                    "tickformat": "~s",
                    "nticks": 3,
                },
                "shapes": build_outage_shapes(run),
                "annotations": [
                    build_panel_title("price, stablecoins", upper),
                    build_panel_title(
                        f"debt {sent} per {amounts.format_duration_text(bucket)}, stablecoins",
                        lower,
                    ),
                ],
            },
        }
        low = find_lowest_value_and_time(rows, "market_price_ray")
        label = (
            f"{symbol}: the market price went from "
            f"{amounts.format_compact(get_first_value(rows, 'market_price_ray'), RAY)} "
            f"to a low of {amounts.format_compact(low[0], RAY)} at {amounts.format_moment(low[1])}; "
            f"{len(begun)} liquidations."
        )
        legend = [
            LegendKey("market price", "@first"),
            LegendKey("feed's price, delayed", "@second"),
            LegendKey("price in the local pool", "@faint"),
            LegendKey("liquidated debt", "@loss:b3", "area"),
        ]
        yield Chart(f"price-{number}", symbol, label, figure, (*legend, *build_keeper_outage_legend(run)))


def _list_liquidations_by_type(run: Run) -> dict[int, list[tuple[int, int]]]:
    """Return pairs of time and principal [rad] of each liquidation, by type number."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row in list_records(get_table(run, "auctions")):
        entry = int(row["started_at"]), int(row["principal_rad"])
        found.setdefault(int(row["collateral_type"]), []).append(entry)
    events = get_table(run, "events")
    for row in list_records(events[events["event"] == "CollateralSold"] if not events.empty else events):
        c, *_, principal = json.loads(row["values"])
        found.setdefault(c, []).append((int(row["timestamp"]), int(principal)))
    return found


def build_gas_and_pending_chart(run: Run) -> Chart | None:
    """Return the chart of the gas price and keepers' pending transactions; None if the run is empty."""
    rows = get_table(run, "system")
    if rows.empty:
        return None
    start, end = run.summary["started_at"], run.summary["ended_at"]
    x = to_milliseconds(rows["timestamp"])
    gas, waiting = to_plot_values(rows["gas_price_wei"], GWEI), to_plot_values(rows["pending"])
    upper, lower = compute_panel_domains((1, 1), gap=0.16)
    peak = max(range(len(gas)), key=lambda i: gas[i] or 0)
    figure = {
        "data": [
            build_line("gas price", x, gas, "@third", step=True),
            build_line("waiting", x, waiting, "@muted", axis="y2", step=True),
        ],
        "layout": {
            "height": 260,
            "xaxis": build_time_axis(start, end) | {"anchor": "y2"},
            "yaxis": {"domain": upper, "rangemode": "tozero", "nticks": 4},
            "yaxis2": {"domain": lower, "rangemode": "tozero", "nticks": 4},
            "shapes": build_outage_shapes(run),
            "annotations": [
                build_panel_title("gas price, gwei", upper),
                build_panel_title("keepers' transactions waiting", lower),
            ],
        },
    }
    label = (
        f"The gas price peaked at {amounts.format_compact(int(rows['gas_price_wei'].iloc[peak]), GWEI)} gwei "
        f"at {amounts.format_moment(int(rows['timestamp'].iloc[peak]))}; "
        f"at most {int(rows['pending'].max())} of the keepers' transactions were waiting."
    )
    legend = (
        LegendKey("gas price", "@third"),
        LegendKey("waiting transactions", "@muted"),
        *build_keeper_outage_legend(run),
    )
    return Chart("network", "Getting in", label, figure, legend)


def choose_bucket_seconds(length: int) -> int:
    """Return a round bar width [seconds] that divides this length into about a hundred bars."""
    choices = (60, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)
    return next((choice for choice in choices if length <= 110 * choice), 86_400)
