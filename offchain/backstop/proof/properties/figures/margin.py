"""Figures of the margin market, out of tables alone: prices, funding, margins, and what a trade changes.

Here nothing asks the model: each rule is written a second time. Prices in wei a lot, margins in basis points
x wei.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties.figures.prices import Read
from backstop.proof.properties.transition import Transition

MARKET, DELEVERAGER, FUND = "MarginMarket", "MarginDeleverager", "MarginFund"
ACCOUNTS, POSITIONS = "margin_book.accounts", "margin_book.positions"
INTERESTS, FUNDINGS, FROZEN_PRICES = (
    "margin_book.interests",
    "margin_book.fundings",
    "margin_book.frozen_prices",
)
FUNDING_PERIOD, FUNDING_INTERVAL = 28_800, 3_600
"""Seconds: a rate is said for a period, and follows from the trades of an interval."""


class Worth(NamedTuple):
    """Equity and notional in wei, margins in basis points x wei."""

    equity: int
    initial: int
    maintenance: int
    notional: int


class Side(NamedTuple):
    """An account's cash and its position in one market."""

    cash: int
    size: int
    cost: int


def contract(step: Transition, name: str) -> Any:
    """Return a contract, for what was set when it was created."""
    return step.model.world.contracts[name]


def markets(step: Transition) -> range:
    """Return the ids of all markets."""
    return range(step.after("MarginPolicy", "markets"))


def side_of(read: Read, owner: str, m: int) -> Side:
    """Return what an account has in cash and in a market."""
    return Side(read(MARKET, ACCOUNTS, owner).cash, *read(MARKET, POSITIONS, (owner, m)))


def traded(side: Side, delta: int, at: int) -> tuple[Side, int]:
    """Return a side after it bought lots (sold, under 0) at a price less the index, and the gain realised.

    The cost of lots that stay is their part of all of it, rounded toward zero.
    """
    closed = min(abs(delta), abs(side.size)) if side.size * delta < 0 else 0
    size = side.size + delta
    if not closed:
        return Side(side.cash - delta * at, size, side.cost + delta * at), 0
    sign = 1 if side.size > 0 else -1
    left = abs(side.size) - closed
    kept = abs(side.cost) * left // abs(side.size) * (1 if side.cost > 0 else -1)
    gain = sign * closed * at - (side.cost - kept)
    opened = delta + sign * closed
    return Side(side.cash - delta * at, size, kept + opened * at), gain


def a_lot(step: Transition, m: int, price: int) -> int:
    """Return what a lot costs at a price of the feed [ray for 1e18]; never nothing."""
    return max(1, price * step.after("MarginPolicy", "underlyings", m).lot // RAY)


def last_price(step: Transition, m: int) -> int:
    """Return the feed's last price."""
    return a_lot(step, m, _prices(step, m).current)


def risk_price(step: Transition, m: int, *, long: bool) -> int:
    """Return the price at which new risk is worth less; 0 if there is none."""
    prices = _prices(step, m)
    if step.model.timestamp > prices.fresh_until or prices.next == 0:
        return 0
    return a_lot(step, m, (min if long else max)(prices.current, prices.next))


def liquidation_price(step: Transition, m: int) -> int:
    """Return the price of liquidations: a fresh one or the last of a dead feed, and 0 if it is held back."""
    feed, now = step.after("MarginPolicy", "underlyings", m).feed, step.model.timestamp
    prices, config = _prices(step, m), step.after("PriceFeed", "configs", feed)
    waits = config.halted or now < config.grace_until
    dead = config.dead_after and now > prices.fresh_until + config.dead_after
    counts = prices.current and not waits and (now <= prices.fresh_until or dead)
    return a_lot(step, m, prices.current) if counts else 0


def most_premium(step: Transition, m: int) -> int:
    """Return how far from the last price funding follows trades [wei a lot and period]."""
    return int(last_price(step, m) * step.after("MarginPolicy", "terms", m).max_funding // 10_000)


def index(step: Transition, read: Read, m: int) -> int:
    """Return the funding of now, from a record before the step or after it [wei a lot]."""
    funding = read(MARKET, FUNDINGS, m)
    return int(funding.level + funding.rate * (step.model.timestamp - funding.updated))


def worth(step: Transition, read: Read, owner: str, price_of: Callable[[int, int], int]) -> Worth:
    """Return what an account is worth; `price_of` takes a market and a size."""
    equity, initial, maintenance, everything = read(MARKET, ACCOUNTS, owner).cash, 0, 0, 0
    for m in markets(step):
        size = read(MARKET, POSITIONS, (owner, m)).size
        if not size:
            continue
        price, terms = price_of(m, size), step.after("MarginPolicy", "terms", m)
        notional = abs(size) * price
        equity += size * (price - index(step, read, m))
        own = add_on(terms[5:9], notional)
        initial += notional * terms.initial + own
        maintenance += notional * terms.maintenance + own
        everything += notional
    return Worth(equity, initial, maintenance, everything)


def of_the_market(step: Transition, read: Read, owner: str, price_of: Callable[[int, int], int]) -> int:
    """Return what new risk needs beyond the initial margins: what the market's brackets ask of the last lots.

    Only as far as it is more than what the account's own brackets ask.
    """
    more = 0
    for m in markets(step):
        size = read(MARKET, POSITIONS, (owner, m)).size
        if not size:
            continue
        price, terms = price_of(m, size), step.after("MarginPolicy", "terms", m)
        notional = abs(size) * price
        everything = max(notional, read(MARKET, INTERESTS, m).open * price)
        last = add_on(terms[9:13], everything) - add_on(terms[9:13], everything - notional)
        more += max(0, last - add_on(terms[5:9], notional))
    return more


def add_on(brackets: tuple[int, ...], notional: int) -> int:
    """Return what two brackets ask of a notional: each its rate of all above its edge (whole stablecoins)."""
    above, rate, above_2, rate_2 = brackets
    return max(0, notional - above * WAD) * rate + max(0, notional - above_2 * WAD) * rate_2


def frozen_market(step: Transition, read: Read) -> int | None:
    """Return the market that is frozen; None if none is."""
    market, until = read(MARKET, "frozen")
    return market if step.model.timestamp <= until else None


def _prices(step: Transition, m: int) -> Any:
    return step.after("PriceFeed", "prices", step.after("MarginPolicy", "underlyings", m).feed)
