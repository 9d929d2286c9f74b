"""Keepers of the margin market: they take over weak accounts, have losses borne, and match orders."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import cast

from backstop.keepers.costs import measured
from backstop.keepers.cycle_view import CycleView
from backstop.keepers.cycles import bring, signed_for, take_over
from backstop.keepers.keeper import Decisions, Intent, Keeper, Memory, role
from backstop.keepers.margin_view import MarginView, Ranked, Weak
from backstop.keepers.orders import SignedOrder
from backstop.keepers.view import View
from backstop.model.arithmetic import WAD
from backstop.model.margin_deleverager import share

LEAST_FEES = 100 * WAD
"""Fewer fees are not worth a transaction: a loss collects them, too [wad]."""

_MOST_ACCOUNTS = 1_024
"""Accounts in one call of the deleverager."""

# Jobs of the gas table, for each account.
_SUBMIT, _SUBMIT_CLOSING = "margin: submit, each account", "margin: submit, each that closes"
_EXECUTE = "margin: execute, each account"
_SUBMIT_SHARED, _EXECUTE_SHARED = (
    "margin: share, submit each account",
    "margin: share, execute each that closes",
)


# ------------------------------------------------------------------ liquidations


@role("margin_liquidator")
def margin_liquidator(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Take over lots of accounts under their maintenance margin, those that pay most first.

    Its stablecoins go into its account, up to its capital if that is given. What it took over it holds until
    it takes over the other side, or its operator sells it. By cycle it takes lots that nobody holds
    as well.
    """
    if view.cycles is not None:
        yield from take_over(me, view, view.cycles, gas_price)
        return
    margin = view.margin
    if margin is None or margin.is_closing:
        return
    amount = view.stablecoins(me.address)
    if me.group.capital:
        amount = min(amount, me.group.capital - margin.paid_in(me.address))
    if amount >= WAD:
        # Before that is mined there is no margin to take over with.
        args = (me.address, amount)
        yield me.intent("MarginMarket", "deposit", *args, about="capital", spends=amount)
        return
    least = view.cost("MarginMarket", "liquidate", gas_price) + me.group.minimum_profit
    mine = margin.holding(me.address)
    for weak in sorted(margin.weak, key=lambda each: (-margin.reward(each), each.owner)):
        # Were it weak itself it could not bear its own lots either.
        if weak.loss or margin.reward(weak) < least or not me.mine(int(weak.owner, 16)):
            continue
        for market in margin.largest_first(weak.owner):
            found = None if market == margin.frozen else margin.most(weak, market, mine)
            if found is not None and found.reward >= least:
                mine = found.after
                taken = (weak.owner, market, found.lots)
                yield me.intent("MarginMarket", "liquidate", *taken, about=weak.owner, gain=found.reward)
                break


# ------------------------------------------------------------------ deleveraging


def _has_loss(view: View) -> bool:
    margin = view.margin
    return margin is not None and bool(
        margin.frozen is not None
        or margin.insolvent
        or margin.fees >= LEAST_FEES
        or any(margin.postable(market) for market in margin.markets)
    )


