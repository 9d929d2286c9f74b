"""Charts of a run's opening book: debt liquidated by a price drop, and the largest owners' health."""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_panel_title,
    build_vertical_line,
    compute_panel_domains,
    get_series_color,
    shorten_name,
    to_plot_values,
)
from backstop.report.named_bars import build_name_axis
from backstop.report.opening_vaults_from_events import OpeningVaults, VaultHolding, read_opening_book
from backstop.simulation.run_directory import Run
from backstop.studies.risk_questions.liquidations_at_price_drop import FALLS, compute_fall_rows

MOST_OWNERS = 12
HEALTHY = 50_000  # basis points: what is healthier stands at the edge, where differences tell nothing


def build_liquidation_and_owner_charts(run: Run) -> list[Chart]:
    """Return the charts of a run's opening vaults; empty if the run does not record all of them."""
    book = read_opening_book(run)
    return (
        [] if book is None else [build_liquidated_by_fall_chart(book), build_largest_owner_health_chart(book)]
    )


def build_liquidated_by_fall_chart(opening_vaults: OpeningVaults) -> Chart:
    """Return the chart of debt that may be liquidated after a fall of all prices, and its shortfall."""
    prices = {each.symbol: each.price for each in opening_vaults.types.values()}
    rows = compute_fall_rows(opening_vaults.positions, prices, FALLS)
    upper, lower = compute_panel_domains((1, 0.6), gap=0.14)
    data: list[dict[str, Any]] = []
    legend: list[LegendKey] = []
    for number, each in opening_vaults.types.items():
        of = [row for row in rows if row["falling"] == each.symbol]
        for name, column, shade, which in (
            ("may be liquidated", "debt_wad", get_series_color(number), "y"),
            ("collateral lacks", "missing_wad", f"{get_series_color(number)}:80", "y2"),
        ):
            data.append(
                {
                    "type": "bar",
                    "name": f"{shorten_name(each.symbol)}, {name}",
                    "x": [row["fall_bps"] / BASIS_POINTS for row in of],
                    "y": to_plot_values((row[column] for row in of), WAD),
                    "width": 0.036,
                    "yaxis": which,
                    "marker": {"color": shade},
                    "customdata": [amounts.format_fixed(row[column], WAD) for row in of],
                    "hovertemplate": "%{customdata}",
                }
            )
        legend.append(LegendKey(shorten_name(each.symbol), get_series_color(number), "area"))
    fell = max(
        BASIS_POINTS - each.lowest * BASIS_POINTS // each.price for each in opening_vaults.types.values()
    )
    shapes = [build_vertical_line(fell / BASIS_POINTS)] if FALLS[0] <= fell <= FALLS[-1] else []
    figure = {
        "data": data,
        "layout": {
            "height": 400,
            "barmode": "stack",
            "xaxis": {
                "tickformat": ".0%",
                "tickvals": [fall / BASIS_POINTS for fall in FALLS],
                "range": [0.02, 0.63],
                "anchor": "y2",
                "title": build_axis_title("fall of all prices at once, %"),
            },
            "yaxis": {"domain": upper, "tickformat": "~s", "rangemode": "tozero"},
            "yaxis2": {"domain": lower, "tickformat": "~s", "nticks": 4, "rangemode": "tozero"},
            "shapes": shapes,
            "annotations": [
                build_panel_title("debt that may be liquidated, stablecoins", upper),
                build_panel_title("shortfall of its collateral, stablecoins", lower),
            ],
        },
    }
    together = [row for row in rows if row["falling"] == ("all" if len(prices) > 1 else next(iter(prices)))]
    told = "; ".join(
        f"{amounts.format_percent(row['fall_bps'], BASIS_POINTS, 0)}: "
        f"{amounts.format_compact(row['debt_wad'], WAD)}, "
        f"lacking {amounts.format_compact(row['missing_wad'], WAD)}"
        for row in together
    )
    if shapes:
        legend.append(LegendKey("largest fall of a feed's price in this run", "@muted", "dash"))
    label = f"Debt of the opening book that may be liquidated by a fall of all prices. {told}."
    return Chart("falls", "Debt liquidated by price fall", label, figure, tuple(legend))


