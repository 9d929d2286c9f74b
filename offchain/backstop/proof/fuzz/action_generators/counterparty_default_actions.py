"""Consequences of a default in the margin market: bookings, haircuts, deleveraging, withdrawn profits."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.interfaces import Gains
from backstop.model.margin_fund import MarginFund
from backstop.model.ranked_deleveraging import RankedDeleveraging, compute_gain_to_worth_score, get_side_gain
from backstop.proof.fuzz.action_generators.backstop_pool_actions import (
    deposit_into_backstop,
    fill_backstop_quote,
    trade_for_backstop,
)
from backstop.proof.fuzz.action_generators.cycle_trading_actions import (
    CROWD,
    HERD,
    OWNERS,
    TRADERS,
    MarketView,
    delay_seizures,
    find_market_view,
    iter_order_fill_calls,
    make_optional_account_argument,
    withdraw_available,
    withdraw_profits_in_parts,
)
from backstop.proof.fuzz.action_generators.guard_actions import lower_mode
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

_MARKET, _TRADING, _CLOSER = "PerpetualMarket", "PerpetualTrading", "PerpetualCloser"
_INTERVAL = 3_600


@register_generator(weight=2, of_traders=True)
def make_holder_insolvent(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield mark price reports that make a position holder insolvent, then seize, wait or move back.

    After a seizure the winners are deleveraged at times.
    """
    books = find_market_view(context)
    holders = books.list_holders() if books is not None else []
    if books is None or not holders:
        return
    owner = context.pick_item([who for who in holders if books.get_haircut_amount(who)] or holders)
    m = context.pick_item(books.list_held_markets(owner))
    yield from books.iter_mark_refresh_actions(sorted({*books.list_held_markets(owner)}))
    size, price = books.get_size(owner, m), books.get_mark(m)
    target = books.find_loss_price(owner, m, max(books.get_equity(owner), 0))
    beyond = price * context.pick_item((1, 1, 50, 500, 2_000)) // BASIS_POINTS
    target += -beyond if size > 0 else beyond
    if not price // 4 < target < 4 * price and context.draw_bool(0.9):
        return
    yield from books.iter_mark_reports(m, max(1, target))
    yield context.build_action(_MARKET, "accrue", m, by=context.pick_account())
    if books.get_haircut_amount(owner) or context.draw_bool(0.5):
        yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())
        if _CLOSER in context.world.contracts and context.draw_bool(0.6):
            yield from deleverage_winners(context)
            return
    if context.draw_bool(0.3):
        yield from books.iter_mark_reports(m, price)
        yield context.build_action(_MARKET, "accrue", m, by=context.pick_account())
    elif context.draw_bool(0.4):
        yield from delay_seizures(context, books)


