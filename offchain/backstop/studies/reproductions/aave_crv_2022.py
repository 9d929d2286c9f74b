"""22 November 2022 on Aave v2's rules: an account that owed 92 million CRV, and the CRV that stayed owed.

The account is published, so its liquidation is played by the contracts: USDC is the collateral, and the
stablecoin stands for CRV. The market within the hours is not published. So a second row of each figure has
the range over the day as assumed, ten paths of prices drawn around it, and one assumption changed at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from statistics import median

from backstop.model.arithmetic import WAD
from backstop.studies.reproductions.discount_sale_figures import (
    SaleFigures,
    load_changed_scenario,
    play_sales,
    set_debt,
)
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_range,
    build_ratio_tolerance,
    build_row,
)
from backstop.studies.reproductions.published_tables import load_figures, load_table

NAME = "aave-crv-2022"
FILE = "aave-crv-2022.yaml"
SHORT = "short"
PATHS = 10
SOURCES = (
    "Llama, ARFC, governance.aave.com/t/10955, 8 December 2022: 2,656,335 CRV of bad debt; 2,651,906.535 in"
    " ARC 10779/20",
    "Blockworks, 'Aave Left With $1.7M in Bad Debt', November 2022: 92 million CRV owed against 63.6 million"
    " USDC, 385 liquidations in 50 minutes",
    "ARC, governance.aave.com/t/10779, November 2022: the trader lost about 10 million USD",
)
REMARKS = (
    "Collateral and debt of the account are published, and so are hourly prices. Depth of the market, "
    "the oracle's step and the path within the hours are assumptions. They were fixed after several "
    "runs had been seen, so this is no blind forecast.",
    "All collateral is sold at the oracle's price and a bonus of 4.5%. So the bad debt follows from the "
    "mean oracle price of the liquidations, which is 0.681 dollars by the published outcome and 0.673 "
    "here.",
    "The liquidator of the run buys in about every second block, and about twenty bought on several "
    "markets on that day; so the run takes 85 minutes, and 50 are published.",
    "The published loss of the account also has the result of its earlier sales of CRV, whose prices "
    "are not published.",
)
"""Assumptions that move the figures, and causes of differences."""
PUBLISHED = load_figures(NAME)
BONUS = Fraction(1_045, 1_000)
LOWER_DEBT = 88_800_000
"""CRV; an assumption, 3.5% under the published debt."""
OTHER_DEBT = 300_000_000
"""CRV owed by the accounts of the book that are far from liquidation."""
FIRST_PRICE, LAST_PRICE = (
    Fraction(row["price"]) for row in load_table("crv-2022-11-22") if row["time"] in ("17:00", "20:01")
)
"""Dollars for one CRV when liquidations begin, and at the end."""
_MARKET, _PRICES = "markets.USDC", "prices.USDC"
CHANGES: Mapping[str, Mapping[str, str]] = {
    "half the market's depth": {f"{_MARKET}.depth": "12_000_000 stablecoin"},
    "depth of 36 million": {f"{_MARKET}.depth": "36_000_000 stablecoin"},
    "double the market's depth": {f"{_MARKET}.depth": "48_000_000 stablecoin"},
    "refilled in twice the time": {f"{_MARKET}.recovery": "24 s"},
    "oracle reports half the move": {"keepers.reporter.deviation": "1%"},
    "oracle reports double the move": {"keepers.reporter.deviation": "4%"},
    "oracle's step of a minute": {"parameters.collateral_types.USDC.feed.step": "60 s"},
    "liquidators three blocks later": {"keepers.taker.latency": "36 s"},
    "buyers with 10 million CRV": {
        "keepers.desk.role": "bidder",
        "keepers.desk.capital": "10_000_000 stablecoin",
        "keepers.desk.takes_at": "99%",
        "keepers.desk.minimum_profit": "500 stablecoin",
        "keepers.desk.gas_price": "30_000 gwei",
    },
    "gas at ten times the price": {
        "congestion.gas_prices.assumed.00:00": "165_000 gwei",
        **{f"keepers.{name}.gas_price": "300_000 gwei" for name in ("reporter", "poker", "taker", "crank")},
    },
    "straight lines between the hours": {
        f"{_PRICES}.assumed.02:20": "null",
        f"{_PRICES}.assumed.03:10": "null",
    },
    "highest price from 17:40 on": {f"{_PRICES}.assumed.02:40": "1.387817186 USD"},
    "falling from 18:00 on": {f"{_PRICES}.assumed.03:10": "null"},
}
DEEP_MARKET = "ten times the market's depth, in no range"
"""A market in which no debt is bad: its 19 liquidations contradict the published number."""
DRAWN = {f"{_PRICES}.volatility": "300 bps"}
DEBT_CHANGE = "a debt of 88.8 million"
LEAST_RATIO_CHANGE = "threshold rounded the other way"


def reproduce_result(seed: int, paths: int = PATHS) -> Reproduction:
    """Simulate the account's liquidation, and compare its figures with the published outcome.

    The runs are the base assumptions, `paths` random price paths, and each changed assumption.
    """
    base = load_changed_scenario(FILE, {})
    as_assumed = play_sales(base, seed)
    drawing = load_changed_scenario(FILE, DRAWN)
    drawn = [play_sales(drawing, each) for each in range(seed, seed + paths)]
    changed = {name: play_sales(load_changed_scenario(FILE, each), seed) for name, each in CHANGES.items()}
    changed[DEBT_CHANGE] = play_sales(set_debt(base, SHORT, LOWER_DEBT * WAD), seed)
    rounded = {"parameters.collateral_types.USDC.liquidation_ratio": "113.63%"}
    changed[LEAST_RATIO_CHANGE] = play_sales(load_changed_scenario(FILE, rounded), seed)
    deep = play_sales(load_changed_scenario(FILE, {f"{_MARKET}.depth": "240_000_000 stablecoin"}), seed)
    rows = _build_published_rows(as_assumed, [as_assumed, *drawn, *changed.values()])
    rows += [
        build_row("CRV repaid", as_assumed.repaid, unit="CRV"),
        build_row(
            "  mean oracle price of liquidations",
            compute_mean_price(as_assumed),
            unit="USD",
            places=4,
        ),
    ]
    rows.append(
        build_row("drawn paths: bad debt, median", median([each.bad_debt for each in drawn]), unit="CRV")
    )
    for name, figures in (changed | {DEEP_MARKET: deep}).items():
        rows += [
            build_row(f"{name}: bad debt", figures.bad_debt, unit="CRV"),
            build_row("  liquidations", figures.sales),
            build_row("  minutes", figures.minutes),
        ]
    return Reproduction(NAME, "Aave v2, 22 November 2022", SOURCES, rows, REMARKS)


def _build_published_rows(as_assumed: SaleFigures, everything: Sequence[SaleFigures]) -> list[FigureRow]:
    """Return rows that compare figures with the published ones.

    The base run must agree within a factor of two. A second row gives the range over all runs.
    """
    factor = build_ratio_tolerance(2)
    compared: tuple[tuple[str, Callable[[SaleFigures], Fraction], str, str, int], ...] = (
        ("bad debt", lambda each: each.bad_debt, "bad_debt", "CRV", 1),
        ("liquidations", lambda each: Fraction(each.sales), "liquidations", "", 2),
        ("minutes from the first liquidation to the last", lambda each: each.minutes, "minutes", "", 2),
        ("loss of the account", compute_account_loss, "trader_loss", "USD", 3),
    )
    rows = []
    for title, pick, known, unit, source in compared:
        ours, published = pick(as_assumed), PUBLISHED[known]
        values = [pick(each) for each in everything]
        rows += [
            build_row(title, ours, published, factor, unit=unit, source=source),
            build_row(
                "  with other assumptions",
                median(values),
                published,
                build_range(values),
                unit=unit,
                source=source,
            ),
        ]
    return rows


def compute_account_loss(figures: SaleFigures) -> Fraction:
    """Return the account's net worth before liquidations less its net worth at the end [USD].

    Both are valued at market prices.
    """
    collateral, debt_left = PUBLISHED["collateral"], max(Fraction(0), figures.debt - OTHER_DEBT)
    debt = figures.repaid + figures.booked + debt_left
    left = max(Fraction(0), collateral - figures.sold - debt_left * LAST_PRICE)
    return collateral - debt * FIRST_PRICE - left


def compute_mean_price(figures: SaleFigures) -> Fraction:
    """Return the mean oracle price of the liquidations, if they took all collateral [USD per CRV]."""
    return PUBLISHED["collateral"] / (BONUS * figures.repaid)


def compute_bad_debt_from_mean_price(debt: Fraction, mean_price: Fraction) -> Fraction:
    """Return the debt that stays after all collateral is sold at this oracle price [CRV].

    The liquidators' bonus is deducted.
    """
    return debt - PUBLISHED["collateral"] / (BONUS * mean_price)
