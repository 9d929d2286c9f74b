"""What holds of the margin market in a game, beside every call of it: rankings, freezes, margins, funding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.hosts.model import ModelSystem
from backstop.keepers.deleveraging import in_order
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.studies.hunt.books import Books
from backstop.studies.hunt.questions import KEEPER, Told
from backstop.studies.hunt.story import name_of
from backstop.system import Action

_LEAST = 100 * WAD


class Freezes:
    """Looks at each call of the margin market."""

    def __init__(self, system: ModelSystem, books: Books) -> None:
        self.system = system
        self.books = books
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self.has = "MarginMarket" in self.contracts

    def before(self, action: Action) -> Iterator[Told]:
        """Ask whether an account can be named twice in a ranking."""
        if (action.contract, action.method) == ("MarginDeleverager", "submit") and len(action.args[0]) == 1:
            with self.system.imagine():
                first = self.system.apply(action).ok
                if first and self.system.apply(action).ok:
                    yield Told("possible: to name an account twice in a ranking", 10**21, "it counts twice")

    def after(self, action: Action) -> Iterator[Told]:
        """Look at what a call has left."""
        if not self.has or not action.contract.startswith("Margin"):
            return
        name = f"{action.contract}.{action.method}"
        market = self.contracts["MarginMarket"]
        if name == "MarginDeleverager.begin" and market._frozen_now():
            yield from self._can_end(action)
        if market._frozen_now():
            yield from self._kept(action)
        if name == "MarginMarket.withdraw" and market.accounts[action.sender].markets:
            worth = market.worth_of("", action.sender, 0)
            if worth.equity * BASIS_POINTS < worth.maintenance:
                says = f"equity {worth.equity / WAD:,.2f} is left of {worth.notional / WAD:,.2f}"
                yield Told("beyond a limit: cash leaves that is margin", action.args[0], says)
        if name in ("MarginMarket.accrue", "MarginOrders.fill"):
            yield from self._funding(action)
        for m in range(self.contracts["MarginPolicy"].count[()]):
            if not self.system.foresee(Action("MarginMarket", "accrue", (m,), KEEPER)).ok:
                yield Told("to accrue a market reverts", _LEAST * 3, f"market {m}")
        yield from self._counted()

    def _can_end(self, action: Action) -> Iterator[Told]:
        """Have keepers answer a freeze at once: it ends, with the loss that the account has there."""
        market, deleverager = self.contracts["MarginMarket"], self.contracts["MarginDeleverager"]
        owner, left = action.args[0], deleverager.left[()]
        worth = market.worth_of("", owner, 2)
        alone = market.accounts[owner].markets.bit_count() == 1 and worth.equity < -_LEAST
        if alone and abs(left.loss + worth.equity) > -worth.equity // 100 + WAD:
            says = f"{-worth.equity / WAD:,.2f} are missing, {left.loss / WAD:,.2f} are to be paid"
            yield Told("beyond a limit: a freeze for another loss", abs(left.loss + worth.equity), says)
        with self.system.imagine():
            found = {each: deleverager.standing_of("", each) for each in list(market.accounts)}
            ranked = in_order(deleverager.KIND, {each: at for each, at in found.items() if at.lots})
            self.system.apply(Action("MarginDeleverager", "submit", (ranked,), KEEPER))
            for _ in range(3):
                self.system.apply(Action("MarginDeleverager", "execute", (len(ranked) or 1,), KEEPER))
            if market._frozen_now() and deleverager.cases[()].until:
                says = f"{len(ranked)} of {deleverager.cases[()].others} accounts are there"
                yield Told("a freeze that nobody can answer", max(left.loss, 3 * _LEAST), says)

    def _kept(self, action: Action) -> Iterator[Told]:
        """Have a gain that may have to pay be there while a market is frozen."""
        market, deleverager = self.contracts["MarginMarket"], self.contracts["MarginDeleverager"]
        if action.contract == "MarginDeleverager":
            return
        for who in {action.sender, *(each for each in action.args if isinstance(each, str))}:
            if who in market.accounts:
                gain = deleverager.reserved_of("", who)
                lacks = gain - market._frozen_of(who).equity if gain else 0
                if lacks > _LEAST:
                    says = f"{name_of(who)} keeps {lacks / WAD:,.2f} less than its gain of {gain / WAD:,.2f}"
                    yield Told("beyond a limit: a reserved gain leaves", lacks, says)

    def _funding(self, action: Action) -> Iterator[Told]:
        """Have no rate be above its cap: what it costs in a day is at most so much of the price."""
        market, policy = self.contracts["MarginMarket"], self.contracts["MarginPolicy"]
        for m in range(policy.count[()]):
            price = policy._price(m, 0, True)
            if market.premiums[m].since != self.system.timestamp:
                continue
            rate = abs(market.fundings[m].rate) * 8 * 3_600
            most = price * policy.terms[m].max_funding // BASIS_POINTS + 28_800
            if rate > most * 2:
                stake = max(market.interests[m].open * rate, 3 * _LEAST)
                yield Told("beyond a limit: funding above its cap", stake, f"{rate:,} of {most:,}")

    def _counted(self) -> Iterator[Told]:
        """Have as many accounts counted as are there: rankings wait for that many."""
        market = self.contracts["MarginMarket"]
        sides: dict[tuple[int, bool], int] = {}
        for (_, m), position in market.positions.items():
            if position.size:
                sides[m, position.size > 0] = sides.get((m, position.size > 0), 0) + 1
        for m, interest in market.interests.items():
            if (interest.longs, interest.shorts) != (sides.get((m, True), 0), sides.get((m, False), 0)):
                says = f"{interest.longs} longs and {interest.shorts} shorts are counted in market {m}"
                yield Told("beyond a limit: accounts counted that are not there", 3 * _LEAST, says)
