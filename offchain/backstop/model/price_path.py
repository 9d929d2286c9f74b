"""Path of the prices of perpetual markets, and the gains of the positions along it.

Each market keeps the last extreme of its price less funding, whether it is falling, and two sums that only
rise: of the moves up and of the moves down. A move back counts once it has turned by a quarter of a lot's
maintenance margin. Lots that were taken from insolvent accounts are unassigned: they gain and lose nothing.
The side of accounts with fewer lots moves as the mark does, the other moves, all of its lots together, by
just as much. Prices in wei a lot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

from backstop.contract_base import Contract, World, declare_record_slot_bit_widths, immutable, require
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, div_up, divide_signed
from backstop.model.interfaces import Clock, IMarginPolicy, Mark, SideTotals, Values
from backstop.model.policy_calls import NOTHING

PERIOD = 28_800
"""Seconds: the period that the funding limit is stated for."""
INTERVAL = 3_600
"""Seconds: a new rate follows from the trades of an interval."""
LONG, SHORT = 0, 1
"""Sides, as they are counted."""
MAX_LOTS = 2**63 - 1
MAX_SUM = 2**128 - 1
"""Wei a lot: limit of the sum of a market's moves up, or down."""
MAX_VALUE = 2**109 - 1
"""Wei: limit of a lot's value, either way."""
MAX_GAINS = 2**117 - 1
"""Wei: limit of one side's gain in a cycle. Both sides of a loss fit 118 bits."""


@declare_record_slot_bit_widths(96, -110, 1)
class Path(NamedTuple):
    """Mark price of a market, last extreme of the price less funding, and direction of the price."""

    price: int = 0
    extreme: int = 0
    falling: bool = False


@declare_record_slot_bit_widths(128, 128)
class Moves(NamedTuple):
    """Total gain and total loss of one lot on one side since the market began [wei]."""

    gained: int = 0
    lost: int = 0


@declare_record_slot_bit_widths(-138)
class Amount(NamedTuple):
    """Signed amount [wei]."""

    value: int = 0


@declare_record_slot_bit_widths(-128, -96, 32)
class Funding(NamedTuple):
    """Funding state of a market: cumulative index [wei a lot], rate [wei a lot and second], update time."""

    level: int = 0
    rate: int = 0
    updated: int = 0


@declare_record_slot_bit_widths(-160, 64, 32)
class Premium(NamedTuple):
    """Sum of lots times price above the mark price [wei], lots traded, and start time of the sum."""

    total: int = 0
    volume: int = 0
    since: int = 0


