"""The pool that takes over positions in the margin market: its members, keeper, quotes, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.denominations import LEAST_ASSETS, MOST_SHARES, VIRTUAL_SHARES
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault, encode_offer
from backstop.proof.fuzz.action_generators.cycle_trading_actions import NAMES, TRADERS, MarketView
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

_POOL, _MARKET = "PerpetualLiquidityVault", "PerpetualMarket"


class _PoolView(MarketView):
    """Read-only view of the perpetual liquidity vault and its margin market.

    The vault is a pool that takes over positions of failing accounts. Generators of actions read this view.
    """

    def __init__(self, s: GenerationContext) -> None:
        super().__init__(s)
        self.pool = cast(PerpetualLiquidityVault, s.world.contracts[_POOL])
        self.at = self.pool.address
        self.keeper = s.deployment.get_account("backstop_keeper")

    def list_members(self) -> list[str]:
        """Return the acting accounts that hold shares of the pool."""
        return [who for who in self.s.people if self.pool.held(who)]

    def list_requests(self) -> list[tuple[int, str]]:
        """Return the open withdrawal requests of the pool, each as its batch and its controller's account."""
        return [(batch, who) for batch, who, _ in self.pool.waiting()]

    def get_cash_minimum_if_unmet(self) -> int:
        """Return the cash under which a deposit would split the pool's shares [wei]; 0 if the pool has it."""
        least = (int(self.pool.state[()].supply) + VIRTUAL_SHARES) // MOST_SHARES
        return least if self.pool._get_account_cash() < least else 0

    def draw_small_deposit(self) -> int:
        """Draw a deposit at one of the limits that decide whether the pool's old shares survive [wei].

        A small deposit divides the number of shares, makes them void, or just keeps them.
        """
        least = self.get_cash_minimum_if_unmet()
        return self.s.pick_item(
            (LEAST_ASSETS, LEAST_ASSETS, LEAST_ASSETS - 1, LEAST_ASSETS + 7, least, least - 1)
        )

    def roll_two_cycles_for_pool(self) -> Iterator[Action | Wait]:
        """Yield the calls that end two margin cycles and update the pool, so that its results are final.

        An insolvent pool is mostly seized before each cycle ends.
        """
        for _ in range(2):
            if self.get_equity(self.at) < 0 and self.s.draw_bool(0.9):
                yield self.s.build_action(_MARKET, "seize_insolvent", self.at, by=self.s.pick_account())
            yield Wait(4 * self.market.window)
            yield self.s.build_action(_MARKET, "advance_cycle", by=self.s.pick_account())
        yield self.s.build_action(_MARKET, "update_account", self.at, by=self.s.pick_account())


def _build_pool_view_if_deployed(context: GenerationContext) -> _PoolView | None:
    return _PoolView(context) if _POOL in context.world.contracts else None


