"""Traders of the margin market: marks that leap and turn, trades, debtors, rolls, the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order, strip_account_number
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY
from backstop.model.interfaces import EMERGENCY
from backstop.model.margin_fund import MarginFund
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.margin_policy import MarginPolicy
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.perpetual_trading import PerpetualTrading
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current, submit_range_reports
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

_MARKET, _TRADING = "PerpetualMarket", "PerpetualTrading"
_NAMES = (*(f"trader_{i}" for i in range(5)), "trader_0#1", "trader_1#255")
TRADERS = tuple(map(get_trader_account, _NAMES))
"""Accounts; some people have two."""
# With three more, who trade where somebody fails: they hold little else, and are free for it.
NAMES = {get_trader_account(name): name for name in (*_NAMES, "trader_5", "trader_6", "trader_7")}
CROWD = tuple(NAMES)
_HERD_NAMES = {get_trader_account(f"trader_2#{i}"): f"trader_2#{i}" for i in range(1, 2 * bounds.MIN_RANKED)}
HERD = tuple(_HERD_NAMES)
"""More sub-accounts of one address than a ranking call needs at least; no other action uses them."""
_SIGNERS = NAMES | _HERD_NAMES
OWNERS = {owner: get_trader_account(strip_account_number(name)) for owner, name in _SIGNERS.items()}
"""The address that calls for each account."""


class MarketView:
    """Read-only view of the margin market's contracts, for generators of random actions."""

    def __init__(self, s: GenerationContext) -> None:
        self.s = s
        contracts = s.world.contracts
        self.market = cast(PerpetualMarket, contracts[_MARKET])
        self.trading = cast(PerpetualTrading, contracts[_TRADING])
        self.policy = cast(MarginPolicy, contracts["MarginPolicy"])
        self.markets = range(self.policy.count[()])

    def get_equity(self, owner: str) -> int:
        """Return an account's equity less its known haircuts, as of the account's last update [wei].

        A haircut is the part of a gain that pays others' losses.
        """
        found = self.market._compute_standing(owner)
        return found.own - found.haircut

    def get_haircut_amount(self, owner: str) -> int:
        """Return the known haircuts of an account (parts of its gains that pay others' losses) [wei]."""
        return int(self.market._compute_standing(owner).haircut)

    def get_margins(self, owner: str) -> tuple[int, int]:
        """Return the initial and maintenance margin of an account's positions [basis points x wei]."""
        return self.trading._compute_margins(owner, False)

    def get_size(self, owner: str, market_id: int) -> int:
        return int(self.market.positions[owner, market_id].size)

    def list_holders(self) -> list[str]:
        """Return the accounts that hold a position in any market."""
        return [owner for owner in CROWD if self.market._has_lots(owner)]

    def list_held_markets(self, owner: str) -> list[int]:
        """Return the ids of the markets in which an account has a position."""
        return [m for m in self.markets if self.get_size(owner, m)]

    def get_spare_margin(self, owner: str) -> int:
        """Return the equity above the initial margin, without unfinal gains [basis points x wei].

        Gains are unfinal until losses of their cycle can no longer reduce them. Never negative.
        """
        found = self.market._compute_standing(owner)
        equity = found.own - found.haircut - found.unfinal
        return max(0, equity * BASIS_POINTS - self.trading._compute_margins(owner, True)[0])

    def compute_max_lots(self, owner: str, market_id: int, way: int, room: int) -> int:
        """Return how many more lots an account's margin allows it to open, after the taker fee.

        `way` is 1 for long and -1 for short. `room` is an upper bound of the result.
        """
        spare, size, price = (
            self.get_spare_margin(owner),
            self.get_size(owner, market_id),
            self.get_mark(market_id),
        )
        if not size:
            spare -= 3 * self.market.third_bond * BASIS_POINTS
        others = max(self.market.lots[market_id]) - abs(size)

        def needs(lots: int) -> int:
            open_interest = others + max(abs(lots), abs(size))
            return int(
                self.policy.margin_requirement("", market_id, lots, price, open_interest, True).initial
            )

        now, least = needs(size), 0
        most = max(0, min(room, spare // max(1, int(self.policy.terms[market_id].initial) * price)))
        while least < most:
            lots = (least + most + 1) // 2
            if needs(size + way * lots) - now + lots * price * self.trading.taker_fee <= spare:
                least = lots
            else:
                most = lots - 1
        return least

    def find_loss_price(self, owner: str, market_id: int, loss: int) -> int:
        """Return the price at which an account's position has lost an amount [wei a lot].

        Only the matched share of a side's lots gains or loses.
        """
        size = self.get_size(owner, market_id)
        mine, others = self.market.lots[market_id] if size > 0 else reversed(self.market.lots[market_id])
        move = -(-loss // abs(size)) * mine // max(1, min(mine, others))
        return max(1, self.get_mark(market_id) - (move if size > 0 else -move))

    def list_debtors(self) -> list[str]:
        """Return the accounts with negative equity that hold a position; at times also those without one."""
        owing = [owner for owner in CROWD if self.get_equity(owner) < 0]
        return [owner for owner in owing if self.market._has_lots(owner) or self.s.draw_bool(0.05)]

    def list_undermargined(self) -> list[str]:
        """Return the accounts with equity that is below the maintenance margin, but not negative."""
        found = []
        for owner in self.list_holders():
            equity = self.get_equity(owner)
            if 0 <= equity * BASIS_POINTS < self.get_margins(owner)[1]:
                found.append(owner)
        return found

    def get_mark(self, market_id: int) -> int:
        """Return the mark price at which positions of a market are valued [wei a lot]."""
        return int(self.market.paths[market_id].price)

    def get_funding_index(self, market_id: int) -> int:
        """Return the funding index (funding paid by one long lot so far) at the present time [wei a lot]."""
        funding = self.market.fundings[market_id]
        return int(funding.level + self.market._compute_funding_index_change(funding))

    def get_unassigned_lots(self, market_id: int) -> int:
        """Return the market's unassigned lots: seized from insolvent accounts, held by no account.

        The result is positive if the lots were long.
        """
        long, short = self.market.lots[market_id]
        return int(short - long)

    @property
    def is_closing(self) -> bool:
        return bool(self.market.closing[()])

    def has_ended(self, market_id: int) -> bool:
        """Return whether a market has ended, so that its mark price no longer changes."""
        return bool(self.market.clocks[()].ended >> market_id & 1)

    def iter_mark_reports(
        self, market_id: int, price: int, *, has_single_price_range: bool = False
    ) -> Iterator[Action | Wait]:
        """Yield a report of one price by each reporter of a market's feed.

        `price` is in wei a lot. With `has_single_price_range`, the reported range of prices holds only this
        price, and goes back as far as a mark price may.
        """
        base = self.policy.underlyings[market_id]
        yield from submit_range_reports(
            self.s, base.feed, -(-price * RAY // base.lot), has_single_price_range=has_single_price_range
        )

    def iter_mark_refresh_actions(self, market_ids: Sequence[int]) -> Iterator[Action | Wait]:
        """Yield reports that make the mark prices of markets current, at their present values.

        A market without a mark price gets the feed's price.
        """
        for m in market_ids:
            base = self.policy.underlyings[m]
            price = self.get_mark(m) or max(1, self.s.get_next_or_current_price(base.feed) * base.lot // RAY)
            if self.market.policy.mark_price(self.market.address, m, self.market.mark_age) != price:
                yield from self.iter_mark_reports(m, price, has_single_price_range=True)

    def align_feed_price_with_mark(self, market_id: int) -> Iterator[Action | Wait]:
        """Yield reports and pokes until the feed's price equals a market's mark price.

        At the end the mark price is current too.
        """
        base = self.policy.underlyings[market_id]
        if price := self.get_mark(market_id):
            yield from post_price_until_current(self.s, base.feed, -(-price * RAY // base.lot))
        yield from self.iter_mark_refresh_actions([market_id])
        if not price:
            yield self.s.build_action(_MARKET, "accrue", market_id, by=self.s.pick_account())

    def iter_insurance_actions_if_exhausted(self, market_id: int) -> Iterator[Action | Wait]:
        """Yield a payment into the insurance fund if the fund covers no further lot of an insured market.

        The account with the most stablecoin pays.
        """
        if self.policy.underlyings[market_id].insured and not self.get_insurable_lots(market_id):
            s, who = self.s, self.s.find_richest_account()
            yield s.build_action("MarginFund", "set_cap", s.pick_item((10**6, 10**6, 10**4)), by=s.admin)
            yield s.build_action(
                "MarginFund", "insure", s.get_balance("Stablecoin", who) // s.pick_item((20, 500)), by=who
            )

    def get_insurable_lots(self, market_id: int) -> int:
        """Return how many more lots of a market can be opened within the insurance fund's balance."""
        left = self.market.fund.spendable("") * BASIS_POINTS
        for each in self.markets:
            if self.market.clocks[()].ended >> each & 1:
                continue
            left -= (
                self.trading._get_open_lots(each)
                * self.get_mark(each)
                * self.policy.underlyings[each].insured
            )
        share = self.get_mark(market_id) * self.policy.underlyings[market_id].insured
        return int(max(0, left) // share) if share else bounds.MAX_OPEN_LOTS

    def is_new_risk_allowed(self) -> bool:
        """Return whether positions may grow: no emergency mode of the circuit breaker, and no settlement."""
        calm = self.s.policy is None or self.s.policy.mode("") < EMERGENCY
        return calm and not self.s.settling


def find_market_view(context: GenerationContext) -> MarketView | None:
    return MarketView(context) if _MARKET in context.world.contracts else None


def make_optional_account_argument(context: GenerationContext, account: str) -> tuple[str, ...]:
    """Return the last argument of a call on behalf of an account: the account, or nothing.

    The argument is optional if the caller acts for its own main account.
    """
    return () if OWNERS[account] == account and context.draw_bool(0.8) else (account,)


def _build_withdrawal(context: GenerationContext, amount: int, account: str) -> Action:
    """Build a margin withdrawal from an account; at times its sender does not own the account."""
    by = OWNERS[account] if context.draw_bool(0.97) else context.pick_item(TRADERS)
    said: tuple[object, ...] = (
        make_optional_account_argument(context, account) if by == account else (account,)
    )
    if context.draw_bool(0.2):
        # At times more than is paid while something is late.
        said = (account, context.pick_item((amount, amount * 9 // 10, amount + 1)))
    return context.build_action(_MARKET, "withdraw", amount, context.pick_account(), *said, by=by)


@register_generator(weight=3, of_traders=True)
def move_perpetual_mark(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield reports that move a market's mark price: slightly, far, or to the edge of a turn.

    At a turn the path of the price changes its direction.
    """
    books = find_market_view(context)
    if books is None:
        return
    m = context.pick_item(books.markets)
    path, price = books.market.paths[m], books.get_mark(m)
    if price == 0:
        yield from books.iter_mark_refresh_actions([m])
    else:
        turn = books.policy.maintenance("", m, price) // (4 * BASIS_POINTS)
        level = path.extreme + books.get_funding_index(m)
        leap = price * context.random.randint(5_000, 19_000) // BASIS_POINTS
        little = price * context.random.randint(9_900, 10_100) // BASIS_POINTS
        target = context.pick_item(
            (little, little, little, leap, level - turn, level + turn, level + context.pick_item((-1, 1)))
        )
        yield from books.iter_mark_reports(m, max(1, target))
    if context.draw_bool(0.1):
        yield Wait(context.pick_item((books.market.mark_age, books.market.mark_age + 1)))
    yield context.build_action(_MARKET, "accrue", m, by=context.pick_account())


@register_generator(weight=2, of_traders=True)
def deposit_margin(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit of stablecoin into any trader's margin account, also an insolvent one."""
    books = find_market_view(context)
    if books is None:
        return
    who, owner = context.find_richest_account(), context.pick_item(TRADERS)
    if books.get_equity(owner) > 0 and context.draw_bool(0.5):
        return
    held = context.get_balance("Stablecoin", who)
    yield context.build_action(
        _MARKET, "deposit", owner, context.draw_near_limit(held // 20, held // 3), by=who
    )


@register_generator(weight=2, of_traders=True)
def withdraw_margin(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a withdrawal of about the maximal amount from a random trader's margin account."""
    books = find_market_view(context)
    if books is not None:
        yield from withdraw_available(context, books, context.pick_item(TRADERS))


def withdraw_available(
    context: GenerationContext, market_view: MarketView, owner: str
) -> Iterator[Action | Wait]:
    """Yield an update of a margin account and a withdrawal of about the maximal amount.

    The amount is all that may be withdrawn, 1 wei off, or a part.
    """
    yield context.build_action(_MARKET, "update_account", owner, by=context.pick_account())
    if market_view.market._has_lots(owner) and context.draw_bool(0.9):
        yield from market_view.iter_mark_refresh_actions(market_view.list_held_markets(owner))
    spare = _get_spare_cash(market_view, owner)
    if spare <= 0 and context.draw_bool(0.9):
        return
    yield _build_withdrawal(context, context.draw_near_limit(max(spare, 0)), owner)


def _get_spare_cash(books: MarketView, owner: str) -> int:
    """Return the balance above initial margin, haircuts and unfinal gains of an account [wei]."""
    standing = books.market._compute_standing(owner)
    spare = standing.own - standing.haircut - standing.unfinal
    if books.market._has_lots(owner):
        spare -= books.trading._compute_margins(owner, True)[0] // BASIS_POINTS
    return spare


def withdraw_profits_in_parts(context: GenerationContext, books: MarketView) -> Iterator[Action | Wait]:
    """Yield withdrawals of all traders' profits in two halves, one vesting bucket apart.

    So two buckets of each trader's profit have not vested.
    """
    for part in (2, 1):
        for owner in TRADERS:
            if books.get_equity(owner) <= 0:
                continue
            if books.market._has_lots(owner):
                yield from books.iter_mark_refresh_actions(books.list_held_markets(owner))
            yield context.build_action(_MARKET, "update_account", owner, by=context.pick_account())
            deposit, spare = int(books.market.deposits[owner]), _get_spare_cash(books, owner)
            if spare > deposit:
                yield _build_withdrawal(context, deposit + (spare - deposit) // part, owner)
        if part == 2:
            yield Wait(cast(MarginFund, context.world.contracts["MarginFund"]).length)


@register_generator(weight=9, of_traders=True)
def trade_perpetuals(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a signed maker and taker order around the mark price, and the call that matches the two.

    Mostly the traders' margins suffice. At times the orders reduce or turn positions, or use up the
    insurance.
    """
    books = find_market_view(context)
    if books is None:
        return
    maker, taker = context.random.sample(TRADERS, 2)
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    m = context.pick_item(listed if listed and context.draw_bool(0.9) else books.markets)
    if books.has_ended(m) and context.draw_bool(0.9):
        return
    opposite = [(a, b) for a in TRADERS for b in TRADERS if books.get_size(a, m) > 0 > books.get_size(b, m)]
    leaving = m not in listed and bool(opposite)
    if leaving:
        # Only who reduces trades in it, on both sides.
        maker, taker = context.pick_item(opposite)
    concerned = {m, *books.list_held_markets(maker), *books.list_held_markets(taker)}
    if context.draw_bool(0.9):
        yield from books.iter_mark_refresh_actions(sorted(concerned))
    price = books.get_mark(m) or 1
    size = books.get_size(maker, m)
    if leaving:
        lots = -context.draw_near_limit(min(size, -books.get_size(taker, m)))
    elif size and context.draw_bool(0.35):
        lots = -context.draw_near_limit(size) if size > 0 else context.draw_near_limit(-size)
    elif not books.is_new_risk_allowed() and context.draw_bool(0.95):
        return
    else:
        for owner in (maker, taker):
            if not books.get_spare_margin(owner) and books.get_equity(owner) >= 0:
                who = context.find_richest_account()
                yield context.build_action(
                    _MARKET, "deposit", owner, context.get_balance("Stablecoin", who) // 10, by=who
                )
        terms = books.policy.terms[m]
        needed = (terms.initial + terms.account_rate_1 + terms.market_rate_1) * price
        most = min(books.get_spare_margin(maker), books.get_spare_margin(taker)) // needed
        most = min(most, max(1, int(books.policy.underlyings[m].open_limit - books.market._get_open_lots(m))))
        way = context.pick_item((1, -1))
        if books.policy.underlyings[m].insured:
            if context.draw_bool(0.7):
                yield from books.iter_insurance_actions_if_exhausted(m)
            room = books.get_insurable_lots(m)
            # Exactly what is insured, or a lot more, where margins bear that.
            most = min(most, context.pick_item((room, room + 1, room + 1 + room // 8)))
            lots = most * way
        else:
            lots = context.pick_item((context.draw_near_limit(most), most * 9 // 10, most * 9 // 10)) * way
            if context.draw_bool(0.2):
                # Just what the margin of one of them bears, by brackets of accounts and of the market.
                room = max(1, int(books.policy.underlyings[m].open_limit - books.market._get_open_lots(m)))
                most = books.compute_max_lots(*context.pick_item(((maker, m, way), (taker, m, -way))), room)
                lots = context.pick_item((most, context.draw_near_limit(most))) * way
    if lots == 0 and context.draw_bool(0.97):
        return
    if context.draw_bool(0.3):
        band = books.trading.band
        off = context.pick_item((band, -band, band + 1, context.random.randint(-band, band)))
        price = max(1, price * (BASIS_POINTS + off) // BASIS_POINTS)
    if context.draw_bool(0.01):
        price = context.pick_item((0, bounds.MAX_LOT_PRICE + 1))
    yield from iter_order_fill_calls(context, books, (maker, taker), m, lots, price)
    insured = [each for each in listed if books.policy.underlyings[each].insured]
    if len(insured) > 1 and m in insured and context.draw_bool(0.5):
        # The same insurance, which may be used up.
        other = context.pick_item(insured)
        yield from books.iter_mark_refresh_actions([other])
        few = (
            context.draw_near_limit(1 + books.get_insurable_lots(other))
            if context.draw_bool(0.5)
            else context.pick_item((1, 10))
        )
        way = 1 if books.get_size(maker, other) >= 0 else -1
        yield from iter_order_fill_calls(
            context, books, (maker, taker), other, way * few, books.get_mark(other) or 1
        )


def iter_order_fill_calls(
    context: GenerationContext,
    market_view: MarketView,
    maker_and_taker: tuple[str, str],
    market_id: int,
    lots: int,
    price: int,
) -> Iterator[Action | Wait]:
    """Yield the call that matches signed orders of a maker and a taker for a number of lots.

    At times nonces and expiry are at their limits, or a second call fills the rest. Positive `lots` means
    that the maker buys.
    """
    orders = cast(MarginOrders, context.world.contracts["MarginOrders"])
    first = context.random.getrandbits(40)
    nonces, expiry, size = (first, first + 1), context.now + 3_600, lots
    if context.draw_bool(0.12):
        # At an edge of what may be matched: as early, as late, and as much as both orders let it.
        floor, signed_at = int(orders.floors[maker_and_taker[0]]), (context.now + 1) * 10**9
        above = min(MAX_UINT256, max(floor, int(orders.floors[maker_and_taker[1]])) + 1)
        edges = ((first, first), (first + 1, first), (first, signed_at - 1), (first, signed_at))
        nonces = context.pick_item((*edges, (floor, above), (max(0, floor - 1), above)))
        expiry = context.pick_item((expiry, context.now, context.now - 1))
        size = lots * context.pick_item((1, 2, 3))
    args: list[object] = []
    # The second offers more at times: what is too much stays its own.
    more = context.pick_item((0, 0, 1, price // 1_000)) * (-1 if lots > 0 else 1)
    limits = price, max(0, price + more)
    for owner, signed, limit, nonce in zip(maker_and_taker, (size, -size), limits, nonces, strict=True):
        order = Order(owner, market_id, signed, limit, expiry, nonce, context.draw_bool(0.03))
        args += [order, sign_order(_SIGNERS[owner], order, context.world.chain_id, orders.address)]
    yield context.build_action("MarginOrders", "fill", *args, abs(lots), by=context.pick_account())
    if size != lots:
        # What is left of both orders, or a lot more.
        yield context.build_action(
            "MarginOrders",
            "fill",
            *args,
            abs(size - lots) + context.pick_item((0, 1)),
            by=context.pick_account(),
        )


def delay_seizures(context: GenerationContext, books: MarketView) -> Iterator[Action | Wait]:
    """Yield the ends of one or more cycles before the seizures of insolvent accounts.

    At times profits are withdrawn in the meantime. Then the loss is late: it is booked after its cycle.
    """
    window = books.market.window
    for _ in range(context.random.randint(1, 3)):
        yield Wait(4 * window)
        yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())
    if context.draw_bool(0.3):
        yield from withdraw_profits_in_parts(context, books)
    soon = context.draw_bool(0.4)
    if soon:
        yield Wait(window)
    for owner in books.list_debtors():
        yield from books.iter_mark_refresh_actions(books.list_held_markets(owner))
        yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())
    if soon:
        # Whatever was booked, before it was quiet.
        yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())
    if books.market.late_table[()]:
        rich = [o for o in TRADERS if books.get_equity(o) > 0]
        for owner in rich[:2]:
            standing = books.market._compute_standing(owner)
            most = standing.own - standing.haircut - standing.unfinal
            if most > 0 and not books.market._has_lots(owner):
                yield _build_withdrawal(context, context.draw_near_limit(most), owner)
        if context.draw_bool(0.5):
            yield context.build_action(_MARKET, "post_shortfall", by=context.pick_account())


@register_generator(weight=4, of_traders=True)
def seize_insolvent_accounts(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield seizures of insolvent accounts, in random order and at times twice.

    At times a solvent account is among them, or the mark prices are not current.
    """
    books = find_market_view(context)
    if books is None:
        return
    found = [*books.list_debtors(), *context.random.sample(TRADERS, context.random.randint(0, 1))]
    context.random.shuffle(found)
    if context.draw_bool(0.85):
        yield from books.iter_mark_refresh_actions(
            sorted({m for owner in found for m in books.list_held_markets(owner)})
        )
    met = (*found, *(found if context.draw_bool(0.3) else ()))
    if context.draw_bool(0.4):
        # All in one call, at times with somebody whom another has met a moment before.
        if met and context.draw_bool(0.2):
            yield context.build_action(
                _MARKET, "seize_insolvent", context.pick_item(met), by=context.pick_account()
            )
        yield context.build_action(
            _MARKET,
            "update_and_seize",
            met,
            by=context.pick_item((context.pick_account(), context.pick_item(TRADERS))),
        )
        return
    for owner in met:
        yield context.build_action(
            _MARKET,
            "seize_insolvent",
            owner,
            by=context.pick_item((context.pick_account(), context.pick_item(TRADERS))),
        )


@register_generator(weight=3, of_traders=True)
def roll_cycles(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that end margin cycles, mostly when due, at times one second too early.

    At times up to five more cycles end, so that accounts become stale.
    """
    books = find_market_view(context)
    if books is None:
        return
    clock, market = books.market.clocks[()], books.market
    soonest = min(
        max(clock.rolled_at + market.window, clock.booked_at + market.quiet),
        clock.rolled_at + 4 * market.window,
    )
    if context.draw_bool(0.1):
        # Whatever was booked since.
        soonest = clock.rolled_at + market.window
    yield Wait(max(0, soonest - context.now - (context.draw_bool(0.05))))
    yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())
    for _ in range(context.pick_item((0, 0, 0, 0, 1, 2, 5))):
        yield Wait(context.pick_item((market.window, 4 * market.window)))
        yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())


@register_generator(weight=3, of_traders=True)
def take_unassigned_lots(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call by which a trader takes over unassigned lots, at times more than there are.

    Mostly the trader has a position on the opposite side.
    """
    books = find_market_view(context)
    if books is None:
        return
    left = [m for m in books.markets if books.get_unassigned_lots(m)]
    if not left and context.draw_bool(0.97):
        return
    m = context.pick_item(left or list(books.markets))
    size = books.get_unassigned_lots(m)
    others = [owner for owner in TRADERS if books.get_size(owner, m) * size < 0]
    by = context.pick_item(others if others and context.draw_bool(0.6) else TRADERS)
    if context.draw_bool(0.9):
        yield from books.iter_mark_refresh_actions(sorted({m, *books.list_held_markets(by)}))
    least = abs(books.get_size(by, m)) if by in others else abs(size)
    lots = context.draw_near_limit(abs(size), min(abs(size), least))
    yield context.build_action(
        _TRADING, "take", m, lots, *make_optional_account_argument(context, by), by=OWNERS[by]
    )


@register_generator(weight=3, of_traders=True)
def liquidate_margin_accounts(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield liquidations of an account below its maintenance margin by another trader.

    At times the admin raises the margin ratio first, so that an account falls below it.
    """
    books = find_market_view(context)
    if books is None:
        return
    weak, holders = books.list_undermargined(), books.list_holders()
    if not weak and holders and context.draw_bool(0.8):
        owner = context.pick_item(holders)
        m = context.pick_item(books.list_held_markets(owner))
        notional = sum(
            abs(books.get_size(owner, each)) * books.get_mark(each) for each in books.list_held_markets(owner)
        )
        ratio = max(books.get_equity(owner), 0) * BASIS_POINTS // max(1, notional) + context.pick_item(
            (1, 50, 500)
        )
        if bounds.MIN_MARGIN <= ratio < bounds.MAX_MARGIN:
            terms = books.policy.terms_of("", m)._replace(initial=ratio + 1, maintenance=ratio)
            yield context.build_action("MarginPolicy", "set_terms", m, terms, by=context.admin)
        weak = books.list_undermargined()
    if not weak and context.draw_bool(0.95):
        return
    owner = context.pick_item(weak or TRADERS)
    by = context.pick_item([each for each in TRADERS if each != owner or context.draw_bool(0.03)])
    m = context.pick_item(books.list_held_markets(owner) or [0])
    if context.draw_bool(0.9):
        yield from books.iter_mark_refresh_actions(
            sorted({*books.list_held_markets(owner), *books.list_held_markets(by)})
        )
    if owner in NAMES and books.get_size(owner, m) and owner != by and context.draw_bool(0.3):
        # Out of a crumb of it, as badly as the band lets it.
        lots = max(1, abs(books.get_size(owner, m)) // 1_000) * (-1 if books.get_size(owner, m) > 0 else 1)
        off = -books.trading.band if lots < 0 else books.trading.band
        price = max(1, books.get_mark(m) * (BASIS_POINTS + off) // BASIS_POINTS)
        yield from iter_order_fill_calls(context, books, (owner, by), m, lots, price)
    if context.draw_bool(0.6):
        rich = context.find_richest_account()
        yield context.build_action(
            _MARKET, "deposit", by, context.get_balance("Stablecoin", rich) // 4, by=rich
        )
    lots = context.draw_near_limit(abs(books.get_size(owner, m)))
    for part in (lots, max(1, lots // 3), max(1, lots // 10)):
        yield context.build_action(
            _TRADING, "liquidate", owner, m, part, *make_optional_account_argument(context, by), by=OWNERS[by]
        )


@register_generator(weight=2, of_traders=True)
def run_margin_upkeep(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield one random upkeep call of the margin market, such as an account update.

    At times it is a call that only another contract may make, which reverts.
    """
    books = find_market_view(context)
    if books is None:
        return
    fund, by = cast(MarginFund, context.world.contracts["MarginFund"]), context.pick_account()
    owner, m = context.pick_item(TRADERS), int(context.random.random() * (len(books.markets) + 0.1))
    kind = context.random.randrange(9)
    if kind == 0:
        yield context.build_action(_MARKET, "update_account", owner, by=by)
    elif kind == 1:
        yield context.build_action(_MARKET, "collect_fees", by=by)
    elif kind == 2:
        yield context.build_action(_MARKET, "post_shortfall", by=by)
    elif kind == 3:
        if context.draw_bool(0.7):
            yield from books.iter_mark_refresh_actions(books.list_held_markets(owner))
        yield context.build_action(_TRADING, "check_risk", owner, by=by)
    elif kind == 4:
        who = context.find_richest_account()
        yield context.build_action(
            "MarginFund",
            "insure",
            context.draw_near_limit(context.get_balance("Stablecoin", who) // 50),
            by=who,
        )
    elif kind == 5 and fund.holdings:
        left = [key for key, holding in fund.holdings.items() if holding.shares]
        whose, bucket = context.pick_item(left or list(fund.holdings))
        vested = (bucket + fund.bucket_count) * fund.length
        if context.draw_bool(0.5) and vested > context.now:
            yield Wait(vested - context.now - context.pick_item((0, 1)))
        yield context.build_action("MarginFund", "claim", whose, bucket, by=by)
    elif kind == 6:
        yield context.build_action(_MARKET, "accrue", m, by=by)
    elif kind == 7 and context.draw_bool(0.2):
        yield context.build_action(
            _TRADING,
            "trade",
            m,
            owner,
            context.pick_item(TRADERS),
            1,
            books.get_mark(m) or 1,
            False,
            False,
            by=by,
        )
    elif kind == 8 and context.draw_bool(0.2):
        yield context.build_action(
            _MARKET, "execute_trade", m, owner, context.pick_item(TRADERS), 1, 1, 0, 0, by=by
        )


@register_generator(weight=2)
def delist_perpetual_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the admin's announcement that a perpetual market ends, at times at an invalid time.

    At times it follows an earlier plan of a final price, or a settlement begins after it.
    """
    books = find_market_view(context)
    if books is None or ((context.settling or not context.late) and context.draw_bool(0.6)):
        return
    m = int(context.random.random() * (len(books.markets) + 0.1))
    if m in books.markets and books.policy.underlyings[m].ends_at and context.draw_bool(0.9):
        return
    notices = (bounds.MIN_NOTICE, bounds.MIN_NOTICE, bounds.MIN_NOTICE + 1, bounds.MAX_NOTICE)
    notice = context.pick_item((*notices, *notices, bounds.MIN_NOTICE - 1, bounds.MAX_NOTICE + 1))
    yield context.build_action("MarginPolicy", "delist", m, context.now + notice, by=context.admin)
    if context.draw_bool(0.3):
        yield context.build_action(
            "PriceFeed",
            "plan_final_price",
            context.pick_item(range(context.listed)),
            context.now + notice,
            by=context.pick_account(),
        )
    if context.late and not context.settling and context.draw_bool(0.15):
        # What begins first makes the price; in settlement nothing new is planned.
        yield context.build_action("Settlement", "announce", by=context.admin)
        yield Wait(context.settlement.delay)
        yield context.build_action("Settlement", "begin", by=context.pick_account())
        yield context.build_action(
            "MarginPolicy", "delist", context.pick_item(books.markets), context.now + notice, by=context.admin
        )


@register_generator(weight=5)
def end_delisted_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the last price reports and seizures of a delisted market, its end, and account updates."""
    books = find_market_view(context)
    if books is None:
        return
    ends = {m: books.policy.underlyings[m].ends_at for m in books.markets if not books.has_ended(m)}
    planned = [m for m, at in ends.items() if at]
    if not planned and not context.settling:
        return
    m = context.pick_item(planned or list(books.markets))
    if ends.get(m, 0) > context.now and context.draw_bool(0.5):
        yield Wait(ends[m] - context.now + context.pick_item((-1, 0, 1)))
    for _ in range(context.random.randint(0, 4)):
        yield Wait(context.pick_item((600, 3_600, 7_200)))
        if context.draw_bool(0.8):
            price = books.get_mark(m) * context.random.randint(8_500, 11_500) // BASIS_POINTS
            yield from books.iter_mark_reports(m, max(1, price))
            yield context.build_action(
                "PriceFeed", "poke", books.policy.underlyings[m].feed, by=context.pick_account()
            )
        yield context.build_action(_MARKET, "accrue", m, by=context.pick_account())
        for owner in books.list_debtors():
            yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())
    if context.draw_bool(0.2):
        yield Wait(bounds.FINAL_DEADLINE)
    yield context.build_action(_MARKET, "end_market", m, by=context.pick_account())
    for owner in context.random.sample(TRADERS, context.random.randint(0, len(TRADERS))):
        yield context.build_action(
            _MARKET,
            context.pick_item(("update_account", "seize_insolvent")),
            owner,
            by=context.pick_account(),
        )


@register_generator(weight=4)
def settle_margin_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the calls that end all markets in settlement, then updates, seizures and withdrawals.

    The calls come in random order.
    """
    books = find_market_view(context)
    if books is None or (not context.settling and context.draw_bool(0.98)):
        return
    if context.settling and not books.is_closing and context.draw_bool(0.7):
        yield Wait(bounds.FINAL_DEADLINE)
    markets = [m for m in books.markets if not books.has_ended(m) or context.draw_bool(0.1)]
    context.random.shuffle(markets)
    for m in markets:
        yield context.build_action(_MARKET, "end_market", m, by=context.pick_account())
    everyone = [*TRADERS]
    context.random.shuffle(everyone)
    if not books.is_closing:
        return
    for owner in everyone[: context.random.randint(1, len(everyone))]:
        kind = context.random.randrange(3)
        if kind == 0:
            yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())
        elif kind == 1:
            yield Wait(books.market.window)
            yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())
        else:
            yield context.build_action(_MARKET, "update_account", owner, by=context.pick_account())
            standing = books.market._compute_standing(owner)
            spare = max(0, standing.own - standing.haircut - standing.unfinal)
            yield _build_withdrawal(context, context.draw_near_limit(spare), owner)


@register_generator(weight=0.5)
def set_margin_terms(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a change of a market's terms, of the insurance cap, or of a trader's lowest valid nonce."""
    books = find_market_view(context)
    if books is None:
        return
    m = int(context.random.random() * (len(books.markets) + 0.1))
    terms, lot = books.policy.terms_of("", m), max(1, int(books.policy.underlyings[m].lot))
    most = min(bounds.MAX_OPEN_LOTS, bounds.MAX_OPEN // lot)
    changed = terms._replace(
        discount=context.pick_item((0, 10_000, 50_000)),
        haircut=context.pick_item((100, 5_000, 10_000)),
        max_funding=context.pick_item((0, 75, 1_000)),
        open_limit=context.pick_item((10**6, min(10**9, most), most, context.pick_item((0, most + 1)))),
        dust=context.pick_item((0, 100)),
        insured=context.pick_item(
            (terms.insured, 0, context.pick_item((1, 100, BASIS_POINTS, BASIS_POINTS + 1)))
        ),
    )
    by = context.admin if context.draw_bool(0.95) else context.pick_account()
    kind = int(context.random.random() * 3)
    if kind == 0:
        yield context.build_action("MarginPolicy", "set_terms", m, changed, by=by)
    if kind == 1:
        yield context.build_action("MarginFund", "set_cap", context.pick_item((0, 10, 10**6)), by=by)
    if kind == 2:
        account = context.pick_item(TRADERS)
        floor = context.random.getrandbits(38)
        yield context.build_action(
            "MarginOrders",
            "raise_nonce",
            floor,
            *make_optional_account_argument(context, account),
            by=OWNERS[account],
        )
