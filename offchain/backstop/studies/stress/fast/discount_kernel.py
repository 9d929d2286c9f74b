"""Sales of unsafe vaults at a fixed discount: a buyer's collateral and price, and each buyer's share."""

from __future__ import annotations

from math import floor

from numba import njit

from backstop.studies.stress.fast.auction_kernel import ENDLESS
from backstop.studies.stress.fast.kernel_tables import SOLD, Bytes, Floats, Integers, Table
from backstop.studies.stress.fast.liquidations import add_wish
from backstop.studies.stress.fast.loss_kernel import add_loss_to_deficit, charge_fees
from backstop.studies.stress.fast.pricing import (
    ROUNDING,
    best_amount,
    compute_charged_rate,
    compute_proceeds,
    get_fresh_price_or_zero,
    get_higher_current_or_next_price,
)

BASIS_POINTS = 10_000.0
PATIENCE = 60.0
"""Seconds for which a keeper leaves a vault alone after a failed purchase, the same as the keepers' own."""
ACCRUAL = 1.001
"""Allowed growth of a debt until a sale of all of it is mined, the same as the keepers' own."""


@njit(cache=True)
def compute_bonus_factor(terms: Table, health: float) -> float:
    """Return the worth of collateral that a buyer gets per unit of repaid debt.

    It depends on the vault's health by the type's terms.
    """
    if terms.max_discount > 0.0:
        return 1 / max(health, 1 - terms.max_discount)
    if terms.cursor > 0.0:
        return min(1 / (1 - terms.cursor * (1 - terms.threshold)), 1 + terms.max_bonus)
    if health <= terms.full_health:
        return 1 + terms.max_bonus
    grown = (terms.max_bonus - terms.base_bonus) * (1 - health) / (1 - terms.full_health)
    return 1 + terms.base_bonus + floor(grown * BASIS_POINTS + ROUNDING) / BASIS_POINTS


@njit(cache=True)
def plan_sale(
    terms: Table, vault: Table, rate: float, price: float, most_coins: float, most_paid: float
) -> tuple[float, float, float, float]:
    """Return the discount sale of a vault within the buyer's limits.

    The result is (collateral, fee in it, principal, payment). `most_coins` limits the collateral, `most_paid`
    the payment. All are 0 if the contract would refuse the sale.
    """
    debt, worth = vault.debt * rate, vault.locked * price
    health = min(1.0, worth * terms.threshold / debt)
    factor = compute_bonus_factor(terms, health)
    coins, principal = vault.locked, debt
    if worth <= debt * factor:
        paid = worth / factor
        if most_coins < coins or most_paid < paid:
            return 0.0, 0.0, 0.0, 0.0
    else:
        paid = min(_compute_most_repaid(terms, debt, worth, health, factor), most_paid)
        if paid + terms.floor > debt:
            paid = debt
        coins = paid * factor / price
        if coins > most_coins:
            coins, paid = most_coins, most_coins * price / factor
        if paid < debt * (1 - ROUNDING):
            principal = paid
            if debt - paid < terms.floor * (1 - ROUNDING):
                return 0.0, 0.0, 0.0, 0.0
        if paid > most_paid * (1 + ROUNDING):
            return 0.0, 0.0, 0.0, 0.0
    fee = coins * (1 - 1 / factor) * terms.bonus_fee
    return coins, fee, principal, paid


@njit(cache=True)
def _compute_most_repaid(terms: Table, debt: float, worth: float, health: float, factor: float) -> float:
    """Return the largest part of a vault's debt that one discount sale may repay [stablecoins]."""
    if terms.target_health > 0.0:
        taken = factor * terms.threshold
        if terms.target_health <= taken:
            return debt
        return min(debt, debt * (terms.target_health - health) / (terms.target_health - taken))
    if health > terms.whole_close_health and min(debt, worth) >= terms.small_position:
        return debt * terms.close_factor
    return debt


@njit(cache=True)
def add_purchase_wishes(
    terms: Table,
    group: Table,
    mine: Bytes,
    type_index: int,
    cost: float,
    outside_price: float,
    kind: Table,
    vaults: Table,
    unsafe: Integers,
    count: int,
    keepers: Table,
    wishes: Table,
    old: Table,
    block: int,
    now: float,
    budgets: Floats,
    market: Floats,
    is_resold: bool,
) -> None:
    """Plan a keeper group's discount purchases from one type's unsafe vaults, largest debt first.

    Resold collateral is worth the price of the local market; `market` holds its coins and money. Other
    collateral is worth `outside_price`, and is paid from the keeper's entry of `budgets`. The planned
    purchases update `market` or `budgets` in place.
    """
    price = get_higher_current_or_next_price(kind, now)
    if price == 0.0 or (is_resold and market[0] == 0.0):
        return
    worth = market[1] / market[0] if is_resold else outside_price
    least, lowest = cost + group.profit, price / compute_bonus_factor(terms, 0.0)
    if worth <= lowest:
        return
    rate = compute_charged_rate(terms, kind)
    for place in range(count):
        v = unsafe[place]
        if is_resold and not _can_resale_pay(terms, kind, market, lowest, least):
            return  # each sale lowers the price for the next
        # A sale costs no more than the debt: smaller ones bring less.
        if vaults[v].debt * rate * (worth - lowest) < least * lowest:
            return
        i = group.first + mine[v]
        if keepers[i].wishes == group.most:
            continue
        if vaults[v].refused == i and now <= vaults[v].refused_at + PATIENCE:
            continue
        # Most have spent their money, and need no plan.
        if not is_resold and budgets[i] * (worth - lowest) < least * lowest:
            continue
        budget = ENDLESS if is_resold else budgets[i]
        coins, fee, principal, paid = _find_best_purchase(
            terms, vaults[v], kind, price, budget, worth, market, is_resold
        )
        sent = coins - fee
        if sent <= 0.0 or paid / sent > worth * group.takes_at:
            continue
        if is_resold:
            profit = compute_proceeds(market[0], market[1], terms.fee, sent) - paid
        else:
            profit = sent * worth - paid
        if profit < least:
            continue
        wish = wishes[i, keepers[i].wishes]
        wish.coins, wish.amount, wish.price = coins, paid, paid / sent
        if principal >= vaults[v].debt * rate * (1 - ROUNDING):
            wish.coins, wish.amount = vaults[v].locked, min(budget, paid * ACCRUAL)
        # Others may sell first: a resale must not lose even then.
        wish.what, wish.type, wish.profit = v, type_index, max(profit / 2, cost)
        # Vaults have keys of their own beside those of auctions and of what was sent.
        add_wish(wish, -2 - v, group, keepers[i], old[i], block)
        wish.buys = 1
        if is_resold:
            market[1] -= compute_proceeds(market[0], market[1], terms.fee, sent)
            market[0] += sent
        else:
            budgets[i] -= wish.amount


