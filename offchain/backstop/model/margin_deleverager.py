"""Closes positions of insolvent accounts against those who gained most at most leverage.

The order is (score, address), strictly descending, where a score is gain x leverage. Entries that pay:

    closed = min(lots, lots left)
    paid   = min(gain, ceil(loss left * closed / lots left)), and min(gain, loss left) once no lots are

If something is missing then, all who gained are among them, and pay on with what their gains have left, in
the same order. So what is taken is the loss exactly, or all gains.
"""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model.arithmetic import div_up
from backstop.model.ranking import Left, Ranking, Remembered, Standing
from backstop.model.state import World, external, require


class MarginDeleverager(Ranking):
    """See contracts/MarginDeleverager.vy."""

    KIND = "MarginDeleverager"

    def __init__(self, world: World, name: str, address: str, margin_market: str) -> None:
        super().__init__(world, name, address, margin_market)
        self.lefts = self.table("lefts", Left())

    @external
    def submit(self, sender: str, accounts: Sequence[str]) -> None:
        """Go on with the sender's ranking of the other side, by score."""
        case = self._open_case()
        run, last = self._resume(sender, case, len(accounts))
        lots, loss = self.lefts[sender] if run.submitted else self.left[()]
        for owner in accounts:
            standing = self._next(owner, case)
            below = (standing.score, owner) < (last.score, run.last)
            require(run.submitted == 0 or below, "margin_deleverager: out of rank")
            last = standing
            pays = standing.gain != 0 and (lots != 0 or loss != 0)
            run = self._add(sender, run, owner, pays)
            if pays:
                closed, paid = share(standing, lots, loss)
                lots, loss = lots - closed, loss - paid
        self.lefts[sender] = Left(lots, loss)
        self._suspend(sender, case, run)

    @external
    def execute(self, sender: str, count: int) -> None:
        """Close and charge the next accounts of the proven ranking; the last one ends the freeze."""
        case, prover = self._open_case(), self._proven()
        # What one round leaves is left although all who gained are in it: a second takes what they have left.
        chosen, again = self.runs[prover].chosen, self.lefts[prover].loss != 0
        total = 2 * chosen if again else chosen
        lots, loss = self.left[()]
        entries = self._entries(count, total)
        for i in entries:
            winner = self.chosen[prover, i % chosen]
            standing = self._standing(winner, case)
            closed, paid = 0, min(standing.gain, loss)
            if i < chosen:
                closed, paid = share(standing, lots, loss)
                lots -= closed
                if again:
                    # For the second round, in which its position may be closed and its cash its own.
                    self.remembered[winner] = Remembered(case.id, standing.lots, standing.gain - paid)
            loss -= self._charge(case, winner, closed, paid)
        self._end(case, Left(lots, loss), entries.stop, total)


def share(standing: Standing, lots: int, loss: int) -> tuple[int, int]:
    """Return the lots that an account closes and what it pays, of what is left."""
    closed = min(standing.lots, lots)
    due = div_up(loss * closed, lots) if lots else loss
    return closed, min(standing.gain, due)
