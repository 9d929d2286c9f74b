"""Losses that can be foreseen from the market and the auctions, before they are booked.

A loss is foreseen where collateral would not repay its debt today. A vault's or a workout's collateral counts
at the outside market price, an auction's at that price or its own, whichever is lower, since no buyer pays
more. A facilitator's loss is foreseen once it is announced. It may still not come.
"""

from __future__ import annotations

from functools import lru_cache

from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import BASIS_POINTS, RAY

HASTE = 1_000
"""Loss of value when collateral is sold in a hurry [basis points]."""


@lru_cache(maxsize=1)  # every member of a pool asks
def estimate_type_and_facilitator_losses(view: KeeperView) -> list[int]:
    """Return the booked and expected loss of each collateral type, then of each facilitator [rad].

    The result is cached for the last view; callers must not change the list.
    """
    found = []
    for c, price in enumerate(view.outside.prices):
        soon = price * (BASIS_POINTS - HASTE) // BASIS_POINTS
        loss = view.get_deficit(c)
        loss += view.sum_vault_shortfalls_at_price(c, soon)
        loss += sum(
            max(0, workout.principal - workout.lot * soon)
            for workout in view.workouts
            if workout.collateral_type == c
        )
        found.append(loss)
    for batch, own, _ in view.priced_auction_batches:
        price = min(view.outside.prices[batch.collateral_type], own)
        found[batch.collateral_type] += sum(max(0, each.principal - each.lot * price) for each in batch.lots)
    for empty in view.list_auctions_without_lot():
        found[empty.collateral_type] += empty.principal
    for facilitator in view.facilitators_by_name.values():
        found.append(
            view.get_deficit(facilitator.collateral_type) + min(facilitator.announced * RAY, facilitator.debt)
        )
    return found


def estimate_losses_reaching_stage(view: KeeperView, stage: str) -> int:
    """Return the part of the foreseen losses that would reach a stage of the loss waterfall [rad].

    Earlier stages pay their whole balance; stages that first have to sell something pay nothing. Caps are
    ignored, because a stage may pay tomorrow the part that exceeds its cap today. 0 if the stage is not in
    the waterfall.
    """
    left, pooled = list(estimate_type_and_facilitator_losses(view)), _get_balances_by_shared_stage(view)
    for earlier in view.stages:
        if earlier == stage:
            return sum(left)
        if earlier == "buffer":
            left = [max(0, loss - view.get_buffer(c)) for c, loss in enumerate(left)]
        elif earlier in pooled:
            has = pooled[earlier]
            for c, loss in enumerate(left):
                left[c] = max(0, loss - has)
                has -= min(has, loss)
    return 0


def _get_balances_by_shared_stage(view: KeeperView) -> dict[str, int]:
    """Return the balance of each stage that serves all collateral types [rad], by stage name."""
    pools = ("junior", "senior", "savings")
    return {"reserve": view.get_reserve()} | {
        pool: view.get_pool_assets(pool) * RAY for pool in pools if view.is_pool_deployed(pool)
    }
