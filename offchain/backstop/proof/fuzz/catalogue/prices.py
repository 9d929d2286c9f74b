"""Reporters, and time: drifts, crashes, glitches, silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.member_pool import MemberPool
from backstop.model.price_feed import renewal_window
from backstop.model.signed_reports import Span
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.opening import (
    ADAPTED,
    ADAPTER,
    AGGREGATOR,
    ANSWERS,
    HEARTBEAT,
    SEQUENCER,
    SEQUENCER_GRACE,
)
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

HOUR, DAY = 3_600, 86_400
# An answer of 8 decimals in ray.
PER_ANSWER = 10**19


def report_all(s: Scene, c: int, price: int, *, is_steady: bool = False) -> Iterator[Action | Wait]:
    """Yield a report of the price by each reporter that is an account; most reports carry a range.

    The range of a steady price is the price alone, and is as old as a mark can be.
    """
    price = min(max(price, 1), bounds.MAX_PRICE)
    span = Span(price, price, s.now - bounds.MAX_MARK_AGE) if is_steady else draw_span(s, price)
    for index in range(1, s.feed.configs[c].reporters + 1):
        reporter = s.feed.reporters[c, index]
        # An adapter says what its aggregator does, in a move of its own.
        if reporter not in s.world.addresses:
            if s.chance(0.02):
                yield s.call("PriceFeed", "report", c, price, by=reporter)
            else:
                yield s.call("PriceFeed", "report_range", c, price, *span, by=reporter)


def draw_span(s: Scene, price: int) -> Span:
    """Draw the range of a report: mostly long enough for a mark, and as narrow as the price."""
    low = price * s.some((BASIS_POINTS, BASIS_POINTS, s.random.randint(0, BASIS_POINTS))) // BASIS_POINTS
    high = price * s.some((100, 100, 101, s.random.randint(100, 1_600))) // 100
    since = s.now - s.some((0, 1, 59, *5 * (bounds.MAX_MARK_AGE,)))
    return Span(low, high, since)


def _until_step(s: Scene, c: int) -> Wait:
    """Wait until the feed may step again."""
    return Wait(max(0, s.feed.averages[c].stepped_at + s.feed.configs[c].step - s.now))


def post_price(s: Scene, c: int, price: int) -> Iterator[Action | Wait]:
    """Wait for the feed's step, have all report, step."""
    yield _until_step(s, c)
    yield from report_all(s, c, price)
    yield s.call("PriceFeed", "poke", c, by=s.somebody())


def settle_price(s: Scene, c: int, price: int) -> Iterator[Action | Wait]:
    """Make a price the current and the next one, if it is not."""
    config = s.feed.configs[c]
    for _ in range(2 + (config.confirmations if config.deviation else 0)):
        if s.feed.prices[c].current != price or not s.fresh(c):
            yield from post_price(s, c, price)


def _last(s: Scene, c: int) -> int:
    return s.published(c) or 1


