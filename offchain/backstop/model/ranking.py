"""A freeze of a perpetual market, and rankings of the other side of its insolvent position that are proven.

A run submits every account of the other side, as it was when the market was frozen, in one strict order.
Each sender has a run of his own, and only one that is complete is executed.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model.arithmetic import div_up, mul
from backstop.model.interfaces import IMarginMarket
from backstop.model.state import ZERO_ADDRESS, Contract, World, external, immutable, require, slot, view

MAX_ACCOUNTS = 1_024


@slot(32, 32, 32, 1)
class Case(NamedTuple):
    """A freeze: its id, its end, how many accounts the other side has, whether the position is long."""

    id: int = 0
    until: int = 0
    others: int = 0
    long: bool = False


@slot(64, 138)
class Left(NamedTuple):
    """Lots to close and wei to pay."""

    lots: int = 0
    loss: int = 0


class CaseOf(NamedTuple):
    """Both."""

    id: int
    until: int
    others: int
    long: bool
    lots: int
    loss: int


@slot(32, 32, 32, 160)
class Run(NamedTuple):
    """How far somebody's ranking of a freeze is, how many of it close or pay, and its last account."""

    id: int = 0
    submitted: int = 0
    chosen: int = 0
    last: str = ZERO_ADDRESS


@slot(32, 64, 138)
class Remembered(NamedTuple):
    """What an account was before it changed in a freeze."""

    id: int = 0
    lots: int = 0
    gain: int = 0


class Standing(NamedTuple):
    """What ranks an account: lots on the other side (0: none), gain (at most its equity), gain x leverage."""

    lots: int = 0
    gain: int = 0
    score: int = 0


