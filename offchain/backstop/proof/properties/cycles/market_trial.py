"""The margin market as a call finds it, to play the call a second time without the model.

It begins from stored tables, moves the markets that are marked, and has lots change hands. Amounts in wei.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties.cycles.rebuilt import load_market, load_owner
from backstop.proof.properties.cycles.shadow import Owner, Shadow, To
from backstop.proof.properties.figures.cycles import (
    ACCOUNTS,
    BASIS_POINTS,
    CLOCK,
    DESK,
    EDGES,
    FEES,
    FUNDINGS,
    GAINED,
    LATE,
    LEVELS,
    LOSSES,
    LOST,
    LOTS,
    MARKET,
    MARKETS,
    MOVES,
    PATHS,
    POLICY,
    REWARDS,
    SINCE,
    TOTALS,
    fund_of,
    has_ended,
    in_cycle,
    initial_in,
    maintenance_in,
    range_within,
    risk_in,
)
from backstop.proof.properties.figures.prices import Read
from backstop.proof.properties.transition import Transition

# The contracts refuse cash and values of twice as much [wei].
_FIGURES = 2**136


class UnknownError(Exception):
    """The error of a question that stored tables do not answer, as of an account that has slept."""


class _Tables:
    """The tables of the market as a read finds them, by path."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def __getitem__(self, path: str) -> _Table:
        return _Table(self._read, path)


class _Table:
    def __init__(self, read: Read, path: str) -> None:
        self._read, self._path = read, path

    def __getitem__(self, key: Any) -> Any:
        return self._read(MARKET, self._path, key)


