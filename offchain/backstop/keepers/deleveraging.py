"""What each policy of deleveraging takes, and from whom: on the model, right after a market was frozen.

greedy closes the whole position of the first in rank, at the price at which the insolvent account is worth
nothing, until there are as many lots, as engines do that know no part of a position. ranked and shared are
MarginDeleverager and MarginSharer. Nobody can take less than the loss, or all gains if they are less: that is
minimal, and ranked and shared take it; greedy takes more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backstop.model.arithmetic import div_up
from backstop.model.margin_market import MarginMarket
from backstop.model.ranking import Left, Ranking, Standing

# Two unequal fractions of gains, each under 2**160, are further apart than 2**-320.
_EXACT = 320


class Takings(NamedTuple):
    """The sums that the policies take, and the least possible [wad]."""

    greedy: int
    ranked: int
    shared: int
    minimal: int


class Charges(NamedTuple):
    """What each account that closes or pays is charged, by policy [wad]."""

    greedy: dict[str, int]
    ranked: dict[str, int]
    shared: dict[str, int]


def takings(deleverager: Ranking, market: MarginMarket) -> Takings:
    """Return what each policy takes for the freeze that runs."""
    found = standings(deleverager, market)
    left = deleverager.left[()]
    least = min(left.loss, sum(standing.gain for standing in found.values()))
    greedy, ranked, shared = (sum(each.values()) for each in charges(found, left))
    return Takings(greedy, ranked, shared, least)


def standings(deleverager: Ranking, market: MarginMarket) -> dict[str, Standing]:
    """Return the accounts on the other side, as the freeze that runs has them."""
    case = deleverager.cases[()]
    found = {owner: deleverager._standing(owner, case) for owner in market.accounts}
    return {owner: standing for owner, standing in found.items() if standing.lots}


def in_order(kind: str, found: Mapping[str, Standing]) -> list[str]:
    """Rank accounts as a contract of a kind asks for."""

    def place(owner: str) -> tuple[int, str]:
        _, gain, score = found[owner]
        return (score << _EXACT) // max(gain, 1) if kind == "MarginSharer" else score, owner

    return sorted(found, key=place, reverse=True)


def charges(found: Mapping[str, Standing], left: Left) -> Charges:
    """Return what each account on the other side pays by each policy, of what is left to close and to pay."""
    winners = {owner: standing for owner, standing in found.items() if standing.gain}
    ranked = {owner: winners[owner] for owner in in_order("MarginDeleverager", winners)}
    by_leverage = {owner: winners[owner] for owner in in_order("MarginSharer", winners)}
    return Charges(_greedy(ranked, left), _ranked(ranked, left), _shared(by_leverage, left.loss))


def _greedy(winners: Mapping[str, Standing], left: Left) -> dict[str, int]:
    """Charge the first in rank for whole positions."""
    paid: dict[str, int] = {}
    lots, loss = left
    for owner, standing in winners.items():
        if lots > 0:
            paid[owner] = min(standing.gain, div_up(left.loss * standing.lots, left.lots))
            lots, loss = lots - standing.lots, loss - paid[owner]
    return _pay_on(paid, winners, loss)


def _ranked(winners: Mapping[str, Standing], left: Left) -> dict[str, int]:
    """Charge the first in rank for as many lots as are left."""
    paid: dict[str, int] = {}
    lots, loss = left
    for owner, standing in winners.items():
        if lots or loss:
            closed = min(standing.lots, lots)
            paid[owner] = min(standing.gain, div_up(loss * closed, lots) if lots else loss)
            lots, loss = lots - closed, loss - paid[owner]
    return _pay_on(paid, winners, loss)


def _shared(winners: Mapping[str, Standing], loss: int) -> dict[str, int]:
    """Charge all by their scores."""
    paid: dict[str, int] = {}
    scores = sum(standing.score for standing in winners.values())
    for owner, standing in winners.items():
        paid[owner] = min(standing.gain, div_up(loss * standing.score, scores))
        loss, scores = loss - paid[owner], scores - standing.score
    return paid


def _pay_on(paid: dict[str, int], winners: Mapping[str, Standing], loss: int) -> dict[str, int]:
    """Take what is still missing from what gains have left, in the same order."""
    for owner, standing in winners.items():
        more = min(standing.gain - paid.get(owner, 0), max(loss, 0))
        if more:
            paid[owner], loss = paid.get(owner, 0) + more, loss - more
    return paid
