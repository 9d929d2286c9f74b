"""Closes positions of insolvent accounts against those who gained on the other side.

They are ranked by gain x leverage, and the order is proven, whoever brings it: a run submits every account
of the other side, as it was when the market was frozen, in strictly descending order of (score, address).
Entries that pay:

    closed = min(lots, lots left)
    paid   = min(gain, ceil(loss left * closed / lots left)), and min(gain, loss left) once no lots are

If something is missing then, all who gained are among them, and pay on with what their gains have left, in
the same order. So what is taken is the loss exactly, or all gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from offchain.model.arithmetic import div_up
from offchain.model.state import ZERO_ADDRESS, Contract, World, external, require, slot, view

if TYPE_CHECKING:
    from offchain.model.margin_market import MarginMarket


@slot(32, 32, 32, 1)
class Case(NamedTuple):
    """A freeze: its id, its end, how many accounts the other side has, whether the position is long."""

    id: int = 0
    until: int = 0
    others: int = 0
    long: bool = False


@slot(64, 128)
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


@slot(32, 32, 64, 128)
class Run(NamedTuple):
    """How far somebody's ranking is, and what is left after those it chose."""

    id: int = 0
    submitted: int = 0
    lots: int = 0
    loss: int = 0


@slot(160, 96)
class Last(NamedTuple):
    """The last account of a run, and how many were chosen."""

    account: str = ZERO_ADDRESS
    chosen: int = 0


@slot(32, 64, 128)
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


