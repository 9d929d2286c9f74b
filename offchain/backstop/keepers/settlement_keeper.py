"""Settlement: the keeper that carries it through, and the later actions of every holder of coins."""

from __future__ import annotations

from backstop.keepers.keeper_role_register import HOLDER, Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import RAY


@register_role("settler", in_settlement=True)
def plan_protocol_settlement_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield the calls that begin settlement (the shutdown of the protocol) and carry it through.

    Before, the keeper records deficits above settlement's bound. Once settlement has begun, open positions
    are unwound, last losses covered, and the redemption rates fixed.
    """
    if view.settlement.begun_at == 0:
        if view.can_begin_settlement():
            yield keeper.build_intent("Settlement", "begin", about="settlement")
        elif view.should_record_deficit_breach():
            yield keeper.build_intent("Settlement", "record_deficit_breach", about="deficit")
    elif view.settlement.fixed_at == 0:
        steps = list(_plan_steps_before_closing_books(keeper, view))
        yield from steps
        if steps or view.equity_auctions or view.is_any_price_still_needed():
            return
        covers = [c for c in view.types if view.has_deficit_to_cover(c)]
        for c in covers:
            yield keeper.build_intent("Settlement", "cover_last", c, about=c)
        if not covers:
            yield keeper.build_intent("Settlement", "fix_redemption_rates", about="settlement")


def _plan_steps_before_closing_books(keeper: Keeper, view: KeeperView) -> Decisions:
    """Yield the calls that can be made now and must precede the fixing of redemption rates.

    Auctions and workouts are unwound, final prices fixed, and vaults settled at these prices.
    """
    for auction in view.auctions:
        yield keeper.build_intent("CollateralAuction", "unwind", auction.id, about=auction.id)
    for workout in view.workouts:
        yield keeper.build_intent("Workouts", "unwind", workout.id, about=workout.id)
    for c in view.types:
        if not view.has_fixed_price(c):
            if not view.has_final_feed_price(c):
                continue
            yield keeper.build_intent("Settlement", "fix_price", c, about=c)
        elif not view.auctions and not view.workouts:
            for vault in view.list_vaults_with_debt(c):
                yield keeper.build_intent("Settlement", "skim", c, vault.owner, about=(c, vault.owner))


@register_role(HOLDER)
def plan_coin_redemption_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield the redemption of the keeper's stablecoins for collateral, if it brings more than the gas."""
    types = [c for c in range(len(view.symbols)) if view.get_collateral_per_redeemed_coin(c)]
    coins, each = (
        view.get_unreserved_stablecoins(keeper.address),
        view.estimate_call_cost("Settlement", "cash", gas_price),
    )
    cost = view.estimate_call_cost("Settlement", "redeem", gas_price) + len(types) * each
    if coins * view.compute_coin_value() // RAY > cost:
        yield keeper.build_intent("Settlement", "redeem", coins, about="coins")
    for c in types:
        amount = view.get_uncashed_coins(c, keeper.address)
        if amount * view.get_collateral_per_redeemed_coin(c) // RAY * view.outside.prices[c] // RAY > each:
            yield keeper.build_intent("Settlement", "cash", c, amount, about=c)
