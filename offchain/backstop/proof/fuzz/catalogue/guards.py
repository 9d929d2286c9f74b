"""Ceilings that follow debts, and the mode: what pushes them up, brings them down, tries both too soon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD
from backstop.model.auto_ceiling import AutoCeiling, Terms
from backstop.model.circuit_breaker import AUCTIONS, FALL, LOSSES, SILENCE, CircuitBreaker, State, Triggers
from backstop.model.interfaces import EMERGENCY
from backstop.proof.fuzz.catalogue.prices import post_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

OFF = 0, 0


def _ceiling(s: Scene) -> AutoCeiling | None:
    return cast("AutoCeiling | None", s.world.contracts.get("AutoCeiling"))


def _breaker(s: Scene) -> CircuitBreaker | None:
    return cast("CircuitBreaker | None", s.world.contracts.get("CircuitBreaker"))


def _by(s: Scene) -> str:
    return s.admin if s.chance(0.93) else s.somebody()


# --------------------------------------------------------------------- ceilings


@move(weight=2)
def adjust_ceiling(s: Scene) -> Iterator[Action | Wait]:
    """Adjust a ceiling, at times just when it may be raised, or a second before."""
    guard = _ceiling(s)
    if guard is None:
        return
    c = s.type() if s.chance(0.97) else s.listed
    terms: Terms = guard.terms[c]
    if terms.max_line == 0 and s.chance(0.8):
        return
    if s.chance(0.3):
        yield Wait(max(0, terms.raised_at + terms.ttl - s.now - s.some((0, 0, 1))))
    yield s.call("AutoCeiling", "adjust", c, by=s.somebody())


@move(weight=1.5)
def push_the_ceiling(s: Scene) -> Iterator[Action | Wait]:
    """Draw all that a ceiling leaves, have it adjusted, draw again, and repay."""
    guard = _ceiling(s)
    if guard is None:
        return
    c, who = s.type(), s.somebody()
    for _ in range(s.some((1, 2))):
        amount = min(s.under_ceiling(c), s.drawable(c, who))
        if amount <= 0 or guard.terms[c].max_line == 0:
            return
        yield s.call("VaultEngine", "deposit_and_draw", c, who, 0, amount, who, by=who)
        yield s.call("AutoCeiling", "adjust", c, by=who)
    if s.chance(0.5):
        yield s.call("VaultEngine", "repay_and_withdraw", c, who, MAX_UINT256, 0, who, by=who)
        yield s.call("AutoCeiling", "adjust", c, by=s.somebody())


@move(weight=1.4)
def set_ceiling_terms(s: Scene) -> Iterator[Action | Wait]:
    """Set gap, highest line and ttl of a type, within bounds and outside."""
    if _ceiling(s) is None:
        return
    c = s.type() if s.chance(0.95) else s.some((s.listed, MAX_UINT256))
    ceiling = s.terms(min(c, s.listed - 1)).debt_ceiling
    gap = s.some((1, 10**5, 10**7, 10**7, bounds.MAX_DEBT_CEILING))
    line = s.some((0, ceiling, 10**7, 10**7, bounds.MAX_DEBT_CEILING))
    ttl = s.some((bounds.MIN_CEILING_TTL, 3_600, bounds.MAX_CEILING_TTL))
    if s.chance(0.15):
        gap = s.some((0, bounds.MAX_DEBT_CEILING + 1, gap))
        line = s.some((bounds.MAX_DEBT_CEILING + 1, MAX_UINT256, line))
        ttl = s.some((bounds.MIN_CEILING_TTL - 1, bounds.MAX_CEILING_TTL + 1, ttl))
    yield s.call("AutoCeiling", "set_terms", c, gap, line, ttl, by=_by(s))


# ------------------------------------------------------------------------- mode


@move(weight=2)
def escalate(s: Scene) -> Iterator[Action | Wait]:
    """Tell the breaker of a trigger, one that holds if there is any."""
    breaker = _breaker(s)
    if breaker is None:
        return
    every = [(trigger, c) for trigger in (LOSSES, FALL, SILENCE, AUCTIONS) for c in range(min(s.listed, 4))]
    if s.chance(0.9):
        every = [each for each in every if breaker.level_of("", *each)] or every[s.random.randrange(16) :]
    if s.chance(0.03):
        every = [(s.some((0, AUCTIONS + 1, FALL)), s.some((0, s.listed)))]
    if every:
        yield s.call("CircuitBreaker", "escalate", *s.some(every), by=s.somebody())


@move(weight=0.7)
def break_the_calm(s: Scene) -> Iterator[Action | Wait]:
    """Make a type in debt fall silent, to the second, or its price fall; tell; let the price recover."""
    breaker = _breaker(s)
    indebted = [c for c in range(min(s.listed, 4)) if s.debts(c).normalized_debt]
    if breaker is None or not indebted or s.settling:
        return
    c, triggers = s.some(indebted), cast(Triggers, breaker.triggers[()])
    if s.chance(0.5) and any(triggers.of(SILENCE)):
        seconds = max(triggers.of(SILENCE)) - s.some((0, 0, 1))
        yield Wait(max(0, s.feed.prices[c].fresh_until + seconds - s.now))
        yield s.call("CircuitBreaker", "escalate", SILENCE, c, by=s.somebody())
    elif any(triggers.of(FALL)):
        price = s.price(c)
        for _ in range(2):
            fallen = price * (BASIS_POINTS - max(triggers.of(FALL)) - 1) // BASIS_POINTS
            yield from post_price(s, c, fallen)
        yield s.call("CircuitBreaker", "escalate", FALL, c, by=s.somebody())
        yield from post_price(s, c, price)


@move(weight=2, of_traders=True)
def calm_down(s: Scene) -> Iterator[Action | Wait]:
    """Lower the mode once the calm period is over, or a second before."""
    breaker = _breaker(s)
    if breaker is None:
        return
    state = cast(State, breaker.states[()])
    if state.mode == 0 and s.chance(0.8):
        return
    if s.chance(0.6):
        yield Wait(max(0, state.calm_from + state.calm_period - s.now - s.some((0, 0, 1))))
    yield s.call("CircuitBreaker", "calm", by=s.somebody())


@move(weight=1.4)
def raise_mode(s: Scene) -> Iterator[Action | Wait]:
    """Have the guardian raise the mode; others, and other modes, are refused."""
    breaker = _breaker(s)
    if breaker is None:
        return
    by = s.guardian if s.chance(0.9) else s.somebody()
    mode = min(breaker.states[()].mode + 1, EMERGENCY) if s.chance(0.6) else s.random.randrange(4)
    yield s.call("CircuitBreaker", "raise_to", mode, by=by)
    if s.chance(0.2) and s.policy is not None:
        yield s.call("CircuitBreaker", "tell", s.policy.address, by=s.somebody())


@move(weight=1.4)
def set_triggers(s: Scene) -> Iterator[Action | Wait]:
    """Set thresholds at what is there to see now, or a unit beside it; at times outside their bounds."""
    breaker = _breaker(s)
    if breaker is None:
        return
    if s.chance(0.3):
        period = s.some((bounds.MIN_CALM_PERIOD, 3_600, bounds.MAX_CALM_PERIOD))
        if s.chance(0.1):
            period = s.some((bounds.MIN_CALM_PERIOD - 1, bounds.MAX_CALM_PERIOD + 1))
        yield s.call("CircuitBreaker", "set_calm_period", period, by=_by(s))
        return
    c = s.type()
    losses = sum(s.engine.deficit.values()) // RAD
    average = s.feed.time_weighted("", c)
    fall = (average - s.feed.prices[c].current) * BASIS_POINTS // max(1, average)
    silence = s.now - s.feed.prices[c].fresh_until
    limit = s.engine.auctions[c].limit * RAD
    auctions = s.engine.auctions[c].in_auction * BASIS_POINTS // max(1, limit)
    highest = bounds.MAX_GLOBAL_DEBT_CEILING, BASIS_POINTS, bounds.MAX_SILENCE, BASIS_POINTS
    values = [
        _thresholds(s, seen, most)
        for seen, most in zip((losses, fall, silence, auctions), highest, strict=True)
    ]
    if s.chance(0.1):
        place = s.random.randrange(4)
        values[place] = s.some(((highest[place] + 1, 0), (0, highest[place] + 1), (2, 1)))
    yield s.call("CircuitBreaker", "set_triggers", *values, by=_by(s))


def _thresholds(s: Scene, seen: int, most: int) -> tuple[int, int]:
    if s.chance(0.15):
        return OFF
    caution = min(max(seen + s.some((-1, 0, 0, 1)), 0), most)
    emergency = min(s.some((0, caution, caution + 1, 2 * caution)), most)
    return caution, emergency
