"""Settlement: the keeper that carries it through, and what every holder of coins does after it."""

from __future__ import annotations

from backstop.keepers.keeper import HOLDER, Decisions, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model.arithmetic import RAY


@role("settler", in_settlement=True)
def settler(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Note losses that stay uncovered, begin settlement when anybody may, and carry it through."""
    if view.settlement.begun_at == 0:
        if view.may_begin():
            yield me.intent("Settlement", "begin", about="settlement")
        elif view.note_due():
            yield me.intent("Settlement", "note", about="deficit")
    elif view.settlement.fixed_at == 0:
        steps = list(_winding_up(me, view))
        yield from steps
        if steps or view.equity_auctions or view.prices_are_wanted():
            return
        covers = [c for c in view.types if view.left_to_cover(c)]
        for c in covers:
            yield me.intent("Settlement", "cover_last", c, about=c)
        if not covers:
            yield me.intent("Settlement", "fix", about="settlement")


def _winding_up(me: Keeper, view: View) -> Decisions:
    """Yield what must be done before the books are closed, as far as it can be done now."""
    for auction in view.auctions:
        yield me.intent("CollateralAuction", "unwind", auction.id, about=auction.id)
    for workout in view.workouts:
        yield me.intent("Workouts", "unwind", workout.id, about=workout.id)
    for c in view.types:
        if not view.has_final_price(c):
            if not view.price_is_final(c):
                continue
            yield me.intent("Settlement", "fix_price", c, about=c)
        elif not view.auctions and not view.workouts:
            for vault in view.vaults(c):
                yield me.intent("Settlement", "skim", c, vault.owner, about=(c, vault.owner))


@role(HOLDER)
def holder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Redeem stablecoins for a share of every collateral, where that brings more than the gas."""
    types = [c for c in range(len(view.symbols)) if view.share(c)]
    coins, each = view.stablecoins(me.address), view.cost("Settlement", "cash", gas_price)
    cost = view.cost("Settlement", "redeem", gas_price) + len(types) * each
    if coins * view.coin_worth() // RAY > cost:
        yield me.intent("Settlement", "redeem", coins, about="coins")
    for c in types:
        amount = view.to_cash(c, me.address)
        if amount * view.share(c) // RAY * view.outside.prices[c] // RAY > each:
            yield me.intent("Settlement", "cash", c, amount, about=c)
