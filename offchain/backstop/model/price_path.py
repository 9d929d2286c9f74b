"""Which way the prices of perpetual markets went, and what those who held positions gained by it.

Each market keeps the last extreme of its price less funding, whether it is falling, and two sums that only
rise: of the moves up and of the moves down. A move back counts once it has turned by a quarter of a lot's
maintenance margin. What all longs gained of a move is what all shorts lost, exactly. Prices in wei a lot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, quotient
from backstop.model.asking import NOTHING
from backstop.model.interfaces import IMarginPolicy
from backstop.model.state import Contract, World, immutable, slot

PERIOD = 28_800
"""Seconds: what funding may be at most is said for a period."""
INTERVAL = 3_600
"""Seconds: a new rate follows from the trades of an interval."""
MAX_LOTS = 2**63 - 1
MAX_SUM = 2**128 - 1
"""Wei a lot: what the moves up, or down, of a market may add up to."""
MAX_GAINS = 2**123 - 1
"""Wei: what one side may gain in a cycle. Products of two and of sums over 16 sides fit 256 bits."""


@slot(96, -110, 1)
class Path(NamedTuple):
    """The mark, the last extreme of the mark less the funding index, and which way it goes."""

    price: int = 0
    extreme: int = 0
    falling: bool = False


@slot(128, 128)
class Moves(NamedTuple):
    """The sum of all moves up, and of all moves down [wei a lot]."""

    up: int = 0
    down: int = 0


@slot(128, 128)
class Sides(NamedTuple):
    """Something of those who are long, or were, and of those who are short [wei]."""

    long: int = 0
    short: int = 0


@slot(-110)
class Level(NamedTuple):
    """A mark less the funding index [wei a lot]."""

    value: int = 0


@slot(-128, -96, 32)
class Funding(NamedTuple):
    """The index (wei a lot), wei a lot and second, and until when the index counts."""

    level: int = 0
    rate: int = 0
    updated: int = 0


@slot(-160, 64, 32)
class Premium(NamedTuple):
    """Lots x wei that trades were above the mark, their lots, since when."""

    total: int = 0
    volume: int = 0
    since: int = 0


@slot(32, 32, 32, 32)
class Clock(NamedTuple):
    """The open cycle, when it opened, when a loss was booked last in it, and how many had losses."""

    cycle: int = 0
    rolled_at: int = 0
    booked_at: int = 0  # seconds; 0 is not yet
    lossy: int = 0


class PricePath(Contract):
    """See contracts/modules/price_path.vy."""

    margin_policy_address = immutable("POLICY", str)
    # Seconds: the oldest report that makes a mark.
    mark_age = immutable("MARK_AGE", int)

    def __init__(self, world: World, name: str, address: str, margin_policy: str, mark_age: int) -> None:
        super().__init__(world, name, address)
        self.margin_policy_address = margin_policy
        self.mark_age = mark_age
        self.clocks = self.table("price_path.clock", Clock())
        self.paths = self.table("price_path.paths", Path())
        self.moves = self.table("price_path.moves", Moves())
        # Lots that are long.
        self.opened = self.table("price_path.opened")
        # By market and cycle: what its sides gained, and where it began.
        self.totals = self.table("price_path.totals", Sides())
        self.levels = self.table("price_path.levels", Level())
        self.edges = self.table("price_path.edges", Moves())
        self.fundings = self.table("price_path.fundings", Funding())
        self.premiums = self.table("price_path.premiums", Premium())
        self.clocks[()] = Clock(1, world.timestamp, 0, 0)

    @property
    def policy(self) -> IMarginPolicy:
        return cast(IMarginPolicy, self.world.at(self.margin_policy_address))

    def _mark(self, market: int) -> bool:
        """Mark a market at the price of the last seconds; tell whether there is one."""
        price = self._ask(lambda: self.policy.mark_price(self.address, market, self.mark_age))
        # A policy, or a feed, that fails is as one without a price.
        if not 0 < price <= bounds.MAX_LOT_PRICE:
            return False
        self._walk(market, price, False)
        return True

    def _walk(self, market: int, price: int, final: bool) -> None:
        """Go to a price: a new extreme counts, and so does a turn; anything between only if it is final."""
        path: Path = self.paths[market]
        level = price - self._index(market)
        if path.price == 0:
            self.paths[market] = Path(price, level, False)
            return
        moved = abs(level - path.extreme)
        onward = moved != 0 and (level < path.extreme) == path.falling
        turns = final
        if moved != 0 and not onward and not final:
            # Nothing turns without a policy.
            needed = self._ask(lambda: self.policy.maintenance(self.address, market, price))
            turns = moved >= needed // (4 * BASIS_POINTS)
        if moved != 0 and (onward or turns):
            path = path._replace(extreme=level, falling=path.falling == onward)
            self._count(market, path.falling, moved)
        self.paths[market] = path._replace(price=price)

    def _ask(self, question: Callable[[], int]) -> int:
        """Return what the policy answers; NOTHING if it fails."""
        answer = self.world.attempt(question)
        return NOTHING if answer is None else answer

    def _count(self, market: int, falling: bool, moved: int) -> None:
        """Add a move to what one side gained. One that does not fit counts for nobody."""
        moves: Moves = self.moves[market]
        cycle = self.clocks[()].cycle
        totals: Sides = self.totals[market, cycle]
        gained = self.opened[market] * moved
        if falling:
            moves = moves._replace(down=moves.down + moved)
            totals = totals._replace(short=totals.short + gained)
        else:
            moves = moves._replace(up=moves.up + moved)
            totals = totals._replace(long=totals.long + gained)
        if max(moves) <= MAX_SUM and max(totals) <= MAX_GAINS:
            self.moves[market] = moves
            self.totals[market, cycle] = totals

    def _note_edge(self, market: int, cycle: int) -> None:
        """Note where a cycle begins, at the last mark and the index of now."""
        path: Path = self.paths[market]
        if path.price != 0:
            self._walk(market, path.price, False)
            self.levels[market, cycle] = Level(self._level(market))
            self.edges[market, cycle] = self.moves[market]

    def _level(self, market: int) -> int:
        """Return the mark less the index of now [wei a lot]."""
        return int(self.paths[market].price) - self._index(market)

    # ---------------------------------------------------------------- funding

    def _index(self, market: int) -> int:
        """Return the funding index of now [wei a lot]."""
        funding: Funding = self.fundings[market]
        return funding.level + funding.rate * (self.world.timestamp - funding.updated)

    def _accrue(self, market: int) -> int:
        """Move the index up to now; after an interval the rate follows the premium of its trades."""
        funding = Funding(self._index(market), self.fundings[market].rate, self.world.timestamp)
        premium: Premium = self.premiums[market]
        if self.world.timestamp >= premium.since + INTERVAL:
            # Over all that is open, whatever was traded: no volume waters it down.
            weight = max(self.opened[market], 1)
            rate = quotient(self._capped(market, quotient(premium.total, weight)), PERIOD)
            funding = funding._replace(rate=rate)
            self.premiums[market] = Premium(0, 0, self.world.timestamp)
            self.emit("FundingSet", market, funding.level, rate)
        self.fundings[market] = funding
        return funding.level

    def _note_premium(self, market: int, lots: int, price: int) -> int:
        """Count a trade for the next rate, at most as far from the mark as a rate may go."""
        over = self._capped(market, price - self.paths[market].price)
        premium: Premium = self.premiums[market]
        taken = min(lots, MAX_LOTS - premium.volume)
        self.premiums[market] = premium._replace(
            total=premium.total + taken * over, volume=premium.volume + taken
        )
        return over

    def _stop_funding(self, market: int) -> None:
        """End all funding, at the index of now."""
        self.fundings[market] = Funding(self._index(market), 0, self.world.timestamp)

    def _capped(self, market: int, premium: int) -> int:
        """Return a premium, as far as funding may go."""
        most = self.policy.most_premium_at(self.address, market, self.paths[market].price)
        return max(-most, min(most, premium))
