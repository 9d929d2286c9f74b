"""What one owner of several accounts takes from others in the margin market: the alarm *margin*.

Its accounts trade with each other and with nobody's lots only, so that what it wins of itself it loses to
itself: all that it gains beside an honest owner, others lose. Honest is to do nothing, or to close at some
time what its accounts hold against each other. Two things are no story, since no rule of sharing cures
them: what an account of its own fails to pay (margin has to see to it; `straddle` says what that comes to),
and a move that it knows of on lots of nobody's that it takes, or weighs against (the age of marks has to).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import permutations
from operator import itemgetter
from random import Random
from typing import NamedTuple

from backstop.deployment.devnet_signing import get_trader_account
from backstop.model.arithmetic import RAY, WAD
from backstop.studies.hunt.exchange import (
    DEBTS,
    HONEST,
    HOUSE,
    MARKET,
    OWN,
    PRICES,
    STALE,
    Exchange,
    draw_exchange,
)
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.setting import Setting, Step

PHASES = ("before the feed knows", "while it is only the next price", "once it is the price")
LEAST = 50 * WAD
_TRADES = "trade", "off the price"
DEALS = ("trade",) * 5 + ("off the price", "take", "withdraw", "close the market", "meet")
CLOSE_OWN = "close own pairs"
"""What no plan draws, and an honest owner may do."""
EVERY = 4
"""Of so many plans, one is also looked at by what must succeed, and by what may be done in parts."""
IN_PARTS = "losses are met in parts, or at once"
AFTER = (9, 11)
"""Continuations, in tenths of the last price."""
LONGEST = 5
_AS_GOOD = 9, 10


class Deal(NamedTuple):
    """What the owner does: when, of what kind, with which accounts, how many lots."""

    leg: int
    phase: int
    kind: str
    one: str
    other: str
    lots: int


class Course(NamedTuple):
    """Prices outside by leg, trades of everybody before, and the leg at which settlement begins, if any."""

    prices: tuple[int, ...]
    trades: tuple[tuple[str, str, int], ...]
    settles: int


class Margin:
    """The trials of one case."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        random = Random(f"margin {seed}")
        self.setting: Setting = draw_exchange(random)
        self.system = self.setting.new()
        self.course = _draw_course(random)
        # By the leg of the first act: what all end with, by each way of an honest owner.
        self.honest: dict[int, list[dict[str, int]]] = {}

    def hunt(self, trials: int) -> list[Finding]:
        """Try so many plans; return the best of each kind, made small."""
        best: dict[str, tuple[int, int, tuple[Deal, ...]]] = {}
        unkept: dict[str, tuple[int, int]] = {}
        for trial in range(trials):
            deals = self._deals(trial)
            if trial % EVERY == 0:
                for what, amount in self.unkept(deals).items():
                    unkept[what] = max(unkept.get(what, (0, 0)), (amount, -trial))
            amount = self.taken(deals)[0]
            if amount >= LEAST:
                least = self._least(deals, amount)
                amount, changes = self.taken(least)
                gains = changes["coalition"] >= amount // 2
                kind = f"{'taken' if gains else 'harmed'} by: {self.kind(least)}"
                if kind not in best or (len(least), -amount) < (len(best[kind][2]), -best[kind][0]):
                    best[kind] = amount, trial, least
        found = [self._finding(kind, *each) for kind, each in best.items()]
        for what, (amount, trial) in unkept.items():
            lines = tuple(self._lines(self._deals(-trial)))
            says = f"{amount / WAD:,.0f} are at stake"
            found.append(Finding("margin", what, self.seed, -trial, (), (), amount, says, lines))
        return found

    def unkept(self, deals: tuple[Deal, ...]) -> dict[str, int]:
        """Return what did not succeed, or did not give what it says, and how much that is [wad].

        Everybody leaves in the end. Who was alike ends alike, whether keepers do in parts what they may.
        """
        with self.system.fork_state():
            exchange = self.play(deals, AFTER[0])
            one = exchange.wealth()
            exchange.leave()
        found = exchange.broken
        if exchange.closed:
            with self.system.fork_state():
                other = self.play(deals, AFTER[0], in_parts=True).wealth()
            found[IN_PARTS] = max(abs(one[who] - other[who]) for who in one)
        return {what: amount for what, amount in found.items() if amount >= LEAST}

    def _deals(self, trial: int) -> tuple[Deal, ...]:
        return draw_deals(Random(f"deals {self.seed} {trial}"), len(self.course.prices))

    def taken(self, deals: tuple[Deal, ...]) -> tuple[int, dict[str, int]]:
        """Return what others lose beside an honest owner, less what is no story, and all changes [wad].

        Nothing, if the owner spends half of that.
        """
        first = min((deal.leg for deal in deals), default=0)
        if first not in self.honest:
            legs = range(first, len(self.course.prices))
            ways = ((), *((Deal(leg, 0, CLOSE_OWN, *OWN[:2], 0),) for leg in legs))
            self.honest[first] = [self.ends(way, first) for way in ways]
        found = self.ends(deals, first)
        return min((_lost(found, way) for way in self.honest[first]), key=itemgetter(0))

    def ends(self, deals: tuple[Deal, ...], first: int = 0) -> dict[str, int]:
        """Return what everybody ends with on average of moves that nobody knows of at a leg [wad]."""
        found: dict[str, Fraction] = {}
        course = self.course
        for chance, prices in _ways(course.prices, first):
            self.course = course._replace(prices=prices)
            for after in AFTER:
                with self.system.fork_state():
                    for who, amount in self.play(deals, after, known=first).wealth().items():
                        found[who] = found.get(who, Fraction()) + chance * amount / len(AFTER)
        self.course = course
        return {who: int(amount) for who, amount in found.items()}

    def play(self, deals: tuple[Deal, ...], after: int, in_parts: bool = False, known: int = -1) -> Exchange:
        """Play the course with an owner that does this; it stays until whoever imagines it takes it back.

        What it does in the leg whose move it knows is counted where that is against lots of nobody's.
        """
        exchange = Exchange(self.setting, self.system, in_parts)
        exchange.step(PRICES[MARKET])
        for buyer, seller, lots in self.course.trades:
            exchange.trade(buyer, seller, lots, exchange.price())
        admin = self.setting.deployment.get_account("admin")
        for leg, price in enumerate(self.course.prices):
            if leg == self.course.settles:
                exchange.do(admin, "Settlement", "announce")
                exchange.step(self.course.prices[leg - 1] if leg else PRICES[MARKET])
                exchange.do(admin, "Settlement", "begin")
            for phase in range(len(PHASES)):
                if phase:
                    exchange.step(price)
                for deal in deals:
                    if deal[:2] == (leg, phase):
                        was = exchange.weights()
                        _do(exchange, deal, price)
                        if leg == known:
                            exchange.count_stale(was, price)
            exchange.meet_losses()
        for _ in range(2):
            exchange.step(self.course.prices[-1] * after // 10)
        exchange.meet_losses()
        if exchange.settling:
            exchange.settle()
        return exchange

    def kind(self, deals: tuple[Deal, ...]) -> str:
        """Say what deals come to: the sorts of acts, and when the last of them is."""
        with self.system.fork_state():
            notes = self.play(deals, AFTER[0]).notes
        return f"{' and '.join(sorted({*notes}))}, {PHASES[deals[-1].phase]}" if deals else "nothing"

    def _least(self, deals: tuple[Deal, ...], amount: int) -> tuple[Deal, ...]:
        least = amount * _AS_GOOD[0] // _AS_GOOD[1]
        for deal in reversed(deals):
            fewer = tuple(each for each in deals if each != deal)
            if self.taken(fewer)[0] >= least:
                deals = fewer
        return deals

    def _finding(self, kind: str, amount: int, trial: int, deals: tuple[Deal, ...]) -> Finding:
        _, changes = self.taken(deals)
        says = ", ".join(f"{who} {change / WAD:+,.0f}" for who, change in changes.items())
        lines = tuple(self._lines(deals))
        return Finding("margin", kind, self.seed, trial, (), (), amount, says, lines)

    def _lines(self, deals: tuple[Deal, ...]) -> Iterator[str]:
        margin = self.setting.parameters.margin
        assert margin is not None
        yield f"lots of debtors {margin.policy}; prices {[each // RAY for each in self.course.prices]}"
        if self.course.settles >= 0:
            yield f"settlement begins before leg {self.course.settles}"
        for buyer, seller, lots in self.course.trades:
            yield f"before   {buyer} buys {lots} lots of {seller}"
        for deal in deals:
            many = f" {deal.lots} lots" if deal.kind in (*_TRADES, "take") else ""
            whom = f" with {deal.other}" if deal.kind in _TRADES else ""
            yield f"leg {deal.leg}  {PHASES[deal.phase]}: {deal.one}: {deal.kind}{many}{whom}"


def histories(finding: Finding) -> Iterator[tuple[Setting, Sequence[Step]]]:
    """Play a story again, on a new system, for each continuation; or in both ways, with all leaving."""
    margin = Margin(finding.seed)
    deals = margin._deals(finding.trial)
    if finding.kind.startswith(("taken by", "harmed by")):
        deals = margin._least(deals, margin.taken(deals)[0])
        for after in AFTER:
            margin.system = margin.setting.new()
            yield margin.setting, margin.play(deals, after).done
    else:
        for in_parts in (False, True):
            margin.system = margin.setting.new()
            exchange = margin.play(deals, AFTER[0], in_parts)
            exchange.leave()
            yield margin.setting, exchange.done


def draw_deals(random: Random, legs: int) -> tuple[Deal, ...]:
    """Draw what an owner does, in the order of time."""
    found = set()
    for _ in range(random.randint(1, LONGEST)):
        one, other = random.sample(OWN, 2)
        lots = random.choice((50, 200, 500, 1_000, 2_000, 3_500))
        found.add(Deal(random.randrange(legs), random.randrange(3), random.choice(DEALS), one, other, lots))
    return tuple(sorted(found))


def _ways(prices: tuple[int, ...], first: int) -> list[tuple[Fraction, tuple[int, ...]]]:
    """Return courses that are alike up to a leg, and how often each comes: no price tells of a later one.

    After that leg a price moves as it was drawn, or the other way by as many times, and on average stays.
    """
    found = [(Fraction(1), prices[: first + 1])]
    for leg in range(first + 1, len(prices)):
        further = []
        for chance, path in found:
            was = path[-1]
            one = was * prices[leg] // prices[leg - 1]
            other = was * was // one
            if one == other:
                further.append((chance, (*path, one)))
                continue
            likely = Fraction(was - other, one - other)
            further += [(chance * likely, (*path, one)), (chance * (1 - likely), (*path, other))]
        found = further
    return found


def _draw_course(random: Random) -> Course:
    prices, price = [], PRICES[MARKET]
    for _ in range(random.randint(1, 3)):
        move = random.choice((-3_500, -3_000, -2_000, -1_500, -500, 0, 500, 2_000, 3_000))
        price = random.choice((price * (10_000 + move) // 10_000,) * 3 + (PRICES[MARKET],))
        prices.append(price)
    trades = []
    for _ in range(random.randint(1, 4)):
        one, other = random.sample((*HONEST, *OWN), 2)
        trades.append((one, other, random.choice((100, 200, 500, 1_000))))
    settles = random.randrange(len(prices)) if random.random() < 0.25 else -1
    return Course(tuple(prices), tuple(trades), settles)


def _lost(found: dict[str, int], honest: dict[str, int]) -> tuple[int, dict[str, int]]:
    """Return what others lose, less what is no story; zero or less if the owner spends half of it [wad]."""
    changes = {who: amount - honest[who] for who, amount in found.items()}
    lost = -sum(changes[who] for who in (*HONEST, "the house"))
    lost -= max(0, changes[DEBTS]) + found[STALE]
    # Who spends as much as it harms is no thief.
    return (lost if changes["coalition"] > -lost // 2 else 0), changes


def _do(exchange: Exchange, deal: Deal, outside: int) -> None:
    """Do what rules allow of a deal."""
    if deal.kind in _TRADES:
        held = [exchange.size(get_trader_account(name)) for name in (deal.one, deal.other)]
        price = exchange.price() if deal.kind == "trade" else outside * WAD // RAY // 100
        if exchange.trade(deal.one, deal.other, deal.lots, price):
            has = [exchange.size(get_trader_account(name)) for name in (deal.one, deal.other)]
            exchange.notes.append(f"{_sort(held, has)}{'' if deal.kind == 'trade' else ', off the price'}")
    elif deal.kind == CLOSE_OWN:
        for buyer, seller in permutations(OWN, 2):
            lots = min(-exchange.size(get_trader_account(buyer)), exchange.size(get_trader_account(seller)))
            had = exchange.fees_of_market()
            if lots > 0 and exchange.trade(buyer, seller, lots, exchange.price()):
                exchange.fees += exchange.fees_of_market() - had
    elif deal.kind == "take":
        lots = min(deal.lots, abs(exchange.weights()[0] - exchange.weights()[1]))
        if exchange.do(get_trader_account(deal.one), "PerpetualDesk", "take", MARKET, lots).ok:
            exchange.notes.append("lots are taken")
    elif deal.kind == "withdraw":
        owner = get_trader_account(deal.one)
        for part in (1, 2, 4, 8):
            if exchange.do(owner, HOUSE, "withdraw", deal.lots * WAD * 10 // part, owner).ok:
                exchange.notes.append("cash is withdrawn")
                break
    elif deal.kind == "close the market":
        if exchange.end(get_trader_account(deal.one)):
            exchange.notes.append("the market is closed")
    else:
        exchange.meet_losses()
        exchange.notes.append("losses are met")


def _sort(held: list[int], has: list[int]) -> str:
    """Say what a trade with oneself does to both positions."""
    grown = [abs(now) > abs(before) for before, now in zip(held, has, strict=True)]
    return {0: "a pair is closed", 1: "a position is handed over", 2: "a pair is opened"}[sum(grown)]
