"""The pool that takes over positions in the margin market: its members, keeper, quotes, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.deployment.devnet_signing import sign_order
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.denominations import LEAST_ASSETS, MOST_SHARES, VIRTUAL_SHARES
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.perpetual_backstop import PerpetualBackstop, encode_offer
from backstop.proof.fuzz.catalogue.cycles import NAMES, TRADERS, Books
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_POOL, _MARKET = "PerpetualBackstop", "PerpetualMarket"


class _Pool(Books):
    """The pool and its market as a move looks at them."""

    def __init__(self, s: Scene) -> None:
        super().__init__(s)
        self.pool = cast(PerpetualBackstop, s.world.contracts[_POOL])
        self.at = self.pool.address
        self.keeper = s.deployment.get_account("backstop_keeper")

    def members(self) -> list[str]:
        """Return who has shares, of those who move."""
        return [who for who in self.s.people if self.pool.held(who)]

    def requests(self) -> list[tuple[int, str]]:
        """Return batches and controllers that have not left."""
        return [(batch, who) for batch, who, _ in self.pool.waiting()]

    def shares_of_nothing(self) -> int:
        """Return wei under which its shares would be divided at an entry; 0 if it has that and more."""
        least = (int(self.pool.state[()].supply) + VIRTUAL_SHARES) // MOST_SHARES
        return least if self.pool._cash() < least else 0

    def little(self) -> int:
        """Draw what its shares need to be divided and not void, not even that, or what they need to stay."""
        least = self.shares_of_nothing()
        return self.s.some((LEAST_ASSETS, LEAST_ASSETS, LEAST_ASSETS - 1, LEAST_ASSETS + 7, least, least - 1))

    def settle_down(self) -> Iterator[Action | Wait]:
        """Roll twice, and have it met before if it owes: what is closed is final then, and it is at rest."""
        for _ in range(2):
            if self.equity(self.at) < 0 and self.s.chance(0.9):
                yield self.s.call(_MARKET, "meet", self.at, by=self.s.somebody())
            yield Wait(4 * self.market.window)
            yield self.s.call(_MARKET, "roll", by=self.s.somebody())
        yield self.s.call(_MARKET, "wake", self.at, by=self.s.somebody())


def _pool(s: Scene) -> _Pool | None:
    return _Pool(s) if _POOL in s.world.contracts else None


@move(weight=3)
def enter_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Deposit, or for a number of shares; at rest, at times at work; from time to time give without any."""
    pool = _pool(s)
    if pool is None:
        return
    if not pool.pool._is_at_rest() and s.chance(0.85):
        if pool.held(pool.at) or s.chance(0.5):
            return
        yield from pool.settle_down()
    who = s.richest()
    held = min(s.held("Stablecoin", who), 10**6 * WAD)
    if held == 0:
        return
    receiver, kind = s.some((who, who, s.somebody())), s.random.random()
    if pool.shares_of_nothing() and s.chance(0.5):
        kind = 1.0
    if kind < 0.6:
        yield s.call(_POOL, "deposit", s.near(held // 3, held // 50), receiver, by=who)
    elif kind < 0.9:
        shares = pool.pool.convertToShares(who, held // 3)
        yield s.call(_POOL, "mint", s.near(shares), receiver, by=who)
    else:
        amount = s.near(held // 1_000, 7)
        if pool.shares_of_nothing() and s.chance(0.9):
            amount = pool.little()
        yield s.call(_MARKET, "deposit", pool.at, amount, by=who)


@move(weight=2)
def ask_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Commit shares, all of them or some, for oneself or another; at times move some, or let somebody."""
    pool = _pool(s)
    members = pool.members() if pool is not None else []
    if pool is None or not members:
        return
    who = s.some(members)
    by, controller = who, s.some((who, who, who, s.somebody()))
    amount = s.near(pool.pool.held(who))
    if s.chance(0.2):
        # Crumbs, which count once they are together no crumbs any more.
        for part in (1, 2, 2):
            crumb = int(pool.pool.state[()].supply) // (10_000 * part) + s.some((0, 1))
            yield s.call(_POOL, "requestRedeem", crumb, controller, who, by=who)
        return
    if s.chance(0.1):
        yield s.call(_POOL, "transfer", s.some((s.somebody(), pool.at)), amount, by=who)
        return
    if s.chance(0.15):
        by = s.somebody()
        yield s.call(_POOL, "approve", by, s.near(amount), by=who)
        if s.chance(0.3):
            yield s.call(_POOL, "transferFrom", who, s.somebody(), amount, by=by)
            return
    yield s.call(_POOL, "requestRedeem", amount, controller, who, by=by)
    if s.chance(0.3):
        yield Wait(pool.pool.notice)


@move(weight=3)
def leave_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Leave once it is due and at rest, all of a batch in any order; a second before; or while at work."""
    pool = _pool(s)
    requests = pool.requests() if pool is not None else []
    if pool is None or (not requests and s.chance(0.98)):
        return
    batch = s.some(requests)[0] if requests else s.now // pool.pool.notice
    if s.chance(0.9):
        yield Wait(max(0, pool.pool._due_at(batch) - s.now - s.chance(0.1)))
    if not pool.pool._is_at_rest() and not pool.held(pool.at) and s.chance(0.8):
        yield from pool.settle_down()
    due = [(b, who) for b, who in requests if b == batch or s.chance(0.3)]
    s.random.shuffle(due)
    for b, controller in due or [(batch, s.somebody())]:
        own = controller in s.people and pool.market.late_table[()] and s.chance(0.8)
        by = controller if own else s.somebody()
        yield s.call(_POOL, "leave", b, controller, by=by)


@move(weight=5)
def work_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Have the keeper take lots, or liquidate, up to its limits and a lot beyond; at times a stranger."""
    pool = _pool(s)
    if pool is None or (not pool.calm() and s.chance(0.9)):
        return
    by = pool.keeper if s.chance(0.97) else s.somebody()
    left = [m for m in pool.markets if pool.nobodys(m)]
    weak = pool.weak()
    if left and (not weak or s.chance(0.6)):
        m = s.some(left)
        if s.chance(0.95):
            yield from pool.refresh(sorted({m, *pool.held(pool.at)}))
        size, mine = pool.nobodys(m), pool.size(pool.at, m)
        limits = [abs(size), pool.pool.room(by, m)]
        if size * mine < 0:
            limits.append(abs(mine))
        yield s.call(_POOL, "take", m, s.near(min(limits[0], s.some(limits))), by=by)
    elif weak:
        owner = s.some(weak)
        m = s.some(pool.held(owner) or [0])
        if s.chance(0.95):
            yield from pool.refresh(sorted({m, *pool.held(owner), *pool.held(pool.at)}))
        whole = abs(pool.size(owner, m))
        for lots in (min(whole, pool.pool.room(by, m)), max(1, whole // 3), max(1, whole // 20)):
            yield s.call(_POOL, "liquidate", owner, m, lots, by=by)
    elif s.chance(0.05):
        yield s.call(_POOL, "take", s.some(pool.markets), 1, by=by)


@move(weight=4)
def quote_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Have it quote, and somebody fill that: all of it, a lot more, a wei under the price; or too late."""
    pool = _pool(s)
    held = pool.held(pool.at) if pool is not None else []
    if pool is None or (not held and s.chance(0.97)):
        return
    m = s.some(held or list(pool.markets))
    found = pool.pool.quotes[m]
    if s.now < found.until and s.chance(0.5):
        yield Wait(found.until - s.now - s.chance(0.1))
    if s.now >= pool.pool.quotes[m].until or s.chance(0.2):
        yield s.call(_POOL, "quote", m, by=s.somebody())
    if s.chance(0.2):
        yield s.call(_POOL, "quote", m, by=s.somebody())
    size, down_to = pool.size(pool.at, m), pool.pool.quotes[m].down_to
    if not size:
        return
    if s.chance(0.1):
        yield Wait(s.some((pool.pool.quote_time - 1, pool.pool.quote_time)))
    if s.chance(0.9):
        yield from pool.refresh([m])
    mark, spread = pool.price(m), pool.pool.spread
    price = -(-mark * (BASIS_POINTS + spread) // BASIS_POINTS)
    if size < 0:
        price = mark * (BASIS_POINTS - spread) // BASIS_POINTS
    price = max(1, price + s.some((0, 0, 0, 1, -1)))
    lots = s.near(abs(size) - down_to) * (-1 if size > 0 else 1)
    other = s.some(TRADERS)
    if s.chance(0.7):
        rich = s.richest()
        yield s.call(_MARKET, "deposit", other, s.held("Stablecoin", rich) // 10, by=rich)
        yield from pool.refresh(sorted({m, *pool.held(other)}))
    yield from _fill(s, pool, other, m, lots, price)


def _fill(s: Scene, pool: _Pool, other: str, m: int, lots: int, price: int) -> Iterator[Action | Wait]:
    """Write the pool's order, and sign another's."""
    orders = cast(MarginOrders, s.world.contracts["MarginOrders"])
    first = s.random.getrandbits(40)
    mine = Order(pool.at, m, lots, price, s.now + 3_600, first, not s.chance(0.03))
    theirs = Order(other, m, -lots, price, s.now + 3_600, first + 1)
    signed = sign_order(NAMES[other], theirs, s.world.chain_id, orders.address)
    offer = encode_offer(*mine[1:6])
    if s.chance(0.02):
        offer = s.some((b"", offer[1:], offer + bytes(1), bytes(160)))
    yield s.call("MarginOrders", "fill", mine, offer, theirs, signed, abs(lots), by=s.somebody())


@move(weight=1.5)
def fail_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Have a mark leap until the pool owes; at times back; have it met, and all of it become final."""
    pool = _pool(s)
    held = pool.held(pool.at) if pool is not None else []
    if pool is None or not held:
        return
    m = s.some(held)
    yield from pool.refresh(sorted({*held}))
    size, price = pool.size(pool.at, m), pool.price(m)
    away = max(pool.equity(pool.at), 0) // abs(size)
    target = price - away if size > 0 else price + away
    beyond = price * s.some((-500, 1, 50, 500)) // BASIS_POINTS
    yield from pool.report(m, max(1, target - beyond if size > 0 else target + beyond))
    yield s.call(_MARKET, "accrue", m, by=s.somebody())
    yield s.call(_MARKET, "meet", pool.at, by=s.somebody())
    if s.chance(0.6):
        yield from pool.settle_down()
        if pool.shares_of_nothing() and pool.pool._is_at_rest():
            if s.chance(0.5):
                yield s.call(_MARKET, "deposit", pool.at, pool.little(), by=s.richest())
            who = s.richest()
            yield s.call(_POOL, "deposit", s.held("Stablecoin", who) // 50, s.somebody(), by=who)


@move(weight=1)
def steer_backstop(s: Scene) -> Iterator[Action | Wait]:
    """Set its limits, wake it, bring it to rest, close it in settlement."""
    pool = _pool(s)
    if pool is None:
        return
    m, kind = s.some(pool.markets), s.random.random()
    if kind < 0.3:
        limit = s.some((0, 1, 10**4, 10**6, 10**9, 8 * 10**9, 8 * 10**9 + 1))
        by = s.admin if s.chance(0.9) else s.some((s.somebody(), pool.keeper))
        yield s.call(_POOL, "set_limit", m, limit, by=by)
    elif kind < 0.5:
        yield s.call(_MARKET, "wake", pool.at, by=s.somebody())
    elif kind < 0.8:
        yield from pool.settle_down()
    elif pool.closing:
        yield s.call(_MARKET, "wake", pool.at, by=s.somebody())
        yield from pool.settle_down()
