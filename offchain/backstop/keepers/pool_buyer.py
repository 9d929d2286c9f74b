"""The keeper that buys from the pool what it quotes, or sells to it what the pool is short of.

The pool signs at the mark and its spread; the buyer asks for a quote, writes both orders, and signs its own.
"""

from __future__ import annotations

from backstop.keepers.backstop_pool import POOL, PoolView
from backstop.keepers.cycle_view import DESK, ORDERS, CycleView, largest
from backstop.keepers.cycles import bring, signed_for, to_deposit
from backstop.keepers.keeper import Decisions, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.model.margin_orders import NANOSECONDS, Order
from backstop.model.perpetual_backstop import encode_offer
from backstop.system import Action


@role("pool_buyer")
def pool_buyer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Take the pool's positions over at the price that it quotes, where they are worth that; hold them.

    A lot is worth what the market outside pays, and the group's premium more to whoever wants it. All its
    positions together are never more than the money in its account, so it borrows nothing. A group shares the
    markets out.
    """
    cycles = view.cycles
    if cycles is None or POOL not in view.addresses or cycles.is_closing or me.sign_order is None:
        return
    amount = to_deposit(me, view, cycles)
    if amount:
        yield me.intent("PerpetualMarket", "deposit", me.address, amount, about="capital", spends=amount)
        return
    signed = signed_for(me, view, cycles)
    ahead = cycles.rehearse(signed)
    pool = PoolView(ahead, dict(view.addresses), cycles.snapshot, cycles.parameters)
    with ahead.imagine():
        wanted = [
            each for m in cycles.running if me.mine(m) for each in _bid(me, view, cycles, pool, m, gas_price)
        ]
    if wanted:
        yield from bring(me, signed)
        yield from wanted


def _bid(me: Keeper, view: View, cycles: CycleView, pool: PoolView, m: int, gas_price: int) -> Decisions:
    """Fill the quote of a market, as far as money and what is quoted go; ask for one first if none runs."""
    size = pool.ahead.sizes(pool.at).get(m, 0)
    if not size or not pool.ahead.fresh[m]:
        return
    asks = view.timestamp >= pool.pool.quotes[m].until
    if asks and not pool.ahead.tries(POOL, "quote", m, sender=me.address):
        return
    way = 1 if size > 0 else -1  # what the buyer does with its own position
    price, quoted = pool.price(m), abs(size) - pool.pool.quotes[m].down_to
    lots = largest(
        lambda lots: _goes(me, view, pool, m, way * lots, price),
        min(quoted, _affordable(me, pool, m, way, price)) if price else 0,
    )
    gain = _gain(me, view, cycles, pool, m, way * lots, price)
    if not lots or gain < view.cost(ORDERS, "fill", gas_price) + me.group.minimum_profit:
        return
    expiry, nonce = view.timestamp + pool.pool.mark_age, view.timestamp * NANOSECONDS + me.index
    offer = Order(pool.at, m, -way * lots, price, expiry, nonce, True)
    mine = Order(me.address, m, way * lots, price, expiry, nonce)
    # What it takes in one market it has not in the next.
    trade = _trade(me, pool, m, way * lots, price)
    if pool.signs(offer) and pool.ahead.tries(DESK, "trade", *trade, sender=view.addresses[ORDERS]):
        assert me.sign_order is not None
        if asks:
            # Without the purchase it would be gas for nothing: what stops one stops both.
            yield me.intent("PerpetualBackstop", "quote", m, about=m, at_risk=True)
        both = offer, encode_offer(*offer[1:6]), mine, me.sign_order(mine)
        yield me.intent("MarginOrders", "fill", *both, lots, about=m, gain=gain, at_risk=True)


def _affordable(me: Keeper, pool: PoolView, m: int, way: int, price: int) -> int:
    """Return the lots after which all positions are still worth no more than what is in the account."""
    ahead = pool.ahead
    standing, sizes = ahead.standing(me.address), ahead.sizes(me.address)
    free = standing.own - standing.haircut - standing.unfinal
    free -= sum(abs(size) * ahead.market.paths[each].price for each, size in sizes.items())
    closes = max(0, -way * sizes.get(m, 0))
    # Lots that it closes make room for as many of the other side.
    return int(closes + max(0, free + closes * price) // price)


def _trade(me: Keeper, pool: PoolView, m: int, delta: int, price: int) -> tuple[int | str | bool, ...]:
    """Return what the desk is told of a trade with the pool, in which the buyer's position moves by delta."""
    return m, pool.at, me.address, -delta, price, True, False


def _goes(me: Keeper, view: View, pool: PoolView, m: int, delta: int, price: int) -> bool:
    """Tell whether the desk would book a trade with the pool."""
    action = Action(DESK, "trade", _trade(me, pool, m, delta, price), view.addresses[ORDERS])
    return pool.ahead.system.foresee(action).ok


def _gain(me: Keeper, view: View, cycles: CycleView, pool: PoolView, m: int, delta: int, price: int) -> int:
    """Return what lots are worth to the buyer less what they cost it, the desk's fee with it [wad]."""
    lots, way, c = abs(delta), 1 if delta > 0 else -1, cycles.feeds[m]
    # Without a market there is no better price than the mark: the feed's own is older.
    outside = pool.ahead.market.paths[m].price
    if view.pool(c) is not None:
        outside = view.outside.prices[c] * cycles.terms.markets[m].lot // RAY
    worth = lots * outside * (BASIS_POINTS + way * me.group.premium) // BASIS_POINTS
    fee = div_up(lots * price * pool.ahead.desk.taker_fee, BASIS_POINTS)
    return way * (worth - lots * price) - fee
