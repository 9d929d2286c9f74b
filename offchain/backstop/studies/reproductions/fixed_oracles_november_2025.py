"""November 2025 on Morpho Blue's rules: two markets with an oracle price that stayed while prices fell.

Debts and collateral of both markets are published as sums, so one account stands for all. The contracts run
its liquidation with the fixed oracle, and then with an oracle that follows the market.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import product
from typing import NamedTuple

from backstop.studies.reproductions.discount_sale_figures import (
    SaleFigures,
    load_changed_scenario,
    play_sales,
)
from backstop.studies.reproductions.figure_comparison import (
    EXACT,
    FigureRow,
    Reproduction,
    build_percent_tolerance,
    build_range,
    build_row,
)
from backstop.studies.reproductions.published_tables import load_figures

NAME = "fixed-oracles-november-2025"
SDEUSD, XUSD = "fixed-oracle-sdeusd.yaml", "fixed-oracle-xusd.yaml"
SOURCES = (
    "290-byte, data on Morpho's markets, November 2025: sdeUSD/USDC had lent 8.7 million USDC, its collateral"
    " fell from 9.5 to 0.78 million dollars on 6 November, nothing was liquidated; xUSD/USDC on Arbitrum had"
    " lent 4.97 million, of which 4.16 million are bad",
)
REMARKS = (
    "Sums of two markets of Morpho are published, and one account stands for all borrowers of each.",
    "A fixed oracle liquidates no account and books no loss: debt beyond the collateral's market price "
    "stays unbooked, and the first lenders to withdraw are paid in full.",
    "The published bad debt of xUSD needs a price of 0.18 dollars, between those of 4 November and the "
    "later 0.11.",
    "The runs with an oracle that follows the market depend on an assumed depth, so that they show a "
    "direction and no amount.",
    "Euler's bad debt of about 137 million dollars has no row: no sum of debt and collateral by market "
    "is at hand.",
)
"""Assumptions that move the figures, and causes of differences."""
PUBLISHED = load_figures(NAME)
FOLLOWING = {"feed_prices": "null"}
"""The change by which the oracle reports the market's price."""
DEPTHS: Mapping[str, str] = {
    "": "2_000_000 stablecoin",
    ", half the depth": "1_000_000 stablecoin",
    ", double the depth": "4_000_000 stablecoin",
    ", a quarter of the time to refill": "2_000_000 stablecoin",
}
QUICK_REFILL = ", a quarter of the time to refill"
_TYPE, _BOOK = "parameters.collateral_types.COIN", "vault_book.generated.COIN"


class Tier(NamedTuple):
    """Liquidation and initial ratio of collateral to debt for one loan-to-value limit of Morpho."""

    liquidation: str
    initial: str
    opened: str  # ratio of the account, just above the liquidation ratio


TIERS: Mapping[str, Tier] = {
    "77%": Tier("129.88%", "129.89%", "130.1%"),
    "86%": Tier("116.28%", "116.29%", "116.5%"),
    "91.5%": Tier("109.29%", "109.3%", "109.5%"),
}
XUSD_TIER, XUSD_PRICES, LATER_PRICE = "86%", ("0.24", "0.30"), "0.11"
SDEUSD_CHANGES: Mapping[str, Mapping[str, str]] = {
    "collateral of 9.45 million, loan-to-value of 94.5%": {
        f"{_TYPE}.liquidation_ratio": "105.82%",
        f"{_TYPE}.initial_ratio": "105.83%",
        f"{_BOOK}.ratio.from": "108.62%",
        f"{_BOOK}.ratio.to": "108.62%",
    },
    "collateral of 9.55 million": {f"{_BOOK}.ratio.from": "109.77%", f"{_BOOK}.ratio.to": "109.77%"},
}