@register_generator(weight=3)
def deposit_into_backstop(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit into the pool, or a mint of its shares, mostly while it has no position.

    At times a gift to the pool's margin account replaces the deposit.
    """
    pool = _build_pool_view_if_deployed(context)
    if pool is None:
        return
    if not pool.pool._has_no_position() and context.draw_bool(0.85):
        if pool.list_held_markets(pool.at) or context.draw_bool(0.5):
            return
        yield from pool.roll_two_cycles_for_pool()
    who = context.find_richest_account()
    held = min(context.get_balance("Stablecoin", who), 10**6 * WAD)
    if held == 0:
        return
    receiver, kind = context.pick_item((who, who, context.pick_account())), context.random.random()
    if pool.get_cash_minimum_if_unmet() and context.draw_bool(0.5):
        kind = 1.0
    if kind < 0.6:
        yield context.build_action(
            _POOL, "deposit", context.draw_near_limit(held // 3, held // 50), receiver, by=who
        )
    elif kind < 0.9:
        shares = pool.pool.convertToShares(who, held // 3)
        yield context.build_action(_POOL, "mint", context.draw_near_limit(shares), receiver, by=who)
    else:
        amount = context.draw_near_limit(held // 1_000, 7)
        if pool.get_cash_minimum_if_unmet() and context.draw_bool(0.9):
            amount = pool.draw_small_deposit()
        yield context.build_action(_MARKET, "deposit", pool.at, amount, by=who)


@register_generator(weight=2)
def request_backstop_exit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a withdrawal request for some of a member's shares, or a transfer or approval of shares.

    Some requests are for dust amounts, which count only once they add up to enough.
    """
    pool = _build_pool_view_if_deployed(context)
    members = pool.list_members() if pool is not None else []
    if pool is None or not members:
        return
    who = context.pick_item(members)
    by, controller = who, context.pick_item((who, who, who, context.pick_account()))
    amount = context.draw_near_limit(pool.pool.held(who))
    if context.draw_bool(0.2):
        # Crumbs, which count once they are together no crumbs any more.
        for part in (1, 2, 2):
            crumb = int(pool.pool.state[()].supply) // (10_000 * part) + context.pick_item((0, 1))
            yield context.build_action(_POOL, "requestRedeem", crumb, controller, who, by=who)
        return
    if context.draw_bool(0.1):
        yield context.build_action(
            _POOL, "transfer", context.pick_item((context.pick_account(), pool.at)), amount, by=who
        )
        return
    if context.draw_bool(0.15):
        by = context.pick_account()
        yield context.build_action(_POOL, "approve", by, context.draw_near_limit(amount), by=who)
        if context.draw_bool(0.3):
            yield context.build_action(_POOL, "transferFrom", who, context.pick_account(), amount, by=by)
            return
    yield context.build_action(_POOL, "requestRedeem", amount, controller, who, by=by)
    if context.draw_bool(0.3):
        yield Wait(pool.pool.notice)


@register_generator(weight=3)
def redeem_backstop_shares(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the call that completes a withdrawal request of the pool, mostly once it is due.

    At times all requests of a batch follow in random order, one second too early, or while the pool has a
    position.
    """
    pool = _build_pool_view_if_deployed(context)
    requests = pool.list_requests() if pool is not None else []
    if pool is None or (not requests and context.draw_bool(0.98)):
        return
    batch = context.pick_item(requests)[0] if requests else context.now // pool.pool.notice
    if context.draw_bool(0.9):
        yield Wait(max(0, pool.pool._compute_due_time(batch) - context.now - context.draw_bool(0.1)))
    if not pool.pool._has_no_position() and not pool.list_held_markets(pool.at) and context.draw_bool(0.8):
        yield from pool.roll_two_cycles_for_pool()
    due = [(b, who) for b, who in requests if b == batch or context.draw_bool(0.3)]
    context.random.shuffle(due)
    for b, controller in due or [(batch, context.pick_account())]:
        own = controller in context.people and pool.market.late_table[()] and context.draw_bool(0.8)
        by = controller if own else context.pick_account()
        yield context.build_action(_POOL, "leave", b, controller, by=by)


@register_generator(weight=5)
def trade_for_backstop(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls by which the pool takes unassigned lots or liquidates a margin account.

    Mostly the pool's keeper calls, up to its limits or one lot more. At times an unauthorised account calls.
    Unassigned lots were seized from insolvent accounts.
    """
    pool = _build_pool_view_if_deployed(context)
    if pool is None or (not pool.is_new_risk_allowed() and context.draw_bool(0.9)):
        return
    by = pool.keeper if context.draw_bool(0.97) else context.pick_account()
    left = [m for m in pool.markets if pool.get_unassigned_lots(m)]
    weak = pool.list_undermargined()
    if left and (not weak or context.draw_bool(0.6)):
        m = context.pick_item(left)
        if context.draw_bool(0.95):
            yield from pool.iter_mark_refresh_actions(sorted({m, *pool.list_held_markets(pool.at)}))
        size, mine = pool.get_unassigned_lots(m), pool.get_size(pool.at, m)
        limits = [abs(size), pool.pool.room(by, m)]
        if size * mine < 0:
            limits.append(abs(mine))
        yield context.build_action(
            _POOL, "take", m, context.draw_near_limit(min(limits[0], context.pick_item(limits))), by=by
        )
    elif weak:
        owner = context.pick_item(weak)
        m = context.pick_item(pool.list_held_markets(owner) or [0])
        if context.draw_bool(0.95):
            yield from pool.iter_mark_refresh_actions(
                sorted({m, *pool.list_held_markets(owner), *pool.list_held_markets(pool.at)})
            )
        whole = abs(pool.get_size(owner, m))
        for lots in (min(whole, pool.pool.room(by, m)), max(1, whole // 3), max(1, whole // 20)):
            yield context.build_action(_POOL, "liquidate", owner, m, lots, by=by)
    elif context.draw_bool(0.05):
        yield context.build_action(_POOL, "take", context.pick_item(pool.markets), 1, by=by)


@register_generator(weight=4)
def fill_backstop_quote(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a request for the pool's price quote, and an order that fills the quote.

    The order is for all lots or one more, at the quoted price or 1 off it, in time or too late.
    """
    pool = _build_pool_view_if_deployed(context)
    held = pool.list_held_markets(pool.at) if pool is not None else []
    if pool is None or (not held and context.draw_bool(0.97)):
        return
    m = context.pick_item(held or list(pool.markets))
    found = pool.pool.quotes[m]
    if context.now < found.until and context.draw_bool(0.5):
        yield Wait(found.until - context.now - context.draw_bool(0.1))
    if context.now >= pool.pool.quotes[m].until or context.draw_bool(0.2):
        yield context.build_action(_POOL, "quote", m, by=context.pick_account())
    if context.draw_bool(0.2):
        yield context.build_action(_POOL, "quote", m, by=context.pick_account())
    size, down_to = pool.get_size(pool.at, m), pool.pool.quotes[m].down_to
    if not size:
        return
    if context.draw_bool(0.1):
        yield Wait(context.pick_item((pool.pool.quote_time - 1, pool.pool.quote_time)))
    if context.draw_bool(0.9):
        yield from pool.iter_mark_refresh_actions([m])
    mark, spread = pool.get_mark(m), pool.pool.spread
    price = -(-mark * (BASIS_POINTS + spread) // BASIS_POINTS)
    if size < 0:
        price = mark * (BASIS_POINTS - spread) // BASIS_POINTS
    price = max(1, price + context.pick_item((0, 0, 0, 1, -1)))
    lots = context.draw_near_limit(abs(size) - down_to) * (-1 if size > 0 else 1)
    other = context.pick_item(TRADERS)
    if context.draw_bool(0.7):
        rich = context.find_richest_account()
        yield context.build_action(
            _MARKET, "deposit", other, context.get_balance("Stablecoin", rich) // 10, by=rich
        )
        yield from pool.iter_mark_refresh_actions(sorted({m, *pool.list_held_markets(other)}))
    yield from _fill_quote(context, pool, other, m, lots, price)


def _fill_quote(
    context: GenerationContext, pool: _PoolView, other: str, market_id: int, lots: int, price: int
) -> Iterator[Action | Wait]:
    """Yield a fill of the pool's order against the signed order of the account `other`."""
    orders = cast(MarginOrders, context.world.contracts["MarginOrders"])
    first = context.random.getrandbits(40)
    mine = Order(pool.at, market_id, lots, price, context.now + 3_600, first, not context.draw_bool(0.03))
    theirs = Order(other, market_id, -lots, price, context.now + 3_600, first + 1)
    signed = sign_order(NAMES[other], theirs, context.world.chain_id, orders.address)
    offer = encode_offer(*mine[1:6])
    if context.draw_bool(0.02):
        offer = context.pick_item((b"", offer[1:], offer + bytes(1), bytes(160)))
    yield context.build_action(
        "MarginOrders", "fill", mine, offer, theirs, signed, abs(lots), by=context.pick_account()
    )


@register_generator(weight=1.5)
def make_backstop_insolvent(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that make the pool insolvent (or almost), and the calls that recognise it.

    The pool's account is then seized. Mostly two cycles end, which makes its loss final, and a new deposit
    follows.
    """
    pool = _build_pool_view_if_deployed(context)
    held = pool.list_held_markets(pool.at) if pool is not None else []
    if pool is None or not held:
        return
    m = context.pick_item(held)
    yield from pool.iter_mark_refresh_actions(sorted({*held}))
    size, price = pool.get_size(pool.at, m), pool.get_mark(m)
    away = max(pool.get_equity(pool.at), 0) // abs(size)
    target = price - away if size > 0 else price + away
    beyond = price * context.pick_item((-500, 1, 50, 500)) // BASIS_POINTS
    yield from pool.iter_mark_reports(m, max(1, target - beyond if size > 0 else target + beyond))
    yield context.build_action(_MARKET, "accrue", m, by=context.pick_account())
    yield context.build_action(_MARKET, "seize_insolvent", pool.at, by=context.pick_account())
    if context.draw_bool(0.6):
        yield from pool.roll_two_cycles_for_pool()
        if pool.get_cash_minimum_if_unmet() and pool.pool._has_no_position():
            if context.draw_bool(0.5):
                yield context.build_action(
                    _MARKET, "deposit", pool.at, pool.draw_small_deposit(), by=context.find_richest_account()
                )
            who = context.find_richest_account()
            yield context.build_action(
                _POOL, "deposit", context.get_balance("Stablecoin", who) // 50, context.pick_account(), by=who
            )


@register_generator(weight=1)
def administer_backstop(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets a position limit of the pool, updates its account, or ends two cycles."""
    pool = _build_pool_view_if_deployed(context)
    if pool is None:
        return
    m, kind = context.pick_item(pool.markets), context.random.random()
    if kind < 0.3:
        limit = context.pick_item((0, 1, 10**4, 10**6, 10**9, 8 * 10**9, 8 * 10**9 + 1))
        by = (
            context.admin
            if context.draw_bool(0.9)
            else context.pick_item((context.pick_account(), pool.keeper))
        )
        yield context.build_action(_POOL, "set_limit", m, limit, by=by)
    elif kind < 0.5:
        yield context.build_action(_MARKET, "update_account", pool.at, by=context.pick_account())
    elif kind < 0.8:
        yield from pool.roll_two_cycles_for_pool()
    elif pool.is_closing:
        yield context.build_action(_MARKET, "update_account", pool.at, by=context.pick_account())
        yield from pool.roll_two_cycles_for_pool()
