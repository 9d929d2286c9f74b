"""Gain of one owner's pair by a jump, and the cost to honest accounts of the margin that prevents it.

A jump is run on the model of the contracts in two ways. *At once*: without any check while the price drops.
*Watched*: along a straight line with a check every block. The pair has a fifth of the open interest, so
others pay four fifths of the uninsured loss. Price drops of days with published bars are measured; others are
cited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backstop.deployment.parameter_rules.self_hedge_margin_formula import compute_self_hedge_break_even_margin
from backstop.model.arithmetic import BASIS_POINTS, WAD, div_up
from backstop.studies.self_hedge.daily_move_counts import Days, LiquidatedDays, count_days_with_liquidation
from backstop.studies.self_hedge.hedge_pair import PairOpening, PairOutcome, simulate_hedge_pair
from backstop.studies.self_hedge.pair_market import ALLOWED, LIBRARY, HedgePairMarket, MarketTerms
from backstop.studies.self_hedge.second_prices_from_bars import (
    SYNTHETIC,
    UNIT,
    list_prices_for_every_second,
    load_series,
)

MINUTES, HOUR = 600, 3_600
"""Seconds within which the falls are."""
PUBLISHED = (
    ("eth", "eth-2020-03-12", MINUTES),
    ("eth", "eth-2020-03-12", HOUR),
    ("eth", "eth-2021-05-19", MINUTES),
    ("eth", "eth-2021-05-19", HOUR),
    ("btc", "btc-2025-10-10", MINUTES),
    ("btc", "btc-2025-10-10", HOUR),
    ("avax", "avax-2025-10-10", MINUTES),
)
"""Coin, series and seconds of the falls that are measured."""
CITED = tuple(("avax", "2025-10-10", MINUTES, fall) for fall in (4_000, 6_000, 8_000))
"""Cited price drops: reference coin, day, seconds, and size [basis points]."""
LISTED: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "eth": {"dYdX": (200, 120), "Hyperliquid": (400, 200)},
    "btc": {"dYdX": (200, 120), "Hyperliquid": (250, 125)},
    "avax": {"dYdX": (1_000, 500), "Hyperliquid": (1_000, 500)},
}
"""Initial and maintenance margin [basis points of notional] that exchanges list for their smallest positions.

docs/explanation/self-hedge.md names the pages and their dates.
"""
OWN, SMALL = "library", "library without add-on"
FLOOR, LEAST = "least in settings", "least for this fall"
"""Names of terms: the library's, and variants without the surcharges of a large market.

The initial margin of the variants is the library's, the least that settings accept, or just enough for one
price drop.
"""
NOTIONAL = 1_000_000
"""Whole stablecoins, of each of the pair's accounts."""
SHARE = 2_000
"""The pair's share of open interest [basis points]."""
START = 700
"""Second of the path at which the pair opens: no mark is older."""
HOLD = 7_200
"""Seconds that a pair holds at most."""
_PRICE = 100 * UNIT


class Jump(NamedTuple):
    """Price drop of a coin: day, duration and size."""

    coin: str
    day: str
    seconds: int  # within which it happened
    fall: int  # basis points of the price before
    measured: bool  # in published prices of this repository


class Gain(NamedTuple):
    """Gain of one owner's pair of long and short, in wad and as a share of its notional."""

    wad: int
    share: int  # basis points of its notional, rounded down


class JumpRow(NamedTuple):
    """Result of one price drop under one market's terms: margins, gains, and days with liquidation."""

    jump: Jump
    terms: str
    initial: int  # basis points of notional that new risk needed, with what a large market needs more
    maintenance: int  # basis points of notional
    uninsured: Gain  # at once, without insurance
    insured: Gain  # at once, with insurance for all that is open
    insurance: int  # whole stablecoins that this asks for
    watched: Gain  # watched, without insurance
    liquidated: LiquidatedDays

    @property
    def initial_margin_leverage_tenths(self) -> int:
        """Largest leverage of an account at the initial margin [tenths], rounded down."""
        return 10 * BASIS_POINTS // self.initial


