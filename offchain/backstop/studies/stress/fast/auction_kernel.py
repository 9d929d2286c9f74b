"""Auctions: buyers and their prices, and the closing and reset of auctions."""

from __future__ import annotations

from numba import njit

from backstop.deployment.parameter_dataclasses import LINEAR
from backstop.model.dutch_auction import WORTHLESS
from backstop.studies.stress.fast.kernel_tables import CLOSE, RESET, Floats, Integers, Table
from backstop.studies.stress.fast.liquidations import add_wish, return_lot
from backstop.studies.stress.fast.loss_kernel import add_loss_to_deficit, pay_reward_or_recognise_loss
from backstop.studies.stress.fast.pricing import (
    ROUNDING,
    auction_price,
    best_amount,
    compute_decay,
    compute_fill,
    compute_proceeds,
    compute_time_weighted_price,
    get_higher_current_or_next_price,
    needs_reset,
)

ENDLESS = 1e300


@njit(cache=True)
def update_prices(terms: Table, system: Table, auctions: Table, now: float) -> None:
    """Set the current price of each open auction, and whether it needs a reset."""
    last_type, last_elapsed, decay = -1, 0.0, 0.0
    for a in range(system.auctions):
        auction = auctions[a]
        here, elapsed = terms[auction.type], now - auction.since
        if here.curve == LINEAR:
            auction.price = auction_price(here, auction.top, elapsed)
        else:
            # Auctions that began together stand together.
            if auction.type != last_type or elapsed != last_elapsed:
                last_type, last_elapsed, decay = auction.type, elapsed, compute_decay(here, elapsed)
            auction.price = auction.top * decay
        auction.due = needs_reset(here, auction.top, auction.price, elapsed)


@njit(cache=True)
def _plan_take(
    terms: Table,
    auction: Table,
    amount: float,
    budget: float,
    market: float,
    coins: float,
    money: float,
    virtual: float,
) -> tuple[float, float, float, float]:
    """Return the most profitable purchase of about `amount` from an auction.

    The result is (profit, amount to ask, bought, paid). The bought collateral is worth the proceeds of its
    sale on a market with the reserves `coins` and `money`. If `coins` is 0, it is worth the outside price
    `market`. The profit is -1 and the other entries 0 if no purchase is possible within `budget`.
    """
    price, best = auction.price, (-1.0, 0.0, 0.0, 0.0)
    for way in range(4):
        if way == 0:
            tried = amount
        elif way == 1:
            tried = auction.lot
        elif way == 2:
            least = terms.minimum * terms.buf / auction.top
            tried = min(amount, auction.lot * (1 - ROUNDING) - least)
        else:
            tried = min(amount, (auction.target - terms.minimum) / price)
        if tried <= 0:
            continue
        bought, paid, rest = compute_fill(terms, auction, price, tried)
        if bought == 0.0 or paid > budget:
            continue
        worth = compute_proceeds(coins, money, terms.fee, bought) if coins > 0 else bought * market
        if coins > 0 and worth > (money - virtual) * (1 + ROUNDING):
            worth = 0.0  # the market cannot pay it: the sale reverts
        if best[1] == 0.0 or worth - paid > best[0]:
            # The price falls until inclusion, when a take that ends the auction now would leave a rest.
            best = (worth - paid, auction.lot if rest == 0.0 else bought, bought, paid)
    return best


@njit(cache=True)
def sink_heap_entry(keys: Floats, places: Integers, count: int, root: int) -> None:
    """Sift the entry at `root` down a binary heap of `count` entries, in place.

    The least key is on top; of equal keys, the lower place.
    """
    key, place, at = keys[root], places[root], root
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and (keys[child + 1], places[child + 1]) < (keys[child], places[child]):
            child += 1
        if (keys[child], places[child]) > (key, place):
            break
        keys[at], places[at] = keys[child], places[child]
        at = child
    keys[at], places[at] = key, place


