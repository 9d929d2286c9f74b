"""Charts of the debt: its amount, its collateral ratio, and the part at risk."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_level_line,
    build_line,
    build_panel_title,
    build_stacked_area_traces,
    build_time_axis,
    compute_panel_domains,
    compute_range,
    compute_range_from_zero,
    is_missing,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.keeper_outage_shading import build_keeper_outage_legend, build_outage_shapes
from backstop.report.run_frames import (
    get_first_value,
    get_last_value,
    get_table,
    iter_rows_by_collateral_type,
)
from backstop.simulation.run_directory import Run


def iter_debt_charts(run: Run) -> Iterator[Chart]:
    """Yield a chart for each collateral type: collateral ratio, vault debt, and debt in trouble.

    Debt in trouble is under auction or in deficit.
    """
    start, end = run.summary["started_at"], run.summary["ended_at"]
    for number, symbol, rows in iter_rows_by_collateral_type(get_table(run, "state")):
        x = to_milliseconds(rows["timestamp"])
        ratio = to_plot_values(rows["ratio_bps"], BASIS_POINTS)
        performing = to_plot_values(rows["performing_rad"], RAD)
        in_auction, deficit = (
            to_plot_values(rows["in_auction_rad"], RAD),
            to_plot_values(rows["deficit_rad"], RAD),
        )
        trouble = [(a or 0) + (b or 0) for a, b in zip(in_auction, deficit, strict=True)]
        top, middle, bottom = compute_panel_domains((1, 0.8, 0.8), gap=0.1)
        liquidation_ratio = run.summary["collateral_types"][number].get("liquidation_ratio_bps")
        threshold = to_plot_values([liquidation_ratio] if liquidation_ratio else [], BASIS_POINTS)
        figure = {
            "data": [
                build_line("ratio", x, ratio, "@first", shown=":.1%"),
                *build_stacked_area_traces(x, [("vaults' debt", performing, "@third")], axis="y2"),
                *build_stacked_area_traces(
                    x, [("deficit", deficit, "@loss"), ("in auctions", in_auction, "@second")], axis="y3"
                ),
            ],
            "layout": {
                "height": 430,
                "xaxis": build_time_axis(start, end) | {"anchor": "y3"},
                "yaxis": {
                    "domain": top,
                    "tickformat": ".0%",
                    "nticks": 5,
                    "range": compute_range([*ratio, *threshold]),
                },
                "yaxis2": {
                    "domain": middle,
                    "tickformat": "~s",
                    "nticks": 4,
                    "range": compute_range_from_zero(performing),
                },
                "yaxis3": {
                    "domain": bottom,
                    "tickformat": "~s",
                    "nticks": 4,
                    "range": compute_range_from_zero(trouble),
                },
                "shapes": [
                    *(build_level_line(y, "@loss") for y in threshold if y),
                    *build_outage_shapes(run),
                ],
                "annotations": [
                    build_panel_title("collateral ratio of all vaults, at the market price", top),
                    build_panel_title("debt of the vaults, stablecoins", middle),
                    build_panel_title("debt in auctions or not covered, stablecoins", bottom),
                ],
            },
        }
        seen = [value for value in rows["ratio_bps"] if not is_missing(value)]
        low = amounts.format_percent(min(map(int, seen)), BASIS_POINTS, 0) if seen else "none"
        label = (
            f"{symbol}: the vaults' debt went from "
            f"{amounts.format_compact(get_first_value(rows, 'performing_rad'), RAD)} "
            f"to {amounts.format_compact(get_last_value(rows, 'performing_rad'), RAD)}; lowest "
            "collateral ratio "
            f"{low}; "
            f"deficit at the end {amounts.format_compact(get_last_value(rows, 'deficit_rad'), RAD)}."
        )
        legend = (
            LegendKey("collateral ratio", "@first"),
            *([LegendKey("liquidation ratio", "@loss", "dash")] if threshold else []),
            LegendKey("vaults' debt", "@third:66", "area"),
            LegendKey("in auctions", "@second:66", "area"),
            LegendKey("deficit", "@loss:66", "area"),
            *build_keeper_outage_legend(run),
        )
        yield Chart(f"debt-{number}", symbol, label, figure, legend)
