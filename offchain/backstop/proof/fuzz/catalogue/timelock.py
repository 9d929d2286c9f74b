"""A timelock beside the admin that may set ceilings: its proposals, and what it does at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.erc20 import words
from backstop.model.signatures import keccak256
from backstop.model.timelock import MAX_OPEN, SET_GUARDIAN, Call, Timelock, id_of
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.opening import SET_CEILING, TIMELOCK
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_SET_GOVERNOR = keccak256(b"set_governor(address)")[:4]
_SET_DELAY = keccak256(b"set_delay(address,bytes4,uint256)")[:4]


def _timelock(s: Scene) -> Timelock:
    return cast(Timelock, s.world.contracts[TIMELOCK])


def _call(s: Scene, lock: Timelock) -> Call:
    """Draw a call: mostly a ceiling, which waits for an hour; else one of its own; or one that fails."""
    if s.chance(0.6):
        c = s.type() if s.chance(0.95) else s.listed
        ceiling = s.some((s.terms(s.type()).debt_ceiling + 1, 10**7, bounds.MAX_DEBT_CEILING))
        if s.chance(0.05):
            ceiling = bounds.MAX_DEBT_CEILING + 1
        return s.engine.address, SET_CEILING + words(c, ceiling)
    if s.chance(0.3):
        # The guardian's successor is its own again, so that its acts go on.
        return lock.address, SET_GUARDIAN + words(s.some((s.guardian, s.guardian, s.somebody())))
    if s.chance(0.4):
        return lock.address, _SET_GOVERNOR + words(s.some((s.admin, s.admin, s.somebody())))
    if s.chance(0.7):
        delay = s.some((0, bounds.MIN_DELAY, bounds.MIN_DELAY - 1, lock.longest, lock.longest + 1))
        of = s.some((s.engine.address, s.engine.address, lock.address))
        return lock.address, _SET_DELAY + words(of, SET_CEILING.ljust(32, b"\0"), delay)
    return s.some(((s.stablecoin.address, SET_CEILING), (s.somebody(), b"\0" * 4), (lock.address, b"\1")))


def _open(s: Scene, lock: Timelock) -> list[bytes]:
    """Return the proposals that are there, expired or not, whose calls are known."""
    return [id for id in map(lock.places.__getitem__, range(MAX_OPEN)) if id in s.announced]


@move(weight=0.8)
def announce_change(s: Scene) -> Iterator[Action | Wait]:
    """Propose one call, or two that wait for the longer of their delays; at times the same again."""
    lock = _timelock(s)
    calls = tuple(_call(s, lock) for _ in range(s.some((1, 1, 1, 2))))
    salt = bytes(31) + bytes([s.random.randrange(4)])
    if s.announced and s.chance(0.1):
        calls, salt = s.some(list(s.announced.values()))
    s.announced = {id: s.announced[id] for id in _open(s, lock)} | {id_of(calls, salt): (calls, salt)}
    by = lock.governors[()] if s.chance(0.95) else s.some((s.guardian, s.somebody()))
    yield s.call(TIMELOCK, "propose", calls, salt, by=by)


@move(weight=0.8)
def carry_out_change(s: Scene) -> Iterator[Action | Wait]:
    """Execute a proposal: as it is, at the first second or before it, at the last second or after it."""
    lock = _timelock(s)
    found = _open(s, lock)
    if not found:
        return
    in_time = [id for id in found if s.now <= lock.proposals[id].ready_at + lock.window]
    id = s.some(in_time if in_time and s.chance(0.95) else found)
    first = lock.proposals[id].ready_at
    last = first + lock.window
    if s.chance(0.8 if first - s.now <= bounds.MIN_DELAY else 0.15):
        at = s.some((last, last + 1)) if s.chance(0.03) else s.some((first, first, first, first - 1))
        yield Wait(max(0, at - s.now))
    yield s.call(TIMELOCK, "execute", *s.announced[id], by=s.somebody())


@move(weight=0.5)
def withdraw_change(s: Scene) -> Iterator[Action | Wait]:
    """Cancel a proposal, also the one that replaces the guardian, and one that is not there."""
    lock = _timelock(s)
    found = _open(s, lock)
    if found:
        id = s.some(found) if s.chance(0.95) else bytes(31) + b"\1"
        by = s.some((lock.governors[()], lock.guardians[()], lock.guardians[()], s.somebody()))
        yield s.call(TIMELOCK, "cancel", id, by=by)


@move(weight=0.5)
def forbid_new_risk(s: Scene) -> Iterator[Action | Wait]:
    """Have it lower a ceiling at once, a little or to nothing; or try to raise one, or to halt all."""
    lock = _timelock(s)
    c = s.type()
    present = s.terms(c).debt_ceiling
    by = lock.guardians[()] if s.chance(0.8) else s.some((lock.governors[()], s.somebody()))
    if s.chance(0.1):
        yield s.call(TIMELOCK, "halt_draws", by=by)
        return
    lower = present - 1 - int(s.part(max(present // 20, 1)))
    ceiling = max(0, lower) if s.chance(0.9) else s.some((present, present + 1, 0))
    yield s.call(TIMELOCK, "lower_ceiling", c, ceiling, by=by)