@njit(cache=True)
def add_resale_take_wishes(
    terms: Table,
    group: Table,
    cost: float,
    prices: Floats,
    kinds: Table,
    system: Table,
    auctions: Table,
    keeper: Table,
    wishes: Table,
    old: Table,
    block: int,
    keys: Floats,
    places: Integers,
    markets: Floats,
) -> None:
    """Plan a flash taker's purchases from auctions, which it resells on the market at once.

    The cheapest collateral comes first. Each purchase must earn `cost` and the group's least profit.
    `markets` holds the coins and money of each local market, and is updated in place by the planned sales.
    """
    count = 0
    for a in range(system.auctions):
        auction = auctions[a]
        c = auction.type
        if auction.due or auction.lot == 0.0 or kinds[c].coins == 0.0:
            continue
        if auction.price * kinds[c].coins < kinds[c].money * (1 - terms[c].fee):
            keys[count], places[count] = auction.price / prices[c], a
            count += 1
    if count == 0:
        return
    # The taker has few wishes: most auctions need no order.
    for root in range(count // 2 - 1, -1, -1):
        sink_heap_entry(keys, places, count, root)
    while count > 0 and keeper.wishes < group.most:
        place, count = places[0], count - 1
        keys[0], places[0] = keys[count], places[count]
        sink_heap_entry(keys, places, count, 0)
        auction = auctions[place]
        c = auction.type
        coins, money, virtual = markets[c, 0], markets[c, 1], kinds[c].virtual
        amount = best_amount(coins, money, virtual, terms[c].fee, auction.price)
        if amount == 0.0:
            continue
        profit, asked, bought, _ = _plan_take(terms[c], auction, amount, ENDLESS, 0.0, coins, money, virtual)
        if asked == 0.0 or profit < cost + group.profit:
            continue
        markets[c, 0] = coins + bought
        markets[c, 1] = money - compute_proceeds(coins, money, terms[c].fee, bought)
        wish = wishes[keeper.wishes]
        # Others may sell first: the take must not lose even then.
        wish.what, wish.amount, wish.profit = place, asked, max(profit / 2, cost)
        add_wish(wish, auction.id, group, keeper, old, block)


@njit(cache=True)
def add_bidder_take_wishes(
    terms: Table,
    group: Table,
    cost: float,
    prices: Floats,
    system: Table,
    auctions: Table,
    keepers: Table,
    wishes: Table,
    old: Table,
    block: int,
    budgets: Floats,
) -> None:
    """Plan the auction purchases of bidders that pay with their own money and keep the collateral.

    `budgets` is filled in place with the money that each bidder of the group has left.
    """
    for i in range(group.first, group.first + group.number):
        budgets[i] = keepers[i].budget
    least = cost + group.profit
    for a in range(system.auctions):
        auction = auctions[a]
        market = prices[auction.type]
        if auction.due or auction.lot == 0.0 or auction.price > market * group.takes_at:
            continue
        i = group.first + auction.id % group.number
        if keepers[i].wishes == group.most:
            continue
        # Money buys no more than its worth at the auction's price: most have spent theirs, and need no plan.
        if budgets[i] * (market - auction.price) * (1 + ROUNDING) < least * auction.price:
            continue
        amount = min(auction.lot, budgets[i] / auction.price)
        profit, asked, _, paid = _plan_take(
            terms[auction.type], auction, amount, budgets[i], market, 0.0, 0.0, 0.0
        )
        if asked == 0.0 or profit < least:
            continue
        budgets[i] -= paid
        wish = wishes[i, keepers[i].wishes]
        wish.what, wish.amount = a, asked
        add_wish(wish, auction.id, group, keepers[i], old[i], block)


@njit(cache=True)
def choose_ends(
    terms: Table,
    group: Table,
    now: float,
    kinds: Table,
    system: Table,
    auctions: Table,
    keeper: Table,
    wishes: Table,
    old: Table,
    block: int,
) -> None:
    """Plan a keeper's calls that close auctions or reset their price.

    Auctions that are sold out come first.
    """
    for sold_out in (True, False):
        for a in range(system.auctions):
            auction = auctions[a]
            if keeper.wishes == group.most:
                return
            if sold_out != (auction.lot == 0.0):
                continue
            how = CLOSE
            if not sold_out:
                here = terms[auction.type]
                price = get_higher_current_or_next_price(kinds[auction.type], now)
                if not auction.due or price == 0.0:
                    continue
                if auction.lot * price * WORTHLESS >= here.minimum:
                    how = RESET
                elif now <= auction.since + here.tail or auction.target <= auction.penalty:
                    continue
            wish = wishes[keeper.wishes]
            wish.what, wish.amount = a, how
            add_wish(wish, auction.id, group, keeper, old, block)


@njit(cache=True)
def quote_take(terms: Table, auction: Table, amount: float, now: float) -> tuple[float, float]:
    """Return (bought collateral, payment) of a purchase from an auction at the present price.

    Both are 0 if the purchase would revert.
    """
    if auction.target == 0.0 or auction.lot == 0.0:
        return 0.0, 0.0
    elapsed = now - auction.since
    price = auction_price(terms, auction.top, elapsed)
    if needs_reset(terms, auction.top, price, elapsed):
        return 0.0, 0.0
    bought, paid, _ = compute_fill(terms, auction, price, amount)
    return bought, paid


@njit(cache=True)
def book_take(
    terms: Table, kind: Table, system: Table, auction: Table, vault: Table, bought: float, paid: float
) -> None:
    """Apply a purchase from an auction to the state.

    The payment repays principal first; the rest is penalty, which goes to the type's buffer. If the target is
    met, the unsold collateral returns to the vault.
    """
    rest, left = auction.target - paid, auction.lot - bought
    if rest <= ROUNDING * auction.target:
        rest = 0.0
    if left <= ROUNDING * auction.lot:
        left = 0.0
    owed = max(0.0, auction.target - auction.penalty)
    principal = owed - max(0.0, rest - auction.penalty)
    _release_principal(kind, system, principal)
    kind.lots -= auction.lot - left
    kind.buffer += paid - principal
    system.supply -= paid
    auction.lot, auction.target = left, rest
    if rest == 0.0:
        return_lot(terms, kind, vault, left)


@njit(cache=True)
def _release_principal(kind: Table, system: Table, principal: float) -> None:
    """Subtract repaid or lost principal from the type's and the system's principal under auction."""
    kind.in_auction = max(0.0, kind.in_auction - principal)
    system.in_auction = max(0.0, system.in_auction - principal)


@njit(cache=True)
def close_auction_and_book_loss(terms: Table, kind: Table, system: Table, auction: Table, now: float) -> None:
    """End an auction that can repay no more, and recognise its principal as a loss.

    Its lot leaves the collateral under auction. Do nothing while the lot may still be sold.
    """
    if auction.target == 0.0:
        return
    principal = max(0.0, auction.target - auction.penalty)
    if auction.lot > 0.0:
        price = get_higher_current_or_next_price(kind, now)
        if principal == 0.0 or price == 0.0 or now <= auction.since + terms.tail:
            return
        if auction.lot * max(price, compute_time_weighted_price(kind, now)) * WORTHLESS >= terms.minimum:
            return
    kind.lots -= auction.lot
    auction.lot = auction.target = 0.0
    if principal > 0.0:
        _release_principal(kind, system, principal)
        add_loss_to_deficit(kind, system, principal, now)


@njit(cache=True)
def reset_auction(terms: Table, kind: Table, system: Table, auction: Table, now: float) -> None:
    """Restart the price of an auction that is over, and reward the caller.

    The reward is at most the penalty that the auction has received. Do nothing if the auction needs no reset.
    """
    price, elapsed = get_higher_current_or_next_price(kind, now), now - auction.since
    old = auction_price(terms, auction.top, elapsed)
    if auction.lot == 0.0 or price == 0.0 or not needs_reset(terms, auction.top, old, elapsed):
        return
    auction.top, auction.since = price * terms.buf, now
    if auction.target >= terms.minimum and auction.lot * price >= terms.minimum:
        came_in = max(0.0, auction.budget - auction.target)
        reward = min(terms.tip + terms.chip * auction.target, came_in)
        auction.budget -= reward
        pay_reward_or_recognise_loss(kind, system, reward, now)


@njit(cache=True)
def forget_ended(system: Table, auctions: Table) -> None:
    """Remove ended auctions from the table in place, and keep the order of the remaining auctions."""
    kept = 0
    for a in range(system.auctions):
        if auctions[a].target > 0.0:
            if kept < a:
                auctions[kept] = auctions[a]
            kept += 1
    system.auctions = kept