def reproduce_result(seed: int) -> Reproduction:
    """Simulate both Morpho markets with a fixed oracle, and compare with the published outcome.

    Both markets are also run with an oracle that follows the market.
    """
    sdeusd = play_sales(load_changed_scenario(SDEUSD, {}), seed)
    others = [play_sales(load_changed_scenario(SDEUSD, each), seed) for each in SDEUSD_CHANGES.values()]
    xusd = {
        (tier, price): play_xusd(tier, price, seed)
        for tier, price in product(TIERS, (*XUSD_PRICES, LATER_PRICE))
    }
    rows = [*_build_sdeusd_rows(sdeusd, [sdeusd, *others]), *_build_xusd_rows(xusd)]
    for name, file in (("sdeUSD", SDEUSD), ("xUSD", XUSD)):
        for title, figures in play_following_oracle(file, seed).items():
            rows += [
                build_row(f"{name}, oracle follows{title}: liquidations", figures.sales),
                build_row("  repaid", figures.repaid, unit="USD"),
                build_row("  lost", figures.bad_debt, unit="USD"),
            ]
    return Reproduction(NAME, "Fixed oracles, November 2025", SOURCES, rows, REMARKS)


def play_xusd(tier: str, price: str, seed: int) -> SaleFigures:
    """Run the xUSD market with the fixed oracle, at this loan-to-value limit and last price [USD]."""
    terms = TIERS[tier]
    changes = {
        f"{_TYPE}.liquidation_ratio": terms.liquidation,
        f"{_TYPE}.initial_ratio": terms.initial,
        f"{_BOOK}.ratio.from": terms.opened,
        f"{_BOOK}.ratio.to": terms.opened,
        "prices.COIN.published.10:00": f"{price} USD",
        "prices.COIN.assumed.12:00": f"{price} USD",
    }
    return play_sales(load_changed_scenario(XUSD, changes), seed)


def play_following_oracle(file: str, seed: int) -> dict[str, SaleFigures]:
    """Run a market with an oracle that follows the market's price, for each assumed depth.

    The keys are those of DEPTHS.
    """
    found = {}
    for title, depth in DEPTHS.items():
        changes = {**FOLLOWING, "markets.COIN.depth": depth}
        if title == QUICK_REFILL:
            changes["markets.COIN.recovery"] = "150 s"
        found[title] = play_sales(load_changed_scenario(file, changes), seed)
    return found


def _build_sdeusd_rows(as_assumed: SaleFigures, everything: Sequence[SaleFigures]) -> list[FigureRow]:
    """Return rows that compare the liquidations and the uncovered debt of the sdeUSD market.

    Liquidations must be equal. Uncovered debt must agree within 1%, and lie in the range over all runs.
    """
    liquidations = PUBLISHED["sdeusd_liquidations"]
    uncovered = PUBLISHED["sdeusd_debt"] - PUBLISHED["sdeusd_collateral_after"]
    title = "sdeUSD: debt beyond collateral"
    bound = build_range([each.unbooked for each in everything])
    return [
        build_row("sdeUSD: liquidations", as_assumed.sales, liquidations, EXACT, source=1),
        build_row(title, as_assumed.unbooked, uncovered, build_percent_tolerance(1), unit="USD", source=1),
        build_row("  with other assumptions", as_assumed.unbooked, uncovered, bound, unit="USD", source=1),
        build_row("  of it booked as a loss", as_assumed.booked, unit="USD"),
    ]


def _build_xusd_rows(found: Mapping[tuple[str, str], SaleFigures]) -> list[FigureRow]:
    """Return rows that compare the uncovered debt of the xUSD market.

    The bound is the range over the prices of 4 November, then over all limits and prices.
    """
    published, unit = PUBLISHED["xusd_bad_debt"], "USD"
    as_assumed = [found[XUSD_TIER, price].bad_debt for price in XUSD_PRICES]
    everything = [each.bad_debt for each in found.values()]
    sales = sum(each.sales for each in found.values())
    rows = [
        build_row(title, as_assumed[0], published, build_range(values), unit=unit, source=1)
        for title, values in (
            ("xUSD: debt beyond collateral", as_assumed),
            ("  with other assumptions", everything),
        )
    ]
    rows.append(build_row("  liquidations in all of these runs", sales))
    for (tier, price), figures in found.items():
        rows.append(build_row(f"xUSD, {tier}, price of {price}", Fraction(figures.bad_debt), unit=unit))
    return rows
