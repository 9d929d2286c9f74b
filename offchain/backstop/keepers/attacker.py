"""An attacker, which makes the moves of a plan whatever they bring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from backstop.deployment.contracts import POOLS
from backstop.keepers.fills import best_fill, worth_at
from backstop.keepers.group import IN_POOL
from backstop.keepers.keeper import Decisions, Keeper, Memory, role
from backstop.keepers.view import View
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up


@role("attacker")
def attacker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Make each move of the plan from its time on until it succeeds, whatever that brings."""
    for i, move in enumerate(me.group.plan):
        if view.outside.clock < move.at or _is_done(memory, move.do, i):
            continue
        share, c = partial(_share, move.share), _collateral(me, view)
        if move.do in IN_POOL:
            if view.has_pool(me.group.pool):
                yield from _in_pool(me, view, i, move.do, share)
        elif move.do in ("draw", "repay"):
            yield from _own_vault(me, view, i, move.do, c, share)
        elif move.do == "liquidate":
            if any(vault.owner == me.address for vault in view.unsafe(c)):
                yield me.intent("LiquidationEngine", "liquidate", c, me.address, me.address, about=i)
        elif move.do == "cover":
            if view.deficit(c):
                yield me.intent("LossWaterfall", "cover", c, about=i)
        else:
            yield from _in_auctions(me, view, i, move.do, c, share)


def _is_done(memory: Memory, do: str, i: int) -> bool:
    """Return whether a move has succeeded; leaving is a claim or, without a cooldown, a redemption."""
    return (_METHODS[do], i) in memory.done or (do == "leave" and ("redeem", i) in memory.done)


_METHODS = {
    "ask": "requestRedeem",
    "leave": "withdraw",
    "enter": "deposit",
    "donate": "add_income",
    "draw": "deposit_and_draw",
    "repay": "repay_and_withdraw",
    "liquidate": "liquidate",
    "buy": "take",
    "reset": "reset",
    "cover": "cover",
}
"""What an attacker's moves call."""


def _share(share: int, amount: int) -> int:
    """Return a share (basis points) of an amount, rounded down."""
    return amount * share // BASIS_POINTS


def _collateral(me: Keeper, view: View) -> int:
    """Return the number of the group's collateral type; 0 if it names none."""
    return view.symbols.index(me.group.collateral) if me.group.collateral else 0


def _in_pool(me: Keeper, view: View, i: int, do: str, share: Callable[[int], int]) -> Decisions:
    """Yield a move of a member of the pool, or of somebody who gives to it."""
    contract, terms = POOLS[me.group.pool][0], view.exit_terms(me.group.pool)
    mine, coins = view.membership(me.group.pool, me.address), share(view.stablecoins(me.address))
    if do == "ask" and terms.cooldown and share(mine.shares):
        yield me.intent(contract, "requestRedeem", share(mine.shares), me.address, me.address, about=i)
    elif do == "leave":
        if mine.claimable:
            yield me.intent(contract, "withdraw", mine.claimable, me.address, me.address, about=i)
        if not terms.cooldown and share(mine.shares):
            yield me.intent(contract, "redeem", share(mine.shares), me.address, me.address, about=i)
    elif do == "enter" and coins:
        yield me.intent(contract, "deposit", coins, me.address, about=i, spends=coins)
    elif do == "donate" and coins:
        yield me.intent(contract, "add_income", coins, about=i, spends=coins)


def _own_vault(me: Keeper, view: View, i: int, do: str, c: int, share: Callable[[int], int]) -> Decisions:
    """Borrow and keep the coins; or repay as much as possible, and withdraw if that is all."""
    vault, price = view.vault(c, me.address), view.risk_price(c)
    amount, unit = share(me.group.each), view.terms(c).unit
    if do == "draw" and price and amount:
        locked = div_up(amount * me.group.ratio * RAY, BASIS_POINTS * price * unit) * unit
        args = (c, me.address, locked, amount, me.address)
        yield me.intent("VaultEngine", "deposit_and_draw", *args, about=i)
    elif do == "repay" and vault.locked_collateral:
        # Fees until the transaction is in.
        owed = div_up(vault.normalized_debt * view.rate(c), RAY) * 1_001 // 1_000
        coins = share(view.stablecoins(me.address))
        back = vault.locked_collateral if coins >= owed else 0
        args = (c, me.address, min(coins, owed), back, me.address)
        if coins or back:
            yield me.intent("VaultEngine", "repay_and_withdraw", *args, about=i, spends=coins)


def _in_auctions(me: Keeper, view: View, i: int, do: str, c: int, share: Callable[[int], int]) -> Decisions:
    """Buy from the oldest auction at any price, or reset the oldest that is over."""
    own = [auction for auction in view.auctions if auction.collateral_type == c]
    for auction in own:
        if do == "buy" and auction.takeable:
            coins = share(view.stablecoins(me.address))
            amount = min(auction.lot, coins * RAY // max(1, auction.price))
            plan = best_fill(view, auction, amount, coins, partial(worth_at, view.outside.prices[c]))
            if plan is not None:
                args = (auction.id, plan.max_amount, plan.max_price, me.address, b"")
                yield me.intent("CollateralAuction", "take", *args, about=i, spends=plan.fill.paid)
                return
        elif do == "reset" and auction.needs_reset and view.highest_price(c):
            yield me.intent("CollateralAuction", "reset", auction.id, me.address, about=i)
            return
