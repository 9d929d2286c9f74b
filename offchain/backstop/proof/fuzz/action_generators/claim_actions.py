"""Holders of claims: repaid, collecting, converting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.pool import Pool
from backstop.model.recovery_claims import RecoveryClaims
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _pick_owing_claims_contract(context: GenerationContext) -> RecoveryClaims | None:
    """Pick a recovery claims contract that still owes its holders, or at times any; None without one."""
    series = [cast(RecoveryClaims, context.world.contracts[name]) for name in context.claims]
    owing = [each for each in series if each.series[()].tokens]
    if owing:
        return context.pick_item(owing)
    return context.pick_item(series) if series and context.draw_bool(0.1) else None


@register_generator(weight=1)
def repay_claims(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a repayment of recovery claims: all, just below the least remainder, or a part."""
    claims = _pick_owing_claims_contract(context)
    if claims is None:
        return
    who = context.find_richest_account()
    owed = int(claims.series[()].outstanding)
    amount = context.draw_near_limit(owed, owed // 2)
    if context.draw_bool(0.9):
        amount = min(amount, context.get_balance("Stablecoin", who))
    yield context.build_action(claims.label, "repay", amount, by=who)


@register_generator(weight=1)
def collect_claim_cash(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that collects the stablecoin paid to a holder's recovery claims.

    The claims are of the present generation or of an older one.
    """
    claims = _pick_owing_claims_contract(context)
    if claims is None:
        return
    last = int(claims.state[()].generation)
    generation = last if context.draw_bool(0.6) else context.random.randrange(last + 1)
    found = [who for who in context.people if claims.cash_of("", who, generation)]
    if found or context.draw_bool(0.1):
        yield context.build_action(
            claims.label,
            "collect",
            context.pick_item(found or context.people),
            generation,
            by=context.pick_account(),
        )


@register_generator(weight=0.8)
def convert_claims(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a conversion of a holder's recovery claims into equity, mostly where conversion is enabled."""
    claims = _pick_owing_claims_contract(context)
    if claims is None or (claims.set_price == 0 and context.draw_bool(0.9)):
        return
    if not claims.list_holders():
        pool = cast(Pool, context.world.at(claims.pool_address))
        for who in context.people:
            yield context.build_action(pool.label, "collect_claims", who, by=who)
    holders = [who for who in claims.list_holders() if who in context.people]
    if holders:
        who = context.pick_item(holders)
        yield context.build_action(
            claims.label,
            "convert",
            context.draw_near_limit(claims.held(who)),
            context.pick_item((who, context.pick_account())),
            by=who,
        )
