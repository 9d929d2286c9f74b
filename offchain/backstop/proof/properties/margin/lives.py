"""The property of what deleveraging takes from a position over all of its life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from backstop.proof.properties.figures.margin import (
    DELEVERAGER,
    FROZEN_PRICES,
    FUNDINGS,
    MARKET,
    POSITIONS,
)
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_Trade = tuple[str, int, int, int]
"""Who, in which market, how many lots (above 0 bought), at which price less the index."""


@dataclass
class _Life:
    """Lots, what they were bought for, what deleveraging has taken of their gain; and roundings so far."""

    size: int = 0
    cost: Fraction = Fraction(0)
    taken: Fraction = Fraction(0)
    rounded: int = 1

    def trade(self, delta: int, at: int) -> None:
        """Buy lots; those that leave take their part of cost and payments along."""
        closed = min(abs(delta), abs(self.size)) if self.size * delta < 0 else 0
        if closed:
            kept = Fraction(abs(self.size) - closed, abs(self.size))
            self.cost, self.taken, self.rounded = self.cost * kept, self.taken * kept, self.rounded + 1
        opened = abs(delta) - closed
        self.cost += opened * at * (1 if delta > 0 else -1)
        self.size += delta


@history_property(59, writes=[POSITIONS], calls=["MarginDeleverager.*"])
class LotsPayTheirGainOnce:
    """Assert that over all freezes deleveraging takes of an account's lots at most what they have gained.

    What they gained is counted at the frozen prices since they were bought, and lots that left before have
    taken their part of gains and payments along; a wei is rounded for each time that some left.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._lives: dict[tuple[str, int], _Life] = {}
        self._may_pay: dict[str, Fraction] = {}
        if MARKET in model.world.contracts:
            tables = model.world.contracts[MARKET].tables
            for key, position in tables[POSITIONS].items():
                self._lives[key] = _Life(position.size, Fraction(position.cost))
            m, until = tables["frozen"][()]
            if model.timestamp <= until:
                self._freeze(m, *tables[FROZEN_PRICES][m])

    def see(self, step: Transition, changes: Changes) -> None:
        """Follow all positions; take the gains of a market down when it is frozen."""
        if POSITIONS not in changes and step.action.contract != DELEVERAGER:
            return
        for owner, m, delta, at in _trades(step):
            self._lives.setdefault((owner, m), _Life()).trade(delta, at)
        for log in step.outcome.logs:
            if log.contract != DELEVERAGER:
                continue
            if log.event == "Begun":
                m = log.values[2]
                self._freeze(m, *step.after(MARKET, FROZEN_PRICES, m))
            elif log.event == "Deleveraged":
                _, winner, _, paid = log.values
                left = self._may_pay.get(winner, Fraction(0)) - paid
                life = self._lives[winner, step.before(MARKET, "frozen").market]
                if paid and left < -life.rounded:
                    raise Violation(f"{winner} has paid {paid}, {-left} more than its lots have gained")
                self._may_pay[winner] = left
                life.taken += paid if life.size else 0

    def _freeze(self, m: int, price: int, level: int) -> None:
        self._may_pay = {
            owner: life.size * (price - level) - life.cost - life.taken
            for (owner, at), life in self._lives.items()
            if at == m
        }


def _trades(step: Transition) -> Iterator[_Trade]:
    """Yield all trades of a step, out of its events."""
    for log in step.outcome.logs:
        if log.event == "Filled":
            maker, taker, m, lots, price = log.values[:5]
            at = price - step.after(MARKET, FUNDINGS, m).level
            delta = lots if step.action.args[0][2] > 0 else -lots
            yield from ((maker, m, delta, at), (taker, m, -delta, at))
        elif log.event == "Liquidated" and log.contract == MARKET:
            owner, by, m, lots, price = log.values[:5]
            at = price - step.after(MARKET, FUNDINGS, m).level
            delta = -lots if step.before(MARKET, POSITIONS, (owner, m)).size > 0 else lots
            yield from ((owner, m, delta, at), (by, m, -delta, at))
        elif log.event == "Deleveraged":
            m, owner = step.before(MARKET, "frozen").market, step.before(DELEVERAGER, "ranking.insolvent")
            price, level = step.before(MARKET, FROZEN_PRICES, m)
            winner, closed = log.values[1:3]
            delta = -closed if step.before(MARKET, POSITIONS, (owner, m)).size > 0 else closed
            yield from ((owner, m, delta, price - level), (winner, m, -delta, price - level))
        elif log.event == "ClosedOut":
            long, short, m, lots = log.values
            price, level = step.before(MARKET, FROZEN_PRICES, m)
            yield from ((long, m, -lots, price - level), (short, m, lots, price - level))
