"""What somebody who looks at the market and at the auctions can tell about losses that are not booked yet.

A loss is foreseen where collateral would not repay its debt today: a vault's or a workout's at the market
price outside, an auction's at that price or its own, whichever is lower, since nobody pays more; and a
domain's once it is announced. It may still not come.
"""

from __future__ import annotations

from backstop.keepers.view import View
from backstop.model.arithmetic import BASIS_POINTS, RAY

HASTE = 1_000
"""Basis points of its value that collateral may cost to sell in a hurry."""


def losses(view: View) -> list[int]:
    """What each collateral type has lost, or would, rad."""
    found = []
    for c, price in enumerate(view.outside.prices):
        soon = price * (BASIS_POINTS - HASTE) // BASIS_POINTS
        loss = view.deficit(c)
        loss += sum(vault.debt - vault.locked * soon for vault in view.underwater(c, soon))
        loss += sum(
            max(0, workout.principal - workout.lot * soon)
            for workout in view.workouts
            if workout.collateral_type == c
        )
        loss += sum(
            max(0, auction.principal - auction.lot * min(price, auction.price))
            for auction in view.auctions
            if auction.collateral_type == c
        )
        found.append(loss)
    for domain in view.domains.values():
        found.append(view.deficit(domain.collateral_type) + min(domain.announced * RAY, domain.debt))
    return found


def losses_beyond(view: View, stage: str) -> int:
    """What of it would reach a stage, rad: earlier ones pay what they have, those that need time nothing.

    Caps are ignored: what an earlier stage leaves under its cap today it may pay tomorrow.
    """
    left, pooled = losses(view), _pooled(view)
    for earlier in view.stages:
        if earlier == stage:
            return sum(left)
        if earlier == "buffer":
            left = [max(0, loss - view.buffer(c)) for c, loss in enumerate(left)]
        elif earlier in pooled:
            has = pooled[earlier]
            for c, loss in enumerate(left):
                left[c] = max(0, loss - has)
                has -= min(has, loss)
    return 0


def _pooled(view: View) -> dict[str, int]:
    """The stages that have one balance for all types, rad."""
    pools = ("junior", "senior", "savings")
    return {"reserve": view.reserve()} | {
        pool: view.assets(pool) * RAY for pool in pools if view.has_pool(pool)
    }
