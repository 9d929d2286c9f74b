"""Margin books: the deposit of each account of the margin market, and the trades that open positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from backstop.deployment.parameter_dataclasses import PerpetualParameters
from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.randomness import SeededRandom
from backstop.simulation.scenario.scenario_records import MarginPairs, MarginPosition, Scenario
from backstop.simulation.scenario.vault_books import draw_log_uniform


class OpeningTrade(NamedTuple):
    """Trade between two accounts that opens a long and a short position in one market."""

    market: int
    long: str  # account name
    short: str
    lots: int
    price: int  # wei a lot


@dataclass
class OpeningBook:
    """Opening deposits of the margin market's accounts [wad], and the trades in their order."""

    deposits: dict[str, int] = field(default_factory=dict)
    trades: list[OpeningTrade] = field(default_factory=list)

    def add_deposit(self, name: str, amount: int) -> None:
        """Add an amount to an account's opening deposit [wad]."""
        self.deposits[name] = self.deposits.get(name, 0) + amount


def build_opening_margin_book(scenario: Scenario, seed: int, prices: Mapping[str, int]) -> OpeningBook:
    """Return the deposits and trades that open the margin market, at the opening prices [ray].

    Raises BackstopError if an account would owe more than it has.
    """
    book, margin = OpeningBook(), scenario.parameters.margin
    for m, market in enumerate(margin.markets if margin is not None else ()):
        pairs = scenario.margin_book.pairs.get(market.symbol)
        if pairs is not None:
            dice = SeededRandom(seed, "margin book", market.symbol)
            for i in range(pairs.count):
                _draw_pair(book, pairs, dice, i + 1, m, _compute_lot_price(market, prices[market.symbol]))
        book.trades += _iter_given_trades(scenario, m, market, prices[market.symbol])
    for account in scenario.margin_book.accounts:
        book.add_deposit(account.name, account.cash)
    if margin is not None:
        _open_positions_at_marks(
            book, [_compute_lot_price(market, prices[market.symbol]) for market in margin.markets]
        )
    return book


def _open_positions_at_marks(book: OpeningBook, marks: list[int]) -> None:
    """Change all trades to the mark prices, and add the gains and losses since to the deposits."""
    for i, trade in enumerate(book.trades):
        gain = trade.lots * (marks[trade.market] - trade.price)
        book.add_deposit(trade.long, gain)
        book.add_deposit(trade.short, -gain)
        book.trades[i] = trade._replace(price=marks[trade.market])
    for name, amount in book.deposits.items():
        if amount < 0:
            raise BackstopError(
                f"the scenario does not fit: the account {name!r} owes {-amount // WAD + 1:,} stablecoins at "
                "the opening prices"
            )


def _compute_lot_price(market: PerpetualParameters, price: int) -> int:
    """Return the price of a lot at a price per coin [ray], in wei, at least 1."""
    return max(1, price * market.lot // RAY)


def _draw_pair(
    book: OpeningBook, pairs: MarginPairs, dice: SeededRandom, number: int, market: int, opening: int
) -> None:
    """Draw the opening trade of two accounts at random.

    The notional is log-uniform; leverage and price are uniform. The deposit covers the margin and the loss at
    the opening price.
    """
    notional = draw_log_uniform(*pairs.notional, dice)
    if dice.draw_index(BASIS_POINTS) < pairs.large:
        notional *= pairs.times
    lots = max(1, notional // opening)
    price = (
        opening * dice.draw_integer(BASIS_POINTS - pairs.spread, BASIS_POINTS + pairs.spread) // BASIS_POINTS
    )
    trade = OpeningTrade(market, f"long_{number}", f"short_{number}", lots, max(1, price))
    gain = lots * (opening - trade.price)
    for name, leverage, won in ((trade.long, pairs.longs, gain), (trade.short, pairs.shorts, -gain)):
        equity = div_up(lots * opening * BASIS_POINTS, dice.draw_integer(*leverage))
        book.add_deposit(name, max(0, equity - won))
    book.trades.append(trade)


def _iter_given_trades(
    scenario: Scenario, market: int, terms: PerpetualParameters, opening: int
) -> Iterator[OpeningTrade]:
    """Yield opening trades for positions given one by one: longs against shorts at the same price."""

    def price(entry: tuple[str, MarginPosition]) -> int:
        return entry[1].price or opening

    listed = [
        (account.name, position)
        for account in scenario.margin_book.accounts
        for position in account.positions
        if position.symbol == terms.symbol
    ]
    for at, same in groupby(sorted(listed, key=price), key=price):
        entries = [(name, position.lots) for name, position in same]
        shorts = [(name, -lots) for name, lots in entries if lots < 0]
        for long, wanted in ((name, lots) for name, lots in entries if lots > 0):
            while wanted:
                short, there = shorts[0]
                lots = min(wanted, there)
                yield OpeningTrade(market, long, short, lots, _compute_lot_price(terms, at))
                wanted -= lots
                shorts[:1] = [(short, there - lots)] if there > lots else []
