"""Shortfall of margin-market accounts if prices jumped before any account could act.

Pure arithmetic of integers, against the protocol where it rounds. An account that has `equity`, cash and
value less known haircuts, lacks after a jump of some markets

    max(0, -(equity + sum of size * move of a lot on its side))

A lot moves as the mark does, except where lots are unassigned: then one side moves by less, as the market
computes. A jump of whole wei a lot is exact; otherwise losses are rounded up and gains down. Amounts in wei.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from backstop.live.solvency.market_copy import advance_copied_account_to_now, copy_market_with_overlay_tables
from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.model.margin_policy import MarginPolicy
from backstop.model.perpetual_market import PerpetualMarket

TWO = 2
"""Number of accounts that a clearing house covers if they fail together (CPMI-IOSCO, principle 4)."""
_NOBODY = "0x" + "00" * 20


class Market(NamedTuple):
    """Perpetual market: mark price [wei per lot], and the lots of long and of short accounts."""

    mark: int
    long: int
    short: int


class Holder(NamedTuple):
    """Margin account: equity less known haircuts [wei], and lots by market (positive for longs)."""

    owner: str
    equity: int
    sizes: Mapping[int, int]


class PriceJump(NamedTuple):
    """Price jump of some markets at once, by market [basis points, negative for a fall]."""

    name: str
    gaps: Mapping[int, int]


class JumpOutcome(NamedTuple):
    """Shortfalls of accounts after a price jump [wei], the largest first; ties by the lower address."""

    jump: PriceJump
    lacking: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Shortfall of all accounts together [wei]."""
        return sum(amount for _, amount in self.lacking)

    def sum_largest(self, count: int) -> int:
        """Return the sum of the `count` largest shortfalls [wei]."""
        return sum(amount for _, amount in self.lacking[:count])


def get_default_gaps(policy: MarginPolicy, markets: Iterable[int]) -> dict[int, int]:
    """Return the default price jump of each market: twice its initial margin [basis points].

    At that jump an account that has just opened a position owes as much as it deposited. A market insured for
    its initial margin is covered for any distribution of positions.
    """
    return {m: 2 * policy.terms[m].initial for m in markets}


def iter_price_jump_scenarios(
    gap_by_market: Mapping[int, int], name_by_market: Mapping[int, str]
) -> Iterator[PriceJump]:
    """Yield a jump up and a jump down of each market alone, and of all markets together.

    No price falls by more than 100%.
    """
    ways = {
        "up": gap_by_market,
        "down": {m: -min(gap, BASIS_POINTS) for m, gap in gap_by_market.items()},
    }
    for m in gap_by_market:
        for way, moved in ways.items():
            yield PriceJump(f"{name_by_market[m]} {way}", {m: moved[m]})
    if len(gap_by_market) > 1:
        for way, moved in ways.items():
            yield PriceJump(f"all {way}", moved)


def compute_long_short_lot_gains(market: Market, jump_bps: int) -> tuple[int, int]:
    """Return the gain of a long lot and of a short lot after a price jump [wei]; a loss is negative.

    If one side has more lots than the other, it gains or loses only for as many lots as the smaller side has.
    That amount is spread over all its lots, as in the market. Gains are rounded down, losses up. Both results
    are 0 if one side has no lots.
    """
    wins, loses = (market.long, market.short) if jump_bps > 0 else (market.short, market.long)
    if not wins or not loses:
        return 0, 0
    fewer, moved = min(wins, loses), market.mark * abs(jump_bps)
    gain = moved // BASIS_POINTS * fewer // wins
    loss = div_up(div_up(moved, BASIS_POINTS) * fewer // wins * wins, loses)
    return (gain, -loss) if jump_bps > 0 else (-loss, gain)


def compute_shortfall(holder: Holder, moves: Mapping[int, tuple[int, int]]) -> int:
    """Return an account's negative equity after a price jump [wei]; 0 if its equity stays positive.

    `moves` holds the gains of a long and of a short lot, by market.
    """
    moved = sum(abs(size) * moves[m][size < 0] for m, size in holder.sizes.items() if m in moves)
    return max(0, -(holder.equity + moved))


def compute_price_jump_shortfalls(
    holders: Iterable[Holder], markets: Mapping[int, Market], price_jumps: Iterable[PriceJump]
) -> list[JumpOutcome]:
    """Return the shortfalls of accounts after each price jump, in the order of the jumps."""
    found: list[tuple[PriceJump, dict[int, tuple[int, int]], list[tuple[str, int]]]] = [
        (jump, {m: compute_long_short_lot_gains(markets[m], gap) for m, gap in jump.gaps.items()}, [])
        for jump in price_jumps
    ]
    most = dict.fromkeys(markets, 0)
    for _, moves, _ in found:
        for m, pair in moves.items():
            most[m] = max(most[m], *map(abs, pair))
    for holder in holders:
        # Most accounts bear any of them.
        if holder.equity >= sum(abs(size) * most.get(m, 0) for m, size in holder.sizes.items()):
            continue
        for _, moves, lacking in found:
            if amount := compute_shortfall(holder, moves):
                lacking.append((holder.owner, amount))
    return [
        JumpOutcome(jump, tuple(sorted(lacking, key=lambda each: (-each[1], each[0]))))
        for jump, _, lacking in found
    ]


# ------------------------------------------------------------------------ the market's


def read_markets(market: PerpetualMarket) -> dict[int, Market]:
    """Return the perpetual markets that were traded and have not ended, at their last mark prices."""
    ended = market.clocks[()].ended
    return {
        m: Market(market.mark_of(_NOBODY, m), *market.lots_of(_NOBODY, m))
        for m in sorted(market.lots)
        if not ended >> m & 1
    }


def iter_accounts_at_last_marks(market: PerpetualMarket) -> Iterator[Holder]:
    """Yield all margin accounts, each brought up to date at the last mark prices.

    The market itself is not changed.
    """
    copied = copy_market_with_overlay_tables(market)
    for owner in market.accounts:
        advance_copied_account_to_now(copied, owner)
        standing = copied._compute_standing(owner)
        held = copied.holdings_of(_NOBODY, owner)
        yield Holder(owner, standing.own - standing.haircut, {each.market: each.size for each in held})


def compute_required_insurance(market: PerpetualMarket, policy: MarginPolicy) -> int:
    """Return the insurance that must be there before new positions may open [wei], rounded up.

    It is the sum, over markets with an insurance requirement, of the larger side's notional times the
    required share.
    """
    whole = 0
    for m in market.lots:
        share = policy.insured(_NOBODY, m)
        if share:
            whole += max(market.lots_of(_NOBODY, m)) * market.mark_of(_NOBODY, m) * share
    return div_up(whole, BASIS_POINTS)
