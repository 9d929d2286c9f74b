"""Reporters, and time: drifts, crashes, glitches, silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.member_pool import MemberPool
from backstop.model.price_feed import compute_renewal_window_seconds
from backstop.model.signed_reports import Span
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.proof.fuzz.initial_actions import (
    ADAPTED,
    ADAPTER,
    AGGREGATOR,
    ANSWERS,
    HEARTBEAT,
    SEQUENCER,
    SEQUENCER_GRACE,
)
from backstop.system import Action

HOUR, DAY = 3_600, 86_400
# An answer of 8 decimals in ray.
PER_ANSWER = 10**19


def submit_range_reports(
    context: GenerationContext, collateral_type: int, price: int, *, has_single_price_range: bool = False
) -> Iterator[Action | Wait]:
    """Yield a report of one price by each reporter of a market; most reports carry a price range.

    `price` is in ray for 1e18 of collateral. With `has_single_price_range` the range holds only this price,
    and goes back as far as a mark price may. Reporters that are contracts are left out.
    """
    price = min(max(price, 1), bounds.MAX_PRICE)
    span = (
        Span(price, price, context.now - bounds.MAX_MARK_AGE)
        if has_single_price_range
        else draw_span(context, price)
    )
    for index in range(1, context.feed.configs[collateral_type].reporters + 1):
        reporter = context.feed.reporters[collateral_type, index]
        # An adapter says what its aggregator does, in a move of its own.
        if reporter not in context.world.addresses:
            if context.draw_bool(0.02):
                yield context.build_action("PriceFeed", "report", collateral_type, price, by=reporter)
            else:
                yield context.build_action(
                    "PriceFeed", "report_range", collateral_type, price, *span, by=reporter
                )


def draw_span(context: GenerationContext, price: int) -> Span:
    """Draw the range of a price report: its lowest and highest price, and the time since it began.

    Mostly the range is narrow and long enough for a mark price.
    """
    low = (
        price
        * context.pick_item((BASIS_POINTS, BASIS_POINTS, context.random.randint(0, BASIS_POINTS)))
        // BASIS_POINTS
    )
    high = price * context.pick_item((100, 100, 101, context.random.randint(100, 1_600))) // 100
    since = context.now - context.pick_item((0, 1, 59, *5 * (bounds.MAX_MARK_AGE,)))
    return Span(low, high, since)


def _build_wait_for_feed_step(context: GenerationContext, collateral_type: int) -> Wait:
    """Return the wait until the price feed may take its next step."""
    return Wait(
        max(
            0,
            context.feed.averages[collateral_type].stepped_at
            + context.feed.configs[collateral_type].step
            - context.now,
        )
    )


def post_price(context: GenerationContext, collateral_type: int, price: int) -> Iterator[Action | Wait]:
    """Yield a wait for the feed's next step, a report of the price by each reporter, and the step."""
    yield _build_wait_for_feed_step(context, collateral_type)
    yield from submit_range_reports(context, collateral_type, price)
    yield context.build_action("PriceFeed", "poke", collateral_type, by=context.pick_account())


def post_price_until_current(
    context: GenerationContext, collateral_type: int, price: int
) -> Iterator[Action | Wait]:
    """Yield price reports and feed steps until the price is the feed's current one and fresh.

    `price` is in ray for 1e18 of collateral. Yield nothing if the feed has it already.
    """
    config = context.feed.configs[collateral_type]
    for _ in range(2 + (config.confirmations if config.deviation else 0)):
        if context.feed.prices[collateral_type].current != price or not context.has_fresh_price(
            collateral_type
        ):
            yield from post_price(context, collateral_type, price)


def _get_published_price_or_one(context: GenerationContext, collateral_type: int) -> int:
    return context.get_next_or_current_price(collateral_type) or 1