class OwnerHealth(NamedTuple):
    """Owner with all its vaults: total debt [rad], and health of its weakest vault [basis points].

    Health is given at the first and at the lowest price.
    """

    name: str
    vaults: int
    debt: int
    at_first: int
    at_lowest: int


def list_largest_owners(book: OpeningVaults, most: int = MOST_OWNERS) -> list[OwnerHealth]:
    """Return the `most` owners with the largest debts, the largest first."""
    by_owner: dict[str, list[VaultHolding]] = {}
    for held in book.vaults:
        by_owner.setdefault(held.owner, []).append(held)
    owners = [
        OwnerHealth(
            name,
            len(vaults),
            sum(held.position.debt for held in vaults),
            min(compute_health(held, book.types[held.number].price) for held in vaults),
            min(compute_health(held, book.types[held.number].lowest) for held in vaults),
        )
        for name, vaults in by_owner.items()
    ]
    return sorted(owners, key=lambda owner: (-owner.debt, owner.name))[:most]


def compute_health(held: VaultHolding, price: int) -> int:
    """Return a vault's health at a price [ray], in basis points, rounded down.

    Health is collateral value over the value that the liquidation ratio requires.
    """
    each = held.position
    return each.locked * price * BASIS_POINTS * BASIS_POINTS // (each.debt * each.ratio)


def build_largest_owner_health_chart(opening_vaults: OpeningVaults) -> Chart:
    """Return the chart of the largest owners' weakest vaults: health at the first and lowest price."""
    owners = list_largest_owners(opening_vaults)
    names = [f"{shorten_name(owner.name)} · {amounts.format_compact(owner.debt, RAD)}" for owner in owners]
    data: list[dict[str, Any]] = []
    for name, values in (
        ("at the first price", [owner.at_first for owner in owners]),
        ("at the lowest price", [owner.at_lowest for owner in owners]),
    ):
        ink = "@first" if name == "at the first price" else "@second"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "orientation": "h",
                "name": name,
                "x": [min(value, HEALTHY) / BASIS_POINTS for value in values],
                "y": list(range(len(owners))),
                "marker": {
                    "size": 10,
                    "color": ["@loss" if value < BASIS_POINTS else ink for value in values],
                    "symbol": "circle-open" if ink == "@first" else "circle",
                },
                "customdata": [amounts.format_fixed(value, BASIS_POINTS, 3) for value in values],
                "hovertemplate": f"{name}: %{{customdata}}<extra></extra>",
                "cliponaxis": False,
            }
        )
    between = [
        {"type": "line", "x0": high, "x1": low, "y0": i, "y1": i, "layer": "below"}
        | {"line": {"color": "@faint", "width": 2}}
        for i, (high, low) in enumerate(zip(data[0]["x"], data[1]["x"], strict=True))
    ]
    figure = {
        "data": data,
        "layout": {
            "height": 90 + 30 * len(owners),
            "hovermode": "closest",
            "xaxis": {
                "range": [0, 1.05 * max(1.2, *data[0]["x"], *data[1]["x"])],
                "showgrid": True,
                "title": build_axis_title("health, times the requirement"),
            },
            "yaxis": build_name_axis(names),
            "shapes": [*between, build_vertical_line(1, "dot", "@loss")],
        },
    }
    told = "; ".join(
        f"{name}: {amounts.format_fixed(owner.at_first, BASIS_POINTS)}, then "
        f"{amounts.format_fixed(owner.at_lowest, BASIS_POINTS)}"
        for name, owner in zip(names, owners, strict=True)
    )
    legend = (
        LegendKey("at the first price", "@first", "dots"),
        LegendKey("at the lowest price of the feed, with the same debt", "@second", "dots"),
        LegendKey("under 1: may be liquidated", "@loss", "dots"),
    )
    return Chart("health", "The largest owners", f"Health of the largest owners. {told}.", figure, legend)