@role("deleverager", occasion=_has_loss)
def deleverager(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Have insolvent accounts closed against those who gained, whoever began it, and the rest borne.

    It takes one step of a freeze a block: the next ones need what it leaves behind.
    """
    margin = view.margin
    if margin is None or margin.is_closing:
        return
    if margin.fees >= LEAST_FEES:
        yield me.intent("MarginMarket", "sweep", about="fees")
    for market in margin.markets:
        if margin.postable(market):
            yield me.intent("MarginMarket", "post_shortfall", market, about=market)
    if margin.frozen is None:
        for weak in _can_begin(margin):
            if me.mine(int(weak.owner, 16)):
                market = margin.largest_first(weak.owner)[0]
                yield me.intent("MarginDeleverager", "begin", weak.owner, market, about=weak.owner)
    elif me.mine(margin.case.id):
        yield from _next_step(me, margin)


def _can_begin(margin: MarginView) -> Iterator[Weak]:
    """Yield the largest losses: those that the fund pays, and the first that it does not, which freezes."""
    insured = margin.insured
    for weak in margin.insolvent:
        yield weak
        if weak.loss > insured:
            return
        insured -= weak.loss


def _next_step(me: Keeper, margin: MarginView) -> Iterator[Intent]:
    """Go on with its own ranking until anybody's is complete, then with the execution."""
    case = margin.case.id
    if margin.prover is not None:
        each = measured(_EXECUTE_SHARED if margin.shares else _EXECUTE)
        count = min(margin.executions(), _MOST_ACCOUNTS, me.group.call_gas // each)
        count = max(1, count)  # if nobody pays it takes one call to say so
        yield me.intent("MarginDeleverager", "execute", count, about=("execute", case), gas=count * each)
        return
    done, last = margin.run(me.address).submitted, margin.run(me.address).last
    if done and last != margin.ranking[done - 1].owner:
        # It left somebody out, and a sender has one run in a freeze: whoever else comes, or the next freeze.
        return
    accounts, gas = _batch(me, margin, margin.ranking[done:])
    if accounts:
        yield me.intent("MarginDeleverager", "submit", accounts, about=("submit", case), gas=gas)


def _batch(me: Keeper, margin: MarginView, rest: list[Ranked]) -> tuple[tuple[str, ...], int]:
    """Return as many of the next accounts as one call takes, at least one, and the gas for them."""
    lots, loss = margin.left_by(me.address)
    gas, accounts = measured("margin: submit"), list[str]()
    for each in rest[:_MOST_ACCOUNTS]:
        standing = each.standing
        closes = standing.gain != 0 and (lots != 0 or loss != 0)
        needed = measured(_SUBMIT_SHARED if margin.shares else _SUBMIT_CLOSING if closes else _SUBMIT)
        if accounts and gas + needed > me.group.call_gas:
            break
        if closes and not margin.shares:
            closed, paid = share(standing, lots, loss)
            lots, loss = lots - closed, loss - paid
        gas += needed
        accounts.append(each.owner)
    return tuple(accounts), gas


# ---------------------------------------------------------------------- matching


@role("matcher")
def matcher(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Match signed orders that cross, the best price first, then the older; nobody pays it for that.

    The one that was signed first is the maker, by the orders' nonces; two of one nonce have no maker unless
    their limits are equal. A pair that is refused is left alone for a while, and others go on.
    """
    margin = view.cycles or view.margin
    if margin is None or margin.is_closing or me.orders is None:
        return
    sent = {name for about in memory.under_way if about[0] == "fill" for name in _pair(about)}
    open = [
        each
        for each in me.orders.read()
        if view.timestamp <= each.order.expiry
        and each.order.nonce >= margin.nonce_floor(each.order.account)
        and each.name not in sent
    ]
    book, fills = _Book(margin), list[Intent]()
    for buy in sorted((each for each in open if each.buys), key=lambda each: (-each.order.price, each.place)):
        sells = [each for each in open if not each.buys and each.order.market == buy.order.market]
        for sell in sorted(sells, key=lambda each: (each.order.price, each.place)):
            if sell.order.price > buy.order.price or book.left(buy) == 0:
                break
            lots, about = min(book.left(buy), book.left(sell)), (buy.name, sell.name)
            apart = buy.order.account != sell.order.account
            maker, taker = sorted((buy, sell), key=lambda each: (each.order.nonce, each.place))
            ordered = maker.order.nonce < taker.order.nonce or maker.order.price == taker.order.price
            if lots and apart and ordered and memory.may(("fill", about), view.timestamp):
                book.fill(buy, sell, lots)
                args = (maker.order, maker.signature, taker.order, taker.signature, lots)
                gas = None if view.cycles is None else measured("cycles: fill, new position")
                fills.append(me.intent("MarginOrders", "fill", *args, about=about, gas=gas))
    if fills and view.cycles is not None:
        yield from bring(me, signed_for(me, view, view.cycles))
    yield from fills


def _pair(about: tuple[Hashable, ...]) -> tuple[Hashable, Hashable]:
    """Return the two orders of a match that is under way."""
    return cast("tuple[Hashable, Hashable]", about[1])


class _Book:
    """What orders have left, less what was matched in this look."""

    def __init__(self, margin: MarginView | CycleView) -> None:
        self._margin = margin
        self._used: dict[str, int] = {}
        self._moved: dict[tuple[str, int], int] = {}

    def left(self, each: SignedOrder) -> int:
        """Return the lots that can still be filled.

        An order that only reduces has no more than its account's position.
        """
        order = each.order
        left = max(0, abs(order.size) - self._margin.filled(each.digest) - self._used.get(each.name, 0))
        if not order.reduce_only:
            return left
        key = order.account, order.market
        size = self._margin.position(*key).size + self._moved.get(key, 0)
        return min(left, abs(size)) if size * order.size < 0 else 0

    def fill(self, buy: SignedOrder, sell: SignedOrder, lots: int) -> None:
        """Count lots as filled."""
        for each, delta in ((buy, lots), (sell, -lots)):
            key = each.order.account, each.order.market
            self._used[each.name] = self._used.get(each.name, 0) + lots
            self._moved[key] = self._moved.get(key, 0) + delta