@register_generator(weight=2.6)
def move_price(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that move a market's price by -10% to +15%."""
    c = context.draw_feed_market()
    yield from post_price(
        context,
        c,
        _get_published_price_or_one(context, c) * context.random.randint(9_000, 11_500) // BASIS_POINTS,
    )


@register_generator(weight=1.2)
def drop_price(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that drop a market's price by 15% to 99%, at times after a silence.

    The feed mostly steps twice, so that the price becomes the current one.
    """
    c = context.draw_feed_market()
    if context.draw_bool(0.3):
        yield Wait(context.feed.configs[c].stale_after + 1)
    price = (
        _get_published_price_or_one(context, c)
        * context.pick_item((100, 3_000, 5_000, 7_000, 8_500))
        // BASIS_POINTS
    )
    yield from post_price(context, c, price)
    if context.draw_bool(0.7):
        yield _build_wait_for_feed_step(context, c)
        yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())


@register_generator(weight=0.9)
def raise_price(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that raise a market's price by 20% to 400%."""
    c = context.draw_feed_market()
    yield from post_price(
        context,
        c,
        _get_published_price_or_one(context, c)
        * context.pick_item((12_000, 15_000, 20_000, 50_000))
        // BASIS_POINTS,
    )


@register_generator(weight=1)
def move_price_to_ratio(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that put a vault at its liquidation ratio, or 1 unit off, and a liquidation."""
    c, owner = context.draw_type(), context.pick_account()
    vault = context.get_vault(c, owner)
    if vault.locked_collateral == 0 or vault.normalized_debt == 0:
        return
    exact = (
        context.get_debt(c, owner)
        * context.get_terms(c).liquidation_ratio
        // (vault.locked_collateral * BASIS_POINTS)
    )
    yield from post_price(context, c, exact + context.pick_item((-1, 0, 0, 1)))
    yield _build_wait_for_feed_step(context, c)
    yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())
    if context.get_auction_room(c):
        yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())


@register_generator(weight=1.2)
def report_different_prices(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield one reporter's price report that differs from the others, at times by any factor."""
    c = context.draw_feed_market()
    config = context.feed.configs[c]
    if config.reporters == 0:
        return
    reporter = context.feed.reporters[c, 1 + context.random.randrange(config.reporters)]
    if reporter in context.world.addresses:
        return
    price = context.pick_item(
        (
            _get_published_price_or_one(context, c) * context.random.randint(9_800, 10_200) // BASIS_POINTS,
            1,
            bounds.MAX_PRICE,
        )
    )
    yield context.build_action("PriceFeed", "report", c, max(1, price), by=reporter)


@register_generator(weight=1.5)
def poke_feed(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a step of a price feed, mostly once it is due and enough reports are fresh."""
    c = context.draw_feed_market()
    config = context.feed.configs[c]
    reports = [context.feed.reports[c, index] for index in range(1, config.reporters + 1)]
    if context.draw_bool(0.8):
        yield _build_wait_for_feed_step(context, c)
    if sum(
        context.now <= each.reported_at + config.max_age for each in reports
    ) < config.quorum and context.draw_bool(0.8):
        return
    yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())


@register_generator(weight=0.7)
def renew_step(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a step of a price feed, later reports, and a call that renews the step with these reports."""
    c = context.draw_feed_market()
    config = context.feed.configs[c]
    yield _build_wait_for_feed_step(context, c)
    yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())
    window = compute_renewal_window_seconds(config.step)
    for _ in range(context.pick_item((1, 1, 2))):
        yield Wait(min(config.step, context.pick_item((0, 12, window // 2, window, window + 1))))
        price = (
            _get_published_price_or_one(context, c)
            * context.pick_item((5_000, 9_000, 9_900, 10_100, 12_000))
            // BASIS_POINTS
        )
        yield from submit_range_reports(context, c, price)
        yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())


@register_generator(weight=1)
def wait_briefly(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a wait of 1 second to 10 minutes."""
    yield Wait(context.pick_item((1, 12, 60, 600)))


@register_generator(weight=0.5)
def wait_long(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a wait of hours, days or a pool's cooldown; rarely one of 90 or 400 days.

    One accrual of the stability fee charges for a shorter time than 400 days.
    """
    pool = cast(MemberPool, context.world.contracts[context.pick_item(context.pools)])
    yield Wait(context.pick_item((HOUR, 6 * HOUR, DAY, pool.cooldown + 1, 2 * pool.cooldown + 600)))
    if context.draw_bool(0.02):
        yield Wait(context.pick_item((90 * DAY, 400 * DAY)))


@register_generator(weight=0.6)
def renew_stale_price(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield reports of the last price for each market with a stale price."""
    for c in (*range(min(context.listed, 4)), *((bounds.EQUITY_MARKET,) if context.has_equity else ())):
        if not context.has_fresh_price(c):
            yield from post_price(context, c, _get_published_price_or_one(context, c))


@register_generator(weight=0.5)
def spike_price(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports far from the last price for some steps, and mostly a return to it."""
    c = context.draw_feed_market()
    usual, config = _get_published_price_or_one(context, c), context.feed.configs[c]
    far = usual * context.pick_item((1_000, 8_500, 9_999, 11_501, 30_000)) // BASIS_POINTS
    for _ in range(context.random.randint(1, config.confirmations + 2)):
        yield from post_price(context, c, far * context.random.randint(9_900, 10_100) // BASIS_POINTS)
    if context.draw_bool(0.6):
        yield from post_price(context, c, usual)


@register_generator(weight=0.5, of_own_types=True)
def silence_feed(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a wait until a feed is stale or dead, calls that need its price, and new reports."""
    c = context.draw_feed_market()
    config = context.feed.configs[c]
    late = context.pick_item((0, 1, config.dead_after, config.dead_after + 1))
    yield Wait(max(0, context.feed.prices[c].fresh_until - context.now) + late)
    for _ in range(2):
        for owner in context.list_unsafe_owners(c)[:1] if c < context.listed else ():
            yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())
        for auction_id in [
            auction_id
            for auction_id in context.list_open_auctions()
            if context.auction.lots[auction_id].collateral_type == c
        ][:1]:
            method, args = context.pick_item(
                (("reset", (auction_id, context.pick_account())), ("close", (auction_id,)))
            )
            yield context.build_action("CollateralAuction", method, *args, by=context.pick_account())
        yield from post_price(
            context,
            c,
            _get_published_price_or_one(context, c)
            * context.pick_item((5_000, 9_500, 10_000))
            // BASIS_POINTS,
        )
        yield Wait(context.pick_item((0, max(0, config.grace - 1), config.grace)))


@register_generator(weight=0.8)
def answer_aggregator(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a Chainlink aggregator's answer, valid or not, and the adapter's report of the answer."""
    usual = _get_published_price_or_one(context, ADAPTED) // PER_ANSWER
    if context.draw_bool(0.3):
        down, since = (
            context.pick_item((0, 0, 0, 1)),
            context.pick_item((context.now, context.now, context.now, context.now + 1, 0)),
        )
        yield context.build_action(
            SEQUENCER, "set_answer", 1, down, since, since, 1, by=context.pick_account()
        )
        yield Wait(context.pick_item((SEQUENCER_GRACE, SEQUENCER_GRACE + 1, SEQUENCER_GRACE + 1)))
    answer = (
        usual
        if context.draw_bool(0.7)
        else context.pick_item((0, -1, ANSWERS[0], ANSWERS[0] + 1, ANSWERS[1]))
    )
    at = (
        context.now
        if context.draw_bool(0.8)
        else context.pick_item((0, context.now + 1, max(0, context.now - HEARTBEAT - 1)))
    )
    answered_in = context.pick_item((5, 5, 5, 5, 4))
    yield context.build_action(
        AGGREGATOR, "set_answer", 5, answer, at, at, answered_in, by=context.pick_account()
    )
    if context.draw_bool(0.2):
        yield Wait(context.pick_item((1, HEARTBEAT, HEARTBEAT + 1)))
    yield context.build_action(ADAPTER, "push", by=context.pick_account())
