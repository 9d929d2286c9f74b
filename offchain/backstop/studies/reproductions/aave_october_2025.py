"""10 October 2025 on Aave v3's rules: shares of a drawn book, and their range over books and assumptions.

The accounts of Aave are not published, and the book here is small. So figures are shares: of debt that was
liquidated, of bonuses, of losses. Each is the median of drawn books, and the second row of each has the
range over these books and over one assumption changed at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import NamedTuple

from backstop.simulation.scenario import Scenario
from backstop.studies.reproductions.black_thursday import add_reacting_owners
from backstop.studies.reproductions.discount_sale_figures import (
    SaleFigures,
    load_changed_scenario,
    play_sales,
)
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_range,
    build_row,
)
from backstop.studies.reproductions.published_tables import load_figures

NAME = "aave-october-2025"
FILE = "aave-october-2025.yaml"
BOOKS = 10
SOURCES = (
    "meme-insider (0xnoveleader), October 2025: 192.71 million USD liquidated on Aave of 28.98 billion"
    " borrowed; 46.19 of 4,140 on Morpho, 17.37 of 2,160 on Fluid, 4.32 of 1,970 on Euler",
    "Chaos Labs, governance.aave.com/t/23248, 11 October 2025: about 180 million USD liquidated, 10 million"
    " of bonuses, 1 million of these to the treasury, a deficit of about 400,000",
)
REMARKS = (
    "The accounts are not public, so that shares of a drawn book are compared, and the answer is a "
    "range over assumptions.",
    "The distance of accounts from liquidation decides the liquidated share: with ratios from 150% on "
    "it is 0.82%, and 0.66% is published.",
    "The bonus is a rule. All types have 5% here, and smaller coins had more on that day.",
    "The published deficit came from debts in CRV and ENS whose oracles lagged. Debts are in dollars "
    "here, so that the agreement of the deficit says little.",
)
"""Assumptions that move the figures, and causes of differences."""
PUBLISHED = load_figures(NAME)
FIXED_SHARE = Fraction(1, 2)
"""Assumed share of all debt with correlated collateral, which no price of this day liquidates."""
_BOOK = "vault_book.generated"
_TYPES = ("ETH", "BTC", "COIN")
CHANGES: Mapping[str, Mapping[str, str]] = {
    "ratios from 125% on": {f"{_BOOK}.{each}.ratio.from": "125.1%" for each in _TYPES},
    "ratios from 140% on": {f"{_BOOK}.{each}.ratio.from": "140%" for each in _TYPES},
    "ratios from 150% on": {f"{_BOOK}.{each}.ratio.from": "150%" for each in _TYPES},
    "ratios up to 1,200%": {f"{_BOOK}.{each}.ratio.to": "1200%" for each in _TYPES},
    "a tenth of the debt of smaller coins": {
        f"{_BOOK}.COIN.debt.from": "1_100 stablecoin",
        f"{_BOOK}.COIN.debt.to": "20_000 stablecoin",
    },
    "five times the debt of smaller coins": {
        f"{_BOOK}.COIN.debt.from": "25_000 stablecoin",
        f"{_BOOK}.COIN.debt.to": "1_000_000 stablecoin",
    },
    "smaller coins fall by 20%": {
        "prices.COIN.published.01:30": "8 USD",
        "prices.COIN.assumed.02:30": "8.7 USD",
        "prices.COIN.assumed.03:00": "8.7 USD",
    },
    "half the markets' depth": {
        "markets.ETH.depth": "30_000_000 stablecoin",
        "markets.BTC.depth": "30_000_000 stablecoin",
        "markets.COIN.depth": "1_000_000 stablecoin",
    },
    "double the markets' depth": {
        "markets.ETH.depth": "120_000_000 stablecoin",
        "markets.BTC.depth": "120_000_000 stablecoin",
        "markets.COIN.depth": "4_000_000 stablecoin",
    },
    "oracle of smaller coins every 10 minutes": {"parameters.collateral_types.COIN.feed.step": "10 min"},
    "gas at five times the price": {"congestion.gas_prices.assumed.01:00": "750 gwei"},
    "a bonus of 6%": {f"parameters.collateral_types.{each}.discount.base_bonus": "6%" for each in _TYPES},
}
OWNERS_REACT = "owners react"
FIXED_SHARES = {
    "no debt moves with its collateral": Fraction(0),
    "nine tenths of the debt move with it": Fraction(9, 10),
}
OTHER_PROTOCOLS = ("morpho", "fluid", "euler")


class Day(NamedTuple):
    """Figures of the day for one random set of accounts.

    `fixed_share` is the share of debt that moves with its collateral, and so cannot be liquidated.
    """

    figures: SaleFigures
    fixed_share: Fraction = FIXED_SHARE

    @property
    def liquidated(self) -> Fraction:
        """Debt repaid by liquidators as a share of all debt at the start [%]."""
        figures = self.figures
        debt = figures.repaid + figures.booked + figures.debt
        return 100 * (1 - self.fixed_share) * figures.repaid / debt

    @property
    def bonus(self) -> Fraction:
        """Liquidation bonus with the protocol's fee, as a share of debt repaid [%].

        0 without a liquidation.
        """
        return _compute_percent(self.figures.bonus + self.figures.fee, self.figures.repaid)

    @property
    def fee(self) -> Fraction:
        """Protocol's fee as a share of the liquidation bonus [%]; 0 without a liquidation."""
        return _compute_percent(self.figures.fee, self.figures.bonus + self.figures.fee)

    @property
    def deficit(self) -> Fraction:
        """Bad debt as a share of debt repaid [%]; 0 without a liquidation."""
        return _compute_percent(self.figures.bad_debt, self.figures.repaid)