class Trial:
    """Markets and some accounts, from before a call on."""

    def __init__(self, step: Transition, names: Iterable[str], *, wakes: bool = True) -> None:
        self.step = step
        self.read: Read = step.before if step.outcome.ok else step.after
        self.reason = step.outcome.reason
        self.now = step.model.timestamp
        self.clock = self.read(MARKET, CLOCK)
        self.market = step.contract(MARKET)
        tables = _Tables(self.read)
        self._shadow = Shadow(self.market.third_bond, self.clock.cycle)
        self._shadow.late = self.read(MARKET, LATE)
        self.lots: dict[int, list[int]] = {}
        self._indices: dict[int, int] = {}
        self._fresh: dict[int, tuple[int, int, int]] = {}
        for m in MARKETS:
            if self.read(MARKET, PATHS, m).price:
                self._shadow.markets[m] = load_market(tables, m, self.clock.cycle)
            self.lots[m] = list(self.read(MARKET, LOTS, m))
            level, rate, updated = self.read(MARKET, FUNDINGS, m)
            self._indices[m] = level + rate * (self.now - updated)
        self.fees = int(self.read(MARKET, FEES))
        for name in names:
            cycle = self.read(MARKET, ACCOUNTS, name).cycle
            if not cycle or cycle == self.clock.cycle:
                self._shadow.owners[name] = load_owner(tables, name)
            elif wakes:
                self._shadow.owners[name] = self._wake(tables, name, cycle)
        for name, owner in self._shadow.owners.items() if wakes else ():
            for m, lots in owner.lots.items():
                if lots.size and self.has_ended(m):
                    self.exchange(m, name, -lots.size, self.price(m), 0)

    def _wake(self, tables: _Tables, name: str, cycle: int) -> Owner:
        """Return an account as it is once each cycle that has ended meanwhile is ended for it, one by one."""
        owner = load_owner(tables, name)
        sides = {m: int(lots.size < 0) for m, lots in owner.lots.items() if lots.size}
        # What it gained since the edge before, in place of what it gained up to now.
        passed = {m: self.read(MARKET, SINCE, (name, m)) for m in sides}
        for m in sides:
            opened = in_cycle(name, m, cycle)
            owner.lots[m].gained = list(self.read(MARKET, GAINED, opened))
            owner.lots[m].lost = list(self.read(MARKET, LOST, opened))
        for ended in range(cycle, self.clock.cycle):
            edge = Shadow(self.market.third_bond, ended)
            levels = {m: self.read(MARKET, LEVELS, (m, ended + 1)) for m in MARKETS}
            for m in owner.lots:
                market = edge.market(m)
                market.losses = list(self.read(MARKET, LOSSES, (m, ended - 1)))
                market.pending_totals = list(self.read(MARKET, TOTALS, (m, ended - 1)))
            for m, side in sides.items():
                passed[m] = self._count(owner, m, passed[m], self.read(MARKET, EDGES, (m, ended + 1, side)))
            self.fees += edge.end_cycle(owner, levels)
        for m, side in sides.items():
            self._count(owner, m, passed[m], self.read(MARKET, MOVES, (m, side)))
        return owner

    @staticmethod
    def _count(owner: Owner, m: int, before: Any, moves: Any) -> Any:
        """Count what a position gained and lost between two sums of moves; return the later ones."""
        lots = owner.lots[m]
        side = int(lots.size < 0)
        lots.gained[side] += abs(lots.size) * (moves.gained - before.gained)
        lots.lost[side] += abs(lots.size) * (moves.lost - before.lost)
        return moves

    # ------------------------------------------------------------------ accounts

    def owner(self, name: str) -> Owner:
        """Return an account that is up to date; raise UnknownError if it has slept."""
        if name not in self._shadow.owners:
            raise UnknownError
        return self._shadow.owners[name]

    def size(self, name: str, m: int) -> int:
        """Return the lots of an account in a market; above zero is long."""
        lots = self.owner(name).lots.get(m)
        return lots.size if lots else 0

    def sizes(self, name: str) -> dict[int, int]:
        """Return the lots of an account, by market."""
        return {m: lots.size for m, lots in self.owner(name).lots.items() if lots.size}

    def equity(self, name: str) -> int:
        """Return cash and value less the haircuts known."""
        owner = self.owner(name)
        levels = self._shadow.levels(self._indices, self.lots)
        return owner.own(levels) - sum(self._shadow.haircuts(owner).values())

    def unfinal(self, name: str) -> int:
        """Return the gains of the open and the pending cycle."""
        lots = self.owner(name).lots.values()
        return sum(sum(each.gained) + sum(each.pending_gained) for each in lots)

    def margins(self, name: str, sizes: dict[int, int] | None = None) -> tuple[int, int, int]:
        """Return initial margin, that of new risk, and maintenance margin at the marks [bps x wei].

        Of all lots of an account, or of some.
        """
        initial = risk = maintenance = 0
        for m, size in (self.sizes(name) if sizes is None else sizes).items():
            price = self.price(m)
            notional = abs(size) * price
            initial += initial_in(self.step, m, notional)
            risk += risk_in(self.step, m, notional, self.open(m) * price)
            maintenance += maintenance_in(self.step, m, notional)
        return initial, risk, maintenance

    def is_booked_anew(self, name: str) -> bool:
        """Book what an account lacks of the pending cycle; return whether that is new."""
        return self._shadow.book(name, self._shadow.levels(self._indices, self.lots), 0)[0]

    def credit(self, name: str, amount: int) -> None:
        """Change the cash of an account."""
        self.owner(name).cash += amount

    # ------------------------------------------------------------------- markets

    @property
    def listed(self) -> int:
        """How many markets there are."""
        return int(self.read(POLICY, "markets"))

    def price(self, m: int) -> int:
        """Return the mark of a market [wei a lot]; 0 is none yet."""
        return self._shadow.market(m).price

    def open(self, m: int) -> int:
        """Return the lots of the side that has more."""
        return max(self.lots[m])

    def has_ended(self, m: int) -> bool:
        """Return whether a market has made its last move."""
        return bool(self.clock.ended >> m & 1)

    def is_delisted(self, m: int) -> bool:
        """Return whether the end of a market is announced."""
        return bool(self.read(POLICY, "underlyings", m).ends_at)

    def accrue(self, m: int) -> bool:
        """Bring a market up to now; return whether it has a price of now."""
        if m not in self._indices or self.has_ended(m):
            return False
        found = range_within(self.step, m)[0]
        is_fresh = 0 < found <= bounds.MAX_LOT_PRICE
        if is_fresh:
            self._fresh[m] = range_within(self.step, m)
        price = found if is_fresh else self.price(m)
        turn = maintenance_in(self.step, m, price) // (4 * BASIS_POINTS)
        self._shadow.walk(m, To(price, self._indices[m], self.now), turn, self.lots[m])
        return is_fresh

    def accrue_all(self, name: str) -> bool:
        """Bring all markets of an account's lots up to now; return whether all have a price of now."""
        return all([self.accrue(m) for m in sorted(self.sizes(name))])

    def fresh(self, name: str) -> dict[int, int]:
        """Return the lots of an account in markets with a price of now, which were brought up to now."""
        return {m: size for m, size in self.sizes(name).items() if m in self._fresh}

    def better(self, name: str) -> int:
        """Return by how much more these lots were worth at the better ends of the ranges before now."""
        lots = self.fresh(name).items()
        return sum(size * (self._fresh[m][1 + (size > 0)] - self.price(m)) for m, size in lots)

    def has_diverged(self, m: int) -> bool:
        """Return whether a mark is further from the feed's current price than the desk lets new risk be."""
        most, base = self.step.contract(DESK).divergence, self.read(POLICY, "underlyings", m)
        prices = self.read("PriceFeed", "prices", base.feed)
        index = _of_lot(base.lot, prices.current) if self.now <= prices.fresh_until else 0
        return bool(most) and abs(self.price(m) - index) * BASIS_POINTS > index * most

    def worse(self, name: str) -> int:
        """Return by how much less at the worse ends."""
        lots = self.fresh(name).items()
        return sum(size * (self.price(m) - self._fresh[m][1 + (size < 0)]) for m, size in lots)

    def is_covered(self) -> bool:
        """Return whether insurance that may be spent now has what all markets ask for together."""
        needed = 0
        for m in range(self.listed):
            insured = self.read(POLICY, "underlyings", m).insured
            if insured and not has_ended(self.step, self.read, m):
                needed += self.open(m) * self.price(m) * insured
        return needed <= self.spendable() * BASIS_POINTS

    def spendable(self) -> int:
        """Return what there is of insurance, and what its cap leaves of this bucket of time, if less."""
        fund = fund_of(self.step)
        has, cap = self.read(fund, "insurance"), self.read(fund, "cap") * WAD
        is_today = has.bucket == self.now // self.step.contract(fund).length
        return int(min(has.amount, max(0, cap - has.spent * is_today)))

    def bond_share(self, notional: int) -> int:
        """Return what bonds pay for lots of debtors that are taken over, worth so much at the marks."""
        everything = sum(abs(self.lots[m][0] - self.lots[m][1]) * self.price(m) for m in range(self.listed))
        return int(self.read(MARKET, REWARDS) * notional // everything) if everything else 0

    def reward(self, name: str, amount: int) -> None:
        """Pay an account out of bonds."""
        self._shadow.pay_in(name, amount)

    def exchange(self, m: int, name: str, delta: int, price: int, gets: int) -> None:
        """Have an account get lots of a market that is up to date, and so much beside."""
        old = self.size(name, m)
        self._shadow.move(name, m, old + delta, price - self.price(m))
        owner = self._shadow.owner(name)
        if owner is not None and max(abs(owner.cash), abs(owner.lots[m].base)) >= _FIGURES:
            raise UnknownError  # whether it is more than a figure can hold
        for side, way in ((0, 1), (1, -1)):
            self.lots[m][side] += max(0, way * (old + delta)) - max(0, way * old)
        self.credit(name, gets)


def _of_lot(lot: int, price: int) -> int:
    """Return what a lot costs [wei] at a price [ray], rounded down and at least 1; 0 at none."""
    return max(1, price * lot // RAY) if price else 0