class MarginDeleverager(Contract):
    """See contracts/MarginDeleverager.vy."""

    KIND = "MarginDeleverager"

    def __init__(self, world: World, name: str, address: str, margin_market: str) -> None:
        super().__init__(world, name, address)
        self.margin_market_address = margin_market
        self.cases = self.table("case", Case())
        self.left = self.table("left", Left())
        self.insolvents = self.table("insolvent", ZERO_ADDRESS)
        self.provers = self.table("prover", ZERO_ADDRESS)
        self.execution = self.table("executed")
        self.runs = self.table("runs", Run())
        self.last_scores = self.table("last_scores")
        self.last_accounts = self.table("last_accounts", Last())
        self.chosen = self.table("chosen", ZERO_ADDRESS)
        self.gains_left = self.table("gains_left")
        self.remembered = self.table("remembered", Remembered())
        self.scores = self.table("scores")

    @property
    def market(self) -> MarginMarket:
        return cast("MarginMarket", self.world.at(self.margin_market_address))

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
    def submit(self, sender: str, accounts: Sequence[str]) -> None:
        """Go on with the sender's ranking of the other side."""
        require(len(accounts) <= 1_024, "")
        case = self._open_case()
        require(self.provers[()] == ZERO_ADDRESS, "margin_deleverager: proven")
        run: Run = self.runs[sender]
        last, count = self.last_accounts[sender]
        if run.id != case.id:
            run = Run(case.id, 0, *self.left[()])
            last, count = ZERO_ADDRESS, 0
        score = self.last_scores[sender]
        for owner in accounts:
            standing = self._standing(owner, case)
            require(standing.lots != 0, "margin_deleverager: other side")
            below = (standing.score, owner) < (score, last)
            require(run.submitted == 0 or below, "margin_deleverager: out of rank")
            score, last = standing.score, owner
            run = run._replace(submitted=run.submitted + 1)
            if standing.gain != 0 and (run.lots != 0 or run.loss != 0):
                closed, paid = share(standing, run.lots, run.loss)
                run = run._replace(lots=run.lots - closed, loss=run.loss - paid)
                self.chosen[sender, count] = owner
                count += 1
        self.last_scores[sender] = score
        self.last_accounts[sender] = Last(last, count)
        self.runs[sender] = run
        self.emit("Submitted", case.id, sender, run.submitted, count)
        if run.submitted == case.others:
            self.provers[()] = sender
            self.emit("Proven", case.id, sender, count)

    @external
    def execute(self, sender: str, count: int) -> None:
        """Close and charge the next accounts of the proven ranking; the last one ends the freeze."""
        case = self._open_case()
        prover, owner = self.provers[()], self.insolvents[()]
        require(prover != ZERO_ADDRESS, "margin_deleverager: not proven")
        # What one round leaves is left although all who gained are in it: a second takes what they have left.
        chosen, again = self.last_accounts[prover].chosen, self.runs[prover].loss != 0
        total, done = 2 * chosen if again else chosen, self.execution[()]
        lots, loss = self.left[()]
        until = min(done + count, total)
        require(until - done <= 1_024, "")
        for i in range(done, until):
            entry = i % chosen
            winner, closed = self.chosen[prover, entry], 0
            if i < chosen:
                standing = self._standing(winner, case)
                closed, paid = share(standing, lots, loss)
                lots -= closed
                if again:
                    self.gains_left[entry] = standing.gain - paid
            else:
                paid = min(self.gains_left[entry], loss)
            # What was closed already by somebody else, or is not missing any more, is not taken.
            closed, paid = self.market.deleverage(self.address, owner, winner, closed, paid)
            loss -= paid
            self.emit("Deleveraged", case.id, winner, closed, paid)
        self.execution[()] = until
        if until == total:
            self.market.finish(self.address, owner, loss)
            self.emit("Finished", case.id, lots, loss)
            case = case._replace(until=0)
        self.cases[()] = case
        self.left[()] = Left(lots, loss)

    @external
    def remember(self, sender: str, owner: str) -> None:
        """Keep what an account has in the frozen market before it changes for the first time."""
        require(sender == self.margin_market_address, "margin_deleverager: not market")
        case: Case = self.cases[()]
        if self.remembered[owner].id == case.id:
            return
        standing = self._standing(owner, case)
        if standing.lots != 0:
            self.remembered[owner] = Remembered(case.id, standing.lots, standing.gain)
            self.scores[owner] = standing.score

    @view
    def standing_of(self, sender: str, owner: str) -> Standing:
        """What ranks an account in the freeze that runs."""
        return self._standing(owner, self._open_case())

    @view
    def reserved_of(self, sender: str, owner: str) -> int:
        """The gain that an account which has changed in this freeze may still have to pay with."""
        kept: Remembered = self.remembered[owner]
        return kept.gain if kept.id == self.cases[()].id else 0

    @view
    def case_of(self, sender: str) -> CaseOf:
        """The last freeze, and what is left to close and to pay."""
        return CaseOf(*self.cases[()], *self.left[()])

    @view
    def run_of(self, caller: str, sender: str) -> Run:
        """How far somebody's ranking is."""
        return cast(Run, self.runs[sender])

    @view
    def chosen_of(self, caller: str, sender: str) -> int:
        """How many accounts of somebody's ranking close or pay."""
        return int(self.last_accounts[sender].chosen)

    @view
    def insolvent(self, sender: str) -> str:
        """Whose position is closed."""
        return str(self.insolvents[()])

    @view
    def prover(self, sender: str) -> str:
        """Whose run is complete."""
        return str(self.provers[()])

    @view
    def executed(self, sender: str) -> int:
        """How many entries of that run are executed."""
        return int(self.execution[()])

    @view
    def MARGIN_MARKET(self, sender: str) -> str:
        """Where positions are."""
        return self.margin_market_address

    def _open_case(self) -> Case:
        case: Case = self.cases[()]
        require(self.world.timestamp <= case.until, "margin_deleverager: no freeze")
        return case

    def _standing(self, owner: str, case: Case) -> Standing:
        """As it was when the market was frozen; of a gain counts at most the account's equity."""
        kept: Remembered = self.remembered[owner]
        if kept.id == case.id:
            return Standing(kept.lots, kept.gain, self.scores[owner])
        found = self.market.frozen_of(self.address, owner)
        if found.size == 0 or (found.size > 0) == case.long:
            return Standing()
        gain = max(0, min(found.gain, found.equity))
        score = gain * found.notional // found.equity if gain else 0
        return Standing(abs(found.size), gain, score)


def share(standing: Standing, lots: int, loss: int) -> tuple[int, int]:
    """Lots that an account closes and what it pays, of what is left."""
    closed = min(standing.lots, lots)
    due = div_up(loss * closed, lots) if lots else loss
    return closed, min(standing.gain, due)