def measure_fall(series: str, seconds: int) -> int:
    """Return the largest price drop of a published series within `seconds` [bps].

    The drop is between closes that are exactly `seconds` apart.
    """
    if series in SYNTHETIC:
        rows = load_series(series)
        closes, apart = [row[4] for row in rows], seconds // (rows[1][0] - rows[0][0])
    else:
        closes, apart = list_prices_for_every_second(series, 0), seconds
    pairs = zip(closes, closes[apart:], strict=False)
    return max((first - last) * BASIS_POINTS // first for first, last in pairs)


def iter_measured_and_cited_falls() -> Iterator[Jump]:
    """Yield the price drops that are measured in published series, then the cited drops."""
    for coin, series, seconds in PUBLISHED:
        day = series.partition("-")[2]
        yield Jump(coin, day, seconds, measure_fall(series, seconds), measured=True)
    for coin, day, seconds, fall in CITED:
        yield Jump(coin, day, seconds, fall, measured=False)


def build_names_by_market_terms(jump: Jump) -> dict[MarketTerms, str]:
    """Return the market terms under which a price drop is simulated, with their names.

    Equal terms have all their names, with commas between them.
    """
    plain = LIBRARY._replace(open_rate=0, insured=0)
    least = compute_self_hedge_break_even_margin(jump.fall, min(LIBRARY.maker_fee, LIBRARY.taker_fee))
    margins = {**LISTED[jump.coin], LEAST: (least, least // 2)}
    named = [(OWN, LIBRARY._replace(insured=0)), (SMALL, plain), (FLOOR, plain._replace(initial=ALLOWED))]
    named += [
        (name, plain._replace(initial=initial, maintenance=maintenance))
        for name, (initial, maintenance) in margins.items()
    ]
    found: dict[MarketTerms, str] = {}
    for name, terms in named:
        found[terms] = f"{found[terms]}, {name}" if terms in found else name
    return found


def play_jumps(jumps: Sequence[Jump], days: Mapping[str, Days]) -> list[JumpRow]:
    """Simulate a pair of long and short in each price drop, under each of its market terms.

    Return a row for each. `days` has, by coin, the counted days in which accounts with these margins could be
    liquidated.
    """
    markets: dict[MarketTerms, HedgePairMarket] = {}
    return [
        _build_jump_row(jump, terms, name, days[jump.coin], markets)
        for jump in jumps
        for terms, name in build_names_by_market_terms(jump).items()
    ]


def _build_jump_row(
    jump: Jump, terms: MarketTerms, name: str, days: Days, markets: dict[MarketTerms, HedgePairMarket]
) -> JumpRow:
    opened = NOTIONAL * BASIS_POINTS // SHARE
    insurance = div_up(opened * terms.initial, BASIS_POINTS)
    bare = terms._replace(cap=0)
    backed = terms._replace(cap=insurance, insured=terms.initial)
    for each in (bare, backed):
        if each not in markets:
            markets[each] = HedgePairMarket(each)
    at_once, falling = sudden_path(jump, terms.mark_age), straight_path(jump, terms.mark_age)
    opening = PairOpening(START, SHARE, NOTIONAL, HOLD)
    uninsured = simulate_hedge_pair(markets[bare], at_once, opening)
    initial = compute_required_initial_margin_bps(markets[bare])
    return JumpRow(
        jump,
        name,
        initial,
        terms.maintenance,
        _compute_hedge_pair_gain(uninsured),
        _compute_hedge_pair_gain(simulate_hedge_pair(markets[backed], at_once, opening)),
        insurance,
        _compute_hedge_pair_gain(simulate_hedge_pair(markets[bare], falling, opening)),
        count_days_with_liquidation(days, initial, terms.maintenance),
    )


def compute_required_initial_margin_bps(market: HedgePairMarket) -> int:
    """Return the initial margin that one owner's long or short needs [bps of notional], rounded up."""
    with market.model.fork_state():
        market.report_and_mark_price(_PRICE)
        lots = NOTIONAL * WAD // market.read_mark()
        margin = market.compute_initial_margin(lots, lots * BASIS_POINTS // SHARE)
        return div_up(margin * BASIS_POINTS, lots * market.read_mark())


def sudden_path(jump: Jump, mark_age: int) -> list[int]:
    """Return a price for each second that drops at once [1e-8 dollars].

    It drops after the oldest mark price at which a pair of long and short may open.
    """
    far = _PRICE * (BASIS_POINTS - jump.fall) // BASIS_POINTS
    return [_PRICE] * (START - mark_age + 1) + [far] * (mark_age + HOLD)


def straight_path(jump: Jump, mark_age: int) -> list[int]:
    """Return a price for each second that drops linearly [1e-8 dollars].

    The drop begins at the oldest mark price at which a pair of long and short may open.
    """
    path = [_PRICE] * (START - mark_age)
    for second in range(mark_age + HOLD + 1):
        fallen = jump.fall * min(second, jump.seconds)
        path.append(_PRICE - _PRICE * fallen // (BASIS_POINTS * jump.seconds))
    return path


def jump_rows_as_json(rows: Sequence[JumpRow]) -> list[dict[str, Any]]:
    """Return the rows for JSON: amounts as text, shares in basis points."""
    return [
        {
            **row.jump._asdict(),
            "terms": row.terms,
            "initial": row.initial,
            "maintenance": row.maintenance,
            "leverage_tenths": row.initial_margin_leverage_tenths,
            "insurance": row.insurance,
            **{
                name: {"wad": str(gain.wad), "share": gain.share}
                for name, gain in (
                    ("uninsured", row.uninsured),
                    ("insured", row.insured),
                    ("watched", row.watched),
                )
            },
            **row.liquidated._asdict(),
        }
        for row in rows
    ]


def _compute_hedge_pair_gain(pair_outcome: PairOutcome) -> Gain:
    return Gain(pair_outcome.gain, pair_outcome.gain * BASIS_POINTS // pair_outcome.notional)
