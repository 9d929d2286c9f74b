"""The backstop pool's part of a statement: its members' value, blockers of rest, due exits, limits.

The pool's account is evaluated as if it were touched now, at the last marks.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from backstop.hosts.model_system import ModelSystem
from backstop.live.solvency.market_copy import advance_copied_account_to_now, copy_market_with_overlay_tables
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.margin_policy import MarginPolicy
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault
from backstop.model.perpetual_market import PerpetualMarket

_NOBODY = "0x" + "00" * 20


def build_backstop_pool_statement(model: ModelSystem) -> dict[str, Any] | None:
    """Return the state of the backstop pool of the margin market [wad]; None without a pool.

    `value_wad` is the account's value less known haircuts (parts of gains that pay others' losses).
    `crumbs_shares` are requested shares too few to hold up a batch of withdrawals. `due_at` is the time from
    which a batch may be paid while the pool has no positions. From `reduces_from` on, the pool only reduces
    positions until the batch is paid, except while losses are late.
    """
    contracts = model.world.contracts
    if "PerpetualLiquidityVault" not in contracts:
        return None
    pool = cast(PerpetualLiquidityVault, contracts["PerpetualLiquidityVault"])
    market = cast(PerpetualMarket, contracts["PerpetualMarket"])
    copied = copy_market_with_overlay_tables(market)
    advance_copied_account_to_now(copied, pool.address)
    account, standing = copied.accounts[pool.address], copied._compute_standing(pool.address)
    held = {each.market: each for each in copied.holdings_of(_NOBODY, pool.address)}
    value = max(0, standing.own - standing.haircut)
    free = max(0, standing.own - standing.haircut - standing.unfinal)
    batches, crumbs = _list_unpaid_batches_and_crumb_shares(pool, value)
    policy = cast(MarginPolicy, contracts["MarginPolicy"])
    return {
        "value_wad": str(value),
        "shares": str(pool.totalSupply(_NOBODY)),
        "is_idle": account.markets == 0 and account.cash >= 0,
        "unfinal_wad": str(standing.unfinal),
        "bond_wad": str(market.third_bond * account.bond.bit_count()),
        "debt_wad": str(max(0, standing.haircut - standing.own)),
        "used_wad": str(sum(abs(each.size) * each.price for each in held.values())),
        "usable_wad": str(free * pool.leverage // BASIS_POINTS),
        "markets": [
            {
                "market": m,
                "lots": held[m].size if m in held else 0,
                "used_wad": str(abs(held[m].size) * held[m].price if m in held else 0),
                "limit_wad": str(pool.limit(_NOBODY, m) * WAD),
                **_build_quote_end_and_lots(pool, m, abs(held[m].size) if m in held else 0, model.timestamp),
            }
            for m in range(policy.markets(_NOBODY))
        ],
        "batches": batches,
        "crumbs_shares": str(crumbs),
    }


def _list_unpaid_batches_and_crumb_shares(
    pool: PerpetualLiquidityVault, account_value: int
) -> tuple[list[dict[str, Any]], int]:
    """Return the unpaid withdrawal batches and the requested shares that are too few for a batch.

    Batches are in order of age, the oldest first, each with the amount that it would be paid now [wad].
    """
    found, number = [], pool.first_batch(_NOBODY)
    supply = pool.totalSupply(_NOBODY)
    asked: Counter[int] = Counter()
    for batch, _, request in pool.waiting():
        asked[batch if request.counts else 0] += request.shares
    while number:
        found.append(
            {
                "batch": number,
                "shares": str(asked[number]),
                "worth_wad": str(asked[number] * (account_value + 1) // (supply + 10**6)),
                "due_at": pool.due_at(_NOBODY, number),
                "reduces_from": pool.due_at(_NOBODY, number + 1),
            }
        )
        number = pool.batch_of(_NOBODY, number).next
    return found, asked[0]


def _build_quote_end_and_lots(
    pool: PerpetualLiquidityVault, market_id: int, lots: int, now: int
) -> dict[str, Any]:
    """Return the end time of the pool's quote in a market, and the lots that it still offers.

    The values are None and 0 if no quote is running.
    """
    quote = pool.quote_of(_NOBODY, market_id)
    runs = now < quote.until
    return {
        "quoted_until": quote.until if runs else None,
        "quoted_lots": max(0, lots - quote.down_to) if runs else 0,
    }