@njit(cache=True)
def _can_resale_pay(terms: Table, kind: Table, market: Floats, price: float, least: float) -> bool:
    """Return whether a resale of some amount earns at least `least`, if collateral costs `price`."""
    amount = best_amount(market[0], market[1], kind.virtual, terms.fee, price)
    gained = compute_proceeds(market[0], market[1], terms.fee, amount) - amount * price
    return amount > 0.0 and gained * (1 + ROUNDING) >= least


@njit(cache=True)
def _find_best_purchase(
    terms: Table,
    vault: Table,
    kind: Table,
    price: float,
    budget: float,
    worth: float,
    market: Floats,
    is_resold: bool,
) -> tuple[float, float, float, float]:
    """Return the most profitable discount sale of a vault, as (collateral, fee, principal, payment).

    The candidates are the whole sale, the amount that the market takes, and a sale down to the debt floor.
    All are 0 if none has a profit.
    """
    best, best_profit = (0.0, 0.0, 0.0, 0.0), 0.0
    rate = compute_charged_rate(terms, kind)
    coins, fee, _, paid = plan_sale(terms, vault, rate, price, ENDLESS, ENDLESS)
    sent = coins - fee
    if sent <= 0.0:
        return best
    gross = ENDLESS
    if is_resold:
        wanted = best_amount(market[0], market[1], kind.virtual, terms.fee, paid / sent)
        gross = wanted * coins / sent
    above_floor = vault.debt * rate - terms.floor
    for way in range(4):
        most_coins = ENDLESS if way < 2 else gross
        most_paid = budget if way % 2 == 0 else min(budget, above_floor)
        if most_coins <= 0.0 or most_paid <= 0.0:
            continue
        sale = plan_sale(terms, vault, rate, price, most_coins, most_paid)
        sent = sale[0] - sale[1]
        if sent <= 0.0:
            continue
        gained = sent * worth
        if is_resold:
            gained = compute_proceeds(market[0], market[1], terms.fee, sent)
            if gained > (market[1] - kind.virtual) * (1 + ROUNDING):
                gained = 0.0  # the market cannot pay it: the sale reverts
        if gained - sale[3] > best_profit:
            best, best_profit = sale, gained - sale[3]
    return best


@njit(cache=True)
def quote_purchase(
    terms: Table, kind: Table, vault: Table, wish: Table, now: float
) -> tuple[float, float, float, float]:
    """Return the planned purchase at present prices, as (collateral, fee, principal, payment).

    All are 0 if the call would revert.
    """
    price = get_fresh_price_or_zero(kind, now)
    if vault.state == SOLD or vault.debt <= 0.0 or price == 0.0 or vault.trigger * kind.rate <= price:
        return 0.0, 0.0, 0.0, 0.0
    highest, rate = get_higher_current_or_next_price(kind, now), compute_charged_rate(terms, kind)
    sale = plan_sale(terms, vault, rate, highest, wish.coins, wish.amount)
    sent = sale[0] - sale[1]
    if sent <= 0.0 or sale[3] > sent * wish.price * (1 + 1e-9):
        return 0.0, 0.0, 0.0, 0.0
    return sale


@njit(cache=True)
def book_purchase(
    terms: Table,
    kind: Table,
    system: Table,
    vault: Table,
    coins: float,
    principal: float,
    paid: float,
    now: float,
) -> None:
    """Apply a discount sale to the state, and recognise the unpaid part of its principal as a loss."""
    charge_fees(terms, kind, system, now)
    part = principal / compute_charged_rate(terms, kind)
    kind.art -= part
    kind.locked -= coins
    if part >= vault.debt * (1 - ROUNDING):
        # What collateral is left stays its owner's.
        vault.state = SOLD
        vault.debt = vault.locked = 0.0
    else:
        vault.debt -= part
        vault.locked -= coins
        vault.trigger = terms.ratio * vault.debt / vault.locked
    system.supply -= paid
    system.liquidations += 1
    system.liquidated += principal
    lost = principal - paid
    if lost > ROUNDING * principal:
        add_loss_to_deficit(kind, system, lost, now)
