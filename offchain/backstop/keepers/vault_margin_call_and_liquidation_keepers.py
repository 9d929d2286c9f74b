"""Keepers that call vaults for margin and liquidate those that are unsafe."""

from __future__ import annotations

from functools import partial

from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.stability_pool_calls import plan_pool_liquidations
from backstop.keepers.view_records import Vault
from backstop.model import dutch_auction
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY


def _has_unsafe_vault_or_workout(view: KeeperView) -> bool:
    own = (c for c in range(len(view.symbols)) if view.can_start_auctions(c) or view.find_stability_pool(c))
    return any(map(view.has_unsafe_vault, own)) or bool(view.list_foreclosable_workouts())


@register_role("liquidator", occasion=_has_unsafe_vault_or_workout)
def plan_liquidator_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield liquidations of unsafe vaults and foreclosures of workouts if the reward exceeds the gas.

    Auction limits bound the liquidations. Vaults sold at a fixed discount are left to keepers that buy
    collateral. A vault of a type with a stability pool is auctioned only if the pool buys no part of it.
    """
    for c in view.list_types_with_stability_pool():
        yield from plan_pool_liquidations(keeper, view, c, gas_price)
    least = view.estimate_call_cost("LiquidationEngine", "liquidate", gas_price) + keeper.group.minimum_profit
    for c in range(len(view.symbols)):
        yield from _plan_type_liquidations(keeper, view, c, least)
    cost = view.estimate_call_cost("Workouts", "foreclose", gas_price)
    for workout in view.list_foreclosable_workouts():
        reward = _compute_reward(view.get_auction_terms(workout.collateral_type), workout.principal)
        if keeper.is_assigned(workout.id) and reward >= cost + keeper.group.minimum_profit:
            foreclosure = (workout.id, keeper.address)
            yield keeper.build_intent("Workouts", "foreclose", *foreclosure, about=workout.id, gain=reward)


def list_vaults_without_auction_room(
    keeper: Keeper, view: KeeperView, collateral_type: int, gas_price: int
) -> list[Vault]:
    """Return the vaults that a liquidator leaves only because auction limits are used up.

    The largest debt comes first. Empty for types with a mechanism without auctions.
    """
    if not view.can_start_auctions(collateral_type):
        return []
    least = view.estimate_call_cost("LiquidationEngine", "liquidate", gas_price) + keeper.group.minimum_profit
    enough = partial(_is_reward_enough, view.get_auction_terms(collateral_type), least)
    planned = {
        intent.action.args[1] for intent in _plan_type_liquidations(keeper, view, collateral_type, least)
    }
    share = keeper.group.count, keeper.index
    unsafe = view.iter_unsafe_vaults(collateral_type, enough, keeper_share=share)
    return [
        vault
        for vault in unsafe
        if vault.owner not in planned and view.can_auction_vault(collateral_type, vault)
    ]


def _plan_type_liquidations(keeper: Keeper, view: KeeperView, collateral_type: int, least: int) -> Decisions:
    if not view.can_start_auctions(collateral_type):
        return
    room, terms, floor = (
        view.get_auction_room(collateral_type),
        view.get_auction_terms(collateral_type),
        view.get_terms(collateral_type).debt_floor * RAD,
    )

    def fits(debt: int) -> bool:
        """Return True if auction limits allow this whole debt [rad], or a part that leaves the debt floor."""
        return room >= floor or debt < room + floor

    # No part of a debt brings more than all of it, and no smaller debt either.
    enough, share = partial(_is_reward_enough, terms, least), (keeper.group.count, keeper.index)
    for vault in (
        view.iter_unsafe_vaults(collateral_type, enough, can_fit_debt=fits, keeper_share=share)
        if room > 0
        else ()
    ):
        principal = vault.debt if vault.debt - room < floor else room
        reward = _compute_reward(terms, principal)
        if reward >= least and view.can_auction_vault(collateral_type, vault):
            room -= principal
            args = (collateral_type, vault.owner, keeper.address)
            yield keeper.build_intent("LiquidationEngine", "liquidate", *args, about=args[:2], gain=reward)
            if room <= 0:
                break


@register_role("caller")
def plan_margin_caller_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield margin calls for vaults below the call ratio.

    Liquidators may act later, if the owner has not restored the ratio in time.
    """
    for c in range(len(view.symbols)):
        for vault in view.list_callable_vaults(c):
            yield keeper.build_intent("LiquidationEngine", "call", c, vault.owner, about=(c, vault.owner))


def _is_reward_enough(terms: dutch_auction.Terms, least: int, principal: int) -> bool:
    return _compute_reward(terms, principal) >= least


def _compute_reward(terms: dutch_auction.Terms, principal: int) -> int:
    """Return the reward for starting an auction of this principal [rad], in stablecoin [wad]."""
    penalty = principal * (terms.penalty - BASIS_POINTS) // BASIS_POINTS
    return min(terms.reward((principal + penalty) // RAY), penalty // RAY)