def reproduce_result(seed: int, books: int = BOOKS) -> Reproduction:
    """Simulate 10 October 2025 on random accounts, and compare with published shares.

    Each of `books` seeds draws a set of accounts. The same seeds are run under each changed assumption.
    """
    seeds = range(seed, seed + books)
    as_assumed = play_books(load_changed_scenario(FILE, {}), seeds)
    changed = {name: play_books(load_changed_scenario(FILE, each), seeds) for name, each in CHANGES.items()}
    changed[OWNERS_REACT] = [
        Day(play_sales(add_reacting_owners(load_changed_scenario(FILE, {}), each), each)) for each in seeds
    ]
    for name, share in FIXED_SHARES.items():
        changed[name] = [day._replace(fixed_share=share) for day in as_assumed]
    everything = [*as_assumed, *(day for days in changed.values() for day in days)]
    rows = _build_published_rows(as_assumed, everything)
    for name in OTHER_PROTOCOLS:
        known = 100 * PUBLISHED[f"liquidated_on_{name}"] / PUBLISHED[f"debt_on_{name}"]
        rows.append(_build_median_row(f"liquidated share on {name.title()}", as_assumed, "liquidated", known))
    for name, days in changed.items():
        rows += [
            _build_median_row(f"{name}: liquidated share of all debt", days, "liquidated"),
            _build_median_row("  deficit over liquidated debt", days, "deficit"),
        ]
    return Reproduction(NAME, "Aave v3, 10 October 2025", SOURCES, rows, REMARKS)


def play_books(scenario: Scenario, seeds: Sequence[int]) -> list[Day]:
    """Run the scenario once per seed, and return the figures of each run.

    A seed draws the accounts.
    """
    return [Day(play_sales(scenario, seed)) for seed in seeds]


def _build_published_rows(as_assumed: Sequence[Day], everything: Sequence[Day]) -> list[FigureRow]:
    """Return rows that compare the median share with the published share.

    The bound is the range over the base runs, and in a second row the range over all runs.
    """
    snapshot = PUBLISHED["liquidated_of_snapshot"] / PUBLISHED["debt_of_snapshot"]
    liquidated, bonuses = PUBLISHED["liquidated"], PUBLISHED["bonuses"]
    compared: tuple[tuple[str, Callable[[Day], Fraction], Fraction, int], ...] = (
        ("liquidated share of all debt", lambda day: day.liquidated, snapshot, 1),
        ("bonus over liquidated debt", lambda day: day.bonus, bonuses / liquidated, 2),
        ("treasury's part of bonuses", lambda day: day.fee, PUBLISHED["bonuses_of_treasury"] / bonuses, 2),
        ("deficit over liquidated debt", lambda day: day.deficit, PUBLISHED["deficit"] / liquidated, 2),
    )
    rows = []
    for title, pick, known, source in compared:
        for name, days in ((title, as_assumed), ("  with other assumptions", everything)):
            values = [pick(day) for day in days]
            bound = build_range(values, 2)
            rows.append(
                build_row(name, median(values), 100 * known, bound, unit="%", places=2, source=source)
            )
    return rows


def _build_median_row(
    title: str, days: Sequence[Day], name: str, published: Fraction | None = None
) -> FigureRow:
    value = median([getattr(day, name) for day in days])
    return build_row(title, value, published, unit="%", places=2, source=0 if published is None else 1)


def _compute_percent(part: Fraction, whole: Fraction) -> Fraction:
    return 100 * part / whole if whole else Fraction(0)
