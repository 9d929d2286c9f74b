"""People with several accounts in the margin market, and those who would like to have others' as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.deployment.devnet_signing import sign_order
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.owned import account_of
from backstop.proof.fuzz.catalogue.cycles import NAMES, OWNERS, TRADERS, Books, fill
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_MARKET, _DESK, _ORDERS = "PerpetualMarket", "PerpetualDesk", "MarginOrders"
_PAIRS = [
    (one, other) for one in TRADERS for other in TRADERS if OWNERS[one] == OWNERS[other] and one != other
]


@move(weight=2, of_traders=True)
def trade_with_oneself(s: Scene) -> Iterator[Action | Wait]:
    """Pass lots between two accounts of one person, or open both sides; a little off the mark, at times."""
    if _MARKET not in s.world.contracts:
        return
    books, (maker, taker) = Books(s), s.some(_PAIRS)
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    if not listed or not books.calm():
        return
    m = s.some(books.held(maker) or listed)
    yield from books.refresh(sorted({m, *books.held(maker), *books.held(taker)}))
    size, price = books.size(maker, m), books.price(m)
    if not price:
        return
    if s.chance(0.5):
        who = s.richest()
        yield s.call(_MARKET, "deposit", taker, s.held("Stablecoin", who) // 10, by=who)
    lots = -size
    if not size or s.chance(0.3):
        terms = books.policy.terms[m]
        needed = (terms.initial + terms.account_rate_1 + terms.market_rate_1) * price
        lots = s.near(min(books.spare(maker), books.spare(taker)) // needed) * s.some((1, -1))
    if s.chance(0.3):
        band = books.desk.band
        price = max(1, price * (BASIS_POINTS + s.random.randint(-band, band)) // BASIS_POINTS)
    if lots:
        yield from fill(s, books, (maker, taker), m, lots, price)


@move(weight=1, of_traders=True)
def act_for_accounts(s: Scene) -> Iterator[Action | Wait]:
    """Cancel, raise floors, use a signature of one account for another, or a key for a stranger's account."""
    if _MARKET not in s.world.contracts:
        return
    books, orders = Books(s), cast(MarginOrders, s.world.contracts[_ORDERS])
    account, other = s.some(_PAIRS)
    stranger = s.some([each for each in TRADERS if OWNERS[each] != OWNERS[account]])
    m, first = s.some(books.markets), s.random.getrandbits(40)
    price, expiry, size = books.price(m) or 1, s.now + 3_600, s.some((1, -1))
    mine = Order(account, m, size, price, expiry, first)
    kind = s.random.randrange(5)
    if kind == 0:
        by = OWNERS[account] if s.chance(0.8) else stranger
        yield s.call(_ORDERS, "cancel", mine, by=by)
    elif kind == 1:
        by = OWNERS[account] if s.chance(0.8) else stranger
        yield s.call(_ORDERS, "raise_nonce", s.random.getrandbits(38), account, by=by)
    elif kind == 2:
        # The same order of another account has another hash; or a key signs for whom it may not.
        claims = s.some((mine._replace(account=other), mine._replace(account=stranger)))
        signed_by = mine if claims.account == other else claims
        meets = Order(stranger if claims.account != stranger else other, m, -size, price, expiry, first + 1)
        chain, at = s.world.chain_id, orders.address
        signatures = (
            sign_order(NAMES[account], signed_by, chain, at),
            sign_order(NAMES[meets.account], meets, chain, at),
        )
        yield s.call(_ORDERS, "fill", claims, signatures[0], meets, signatures[1], 1, by=s.somebody())
    elif kind == 3:
        by, number = s.some((OWNERS[account], stranger)), s.random.randrange(256)
        named = s.some((account_of(account, number), s.engine.address, books.market.address))
        yield s.call(_MARKET, "withdraw", s.some((0, 1, MAX_UINT256)), s.somebody(), named, by=by)
    else:
        by = s.some((OWNERS[account], stranger))
        weak = s.some(books.weak() or list(TRADERS))
        yield s.call(_DESK, "take", m, s.some((0, 1)), account, by=by)
        yield s.call(_DESK, "liquidate", weak, m, 1, s.some((account, weak)), by=by)
