"""Signed reports, submitted by any account: fresh, late, twice, in any order, and false."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.devnet_trader_signatures import sign_report
from backstop.deployment.role_accounts import ACCOUNTS
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.signed_reports import SignedReport
from backstop.proof.fuzz.action_generators.price_actions import draw_span
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

_KEYS = frozenset(ACCOUNTS.values())


def _sign_report(context: GenerationContext, reporter: str, collateral_type: int, price: int) -> SignedReport:
    """Sign a price report as a reporter; rarely with a wrong time, feed, chain, market or signature."""
    at = context.now - context.pick_item((0, 0, 1, 30, bounds.MAX_SIGNED_AGE, bounds.MAX_SIGNED_AGE + 1))
    wrong = context.random.randrange(60)
    feed = context.world.contracts["VaultEngine" if wrong == 0 else "PriceFeed"].address
    chain_id = context.world.chain_id + (wrong == 1)
    span = draw_span(context, price)._replace(
        since=at - context.pick_item((0, 1, 60, bounds.MAX_MARK_AGE, -1))
    )
    if wrong == 6:
        span = context.pick_item((span._replace(low=price + 1), span._replace(high=16 * price + 1)))
    report = sign_report(reporter, collateral_type, price, at + 60 * (wrong == 2), chain_id, feed, span)
    if wrong == 3:
        return report._replace(market=collateral_type + 1)
    if wrong == 4:
        return report._replace(signature=report.signature[: context.pick_item((0, 64))])
    if wrong == 5:
        return report._replace(signature=report.signature[:64] + bytes([context.pick_item((0, 29))]))
    return report


@register_generator(weight=0.3)
def submit_signed_reports(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a submission of several reporters' signed price reports, and a step of the feed.

    At times some reports are submitted again, in random order.
    """
    c = context.draw_feed_market()
    config = context.feed.configs[c]
    signers = [context.feed.reporters[c, index] for index in range(1, config.reporters + 1)]
    signers = [reporter for reporter in signers if reporter in _KEYS]
    if not signers:
        return
    if context.draw_bool(0.5):
        yield Wait(max(0, context.feed.averages[c].stepped_at + config.step - context.now))
    price = (
        max(1, context.get_next_or_current_price(c)) * context.random.randint(9_500, 10_500) // BASIS_POINTS
    )
    price = min(max(price, 1), bounds.MAX_PRICE)
    chosen = context.random.sample(signers, context.random.randint(1, len(signers)))
    if context.draw_bool(0.02):
        chosen.append(context.guardian)
    reports = [_sign_report(context, reporter, c, price) for reporter in chosen]
    yield context.build_action(
        "PriceFeed", "submit_signed_reports", tuple(reports), by=context.pick_account()
    )
    if context.draw_bool(0.3):
        again = [*reports, _sign_report(context, context.pick_item(signers), c, price)]
        context.random.shuffle(again)
        yield context.build_action(
            "PriceFeed",
            "submit_signed_reports",
            tuple(again[: bounds.MAX_REPORTERS]),
            by=context.pick_account(),
        )
    yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())