@move(weight=2.6)
def drift(s: Scene) -> Iterator[Action | Wait]:
    """Move a price by a few percent."""
    c = s.market()
    yield from post_price(s, c, _last(s, c) * s.random.randint(9_000, 11_500) // BASIS_POINTS)


@move(weight=1.2)
def crash(s: Scene) -> Iterator[Action | Wait]:
    """Drop a price far, at once or after a silence, until it is current."""
    c = s.market()
    if s.chance(0.3):
        yield Wait(s.feed.configs[c].stale_after + 1)
    price = _last(s, c) * s.some((100, 3_000, 5_000, 7_000, 8_500)) // BASIS_POINTS
    yield from post_price(s, c, price)
    if s.chance(0.7):
        yield _until_step(s, c)
        yield s.call("PriceFeed", "poke", c, by=s.somebody())


@move(weight=0.9)
def recover(s: Scene) -> Iterator[Action | Wait]:
    """Raise a price."""
    c = s.market()
    yield from post_price(s, c, _last(s, c) * s.some((12_000, 15_000, 20_000, 50_000)) // BASIS_POINTS)


@move(weight=1)
def land_on_the_ratio(s: Scene) -> Iterator[Action | Wait]:
    """Set a price at which a vault is exactly at the liquidation ratio, or a hair from it."""
    c, owner = s.type(), s.somebody()
    vault = s.vault(c, owner)
    if vault.locked_collateral == 0 or vault.normalized_debt == 0:
        return
    exact = s.debt(c, owner) * s.terms(c).liquidation_ratio // (vault.locked_collateral * BASIS_POINTS)
    yield from post_price(s, c, exact + s.some((-1, 0, 0, 1)))
    yield _until_step(s, c)
    yield s.call("PriceFeed", "poke", c, by=s.somebody())
    if s.room(c):
        yield s.call("LiquidationEngine", "liquidate", c, owner, s.somebody(), by=s.somebody())


@move(weight=1.2)
def report_apart(s: Scene) -> Iterator[Action | Wait]:
    """Have reporters disagree; one of them may be mad."""
    c = s.market()
    config = s.feed.configs[c]
    if config.reporters == 0:
        return
    reporter = s.feed.reporters[c, 1 + s.random.randrange(config.reporters)]
    if reporter in s.world.addresses:
        return
    price = s.some((_last(s, c) * s.random.randint(9_800, 10_200) // BASIS_POINTS, 1, bounds.MAX_PRICE))
    yield s.call("PriceFeed", "report", c, max(1, price), by=reporter)


@move(weight=1.5)
def poke(s: Scene) -> Iterator[Action | Wait]:
    """Step a feed, in time or not."""
    c = s.market()
    config = s.feed.configs[c]
    reports = [s.feed.reports[c, index] for index in range(1, config.reporters + 1)]
    if s.chance(0.8):
        yield _until_step(s, c)
    if sum(s.now <= each.reported_at + config.max_age for each in reports) < config.quorum and s.chance(0.8):
        return
    yield s.call("PriceFeed", "poke", c, by=s.somebody())


@move(weight=0.7)
def renew_step(s: Scene) -> Iterator[Action | Wait]:
    """Step a feed with the reports of the last step, and renew the step once newer ones have landed."""
    c = s.market()
    config = s.feed.configs[c]
    yield _until_step(s, c)
    yield s.call("PriceFeed", "poke", c, by=s.somebody())
    window = renewal_window(config.step)
    for _ in range(s.some((1, 1, 2))):
        yield Wait(min(config.step, s.some((0, 12, window // 2, window, window + 1))))
        price = _last(s, c) * s.some((5_000, 9_000, 9_900, 10_100, 12_000)) // BASIS_POINTS
        yield from report_all(s, c, price)
        yield s.call("PriceFeed", "poke", c, by=s.somebody())


@move(weight=1)
def wait_a_little(s: Scene) -> Iterator[Action | Wait]:
    """Wait for seconds or minutes."""
    yield Wait(s.some((1, 12, 60, 600)))


@move(weight=0.5)
def wait_long(s: Scene) -> Iterator[Action | Wait]:
    """Wait for hours, days, a cooldown; at times months, longer than one accrual charges."""
    pool = cast(MemberPool, s.world.contracts[s.some(s.pools)])
    yield Wait(s.some((HOUR, 6 * HOUR, DAY, pool.cooldown + 1, 2 * pool.cooldown + 600)))
    if s.chance(0.02):
        yield Wait(s.some((90 * DAY, 400 * DAY)))


@move(weight=0.6)
def wake_up(s: Scene) -> Iterator[Action | Wait]:
    """Post a stale type's price again, after a silence."""
    for c in (*range(min(s.listed, 4)), *((bounds.EQUITY_MARKET,) if s.has_equity else ())):
        if not s.fresh(c):
            yield from post_price(s, c, _last(s, c))


@move(weight=0.5)
def leap(s: Scene) -> Iterator[Action | Wait]:
    """Move a price far away for a few steps, and back, or not: a wick, or a crash that is confirmed."""
    c = s.market()
    usual, config = _last(s, c), s.feed.configs[c]
    far = usual * s.some((1_000, 8_500, 9_999, 11_501, 30_000)) // BASIS_POINTS
    for _ in range(s.random.randint(1, config.confirmations + 2)):
        yield from post_price(s, c, far * s.random.randint(9_900, 10_100) // BASIS_POINTS)
    if s.chance(0.6):
        yield from post_price(s, c, usual)


@move(weight=0.5)
def outage(s: Scene) -> Iterator[Action | Wait]:
    """Silence a feed until it is stale, or dead; somebody acts on that, and it comes back."""
    c = s.market()
    config = s.feed.configs[c]
    late = s.some((0, 1, config.dead_after, config.dead_after + 1))
    yield Wait(max(0, s.feed.prices[c].fresh_until - s.now) + late)
    for _ in range(2):
        for owner in s.unsafe(c)[:1] if c < s.listed else ():
            yield s.call("LiquidationEngine", "liquidate", c, owner, s.somebody(), by=s.somebody())
        for id in [id for id in s.open_auctions() if s.auction.lots[id].collateral_type == c][:1]:
            method, args = s.some((("reset", (id, s.somebody())), ("close", (id,))))
            yield s.call("CollateralAuction", method, *args, by=s.somebody())
        yield from post_price(s, c, _last(s, c) * s.some((5_000, 9_500, 10_000)) // BASIS_POINTS)
        yield Wait(s.some((0, max(0, config.grace - 1), config.grace)))


@move(weight=0.8)
def aggregate(s: Scene) -> Iterator[Action | Wait]:
    """Have the aggregator answer, as it should or not, and its adapter report."""
    usual = _last(s, ADAPTED) // PER_ANSWER
    if s.chance(0.3):
        down, since = s.some((0, 0, 0, 1)), s.some((s.now, s.now, s.now, s.now + 1, 0))
        yield s.call(SEQUENCER, "say", 1, down, since, since, 1, by=s.somebody())
        yield Wait(s.some((SEQUENCER_GRACE, SEQUENCER_GRACE + 1, SEQUENCER_GRACE + 1)))
    answer = usual if s.chance(0.7) else s.some((0, -1, ANSWERS[0], ANSWERS[0] + 1, ANSWERS[1]))
    at = s.now if s.chance(0.8) else s.some((0, s.now + 1, max(0, s.now - HEARTBEAT - 1)))
    answered_in = s.some((5, 5, 5, 5, 4))
    yield s.call(AGGREGATOR, "say", 5, answer, at, at, answered_in, by=s.somebody())
    if s.chance(0.2):
        yield Wait(s.some((1, HEARTBEAT, HEARTBEAT + 1)))
    yield s.call(ADAPTER, "push", by=s.somebody())
