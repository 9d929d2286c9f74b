"""Ceilings that follow debts, and the mode: raise them, lower them, and try both too soon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD
from backstop.model.auto_ceiling import AutoCeiling, Terms
from backstop.model.circuit_breaker import AUCTIONS, FALL, LOSSES, SILENCE, CircuitBreaker, State, Triggers
from backstop.model.interfaces import EMERGENCY
from backstop.proof.fuzz.action_generators.price_actions import post_price
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

OFF = 0, 0


def _find_auto_ceiling_contract(context: GenerationContext) -> AutoCeiling | None:
    return cast("AutoCeiling | None", context.world.contracts.get("AutoCeiling"))


def _get_breaker(context: GenerationContext) -> CircuitBreaker | None:
    return cast("CircuitBreaker | None", context.world.contracts.get("CircuitBreaker"))


def _pick_admin_or_stranger(context: GenerationContext) -> str:
    return context.admin if context.draw_bool(0.93) else context.pick_account()


# --------------------------------------------------------------------- ceilings


@register_generator(weight=2)
def adjust_ceiling(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that adjusts a type's automatic debt ceiling, at times exactly when a rise is due."""
    guard = _find_auto_ceiling_contract(context)
    if guard is None:
        return
    c = context.draw_type() if context.draw_bool(0.97) else context.listed
    terms: Terms = guard.terms[c]
    if terms.max_line == 0 and context.draw_bool(0.8):
        return
    if context.draw_bool(0.3):
        yield Wait(max(0, terms.raised_at + terms.ttl - context.now - context.pick_item((0, 0, 1))))
    yield context.build_action("AutoCeiling", "adjust", c, by=context.pick_account())


