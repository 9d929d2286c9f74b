"""Holders of claims: repaid, collecting, converting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.pool import Pool
from backstop.model.recovery_claims import RecoveryClaims
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


def _claims(s: Scene) -> RecoveryClaims | None:
    """Choose a series in which something is owed, if there is one; at times any."""
    series = [cast(RecoveryClaims, s.world.contracts[name]) for name in s.claims]
    owing = [each for each in series if each.series[()].tokens]
    if owing:
        return s.some(owing)
    return s.some(series) if series and s.chance(0.1) else None


@move(weight=1)
def repay_claims(s: Scene) -> Iterator[Action | Wait]:
    """Pay the holders: all, all but what must be left, a part."""
    claims = _claims(s)
    if claims is None:
        return
    who = s.richest()
    owed = int(claims.series[()].outstanding)
    amount = s.near(owed, owed // 2)
    if s.chance(0.9):
        amount = min(amount, s.held("Stablecoin", who))
    yield s.call(claims.label, "repay", amount, by=who)


@move(weight=1)
def collect_cash(s: Scene) -> Iterator[Action | Wait]:
    """Collect what tokens were paid, of this generation or an old one."""
    claims = _claims(s)
    if claims is None:
        return
    last = int(claims.state[()].generation)
    generation = last if s.chance(0.6) else s.random.randrange(last + 1)
    found = [who for who in s.people if claims.cash_of("", who, generation)]
    if found or s.chance(0.1):
        yield s.call(claims.label, "collect", s.some(found or s.people), generation, by=s.somebody())


@move(weight=0.8)
def convert_claims(s: Scene) -> Iterator[Action | Wait]:
    """Turn claims into equity, where that is possible."""
    claims = _claims(s)
    if claims is None or (claims.set_price == 0 and s.chance(0.9)):
        return
    if not claims.holders():
        pool = cast(Pool, s.world.at(claims.pool_address))
        for who in s.people:
            yield s.call(pool.label, "collect_claims", who, by=who)
    holders = [who for who in claims.holders() if who in s.people]
    if holders:
        who = s.some(holders)
        yield s.call(claims.label, "convert", s.near(claims.held(who)), s.some((who, s.somebody())), by=who)
