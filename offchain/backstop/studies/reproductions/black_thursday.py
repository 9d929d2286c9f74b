"""12 March 2020 on the contracts: losses with keepers down or up, blocks full or free.

The books are assumptions, so each cell is the median of ten books, drawn from consecutive seeds. Only the day
as it was, keepers down and blocks full, has published figures; it is also run with reacting owners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.simulation.run_directory import transpose_table_rows
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.simulation.scenario.draw_scenario import draw_path_outcomes
from backstop.simulation.simulator import RunResult, simulate
from backstop.simulation.sources.default_owner_behavior import read_default_owner_behavior
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_absolute_tolerance,
    build_percent_tolerance,
    build_ratio_tolerance,
    build_row,
)
from backstop.studies.reproductions.published_tables import load_figures

BOOKS = 10
FOR_NOTHING = 50
"""Divisor of the market's price at or below which a take counts as for nothing."""

CELLS = {
    "keepers down, blocks full": "maker-2020.yaml",
    "keepers down, blocks free": "maker-2020-blocks-free.yaml",
    "keepers up, blocks full": "maker-2020-keepers-up.yaml",
    "keepers up, blocks free": "maker-2020-calm.yaml",
}
SOURCES = (
    "Whiterabbit, 'Black Thursday for MakerDAO: $8.32 million was liquidated for 0 DAI', 14 March 2020: 5.67 "
    "million DAI lost, 36% of all liquidations won by zero bids, 8.32 million dollars withdrawn by them",
)
REMARKS = (
    "The book is not public: 130 vaults are drawn for 18 to 27 million, and Maker had more. So amounts "
    "show an order of magnitude, with a bound of a factor of three, and shares can be compared.",
    "Maker's auctions were English, and a bid of nothing won after ten minutes. Here a Dutch auction "
    "falls to nothing within 140 minutes, so that a single bidder may wait; a fiftieth of the price "
    "counts as nothing.",
    "The outage of keepers makes the loss: with keepers up, bad debt is 0.11 million in the median.",
    "Owners who react lose less, 0.88 million in the median. Congestion hindered owners on that day, "
    "and no file of their calls is at hand; both rows are ends of what it may have done.",
)
"""Assumptions that move the figures, and causes of differences."""
BAD_DEBT, FREE, ZERO_BIDS = (
    int(load_figures("black-thursday")[name])
    for name in ("bad_debt", "sold_for_nothing", "auctions_won_for_nothing")
)
HALF_AN_ORDER = build_ratio_tolerance(3)


class Loss(NamedTuple):
    """Losses of one run [stablecoins] and numbers of auctions.

    A purchase counts as for nothing at a fiftieth of the market's price or less.
    """

    bad_debt: Fraction  # recognised
    free: Fraction  # market value of what was taken for nothing
    zero_bids: int  # auctions of which some was taken for nothing
    auctions: int


def reproduce_result(seed: int, books: int = BOOKS) -> Reproduction:
    """Simulate 12 March 2020 on random vaults, and compare with the published losses.

    Each of `books` seeds draws a set of vaults. The runs combine keepers that are down or up with blocks that
    are full or free.
    """
    rows: list[FigureRow] = []
    seeds = range(seed, seed + books)
    for name, file in CELLS.items():
        scenario, as_it_was = load_scenario(str(Path(__file__).with_name(file))), not rows
        losses = [collect_loss_figures(simulate(scenario, "revm", each)) for each in seeds]
        rows += _build_rows(name, losses, as_it_was=as_it_was)
        if as_it_was:
            reacting = [
                collect_loss_figures(simulate(add_reacting_owners(scenario, each), "revm", each))
                for each in seeds
            ]
            rows += _build_rows(f"{name}, owners react", reacting, as_it_was=True)
    return Reproduction("black-thursday", "Black Thursday, 12 March 2020", SOURCES, rows, REMARKS)


def add_reacting_owners(scenario: Scenario, seed: int) -> Scenario:
    """Return the scenario with owners that follow the default behavior.

    All other draws stay equal.
    """
    owned = replace(scenario, owners=read_default_owner_behavior(scenario.block_time))
    return replace(owned, owner_key=draw_path_outcomes(owned, seed, 0).owner_key)


def collect_loss_figures(run_result: RunResult) -> Loss:
    """Return bad debt, collateral taken for nothing, and auction counts of a finished run."""
    takes = transpose_table_rows(run_result.tables, "takes")
    names = ("auction_id", "slice_wad", "price_ray", "market_price_ray")
    free, zero = 0, set()
    for auction_id, amount, price, market in zip(*(takes[name] for name in names), strict=True):
        if price * FOR_NOTHING <= market:
            free += amount * market // RAY
            zero.add(auction_id)
    created = int(run_result.summary["losses"]["created_rad"])
    auctions = len(transpose_table_rows(run_result.tables, "auctions")["auction_id"])
    return Loss(Fraction(created, RAD), Fraction(free, WAD), len(zero), auctions)


def _build_rows(name: str, losses: Sequence[Loss], *, as_it_was: bool) -> list[FigureRow]:
    """Return rows with the medians of one combination of assumptions.

    Only the day with keepers down and blocks full (`as_it_was`) has published figures; its range is shown
    too.
    """
    bad_debt = [each.bad_debt for each in losses]
    free = compute_median([each.free for each in losses])
    zero = compute_median([Fraction(100 * each.zero_bids, each.auctions) for each in losses])

    def figure(title: str, ours: Fraction, known: int | None = None) -> FigureRow:
        return build_row(f"{name}: {title}", ours, known, HALF_AN_ORDER, unit="USD", source=1 if known else 0)

    if not as_it_was:
        return [
            figure("bad debt", compute_median(bad_debt)),
            figure("sold for nothing", free),
            build_row(f"{name}: auctions won for nothing", zero, unit="%"),
        ]
    for_each = sum(bad_debt, Fraction()) / max(1, sum(each.free for each in losses))
    return [
        figure("bad debt", compute_median(bad_debt), BAD_DEBT),
        figure("  least of the books", min(bad_debt)),
        figure("  most of the books", max(bad_debt)),
        figure("sold for nothing", free, FREE),
        build_row(
            f"{name}: auctions won for nothing",
            zero,
            ZERO_BIDS,
            build_absolute_tolerance(10),
            unit="%",
            source=1,
        ),
        build_row(
            f"{name}: bad debt for each dollar sold for nothing",
            for_each,
            Fraction(BAD_DEBT, FREE),
            build_percent_tolerance(20),
            places=2,
            source=1,
        ),
    ]


def compute_median(values: Sequence[Fraction]) -> Fraction:
    """Return the median of the values; for an even number, the mean of the middle two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
