"""Closes positions of insolvent accounts against all who gained, each for min(gain, t*score).

The order is (score/gain, address), strictly descending, without a gain last. In it, with a loss l and scores
s left, l - paid and s - score after each:

    paid = min(gain, ceil(l*score/s))

Once a gain is not used up, l/s only falls (paid is no less than l*score/s) and is at most gain/score, which
only rises, so none after it is; and the last, score == s, is asked for all of l. So what is taken is the loss
exactly, or, if every gain is used up, all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model.arithmetic import add, div_up, mul
from backstop.model.ranking import Left, Ranking
from backstop.model.state import World, external, require, view


class MarginSharer(Ranking):
    """See contracts/MarginSharer.vy."""

    KIND = "MarginSharer"

    def __init__(self, world: World, name: str, address: str, margin_market: str) -> None:
        super().__init__(world, name, address, margin_market)
        self.sums = self.table("scores_left")

    @external
    def submit(self, sender: str, accounts: Sequence[str]) -> None:
        """Go on with the sender's ranking of the other side, by score/gain."""
        case = self._open_case()
        run, last = self._resume(sender, case, len(accounts))
        scores = self.sums[sender] if run.submitted else 0
        for owner in accounts:
            standing = self._next(owner, case)
            # The fraction of who has not gained is 0/1.
            over, under = mul(last.score, max(standing.gain, 1)), mul(standing.score, max(last.gain, 1))
            below = (under, owner) < (over, run.last)
            require(run.submitted == 0 or below, "margin_sharer: out of order")
            last = standing
            scores = add(scores, standing.score)
            run = self._add(sender, run, owner, standing.gain != 0)
        self.sums[sender] = scores
        self._suspend(sender, case, run)

    @external
    def execute(self, sender: str, count: int) -> None:
        """Charge the next accounts of the proven ranking, and close lots of them while there are any."""
        case, prover = self._open_case(), self._proven()
        chosen, scores = self.runs[prover].chosen, self.sums[prover]
        lots, loss = self.left[()]
        entries = self._entries(count, chosen)
        for i in entries:
            winner = self.chosen[prover, i]
            standing = self._standing(winner, case)
            closed = min(standing.lots, lots)
            paid = min(standing.gain, div_up(mul(loss, standing.score), scores))
            lots -= closed
            scores -= standing.score
            loss -= self._charge(case, winner, closed, paid)
        self.sums[prover] = scores
        self._end(case, Left(lots, loss), entries.stop, chosen)

    @view
    def scores_left(self, caller: str, sender: str) -> int:
        """Scores of all that somebody's run has chosen, less those executed."""
        return int(self.sums[sender])
