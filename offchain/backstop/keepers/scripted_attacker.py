"""An attacker, which makes the moves of a plan at any profit or loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.keepers.auction_purchases import compute_value, find_best_take
from backstop.keepers.keeper_group_settings import IN_POOL
from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, div_up


@register_role("attacker")
def plan_attacker_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield the attacker's planned moves that are due and have not succeeded yet.

    A move is sent regardless of profit or loss.
    """
    for i, move in enumerate(keeper.group.plan):
        if view.outside.clock < move.at or _is_move_done(memory, move.do, i):
            continue
        share, c = partial(_take_share, move.share), _get_collateral_type(keeper, view)
        if move.do in IN_POOL:
            if view.is_pool_deployed(keeper.group.pool):
                yield from _iter_pool_deposit_and_exit_intents(keeper, view, i, move.do, share)
        elif move.do in ("draw", "repay"):
            yield from _iter_vault_move_intents(keeper, view, i, move.do, c, share)
        elif move.do == "liquidate":
            yield from _iter_own_liquidation_intents(keeper, view, i, c, share)
        elif move.do == "cover":
            if view.get_deficit(c):
                yield keeper.build_intent("LossWaterfall", "cover", c, about=i)
        else:
            yield from _iter_auction_move_intents(keeper, view, i, move.do, c, share)


def _is_move_done(memory: KeeperMemory, do: str, i: int) -> bool:
    """Return True if move number `i` of the plan has succeeded, by any method that can perform it."""
    other = {"leave": "redeem", "liquidate": "liquidate_and_buy"}.get(do)
    return (_METHODS[do], i) in memory.done or (other, i) in memory.done


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
"""Functions that an attacker's moves call."""


def _iter_own_liquidation_intents(
    keeper: Keeper, view: KeeperView, move_index: int, collateral_type: int, take_share: Callable[[int], int]
) -> Decisions:
    """Yield the liquidation of the attacker's own unsafe vault, by auction or by purchase at a discount.

    For a purchase the attacker pays a share of its coins.
    """
    unsafe, me = view.list_unsafe_vaults(collateral_type), keeper.address
    vault = next((each for each in unsafe if each.owner == me), None)
    if vault is None:
        return
    if not view.has_mechanism(collateral_type):
        yield keeper.build_intent("LiquidationEngine", "liquidate", collateral_type, me, me, about=move_index)
        return
    coins = take_share(view.get_unreserved_stablecoins(me))
    if view.plan_discount_sale(collateral_type, vault, MAX_UINT256, coins) is not None:
        limits = MAX_UINT256, coins, MAX_UINT256
        args = collateral_type, me, *limits, me, b""
        yield keeper.build_intent(
            "LiquidationEngine", "liquidate_and_buy", *args, about=move_index, spends=coins
        )


def _take_share(share: int, amount: int) -> int:
    return amount * share // BASIS_POINTS


def _get_collateral_type(keeper: Keeper, view: KeeperView) -> int:
    """Return the number of the group's collateral type; 0 if the group names none."""
    return view.symbols.index(keeper.group.collateral) if keeper.group.collateral else 0


def _iter_pool_deposit_and_exit_intents(
    keeper: Keeper, view: KeeperView, move_index: int, move_kind: str, take_share: Callable[[int], int]
) -> Decisions:
    """Yield a move in the attacker's pool: request a withdrawal, withdraw, deposit, or donate."""
    contract, terms = POOLS[keeper.group.pool][0], view.get_exit_terms(keeper.group.pool)
    mine, coins = (
        view.get_membership(keeper.group.pool, keeper.address),
        take_share(view.get_unreserved_stablecoins(keeper.address)),
    )
    if move_kind == "ask" and terms.cooldown and take_share(mine.shares):
        yield keeper.build_intent(
            contract,
            "requestRedeem",
            take_share(mine.shares),
            keeper.address,
            keeper.address,
            about=move_index,
        )
    elif move_kind == "leave":
        if mine.claimable:
            yield keeper.build_intent(
                contract, "withdraw", mine.claimable, keeper.address, keeper.address, about=move_index
            )
        if not terms.cooldown and take_share(mine.shares):
            yield keeper.build_intent(
                contract, "redeem", take_share(mine.shares), keeper.address, keeper.address, about=move_index
            )
    elif move_kind == "enter" and coins:
        yield keeper.build_intent(contract, "deposit", coins, keeper.address, about=move_index, spends=coins)
    elif move_kind == "donate" and coins:
        yield keeper.build_intent(contract, "add_income", coins, about=move_index, spends=coins)


def _iter_vault_move_intents(
    keeper: Keeper,
    view: KeeperView,
    move_index: int,
    move_kind: str,
    collateral_type: int,
    take_share: Callable[[int], int],
) -> Decisions:
    """Yield a move with the attacker's vault: draw debt, or repay as much as its coins allow.

    Collateral is withdrawn only if all debt is repaid.
    """
    vault, price = view.get_vault(collateral_type, keeper.address), view.get_risk_price(collateral_type)
    amount, unit = take_share(keeper.group.each), view.get_terms(collateral_type).unit
    if move_kind == "draw" and price and amount:
        locked = div_up(amount * keeper.group.ratio * RAY, BASIS_POINTS * price * unit) * unit
        args = (collateral_type, keeper.address, locked, amount, keeper.address)
        yield keeper.build_intent("VaultEngine", "deposit_and_draw", *args, about=move_index)
    elif move_kind == "repay" and vault.locked_collateral:
        # Fees until the transaction is in.
        owed = div_up(vault.normalized_debt * view.get_current_rate(collateral_type), RAY) * 1_001 // 1_000
        coins = take_share(view.get_unreserved_stablecoins(keeper.address))
        back = vault.locked_collateral if coins >= owed else 0
        args = (collateral_type, keeper.address, min(coins, owed), back, keeper.address)
        if coins or back:
            yield keeper.build_intent(
                "VaultEngine", "repay_and_withdraw", *args, about=move_index, spends=coins
            )


def _iter_auction_move_intents(
    keeper: Keeper,
    view: KeeperView,
    move_index: int,
    move_kind: str,
    collateral_type: int,
    take_share: Callable[[int], int],
) -> Decisions:
    """Yield a purchase from the oldest auction at any price, or a reset of the oldest one that needs it."""
    own = [auction for auction in view.auctions if auction.collateral_type == collateral_type]
    for auction in own:
        if move_kind == "buy" and auction.takeable:
            coins = take_share(view.get_unreserved_stablecoins(keeper.address))
            amount = min(auction.lot, coins * RAY // max(1, auction.price))
            plan = find_best_take(
                view, auction, amount, coins, partial(compute_value, view.outside.prices[collateral_type])
            )
            if plan is not None:
                args = (auction.id, plan.max_amount, plan.max_price, keeper.address, b"")
                yield keeper.build_intent(
                    "CollateralAuction", "take", *args, about=move_index, spends=plan.fill.paid
                )
                return
        elif (
            move_kind == "reset" and auction.needs_reset and view.get_higher_current_or_next(collateral_type)
        ):
            yield keeper.build_intent(
                "CollateralAuction", "reset", auction.id, keeper.address, about=move_index
            )
            return