class Ranking(Contract):
    """See contracts/modules/ranking.vy. What it is not: the order, and what who is chosen closes and pays."""

    margin_market_address = immutable("MARGIN_MARKET", str)

    def __init__(self, world: World, name: str, address: str, margin_market: str) -> None:
        super().__init__(world, name, address)
        self.margin_market_address = margin_market
        self.cases = self.table("ranking.case", Case())
        self.left = self.table("ranking.left", Left())
        self.insolvents = self.table("ranking.insolvent", ZERO_ADDRESS)
        self.provers = self.table("ranking.prover", ZERO_ADDRESS)
        self.execution = self.table("ranking.executed")
        self.runs = self.table("ranking.runs", Run())
        self.chosen = self.table("ranking.chosen", ZERO_ADDRESS)
        self.remembered = self.table("ranking.remembered", Remembered())
        self.scores = self.table("ranking.scores")

    @property
    def market(self) -> IMarginMarket:
        return cast(IMarginMarket, self.world.at(self.margin_market_address))

    @external
    def begin(self, sender: str, owner: str, market: int) -> int:
        """Have the fund pay for an insolvent account, and deleverage for the rest; the freeze's id."""
        found = self.market.freeze(self.address, owner, market)
        if found.lots == 0:
            return 0
        case = Case(self.cases[()].id + 1, found.until, found.others, found.long)
        self.cases[()] = case
        self.left[()] = Left(found.lots, found.loss)
        self.insolvents[()] = owner
        self.provers[()] = ZERO_ADDRESS
        self.execution[()] = 0
        self.emit("Begun", case.id, owner, market, found.lots, found.loss, found.others)
        return case.id

    @external
    def remember(self, sender: str, owner: str) -> None:
        """Keep what an account has in the frozen market before it changes for the first time."""
        require(sender == self.margin_market_address, "ranking: not market")
        case: Case = self.cases[()]
        if self.remembered[owner].id == case.id:
            return
        standing = self._standing(owner, case)
        if standing.lots != 0:
            self.remembered[owner] = Remembered(case.id, standing.lots, standing.gain)
            self.scores[owner] = standing.score

    @view
    def standing_of(self, sender: str, owner: str) -> Standing:
        """Return what ranks an account in the freeze that runs."""
        return self._standing(owner, self._open_case())

    @view
    def reserved_of(self, sender: str, owner: str) -> int:
        """Return the gain that an account that changed in this freeze may still have to pay with [wei]."""
        kept: Remembered = self.remembered[owner]
        return kept.gain if kept.id == self.cases[()].id else 0

    @view
    def case_of(self, sender: str) -> CaseOf:
        """Return the last freeze, and what is left to close and to pay."""
        return CaseOf(*self.cases[()], *self.left[()])

    @view
    def run_of(self, caller: str, sender: str) -> Run:
        """Return how far somebody's ranking is."""
        return cast(Run, self.runs[sender])

    @view
    def insolvent(self, sender: str) -> str:
        """Return the account whose position is closed."""
        return str(self.insolvents[()])

    @view
    def prover(self, sender: str) -> str:
        """Return the account whose run is complete."""
        return str(self.provers[()])

    @view
    def executed(self, sender: str) -> int:
        """Return how many entries of that run are executed."""
        return int(self.execution[()])

    # ------------------------------------------------------------------- runs

    def _resume(self, sender: str, case: Case, count: int) -> tuple[Run, Standing]:
        """Return the sender's run in this freeze and the standing of its last account, empty at its start."""
        require(count <= MAX_ACCOUNTS, "")
        require(self.provers[()] == ZERO_ADDRESS, "ranking: proven")
        run: Run = self.runs[sender]
        return (run, self._standing(run.last, case)) if run.id == case.id else (Run(case.id), Standing())

    def _next(self, owner: str, case: Case) -> Standing:
        """Return the standing of an account that is submitted; revert if it is not on the other side."""
        standing = self._standing(owner, case)
        require(standing.lots != 0, "ranking: other side")
        return standing

    def _add(self, sender: str, run: Run, owner: str, is_chosen: bool) -> Run:
        """Return the sender's run with one account more."""
        if is_chosen:
            self.chosen[sender, run.chosen] = owner
        return Run(run.id, run.submitted + 1, run.chosen + is_chosen, owner)

    def _suspend(self, sender: str, case: Case, run: Run) -> None:
        """Store the sender's run at the end of a call; once all accounts are there, it is proven."""
        self.runs[sender] = run
        self.emit("Submitted", case.id, sender, run.submitted, run.chosen)
        if run.submitted == case.others:
            self.provers[()] = sender
            self.emit("Proven", case.id, sender, run.chosen)

    def _proven(self) -> str:
        require(self.provers[()] != ZERO_ADDRESS, "ranking: not proven")
        return str(self.provers[()])

    def _entries(self, count: int, total: int) -> range:
        """Return the entries that are executed next."""
        done: int = self.execution[()]
        until = min(done + count, total)
        require(until - done <= MAX_ACCOUNTS, "")
        return range(done, until)

    def _charge(self, case: Case, winner: str, lots: int, payment: int) -> int:
        """Deleverage a winner, without what others closed or nobody misses any more; return what was paid."""
        owner = self.insolvents[()]
        closed, paid = self.market.deleverage(self.address, owner, winner, lots, payment)
        self.emit("Deleveraged", case.id, winner, closed, paid)
        return int(paid)

    def _end(self, case: Case, left: Left, executed: int, total: int) -> None:
        """Store the case at the end of a call; the last entry ends the freeze, and what is left is unpaid."""
        self.execution[()] = executed
        if executed == total:
            self.market.finish(self.address, self.insolvents[()], left.loss)
            self.emit("Finished", case.id, *left)
            case = case._replace(until=0)
        self.cases[()] = case
        self.left[()] = left

    # ---------------------------------------------------------------- records

    def _open_case(self) -> Case:
        case: Case = self.cases[()]
        require(self.world.timestamp <= case.until, "ranking: no freeze")
        return case

    def _standing(self, owner: str, case: Case) -> Standing:
        """Return an account as it was at the freeze; of a gain counts at most the account's equity."""
        kept: Remembered = self.remembered[owner]
        if kept.id == case.id:
            return Standing(kept.lots, kept.gain, self.scores[owner])
        found = self.market.frozen_of(self.address, owner)
        if found.size == 0 or (found.size > 0) == case.long:
            return Standing()
        gain = max(0, min(found.gain, found.equity))
        score = div_up(mul(gain, found.notional), found.equity) if gain else 0
        return Standing(abs(found.size), gain, score)
