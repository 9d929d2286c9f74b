"""Charts of the crash: prices, liquidations, and what it took to get a transaction in."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import RAD, RAY
from backstop.report import amounts
from backstop.report.frames import by_type, first, lowest, records, table
from backstop.report.outages import outage_key, outage_shapes
from backstop.report.plotting import (
    Chart,
    Key,
    bars,
    from_zero,
    line,
    milliseconds,
    panel_title,
    panels,
    plotted,
    span,
    time_axis,
)
from backstop.simulation.run_directory import Run

GWEI = 10**9


def prices(run: Run) -> Iterator[Chart]:
    """Draw, for each type, the market's and the feed's price, and the debt that was liquidated."""
    start, end = run.summary["started_at"], run.summary["ended_at"]
    bucket = bucket_seconds(end - start)
    auctions = table(run, "auctions")
    for number, symbol, rows in by_type(table(run, "state")):
        x = milliseconds(rows["timestamp"])
        market, feed = plotted(rows["market_price_ray"], RAY), plotted(rows["current_ray"], RAY)
        pool = [price or None for price in plotted(rows["pool_price_ray"], RAY)]  # 0: no pool
        begun = auctions[auctions["collateral_type"] == number] if not auctions.empty else auctions
        height: dict[int, float] = {}
        for row in records(begun):
            at = (int(row["started_at"]) - start) // bucket * bucket + start
            height[at] = height.get(at, 0.0) + int(row["principal_rad"]) / RAD
        at = sorted(height)
        upper, lower = panels((0.7, 0.22))
        figure = {
            "data": [
                line("pool", x, pool, "@faint", width=1),
                line("feed", x, feed, "@second", step=True),
                line("market", x, market, "@first", width=2),
                bars(
                    "liquidated",
                    milliseconds(at),
                    [float(f"{height[key]:.6g}") for key in at],
                    "@loss",
                    bucket * 1000,
                    axis="y2",
                ),
            ],
            "layout": {
                "height": 380,
                "xaxis": time_axis(start, end) | {"anchor": "y2"},
                "yaxis": {"domain": upper, "range": span([*market, *feed, *pool])},
                "yaxis2": {
                    "domain": lower,
                    "range": from_zero(height.values()),
                    "tickformat": "~s",
                    "nticks": 3,
                },
                "shapes": outage_shapes(run),
                "annotations": [
                    panel_title("price, stablecoins", upper),
                    panel_title(f"debt sent to auction per {amounts.duration(bucket)}, stablecoins", lower),
                ],
            },
        }
        low = lowest(rows, "market_price_ray")
        label = (
            f"{symbol}: the market price went from {amounts.compact(first(rows, 'market_price_ray'), RAY)} "
            f"to a low of {amounts.compact(low[0], RAY)} at {amounts.moment(low[1])}; "
            f"{len(begun)} liquidations."
        )
        legend = [
            Key("market price", "@first"),
            Key("feed's price, delayed", "@second"),
            Key("price in the local pool", "@faint"),
            Key("liquidated debt", "@loss:b3", "area"),
        ]
        yield Chart(f"price-{number}", symbol, label, figure, (*legend, *outage_key(run)))


def network(run: Run) -> Chart | None:
    """Draw the gas price and the keepers' waiting transactions."""
    rows = table(run, "system")
    if rows.empty:
        return None
    start, end = run.summary["started_at"], run.summary["ended_at"]
    x = milliseconds(rows["timestamp"])
    gas, waiting = plotted(rows["gas_price_wei"], GWEI), plotted(rows["pending"])
    upper, lower = panels((1, 1), gap=0.16)
    peak = max(range(len(gas)), key=lambda i: gas[i] or 0)
    figure = {
        "data": [
            line("gas price", x, gas, "@third", step=True),
            line("waiting", x, waiting, "@muted", axis="y2", step=True),
        ],
        "layout": {
            "height": 260,
            "xaxis": time_axis(start, end) | {"anchor": "y2"},
            "yaxis": {"domain": upper, "rangemode": "tozero", "nticks": 4},
            "yaxis2": {"domain": lower, "rangemode": "tozero", "nticks": 4},
            "shapes": outage_shapes(run),
            "annotations": [
                panel_title("gas price, gwei", upper),
                panel_title("keepers' transactions waiting", lower),
            ],
        },
    }
    label = (
        f"The gas price peaked at {amounts.compact(int(rows['gas_price_wei'].iloc[peak]), GWEI)} gwei "
        f"at {amounts.moment(int(rows['timestamp'].iloc[peak]))}; "
        f"at most {int(rows['pending'].max())} of the keepers' transactions were waiting."
    )
    legend = (Key("gas price", "@third"), Key("waiting transactions", "@muted"), *outage_key(run))
    return Chart("network", "Getting in", label, figure, legend)


def bucket_seconds(length: int) -> int:
    """Choose a round span of time of which about a hundred fill this many seconds."""
    choices = (60, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400)
    return next((choice for choice in choices if length <= 110 * choice), 86_400)
