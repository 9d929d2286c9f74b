"""Charts of the debt: what the vaults owe, how well it is backed, what is in trouble."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.report import amounts
from backstop.report.frames import by_type, first, last, table
from backstop.report.outages import outage_key, outage_shapes
from backstop.report.plotting import (
    Chart,
    Key,
    areas,
    from_zero,
    level,
    line,
    milliseconds,
    missing,
    panel_title,
    panels,
    plotted,
    span,
    time_axis,
)
from backstop.simulation.run_directory import Run


def debt(run: Run) -> Iterator[Chart]:
    """Draw, for each type, the collateral ratio, the vaults' debt, and the debt in auctions or lost."""
    start, end = run.summary["started_at"], run.summary["ended_at"]
    for number, symbol, rows in by_type(table(run, "state")):
        x = milliseconds(rows["timestamp"])
        ratio = plotted(rows["ratio_bps"], BASIS_POINTS)
        performing = plotted(rows["performing_rad"], RAD)
        in_auction, deficit = plotted(rows["in_auction_rad"], RAD), plotted(rows["deficit_rad"], RAD)
        trouble = [(a or 0) + (b or 0) for a, b in zip(in_auction, deficit, strict=True)]
        top, middle, bottom = panels((1, 0.8, 0.8), gap=0.1)
        liquidation_ratio = run.summary["collateral_types"][number].get("liquidation_ratio_bps")
        threshold = plotted([liquidation_ratio] if liquidation_ratio else [], BASIS_POINTS)
        figure = {
            "data": [
                line("ratio", x, ratio, "@first", shown=":.1%"),
                *areas(x, [("vaults' debt", performing, "@third")], axis="y2"),
                *areas(x, [("deficit", deficit, "@loss"), ("in auctions", in_auction, "@second")], axis="y3"),
            ],
            "layout": {
                "height": 430,
                "xaxis": time_axis(start, end) | {"anchor": "y3"},
                "yaxis": {
                    "domain": top,
                    "tickformat": ".0%",
                    "nticks": 5,
                    "range": span([*ratio, *threshold]),
                },
                "yaxis2": {"domain": middle, "tickformat": "~s", "nticks": 4, "range": from_zero(performing)},
                "yaxis3": {"domain": bottom, "tickformat": "~s", "nticks": 4, "range": from_zero(trouble)},
                "shapes": [
                    *(level(y, "@loss") for y in threshold if y),
                    *outage_shapes(run),
                ],
                "annotations": [
                    panel_title("collateral ratio of all vaults, at the market price", top),
                    panel_title("debt of the vaults, stablecoins", middle),
                    panel_title("debt in auctions or not covered, stablecoins", bottom),
                ],
            },
        }
        seen = [value for value in rows["ratio_bps"] if not missing(value)]
        low = amounts.percent(min(map(int, seen)), BASIS_POINTS, 0) if seen else "none"
        label = (
            f"{symbol}: the vaults' debt went from {amounts.compact(first(rows, 'performing_rad'), RAD)} "
            f"to {amounts.compact(last(rows, 'performing_rad'), RAD)}; lowest collateral ratio {low}; "
            f"deficit at the end {amounts.compact(last(rows, 'deficit_rad'), RAD)}."
        )
        legend = (
            Key("collateral ratio", "@first"),
            *([Key("liquidation ratio", "@loss", "dash")] if threshold else []),
            Key("vaults' debt", "@third:66", "area"),
            Key("in auctions", "@second:66", "area"),
            Key("deficit", "@loss:66", "area"),
            *outage_key(run),
        )
        yield Chart(f"debt-{number}", symbol, label, figure, legend)