class PricePath(Contract):
    """Price history of perpetual markets and gains per side (model of contracts/modules/price_path.vy)."""

    margin_policy_address = immutable("POLICY", str)
    # Seconds: the oldest report that makes a mark.
    mark_age = immutable("MARK_AGE", int)

    def __init__(self, world: World, name: str, address: str, margin_policy: str, mark_age: int) -> None:
        super().__init__(world, name, address)
        self.margin_policy_address = margin_policy
        self.mark_age = mark_age
        self.clocks = self.table("price_path.clock", Clock())
        self.paths = self.table("price_path.paths", Path())
        # By side.
        self.moves = self.table("price_path.moves", Moves())
        # Lots that accounts are long, and short; what one of them is worth.
        self.lots = self.table("price_path.lots", SideTotals())
        self.values = self.table("price_path.values", Values())
        # By market and cycle: what its sides gained, and where it began; by side the moves until then.
        self.totals = self.table("price_path.totals", SideTotals())
        self.levels = self.table("price_path.levels", Values())
        self.edges = self.table("price_path.edges", Moves())
        self.fundings = self.table("price_path.fundings", Funding())
        self.premiums = self.table("price_path.premiums", Premium())
        self.pot = self.table("price_path.pot", Amount())
        self.clocks[()] = Clock(1, world.timestamp, 0, 0)

    @property
    def policy(self) -> IMarginPolicy:
        return cast(IMarginPolicy, self.world.at(self.margin_policy_address))

    def _move_market_to_policy_mark(self, market: int) -> Mark:
        """Update a market to the current mark price and return that price with its range [wei a lot].

        Return zeros, and change nothing, if the policy fails or has no valid price.
        """
        mark = self.world.call_or_return_none(
            lambda: self.policy.mark_price(self.address, market, self.mark_age)
        )
        # A policy, or a feed, that fails is as one without a price.
        if mark is None or not 0 < mark.price <= bounds.MAX_LOT_PRICE:
            return Mark()
        if not mark.low <= mark.price <= mark.high <= 16 * bounds.MAX_LOT_PRICE:
            return Mark()
        self._move_market_to_price(market, mark.price, False)
        return mark

    def _move_market_to_price(self, market: int, price: int, final: bool) -> None:
        """Update a market's funding index, mark price, price history and lot values to now, at a price.

        A price counts as a move if it passes the last extreme, or if it turns back far enough. With `final`
        every price counts, and funding ends.
        """
        path: Path = self.paths[market]
        funding: Funding = self.fundings[market]
        if price == path.price and funding.updated == self.world.timestamp and not final:
            return
        due = self._compute_funding_index_change(funding)
        old: Values = self.values[market]
        self.values[market], left = self._move_lot_values(market, old, price - path.price - due)
        self._change_pot(left)
        level = price - funding.level - due
        rate = 0 if final else funding.rate
        self.fundings[market] = Funding(funding.level + due, rate, self.world.timestamp)
        moved = abs(level - path.extreme)
        onward = moved != 0 and (level < path.extreme) == path.falling
        turns = final
        if moved != 0 and not onward and not final:
            # Nothing turns without a policy.
            needed = self._ask_policy_number(lambda: self.policy.maintenance(self.address, market, price))
            turns = moved >= needed // (4 * BASIS_POINTS)
        if moved != 0 and (onward or turns):
            path = path._replace(extreme=level, falling=path.falling == onward)
            self._count_move(market, path.falling, moved)
        self.paths[market] = path._replace(price=price)

    def _ask_policy_number(self, policy_call: Callable[[], int]) -> int:
        """Return the result of a call to the policy; NOTHING (the maximum integer) if the call fails."""
        answer = self.world.call_or_return_none(policy_call)
        return NOTHING if answer is None else answer

    def _split_move_between_sides(self, market: int, falling: bool, moved: int) -> tuple[int, int, int]:
        """Return the gain of one winning lot, the gain of all winning lots, and the number of losing lots.

        The gain of a lot is rounded down [wei]. The side with fewer lots gets the full move; the lots of the
        other side together get the same total.
        """
        lots: SideTotals = self.lots[market]
        winners, losers = (lots.short, lots.long) if falling else lots
        if winners == 0 or losers == 0:
            return 0, 0, 1
        gain = moved * min(winners, losers) // winners
        return gain, winners * gain, losers

    def _move_lot_values(self, market: int, values: Values, moved: int) -> tuple[Values, int]:
        """Return the values of a lot after a price move, and the remainder from rounding [wei].

        The move is less funding. A loss is rounded up. If a new value does not fit its bounds, the values
        stay.
        """
        gain, gained, losers = self._split_move_between_sides(market, moved < 0, abs(moved))
        loss = div_up(gained, losers)
        if moved < 0:
            new = Values(values.long - loss, values.short - gain)
        else:
            new = Values(values.long + gain, values.short + loss)
        if max(map(abs, new)) > MAX_VALUE:
            return values, 0
        return new, loss * losers - gained

    def _count_move(self, market: int, falling: bool, moved: int) -> None:
        """Add a price move to the total gain of the winning side and the total loss of the losing side.

        If a total does not fit its bounds, nothing changes.
        """
        gain, gained, losers = self._split_move_between_sides(market, falling, moved)
        winner, loser = (SHORT, LONG) if falling else (LONG, SHORT)
        cycle = self.clocks[()].cycle
        totals = list(self.totals[market, cycle])
        totals[winner] += gained
        won: Moves = self.moves[market, winner]
        lost: Moves = self.moves[market, loser]
        won = won._replace(gained=won.gained + gain)
        # Rounded down: all losses are no more than all gains.
        lost = lost._replace(lost=lost.lost + gained // losers)
        if max(won.gained, lost.lost) <= MAX_SUM and max(totals) <= MAX_GAINS:
            self.moves[market, winner], self.moves[market, loser] = won, lost
            self.totals[market, cycle] = SideTotals(*totals)

    def _end_market_at_price(self, market: int, price: int) -> None:
        """Move a market to its final price and mark the market as ended."""
        self._move_market_to_price(market, price, True)
        clock: Clock = self.clocks[()]
        self.clocks[()] = clock._replace(ended=clock.ended | 1 << market)

    def _has_ended(self, market: int) -> bool:
        return bool(self.clocks[()].ended >> market & 1)

    def _record_cycle_start(self, market: int, cycle: int) -> None:
        """Store a market's lot values and total moves at the start of a cycle.

        A market that has ended is stored only if an account has a position in it, or gained in the last
        cycle.
        """
        is_over = self.lots[market] == SideTotals() == self.totals[market, cycle - 1]
        if self._has_ended(market) and is_over:
            return
        self._move_market_to_price(market, self.paths[market].price, False)
        self.levels[market, cycle] = self.values[market]
        for side in (LONG, SHORT):
            self.edges[market, cycle, side] = self.moves[market, side]

    def _update_open_lots(self, market: int, old: int, size: int) -> None:
        """Update a market's open lots for a position that changes from `old` to `size` lots.

        Raises RevertError if a side would exceed its maximum.
        """
        lots: SideTotals = self.lots[market]
        long = lots.long + max(size, 0) - max(old, 0)
        short = lots.short + max(-size, 0) - max(-old, 0)
        require(max(long, short) <= MAX_LOTS, "price_path: too much is open")
        self.lots[market] = SideTotals(long, short)

    def _get_open_lots(self, market: int) -> int:
        """Return the lots of a market's larger side.

        The other side lacks the lots that were seized from insolvent accounts.
        """
        return int(max(self.lots[market]))

    def _compute_worth(self, market: int, size: int) -> int:
        """Return the value of `size` lots at the last mark price and the current funding index [wei]."""
        values, _ = self._move_lot_values(
            market, self.values[market], -self._compute_funding_index_change(self.fundings[market])
        )
        return values.of(size)

    def _change_pot(self, amount: int) -> None:
        self.pot[()] = self._pack_amount(self.pot[()].value + amount)

    def _pack_amount(self, value: int) -> Amount:
        require(abs(value) < 2**137, "price_path: beyond all figures")
        return Amount(value)

    # ---------------------------------------------------------------- funding

    def _compute_funding_index_change(self, funding: Funding) -> int:
        """Return the change of the funding index since its last update [wei a lot]."""
        return funding.rate * (self.world.timestamp - funding.updated)

    def _update_market_funding_rate(self, market: int) -> None:
        """Update a market to now at its mark price, and set a new funding rate once an interval is over.

        The new rate follows from the trades of the interval.
        """
        self._move_market_to_price(market, self.paths[market].price, False)
        premium: Premium = self.premiums[market]
        if self.world.timestamp >= premium.since + INTERVAL:
            # Over all that is open, whatever was traded: no volume waters it down.
            weight = max(self._get_open_lots(market), 1)
            rate = divide_signed(self._cap_premium(market, divide_signed(premium.total, weight)), PERIOD)
            self.fundings[market] = self.fundings[market]._replace(rate=rate)
            self.premiums[market] = Premium(0, 0, self.world.timestamp)
            self.emit("FundingSet", market, self.fundings[market].level, rate)

    def _note_premium(self, market: int, lots: int, price: int) -> None:
        """Add a trade's distance from the mark price to the sum that sets the next funding rate.

        The distance is capped at the maximum funding premium.
        """
        over = self._cap_premium(market, price - self.paths[market].price)
        premium: Premium = self.premiums[market]
        taken = min(lots, MAX_LOTS - premium.volume)
        self.premiums[market] = premium._replace(
            total=premium.total + taken * over, volume=premium.volume + taken
        )

    def _cap_premium(self, market: int, premium: int) -> int:
        """Return a premium capped at the market's maximum funding premium, in both directions [wei a lot]."""
        most = self.policy.max_funding_premium(self.address, market, self.paths[market].price)
        return max(-most, min(most, premium))


def compute_range_gain(mark: Mark, size: int) -> int:
    """Return how much more `size` lots are worth at the better end of a price range than at its price [wei].

    For the opposite sign of `size` this is the loss at the worse end.
    """
    return abs(size) * (mark.high - mark.price if size > 0 else mark.price - mark.low)


def get_side(size: int) -> int:
    """Return the side of a position: 0 if long, 1 if short."""
    return SHORT if size < 0 else LONG


def sum_values_of_all_positions(price_path: PricePath) -> int:
    """Return the value of all positions in all markets at their last update [wei]."""
    found = 0
    for m, lots in price_path.lots.items():
        values: Values = price_path.values[m]
        found += lots.long * values.long - lots.short * values.short
    return int(found)
