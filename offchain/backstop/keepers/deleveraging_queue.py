"""The deleveraging queue of a ranked market: the order of accounts to be closed if the cycle ended now.

No rule is written a second time here: the model of the contracts ends the open cycle and takes that back, and
accounts are ranked by the function that ranks them for keepers after a roll. Figures in wei and lots.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from backstop.contract_base import ZERO_ADDRESS, RevertError
from backstop.errors import BackstopError
from backstop.hosts.model_system import ModelSystem
from backstop.keepers.adl_keeper import Rank, compute_ranks
from backstop.keepers.cycle_view import MARKET
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.price_path import LONG, SHORT, get_side

LIGHTS = 5
"""Lights of an account within the first fifth of the lots of its side; none of one that has not gained."""


class QueueEntry(NamedTuple):
    """Place of an account in the deleveraging queue of one side of a market.

    Place 1 is closed first; place 0 means that the account is not closed, because it has no gain.
    """

    owner: str
    lots: int
    gain: int  # [wei] on this side, in the cycle
    worth: int  # [wei] at the end of the cycle; an account that owes has none
    score: int  # in parts of 10^9
    place: int
    lots_before: int  # of the side, that are closed before the account's
    light: int  # 5 for the first fifth of the side's lots, 1 for the last; 0 without a place


class SideQueue(NamedTuple):
    """Deleveraging queue of one side of a market: its accounts in the order in which they are closed.

    Accounts without a gain are not closed, and come last.
    """

    market: int
    side: int
    cycle: int
    lots: int
    unassigned: int  # lots that nobody holds on the other side: so many are to be closed of this one
    mark: int  # [wei a lot]
    has_price: bool  # of the last seconds; without one the last mark counts, and nothing is closed
    places: tuple[QueueEntry, ...]


def build_deleveraging_queues(
    system: ModelSystem, *, uses_pending_cycle: bool = False
) -> tuple[SideQueue, ...]:
    """Return the deleveraging queue of each side of each market that has not ended.

    Ranks are computed as if the open cycle ended now. With `uses_pending_cycle` they are those of the last
    ended cycle, for the ranking that is submitted now. The system itself stays unchanged. Raises
    BackstopError if the open cycle cannot end.
    """
    market = cast(PerpetualMarket, system.world.contracts[MARKET])
    with system.fork_state():
        ended = market.clocks[()].ended
        markets = [m for m in range(market.policy.markets(ZERO_ADDRESS)) if not ended >> m & 1]
        fresh = {m: market.accrue(ZERO_ADDRESS, m).high != 0 for m in markets}
        if not uses_pending_cycle:
            _end_cycle(market)
        held = _read_sizes_by_market_side(market)
        return tuple(
            _build_side_queue(market, m, side, held.get((m, side), {}), fresh[m])
            for m in markets
            for side in (LONG, SHORT)
        )


def _end_cycle(market: PerpetualMarket) -> None:
    """End the open cycle in the model as if its longest window were over."""
    now = market.world.timestamp
    market.clocks[()] = market.clocks[()]._replace(rolled_at=now - 4 * market.window)
    try:
        market.advance_cycle(ZERO_ADDRESS)
    except RevertError as revert:
        raise BackstopError(f"the open cycle cannot end: {revert.reason}") from None


def _read_sizes_by_market_side(market: PerpetualMarket) -> dict[tuple[int, int], dict[str, int]]:
    """Return the lots of each account, by market and side, then by account."""
    found: dict[tuple[int, int], dict[str, int]] = {}
    for (owner, m), position in market.positions.items():
        if position.size:
            found.setdefault((m, get_side(position.size)), {})[owner] = abs(position.size)
    return found


def _build_side_queue(
    market: PerpetualMarket, market_id: int, side: int, held: dict[str, int], has_price: bool
) -> SideQueue:
    lots = market.lots[market_id]
    places = tuple(
        _iter_deleveraging_queue_entries(compute_ranks(market, market_id, side, held), held, lots[side])
    )
    cycle = market.clocks[()].cycle - 1
    unassigned, mark = lots[side] - min(lots), market.paths[market_id].price
    return SideQueue(market_id, side, cycle, lots[side], unassigned, mark, has_price, places)


def _iter_deleveraging_queue_entries(
    ranks: list[Rank], lots_by_owner: dict[str, int], side_lots: int
) -> Iterator[QueueEntry]:
    """Yield the queue entries of one side: accounts with a gain in rank order, then those without.

    `side_lots` is the number of lots of the side, which determines each entry's lights.
    """
    before = 0
    for place, rank in enumerate((each for each in ranks if each.gain), 1):
        lots = lots_by_owner[rank.owner]
        light = LIGHTS - LIGHTS * before // side_lots
        yield QueueEntry(rank.owner, lots, rank.gain, rank.worth, rank.score, place, before, light)
        before += lots
    for rank in reversed(ranks):
        if not rank.gain:
            yield QueueEntry(rank.owner, lots_by_owner[rank.owner], 0, rank.worth, 0, 0, before, 0)
