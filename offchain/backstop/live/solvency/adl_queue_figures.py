"""Figures of the deleveraging queue: of each side of a market by lights, and of each account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from backstop.deployment.contracts_by_parameter_name import BY_CYCLE
from backstop.deployment.planned_contracts import Deployment
from backstop.hosts.model_system import ModelSystem
from backstop.keepers.deleveraging_queue import LIGHTS, SideQueue, build_deleveraging_queues
from backstop.live.solvency.margin_statement import build_market_names_by_number
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.perpetual_market import PerpetualMarket

RANKED = "ranked"
ORDERS = {
    RANKED: "Accounts that gained in the cycle are closed one after the other, all lots of each, the highest "
    "score first: the gain on the side over the account's worth at the end of the cycle.",
    "shared": "There is no queue: of lots that no account holds, each account that gained on the other side "
    "in the cycle closes a part in proportion to its gain, and no account comes before another.",
    BY_CYCLE: "There is no queue: no account is closed. While no account holds some lots of one side, every "
    "lot of the other side gains and loses by less, all alike.",
}
"""The order in which each policy closes accounts against lots that no account holds."""
SIDES = ("long", "short")
MOST_WATCHED = 100
"""Accounts of each side that the live page lists."""


def build_deleveraging_queue_figures(
    model: ModelSystem,
    deployment: Deployment,
    *,
    use_pending_cycle: bool = False,
    account_limit: int | None = None,
) -> dict[str, Any] | None:
    """Return the auto-deleveraging queue of each side of the perpetual markets, for reports.

    The queue is that of the open cycle (settlement period), or with `use_pending_cycle` of the cycle before.
    Only the policy `ranked` has queues: for other policies `sides` is empty, and `order` describes how they
    close positions. `before_bps` is the share of the side's lots that are closed before the account's,
    rounded down. `account_limit` bounds the accounts listed for each side; None lists all. None without a
    margin market.
    """
    margin = deployment.parameters.margin
    if margin is None:
        return None
    market = cast(PerpetualMarket, model.world.contracts["PerpetualMarket"])
    queues = (
        build_deleveraging_queues(model, uses_pending_cycle=use_pending_cycle)
        if margin.policy == RANKED
        else ()
    )
    names = _build_unique_market_names(deployment, market)
    return {
        "policy": margin.policy,
        "order": ORDERS[margin.policy],
        "cycle": market.clocks[()].cycle - use_pending_cycle,
        "is_pending": use_pending_cycle,
        "markets": [names[m] for m in names if not market.clocks[()].ended >> m & 1],
        "sides": [_build_side_figures(each, names[each.market], account_limit) for each in queues],
    }


def _build_side_figures(queue: SideQueue, name: str, most: int | None) -> dict[str, Any]:
    return {
        "market": name,
        "side": SIDES[queue.side],
        "holders": len(queue.places),
        "lots": queue.lots,
        "unassigned_lots": queue.unassigned,
        "mark_wad": str(queue.mark),
        "has_price": queue.has_price,
        "lights": [
            {
                "light": light,
                "accounts": sum(1 for each in queue.places if each.light == light),
                "lots": sum(each.lots for each in queue.places if each.light == light),
            }
            for light in range(LIGHTS, -1, -1)
        ],
        "accounts": [
            {
                "place": each.place or None,
                "owner": each.owner,
                "lots": each.lots,
                "gain_wad": str(each.gain),
                "worth_wad": str(each.worth),
                "score": str(each.score),
                "lots_before": each.lots_before,
                "before_bps": each.lots_before * BASIS_POINTS // queue.lots,
                "light": each.light,
            }
            for each in queue.places[:most]
        ],
    }


def _build_unique_market_names(deployment: Deployment, market: PerpetualMarket) -> Mapping[int, str]:
    """Return the name of each market by number; names that occur twice get the number added."""
    names = build_market_names_by_number(deployment, market.policy.markets(market.address))
    counts = Counter(names.values())
    return {m: name if counts[name] == 1 else f"{name} {m}" for m, name in names.items()}