@register_generator(weight=1.5)
def exhaust_ceiling(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a draw of all debt that a ceiling allows, an adjustment, another draw, and a repayment."""
    guard = _find_auto_ceiling_contract(context)
    if guard is None:
        return
    c, who = context.draw_type(), context.pick_account()
    for _ in range(context.pick_item((1, 2))):
        amount = min(context.get_ceiling_room(c), context.get_drawable_debt_by_ratio(c, who))
        if amount <= 0 or guard.terms[c].max_line == 0:
            return
        yield context.build_action("VaultEngine", "deposit_and_draw", c, who, 0, amount, who, by=who)
        yield context.build_action("AutoCeiling", "adjust", c, by=who)
    if context.draw_bool(0.5):
        yield context.build_action("VaultEngine", "repay_and_withdraw", c, who, MAX_UINT256, 0, who, by=who)
        yield context.build_action("AutoCeiling", "adjust", c, by=context.pick_account())


@register_generator(weight=1.4)
def set_ceiling_terms(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the gap, highest ceiling and waiting time of a type's automatic ceiling.

    At times a value is out of bounds.
    """
    if _find_auto_ceiling_contract(context) is None:
        return
    c = context.draw_type() if context.draw_bool(0.95) else context.pick_item((context.listed, MAX_UINT256))
    ceiling = context.get_terms(min(c, context.listed - 1)).debt_ceiling
    gap = context.pick_item((1, 10**5, 10**7, 10**7, bounds.MAX_DEBT_CEILING))
    line = context.pick_item((0, ceiling, 10**7, 10**7, bounds.MAX_DEBT_CEILING))
    ttl = context.pick_item((bounds.MIN_CEILING_TTL, 3_600, bounds.MAX_CEILING_TTL))
    if context.draw_bool(0.15):
        gap = context.pick_item((0, bounds.MAX_DEBT_CEILING + 1, gap))
        line = context.pick_item((bounds.MAX_DEBT_CEILING + 1, MAX_UINT256, line))
        ttl = context.pick_item((bounds.MIN_CEILING_TTL - 1, bounds.MAX_CEILING_TTL + 1, ttl))
    yield context.build_action(
        "AutoCeiling", "set_terms", c, gap, line, ttl, by=_pick_admin_or_stranger(context)
    )


# ------------------------------------------------------------------------- mode


@register_generator(weight=2)
def escalate_mode(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that reports a trigger to the circuit breaker, mostly one that holds now."""
    breaker = _get_breaker(context)
    if breaker is None:
        return
    every = [
        (trigger, c) for trigger in (LOSSES, FALL, SILENCE, AUCTIONS) for c in range(min(context.listed, 4))
    ]
    if context.draw_bool(0.9):
        every = [each for each in every if breaker.level_of("", *each)] or every[
            context.random.randrange(16) :
        ]
    if context.draw_bool(0.03):
        every = [(context.pick_item((0, AUCTIONS + 1, FALL)), context.pick_item((0, context.listed)))]
    if every:
        yield context.build_action(
            "CircuitBreaker", "raise_mode", *context.pick_item(every), by=context.pick_account()
        )


@register_generator(weight=0.7)
def reset_calm_period(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a stale or falling price that triggers the circuit breaker, and the call that reports it.

    A fallen price recovers after that.
    """
    breaker = _get_breaker(context)
    indebted = [c for c in range(min(context.listed, 4)) if context.get_type_debt_totals(c).normalized_debt]
    if breaker is None or not indebted or context.settling:
        return
    c, triggers = context.pick_item(indebted), cast(Triggers, breaker.triggers[()])
    if context.draw_bool(0.5) and any(triggers.get_caution_and_emergency_thresholds(SILENCE)):
        seconds = max(triggers.get_caution_and_emergency_thresholds(SILENCE)) - context.pick_item((0, 0, 1))
        yield Wait(max(0, context.feed.prices[c].fresh_until + seconds - context.now))
        yield context.build_action("CircuitBreaker", "raise_mode", SILENCE, c, by=context.pick_account())
    elif any(triggers.get_caution_and_emergency_thresholds(FALL)):
        price = context.get_lower_feed_price(c)
        for _ in range(2):
            fallen = (
                price
                * (BASIS_POINTS - max(triggers.get_caution_and_emergency_thresholds(FALL)) - 1)
                // BASIS_POINTS
            )
            yield from post_price(context, c, fallen)
        yield context.build_action("CircuitBreaker", "raise_mode", FALL, c, by=context.pick_account())
        yield from post_price(context, c, price)


@register_generator(weight=2, of_traders=True)
def lower_mode(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that lowers the circuit breaker's mode, after its calm period or 1 second before."""
    breaker = _get_breaker(context)
    if breaker is None:
        return
    state = cast(State, breaker.states[()])
    if state.mode == 0 and context.draw_bool(0.8):
        return
    if context.draw_bool(0.6):
        yield Wait(max(0, state.calm_from + state.calm_period - context.now - context.pick_item((0, 0, 1))))
    yield context.build_action("CircuitBreaker", "lower_mode", by=context.pick_account())


@register_generator(weight=1.4)
def raise_mode(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the guardian's call that raises the circuit breaker's mode, at times to an invalid mode.

    At times another account calls, which reverts.
    """
    breaker = _get_breaker(context)
    if breaker is None:
        return
    by = context.guardian if context.draw_bool(0.9) else context.pick_account()
    mode = (
        min(breaker.states[()].mode + 1, EMERGENCY) if context.draw_bool(0.6) else context.random.randrange(4)
    )
    yield context.build_action("CircuitBreaker", "force_mode", mode, by=by)
    if context.draw_bool(0.2) and context.policy is not None:
        yield context.build_action(
            "CircuitBreaker", "sync_policy_mode", context.policy.address, by=context.pick_account()
        )


@register_generator(weight=1.4)
def set_triggers(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the circuit breaker's thresholds close to the values observed now.

    At times it sets the calm period, or a threshold is out of bounds.
    """
    breaker = _get_breaker(context)
    if breaker is None:
        return
    if context.draw_bool(0.3):
        period = context.pick_item((bounds.MIN_CALM_PERIOD, 3_600, bounds.MAX_CALM_PERIOD))
        if context.draw_bool(0.1):
            period = context.pick_item((bounds.MIN_CALM_PERIOD - 1, bounds.MAX_CALM_PERIOD + 1))
        yield context.build_action(
            "CircuitBreaker", "set_calm_period", period, by=_pick_admin_or_stranger(context)
        )
        return
    c = context.draw_type()
    losses = sum(context.engine.deficit.values()) // RAD
    average = context.feed.time_weighted("", c)
    fall = (average - context.feed.prices[c].current) * BASIS_POINTS // max(1, average)
    silence = context.now - context.feed.prices[c].fresh_until
    limit = context.engine.auctions[c].limit * RAD
    auctions = context.engine.auctions[c].in_auction * BASIS_POINTS // max(1, limit)
    highest = bounds.MAX_GLOBAL_DEBT_CEILING, BASIS_POINTS, bounds.MAX_SILENCE, BASIS_POINTS
    values = [
        _draw_caution_and_emergency_thresholds(context, seen, most)
        for seen, most in zip((losses, fall, silence, auctions), highest, strict=True)
    ]
    if context.draw_bool(0.1):
        place = context.random.randrange(4)
        values[place] = context.pick_item(((highest[place] + 1, 0), (0, highest[place] + 1), (2, 1)))
    yield context.build_action("CircuitBreaker", "set_triggers", *values, by=_pick_admin_or_stranger(context))


def _draw_caution_and_emergency_thresholds(
    context: GenerationContext, observed_value: int, max_threshold: int
) -> tuple[int, int]:
    if context.draw_bool(0.15):
        return OFF
    caution = min(max(observed_value + context.pick_item((-1, 0, 0, 1)), 0), max_threshold)
    emergency = min(context.pick_item((0, caution, caution + 1, 2 * caution)), max_threshold)
    return caution, emergency