@register_generator(weight=1, of_traders=True)
def borrow_to_trade(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a vault deposit and debt draw that yield enough stablecoin for the margin of many lots."""
    books = find_market_view(context)
    if books is not None:
        yield from _draw_vault_debt_for_trading(context, books, context.pick_item(books.markets))


def _draw_vault_debt_for_trading(
    context: GenerationContext, market_view: MarketView, market_id: int, lots: int = 50
) -> Iterator[Action | Wait]:
    """Yield vault deposits and debt draws until an account can pay for this many lots and their bonds."""
    price = market_view.get_mark(market_id) + int(market_view.market.third_bond)
    types = context.random.sample(range(context.listed), min(context.listed, 2))
    for c in () if context.settling else types:
        if context.get_balance("Stablecoin", context.find_richest_account()) > lots * price:
            return
        if not context.has_fresh_price(c):
            yield from post_price_until_current(context, c, context.get_next_or_current_price(c))
        value, terms, owner = context.get_lower_feed_price(c), context.get_terms(c), context.pick_account()
        if not value or not context.has_fresh_price(c):
            continue
        ratio, unit = 3 * terms.initial_ratio, int(terms.unit)
        most = (
            context.get_balance(context.get_symbol(c), owner)
            * unit
            // 2
            * value
            * BASIS_POINTS
            // (RAY * ratio)
        )
        wanted = max(context.pick_item((500, 20_000)) * price, 3 * terms.debt_floor * WAD)
        debt = min(context.get_ceiling_room(c), wanted, most)
        if debt > terms.debt_floor * WAD:
            deposit = div_up(div_up(debt * RAY * ratio, value * BASIS_POINTS), unit) * unit
            yield context.build_action(
                "VaultEngine", "deposit_and_draw", c, owner, deposit, debt, owner, by=owner
            )


# ------------------------------------------------------------------------ closings


@register_generator(weight=2, of_traders=True)
def deleverage_winners(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the calls that deleverage the accounts that gained in a market; some are invalid.

    Deleveraging closes positions of accounts that gained against unassigned lots of insolvent accounts. Some
    rankings are wrong or too late.
    """
    books, closer = find_market_view(context), context.world.contracts.get(_CLOSER)
    if books is None or closer is None:
        return
    left = [m for m in books.markets if books.get_unassigned_lots(m)]
    if not left and context.draw_bool(0.97):
        return
    m, by = context.pick_item(left or list(books.markets)), context.pick_account()
    side = int(books.get_unassigned_lots(m) > 0) if context.draw_bool(0.95) else context.pick_item((0, 1, 2))
    now = books.market.clocks[()].cycle
    pending, open_interest = (books.market.totals[m, cycle] for cycle in (now - 1, now))
    if side < 2 and not pending[side]:
        if not open_interest[side] and context.draw_bool(0.9):
            return
        # Who gained by the lots of these debtors is ranked in the window of that cycle.
        yield from _equalise_scores(context, books, m, side)
        yield from _start_next_cycle(context, books)
    order = yield from _rank_accounts(context, books, m, side)
    if context.draw_bool(0.6):
        # What is paid in now changes no rank.
        who, owner = context.find_richest_account(), context.pick_item((*order[:1], *TRADERS))
        amount = context.get_balance("Stablecoin", who) // 4
        if side < 2 and len(order) > 1 and context.draw_bool(0.8):
            place = context.random.randrange(len(order) - 1)
            owner, amount = (
                order[place],
                _compute_deposit_to_swap_ranks(books, m, side, order[place : place + 2]),
            )
        yield context.build_action(_MARKET, "deposit", owner, amount, by=who)
    if context.draw_bool(0.96):
        yield from books.iter_mark_refresh_actions([m])
    if isinstance(closer, RankedDeleveraging):
        yield from _deleverage_by_rank(context, books, m, side, order)
    else:
        yield from _deleverage_pro_rata(context, m, side, order)
    if context.draw_bool(0.02):
        yield context.build_action(
            _TRADING, "deleverage", m, 0, tuple(order), tuple(1 for _ in order), by, by, by=by
        )


def _compute_deposit_to_swap_ranks(
    market_view: MarketView, market_id: int, side: int, owner_pair: Sequence[str]
) -> int:
    """Return the extra equity with which the first account would rank after the second [wei].

    It is the equity that the first account lacked when the last cycle ended.
    """
    market = market_view.market
    (gain, worth), (other, its) = (
        (
            market.get_unfinal_previous_cycle_gains(owner, market_id)[side],
            max(1, market._worth_at_roll(owner)),
        )
        for owner in owner_pair
    )
    return max(0, gain * its // max(1, other) - worth) + its // 10**6 + 1


def _equalise_scores(
    context: GenerationContext, books: MarketView, market_id: int, side: int
) -> Iterator[Action | Wait]:
    """Yield a deposit by which two accounts that gained get nearly equal deleveraging scores."""
    market = books.market
    gains = {owner: market._compute_open_gains(owner, market_id)[side] for owner in CROWD}
    owns = {owner: market._compute_standing(owner).own for owner in CROWD if gains[owner]}
    able = [owner for owner in owns if owns[owner] > 0]
    if len(able) < 2 or context.draw_bool(0.3):
        return
    one, other = context.random.sample(able, 2)
    if gains[one] * owns[other] < gains[other] * owns[one]:
        one, other = other, one
    missing, who = gains[one] * owns[other] // gains[other] - owns[one], context.find_richest_account()
    if 0 < missing <= context.get_balance("Stablecoin", who):
        yield context.build_action(_MARKET, "deposit", one, missing, by=who)


def _start_next_cycle(context: GenerationContext, books: MarketView) -> Iterator[Action | Wait]:
    """Yield a wait and the call that ends the present margin cycle."""
    yield Wait(4 * books.market.window)
    yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())


def _rank_accounts(
    context: GenerationContext, books: MarketView, market_id: int, side: int
) -> Generator[Action | Wait, None, list[str]]:
    """Yield the calls that update all accounts, and return those that gained on a side, in rank order."""
    market, ranks = books.market, []
    for _ in range(2):  # a call that is sent with something wrong about it leaves somebody out
        for owner in list(market.accounts):
            if market.accounts[owner].cycle != market.clocks[()].cycle or market.clocks[()].ended:
                yield context.build_action(_MARKET, "update_account", owner, by=context.pick_account())
    for owner in list(market.accounts):
        if market.accounts[owner].cycle == market.clocks[()].cycle:
            # Not `gains_of`, which would close what has ended in the model alone if it was not woken.
            gained = market.get_unfinal_previous_cycle_gains(owner, market_id)
            gains = Gains(0, gained.long, gained.short, market._worth_at_roll(owner))
            ranks.append(
                (
                    compute_gain_to_worth_score(gains, min(side, 1)),
                    _convert_address_to_integer(owner),
                    owner,
                    get_side_gain(gains, min(side, 1)),
                )
            )
    return [owner for _, _, owner, gain in sorted(ranks, reverse=True) if gain or context.draw_bool(0.005)]


def _deleverage_by_rank(
    context: GenerationContext, market_view: MarketView, market_id: int, side: int, ranked_owners: list[str]
) -> Iterator[Action | Wait]:
    """Yield two wrong rankings, the right one, and its execution, at times one cycle or more too late."""
    by, *others = context.random.sample(context.people, 3)
    if ranked_owners and context.draw_bool(0.8):
        # Turned round, two exchanged, one in place of the next, without the last, or in any order.
        place = context.random.randrange(max(1, len(ranked_owners) - 1))
        if side < 2 and len(ranked_owners) > 1 and context.draw_bool(0.7):
            # Those who are next to each other by least.
            places = range(len(ranked_owners) - 1)
            place = min(
                places,
                key=lambda at: _compute_deposit_to_swap_ranks(
                    market_view, market_id, side, ranked_owners[at : at + 2]
                ),
            )
        two, rest = ranked_owners[place : place + 2], ranked_owners[place + 2 :]
        wrongs = [
            ranked_owners[::-1],
            [*ranked_owners[:place], *two[::-1], *rest],
            [*ranked_owners[:place], two[0], two[0], *rest],
            ranked_owners[:-1],
            context.random.sample(ranked_owners, len(ranked_owners)),
        ]
        for wrong, accounts in zip(others, context.random.sample(wrongs, 2), strict=True):
            if accounts:
                yield context.build_action(_CLOSER, "submit", market_id, side, tuple(accounts), by=wrong)
    # In one call; a first one of fewer than MIN_RANKED is refused, and then the rest is out of place.
    fits = len(ranked_owners) > bounds.MIN_RANKED
    cut = context.random.randint(0, len(ranked_owners)) if context.draw_bool(0.1) else 0
    if fits and context.draw_bool(0.8):
        cut = context.random.randint(bounds.MIN_RANKED - context.draw_bool(0.1), len(ranked_owners) - 1)
    for accounts in (ranked_owners[:cut], ranked_owners[cut:]):
        if accounts or context.draw_bool(0.05):
            yield context.build_action(_CLOSER, "submit", market_id, side, tuple(accounts), by=by)
    parts = (
        [ranked_owners[:cut], ranked_owners[cut:], ranked_owners[cut:]]
        if cut
        else [ranked_owners, ranked_owners]
    )
    late = context.pick_item((0, context.random.randint(0, len(parts)))) if context.draw_bool(0.4) else None
    for number, accounts in enumerate(parts):
        if number == late:
            # In the next window it may be executed still, in the one after that no more.
            for _ in range(context.pick_item((1, 1, 2))):
                yield from _start_next_cycle(context, market_view)
            yield from market_view.iter_mark_refresh_actions([market_id])
        yield context.build_action(
            _CLOSER, "execute", market_id, side, tuple(accounts), by=context.pick_account()
        )


def _deleverage_pro_rata(
    context: GenerationContext, market_id: int, side: int, ranked_owners: list[str]
) -> Iterator[Action | Wait]:
    """Yield calls that close parts of positions pro rata: for one account, some or all; some repeat.

    Some of the calls are not in the required order of accounts.
    """
    some = sorted(
        ranked_owners[: context.random.randint(0, len(ranked_owners))]
        if context.draw_bool(0.3)
        else ranked_owners,
        key=_convert_address_to_integer,
    )
    calls = [some, some[: context.random.randint(0, len(some))] * context.pick_item((1, 1, 2))]
    if context.draw_bool(0.6):
        calls = [[each] for each in some for _ in range(2)] + calls
    for accounts in calls:
        if accounts or context.draw_bool(0.1):
            yield context.build_action(
                _CLOSER, "share", market_id, side, tuple(accounts), by=context.pick_account()
            )


def _convert_address_to_integer(address: str) -> int:
    return int(address, 16)


# ------------------------------------------------------------------------- crashes


@register_generator(weight=2, of_traders=True)
def fail_against_two_traders(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the default of one account against two others, with all calls that follow from it.

    These calls book the loss, cut gains, deleverage winners, close positions and withdraw the rest.
    """
    books = find_market_view(context)
    if books is None or not books.is_new_risk_allowed():
        if books is not None and not context.settling:
            yield from lower_mode(context)
        return
    terms = books.policy.underlyings
    room = {
        m: terms[m].open_limit - books.market._get_open_lots(m) for m in books.markets if not terms[m].ends_at
    }
    listed = [m for m in room if room[m] >= len(CROWD) or not books.market._get_open_lots(m)]
    for owner in CROWD:
        if books.get_equity(owner) < 0 and not books.market._has_lots(owner):
            # What it owed may be final by now, and paid by others.
            yield context.build_action(_MARKET, "update_account", owner, by=context.pick_account())
    free = [owner for owner in CROWD if not books.market._has_lots(owner) and books.get_equity(owner) >= 0]
    if not listed or len(free) < 3:
        yield from _close_out_accounts(context, books, CROWD)
        return
    if context.draw_bool(0.2):
        yield from deposit_into_backstop(context)
    m = context.pick_item(listed)
    count = min(4 if context.draw_bool(0.7) else 3, len(free))
    # Mostly those who have paid in before: few have the money for a lot and a bond.
    rich = sorted(free, key=books.get_spare_margin, reverse=True)[: count + 1]
    people = context.random.sample(rich if context.draw_bool(0.7) else free, count)
    if context.draw_bool(0.5):
        for owner in free:
            if owner not in people and books.get_equity(owner) > 0:
                yield from withdraw_available(context, books, owner)
    people.sort(key=books.get_spare_margin, reverse=True)
    fails, *others = people[:3]
    yield from _open_one_against_two_positions(context, books, m, people)
    if not books.get_size(fails, m):
        return
    way = 1 if books.get_size(fails, m) > 0 else -1
    later = context.draw_bool(0.3)
    also = [each for each in listed if each != m]
    if also and context.draw_bool(0.5):
        # One of those who gain fails in another market, and pays less of this: to whoever gains in that one.
        yield from _make_first_trader_insolvent(
            context, books, context.pick_item(also), (others[0], fails, *others[1:])
        )
    price = books.get_mark(m)
    beyond = price * context.pick_item((1, 50, 500, 2_000)) // BASIS_POINTS
    target = books.find_loss_price(fails, m, max(0, books.get_equity(fails)))
    yield from books.iter_mark_reports(
        m, max(1, target - (beyond + 1) * way), has_single_price_range=context.draw_bool(0.7)
    )
    if later:
        yield from _book_losses_late(context, books, m, way)
        return
    yield context.build_action(_MARKET, "seize_insolvent", fails, by=context.pick_account())
    if books.get_size(fails, m):
        yield from _make_insolvent(context, books, m, fails)
    if context.draw_bool(0.3):
        yield from trade_for_backstop(context)
        yield from fill_backstop_quote(context)
    yield from _equalise_scores(context, books, m, int(way > 0))
    yield from _start_next_cycle(context, books)
    if context.draw_bool(0.4):
        yield context.build_action(_MARKET, "seize_insolvent", fails, by=context.pick_account())
        yield from _iter_actions_pushing_equity_below_haircuts(context, books, m, others)
    if context.draw_bool(0.3):
        # The longer it is pending, the more a booking pays; again, if what is lacked has grown meanwhile.
        for owner in (fails, *others, fails):
            yield Wait(context.random.randint(0, books.market.window))
            yield context.build_action(
                _MARKET,
                "seize_insolvent",
                owner,
                by=context.pick_item((context.pick_account(), context.pick_item(TRADERS))),
            )
    if context.draw_bool(0.9):
        yield from deleverage_winners(context)
    if context.draw_bool(0.4):
        # Booked at the end of a window, which is not over then, or of the longest, which is.
        clock, market = books.market.clocks[()], books.market
        soon = context.pick_item((1, 1, market.quiet))
        yield Wait(max(0, clock.rolled_at + context.pick_item((1, 4)) * market.window - soon - context.now))
        yield context.build_action(_MARKET, "seize_insolvent", fails, by=context.pick_account())
        yield Wait(soon)
        yield context.build_action(_MARKET, "advance_cycle", by=context.pick_account())
    yield from _close_out_accounts(context, books, people)


@register_generator(weight=1, of_traders=True)
def fail_against_many_traders(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the default of one account against many, and the calls that deleverage those that gained.

    The ranking takes several calls.
    """
    books = find_market_view(context)
    if books is None or not books.is_new_risk_allowed() or _CLOSER not in context.world.contracts:
        return
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    free = [owner for owner in CROWD if not books.market._has_lots(owner) and books.get_equity(owner) >= 0]
    if not listed or not free:
        return
    m, fails = context.pick_item(listed), max(free, key=books.get_spare_margin)
    yield from _draw_vault_debt_for_trading(context, books, m, context.pick_item((1, 10)) * len(HERD))
    yield from books.align_feed_price_with_mark(m)
    yield from books.iter_insurance_actions_if_exhausted(m)
    price, terms = books.get_mark(m), books.policy.terms[m]
    room = min(
        books.policy.underlyings[m].open_limit - books.market._get_open_lots(m), books.get_insurable_lots(m)
    )
    if not price or room < len(HERD):
        return
    rates = terms.account_rate_1 + terms.account_rate_2 + terms.market_rate_1 + terms.market_rate_2
    lot = (terms.initial + rates + 2 * books.trading.taker_fee) * price
    bond, few = 3 * int(books.market.third_bond), div_up(lot, BASIS_POINTS)
    who, way = context.find_richest_account(), context.pick_item((1, -1))
    most = (context.get_balance("Stablecoin", who) // 2 // len(HERD) - bond) // (2 * few)
    lots = min(room // len(HERD), most, context.pick_item((1, 100, 10**6)))
    if lots <= 0:
        return
    yield context.build_action(_MARKET, "deposit", fails, bond + len(HERD) * lots * few, by=who)
    for owner in HERD:
        # Not all of them alike: who has more of its own ranks behind.
        amount = bond + lots * few * context.pick_item((1, 1, 2))
        yield context.build_action(_MARKET, "deposit", owner, amount, by=context.find_richest_account())
        yield from iter_order_fill_calls(context, books, (owner, fails), m, -lots * way, price)
    if not books.get_size(fails, m):
        return
    yield from _make_insolvent(context, books, m, fails)
    yield from _start_next_cycle(context, books)
    yield context.build_action(_MARKET, "seize_insolvent", fails, by=context.pick_account())
    yield from deleverage_winners(context)
    yield from books.align_feed_price_with_mark(m)
    people = (*HERD, *(owner for owner in CROWD if books.get_size(owner, m) * way > 0))
    yield from _close_out_accounts(context, books, people)


def _make_first_trader_insolvent(
    context: GenerationContext, market_view: MarketView, market_id: int, traders: Sequence[str]
) -> Iterator[Action | Wait]:
    """Yield calls that make the first account insolvent against the others in a market, and seize it."""
    yield from _open_one_against_two_positions(context, market_view, market_id, traders)
    if market_view.get_size(traders[0], market_id):
        yield from _make_insolvent(context, market_view, market_id, traders[0])


def _make_insolvent(
    context: GenerationContext, books: MarketView, market_id: int, owner: str
) -> Iterator[Action | Wait]:
    """Yield mark price reports until a position holder is slightly insolvent, and its seizure.

    The reports are made at most twice, since one may be missing the first time.
    """
    beyond = (books.get_mark(market_id) // 100 + 1) * (1 if books.get_size(owner, market_id) > 0 else -1)
    for _ in range(2):
        target = books.find_loss_price(owner, market_id, max(0, books.get_equity(owner))) - beyond
        yield from books.iter_mark_reports(market_id, max(1, target), has_single_price_range=True)
        yield context.build_action(_MARKET, "accrue", market_id, by=context.pick_account())
        if books.get_equity(owner) < 0:
            break
    yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())


def _open_one_against_two_positions(
    context: GenerationContext, market_view: MarketView, market_id: int, traders: Sequence[str]
) -> Iterator[Action | Wait]:
    """Yield deposits and orders that open positions of the first account against two others.

    A fourth account, if given, has the same side as the first one.
    """
    yield from _draw_vault_debt_for_trading(context, market_view, market_id)
    yield from market_view.align_feed_price_with_mark(market_id)
    yield from market_view.iter_insurance_actions_if_exhausted(market_id)
    price = market_view.get_mark(market_id)
    if not price:
        return
    fails, *others = traders[:3]
    for owner in (*traders, *traders[3:]):
        who = context.find_richest_account()
        yield context.build_action(
            _MARKET, "deposit", owner, context.get_balance("Stablecoin", who) // 6, by=who
        )
    terms = market_view.policy.terms[market_id]
    needed = (terms.initial + terms.account_rate_1 + terms.market_rate_1) * price
    room = min(
        market_view.policy.underlyings[market_id].open_limit - market_view.market._get_open_lots(market_id),
        market_view.get_insurable_lots(market_id),
    )
    most = [
        (market_view.get_spare_margin(each) - 3 * market_view.market.third_bond * BASIS_POINTS) // needed
        for each in traders
    ]
    lots = min(most[0] // 3, *most[1:3], room // 3)
    if lots <= 0:
        return
    way = context.pick_item((1, -1))
    parts = lots, max(1, lots // context.pick_item((1, 1, 1, 3, 15)))
    for owner, part in zip(others, parts, strict=True):
        for against in (fails, *traders[3:]):
            yield from iter_order_fill_calls(
                context, market_view, (owner, against), market_id, -part * way, price
            )


def _iter_actions_pushing_equity_below_haircuts(
    context: GenerationContext, market_view: MarketView, market_id: int, owners: Sequence[str]
) -> Iterator[Action | Wait]:
    """Yield price moves that lower each owner's equity to about its haircuts, and a seizure of each.

    A haircut is the part of a gain that pays others' losses.
    """
    for owner in owners:
        yield context.build_action(_MARKET, "update_account", owner, by=context.pick_account())
        haircut = market_view.get_haircut_amount(owner)
        if not haircut or not market_view.get_size(owner, market_id):
            continue
        own = market_view.market._compute_standing(owner).own
        yield from market_view.iter_mark_reports(
            market_id,
            market_view.find_loss_price(
                owner, market_id, own - context.pick_item((haircut // 2, haircut - 1, haircut))
            ),
        )
        yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())


def _book_losses_late(
    context: GenerationContext, books: MarketView, market_id: int, way: int
) -> Iterator[Action | Wait]:
    """Yield delayed seizures, so that losses are booked one or more margin cycles late.

    Gains made in the meantime can absorb these losses.
    """
    yield context.build_action(_MARKET, "accrue", market_id, by=context.pick_account())
    if context.draw_bool(0.4):
        yield from delay_seizures(context, books)
        return
    for _ in range(2):
        yield from _start_next_cycle(context, books)
    price = books.get_mark(market_id)
    yield from books.iter_mark_reports(
        market_id, max(1, price - way * (1 + price * context.pick_item((50, 500)) // BASIS_POINTS))
    )
    yield context.build_action(_MARKET, "accrue", market_id, by=context.pick_account())
    yield from _start_next_cycle(context, books)
    if context.draw_bool(0.5):
        yield from withdraw_profits_in_parts(context, books)
    for owner in books.list_debtors():
        yield from books.iter_mark_refresh_actions(books.list_held_markets(owner))
        yield context.build_action(_MARKET, "seize_insolvent", owner, by=context.pick_account())
    for _ in range(context.random.randint(1, 2)):
        yield from _start_next_cycle(context, books)


def _close_out_accounts(
    context: GenerationContext, books: MarketView, people: Sequence[str]
) -> Iterator[Action | Wait]:
    """Yield orders that close the accounts' positions, and at times withdrawals of final amounts.

    Positions are closed against each other or against unassigned lots.
    """
    for owner in people:
        for m in [each for each in books.list_held_markets(owner) if not books.has_ended(each)]:
            size = books.get_size(owner, m)
            for other in people:
                lots = min(abs(size), abs(books.get_size(other, m)))
                if (
                    books.get_size(other, m) * size < 0
                    and min(books.get_equity(owner), books.get_equity(other)) >= 0
                ):
                    yield from books.iter_mark_refresh_actions(
                        sorted({*books.list_held_markets(owner), *books.list_held_markets(other)})
                    )
                    yield from iter_order_fill_calls(
                        context, books, (owner, other), m, -lots if size > 0 else lots, books.get_mark(m)
                    )
                    size = books.get_size(owner, m)
            left, size = books.get_unassigned_lots(m), books.get_size(owner, m)
            if left * size < 0:
                yield from books.iter_mark_refresh_actions(books.list_held_markets(owner))
                lots = min(abs(left), abs(size))
                yield context.build_action(
                    _TRADING,
                    "take",
                    m,
                    lots,
                    *make_optional_account_argument(context, owner),
                    by=OWNERS[owner],
                )
    if context.draw_bool(0.5):
        for _ in range(2):
            yield from _start_next_cycle(context, books)
        for owner in context.random.sample(people, 2):
            if books.get_equity(owner) > 0 and not books.market._has_lots(owner):
                yield from withdraw_available(context, books, owner)


# ------------------------------------------------------------------------- profits


@register_generator(weight=1.5, of_traders=True)
def claim_vested_profit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a claim of a profit just before it has vested, and at times another once it has vested."""
    books = find_market_view(context)
    if books is None:
        return
    fund = cast(MarginFund, context.world.contracts["MarginFund"])
    held = [
        key
        for key, each in fund.holdings.items()
        if each.shares and each.generation == fund.buckets[key[1]].generation
    ]
    early = [key for key in held if (key[1] + fund.bucket_count) * fund.length > context.now]
    if not held:
        return
    if not early and context.draw_bool(0.5):
        return
    owner, bucket = context.pick_item(early or held)
    vested = (bucket + fund.bucket_count) * fund.length
    yield Wait(max(0, vested - context.now - context.pick_item((1, 1, fund.length))))
    yield context.build_action("MarginFund", "claim", owner, bucket, by=context.pick_account())
    if early and context.draw_bool(0.5):
        yield Wait(max(0, vested - context.now))
        yield context.build_action("MarginFund", "claim", owner, bucket, by=context.pick_account())


# ------------------------------------------------------------------------ the end


@register_generator(weight=1, of_traders=True)
def reduce_in_delisted_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield reducing orders at the edge of the price band in a delisted market, and a later accrual.

    At times it yields the delisting first.
    """
    books = find_market_view(context)
    if books is None:
        return
    pairs = [
        (m, a, b)
        for m in books.markets
        if not books.has_ended(m)
        for a in CROWD
        for b in CROWD
        if books.get_size(a, m) > 0 > books.get_size(b, m)
    ]
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    named = [each for each in pairs if books.policy.underlyings[each[0]].ends_at]
    if not pairs or (
        not named and (context.settling or (len(listed) < 2 and not context.late) or context.draw_bool(0.8))
    ):
        return
    m, *_ = context.pick_item(named or pairs)
    if not named:
        yield context.build_action(
            "MarginPolicy", "delist", m, context.now + bounds.MIN_NOTICE, by=context.admin
        )
    for at, long, short in pairs:
        lots = min(books.get_size(long, at), -books.get_size(short, at))
        if at != m or lots <= 0:
            continue
        yield from books.iter_mark_refresh_actions(
            sorted({m, *books.list_held_markets(long), *books.list_held_markets(short)})
        )
        price = books.get_mark(m) + context.pick_item((1, -1)) * (
            books.get_mark(m) * books.trading.band // BASIS_POINTS
        )
        sides = context.pick_item(((long, short), (short, long)))
        lots = max(1, context.draw_near_limit(lots)) * (-1 if sides[0] == long else 1)
        yield from iter_order_fill_calls(context, books, sides, m, lots, max(1, price))
        yield Wait(_INTERVAL)
        yield context.build_action(_MARKET, "accrue", m, by=context.pick_account())
