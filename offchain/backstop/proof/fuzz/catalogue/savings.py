"""Members of pools: enter, ask to leave, leave, earn; also in a pool of a false token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.erc20 import ERC20
from backstop.model.member_pool import MemberPool
from backstop.proof.fuzz.catalogue.prices import post_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


def _pool(s: Scene) -> str:
    return "OddPool" if s.chance(0.08) else s.some(s.pools)


def _held(s: Scene, pool: MemberPool, who: str) -> int:
    return int(cast(ERC20, pool.token).balances[who])


@move(weight=3)
def save(s: Scene) -> Iterator[Action | Wait]:
    """Deposit into a pool."""
    name, who = _pool(s), s.some((s.richest(), s.somebody()))
    pool = cast(MemberPool, s.world.contracts[name])
    held = min(_held(s, pool, who), 10**7 * WAD)
    if held == 0:
        return
    yield s.call(name, "deposit", s.near(held, held // 3), s.some((who, who, s.somebody())), by=who)


@move(weight=0.5)
def donate(s: Scene) -> Iterator[Action | Wait]:
    """Send a pool what it never booked."""
    pool, who = cast(MemberPool, s.world.contracts[_pool(s)]), s.somebody()
    given = s.near(_held(s, pool, who) // 100)
    yield s.call(cast(ERC20, pool.token).label, "transfer", pool.address, given, by=who)


@move(weight=1.5)
def save_for_shares(s: Scene) -> Iterator[Action | Wait]:
    """Deposit for a number of shares."""
    name, who = _pool(s), s.some((s.richest(), s.somebody()))
    pool = cast(MemberPool, s.world.contracts[name])
    held = min(_held(s, pool, who), 10**7 * WAD)
    if held == 0:
        return
    yield s.call(name, "mint", s.near(pool._to_shares(held)), who, by=who)


@move(weight=3)
def ask_to_leave(s: Scene) -> Iterator[Action | Wait]:
    """Commit some shares to a batch, and at times stay until it is cut and paid."""
    name = _pool(s)
    pool = cast(MemberPool, s.world.contracts[name])
    holders = [who for who in s.people if pool.held(who)]
    if not holders or (pool.cooldown == 0 and s.chance(0.9)):
        return
    who = s.some(holders)
    controller = s.some((who, who, who, s.somebody()))
    sender = who
    if s.chance(0.15):
        sender = s.somebody()
        yield from _let(s, name, who, sender)
    yield s.call(name, "requestRedeem", s.near(pool.held(who)), controller, who, by=sender)
    if s.chance(0.3):
        yield from _until(s, pool.cut_from())
        yield s.call(name, "cut", by=s.somebody())
        if s.chance(0.7):
            yield from _until(s, pool.matures_at(pool.line[()].collecting - 1))
            yield from _settle_and_claim(s, name)


def _let(s: Scene, name: str, owner: str, sender: str) -> Iterator[Action | Wait]:
    """Have an owner let somebody act: as an operator, by an allowance, or not at all."""
    pool = cast(MemberPool, s.world.contracts[name])
    how = s.some(("operator", "operator", "allowance", "no longer", "nothing"))
    if how == "allowance":
        yield s.call(name, "approve", sender, s.near(pool.held(owner) + 1), by=owner)
    elif how != "nothing":
        yield s.call(name, "setOperator", sender, how == "operator", by=owner)


@move(weight=2)
def cut(s: Scene) -> Iterator[Action | Wait]:
    """Cut the batch that collects, as soon as it may be or a second early."""
    name = _pool(s)
    pool = cast(MemberPool, s.world.contracts[name])
    if not pool.batches[pool.line[()].collecting].units and s.chance(0.9):
        return
    yield from _until(s, pool.cut_from())
    yield s.call(name, "cut", by=s.somebody())


@move(weight=2)
def settle(s: Scene) -> Iterator[Action | Wait]:
    """Have the next batch paid, when it may be or a second early, or others again, or while prices fall."""
    name = _pool(s)
    pool = cast(MemberPool, s.world.contracts[name])
    waits = pool.unsettled_batches()
    if s.chance(0.6) and waits:
        yield from _until(s, pool.matures_at(waits.start))
    elif s.now < pool.settles_from() and s.chance(0.9):
        return
    if s.chance(0.3):
        c = s.type()
        yield from post_price(s, c, s.published(c) * s.some((9_400, 9_600)) // BASIS_POINTS)
        if s.chance(0.5):
            yield from _until(s, s.feed.falls[()].look_until)
    yield from _settle_and_claim(s, name)


def _until(s: Scene, time: int) -> Iterator[Wait]:
    """Wait for a time, or for a second before or after it."""
    if time > s.world.timestamp:
        yield Wait(time - s.world.timestamp + s.some((-1, 0, 0, 0, 1)))


def _settle_and_claim(s: Scene, name: str) -> Iterator[Action | Wait]:
    yield s.call(name, "settle", by=s.somebody())
    yield from _claim(s, name)


@move(weight=2)
def claim(s: Scene) -> Iterator[Action | Wait]:
    """Claim for somebody what a batch was paid, or, without a cooldown, redeem shares."""
    name = _pool(s)
    pool = cast(MemberPool, s.world.contracts[name])
    if pool.cooldown:
        yield from _claim(s, name)
        return
    ready = [who for who in s.people if pool.held(who)]
    if ready or s.chance(0.1):
        yield from _redeem(s, name, s.some(ready or s.people))


def _claim(s: Scene, name: str) -> Iterator[Action | Wait]:
    pool = cast(MemberPool, s.world.contracts[name])
    mine = [who for who in s.people if pool.lines[who].first]
    if not mine and s.chance(0.9):
        return
    controller = s.some(mine or s.people)
    sender = controller
    if s.chance(0.15):
        sender = s.somebody()
        yield from _let(s, name, controller, sender)
    receiver = s.some((controller, s.somebody()))
    shares, assets = pool.maxRedeem("", controller), pool.maxWithdraw("", controller)
    if s.chance(0.6):
        call, amount = "redeem", s.some((shares, shares, s.near(shares)))
    else:
        call, amount = "withdraw", s.some((assets, s.near(assets)))
    yield s.call(name, call, amount, receiver, controller, by=sender)


def _redeem(s: Scene, name: str, owner: str) -> Iterator[Action | Wait]:
    pool = cast(MemberPool, s.world.contracts[name])
    sender = owner
    if s.chance(0.1):
        sender = s.somebody()
        if s.chance(0.6):
            yield s.call(name, "approve", sender, s.near(pool.held(owner) + 1), by=owner)
    shares = pool.held(owner)
    if s.chance(0.5):
        yield s.call(name, "redeem", s.near(shares), s.somebody(), owner, by=sender)
    else:
        yield s.call(name, "withdraw", s.near(pool._to_claim(shares)), s.somebody(), owner, by=sender)


@move(weight=1.2)
def add_income(s: Scene) -> Iterator[Action | Wait]:
    """Give income to a pool's members, which vests; dust at times, to prolong it."""
    name = _pool(s)
    who = s.richest()
    held = min(_held(s, cast(MemberPool, s.world.contracts[name]), who), 10**6 * WAD)
    amount = s.some((s.near(held // 100), s.part(max(held // 10, 1)), 1))
    yield s.call(name, "add_income", amount, by=who)
    yield Wait(s.some((0, 0, 600, 3_600)))


@move(weight=1)
def collect_claims(s: Scene) -> Iterator[Action | Wait]:
    """Hand somebody the claims for losses borne."""
    name = s.some(s.savers)
    pool = cast(MemberPool, s.world.contracts[name])
    state = pool.state[()]
    if (state.mark or state.generation) or s.chance(0.1):
        yield s.call(name, "collect_claims", s.somebody(), by=s.somebody())


@move(weight=0.4)
def ask_twice(s: Scene) -> Iterator[Action | Wait]:
    """Commit a part to one batch and the rest to the next, and have both paid at once."""
    name, who = s.some(s.pools), s.somebody()
    pool = cast(MemberPool, s.world.contracts[name])
    held = pool.held(who)
    if held < 2 or not pool.cooldown:
        return
    for shares in (held // 2, held - held // 2):
        yield s.call(name, "requestRedeem", shares, who, who, by=who)
        yield from _until(s, pool.cut_from())
        yield s.call(name, "cut", by=who)
    yield from _until(s, pool.matures_at(pool.line[()].collecting - 1))
    yield from _settle_and_claim(s, name)
