"""Conditions under which calls of stability pools, and purchases in their place, revert."""

from __future__ import annotations

from typing import Any

from backstop.proof.properties.revert_conditions.call_context import (
    FEED,
    WAD,
    CallContext,
    register_conditions,
)
from backstop.proof.properties.stability_pool_calls import KINDS
from backstop.proof.properties.stability_pool_properties import is_debt_at_risk, sum_whole_coins
from backstop.proof.properties.vault_liquidation_and_safety import is_vault_covered

_LIQUIDATIONS = "LiquidationEngine"
_POOL, _NAIVE, _BOTH = *KINDS, " ".join(KINDS)
_MOST_COINS = 2**96 - 1


def _is_at_risk(call: CallContext) -> bool:
    return is_debt_at_risk(call.step, call.contract.collateral_type)


def _is_settling(call: CallContext) -> bool:
    return bool(call.read_engine_slot("terms.of_types", call.contract.collateral_type).settling)


def _has_older_entry(call: CallContext) -> bool:
    """Return whether the caller has a deposit from the previous epoch that is not active yet."""
    requests = call.read_own_slot("member_requests", call.sender)
    return bool(requests.entry and requests.epoch == call.now // call.contract.entry_delay - 1)


def _sum_coins(call: CallContext) -> int:
    """Return the pool's active coins plus its waiting deposits [wad]."""
    waiting = call.read_own_slot("waiting_entries")
    return int(call.read_own_slot("product_sum.state").coins + waiting.older + waiting.newer)


def _sum_member_coins(call: CallContext) -> int:
    return sum_whole_coins(call.read_own_slot, call.sender)


def _has_too_many_naive_coins(call: CallContext, amount: int, has_claim: bool) -> bool | None:
    if call.read_own_slot("product_sum.state").coins + amount > _MOST_COINS:
        return True
    # Income that stays counts as well.
    return False if has_claim else None


def _is_last_naive_coin_taken(call: CallContext, amount: int, has_claim: bool) -> bool | None:
    if not has_claim:
        return None
    coins = call.read_own_slot("product_sum.state").coins
    return bool(coins - min(amount, _sum_member_coins(call)) < WAD)


def _is_income_kept(call: CallContext, has_reinvestment: bool, is_closed: bool) -> bool | None:
    """Return whether income was reinvested although deposits were closed.

    Returns None if the call was refused, because the income is then unknown.
    """
    if not has_reinvestment or not is_closed:
        return False
    # Without income nothing comes in.
    return bool(call.step.outcome.value[1]) if call.step.outcome.ok else None


def _is_last_vault_safe(call: CallContext, owners: Any, to: str) -> bool | None:
    """Return whether the last named vault is safe; its reason is reported if no vault is liquidated.

    Returns None for a successful call or without vaults.
    """
    if call.step.outcome.ok or not owners:
        return None
    c = call.contract.collateral_type
    vault = call.read_engine_slot("vaults", (c, owners[-1]))
    terms = call.read_engine_slot("terms.of_types", c)
    return bool(is_vault_covered(call.step, c, vault, terms.liquidation_ratio))


register_conditions(
    _POOL,
    "deposit",
    "stability_pool: ",
    empty_deposit=lambda x, amount: amount == 0,
    settling=lambda x, amount: _is_settling(x),
    debt_at_risk=lambda x, amount: _is_at_risk(x),
    entry_waits=lambda x, amount: _has_older_entry(x),
    too_many_coins=lambda x, amount: _sum_coins(x) + amount > _MOST_COINS,
)
register_conditions(
    _POOL,
    "request_withdrawal",
    "stability_pool: ",
    empty_request=lambda x, amount: (
        amount == 0 or _sum_member_coins(x) <= x.read_own_slot("member_requests", x.sender).withdrawal
    ),
)
register_conditions(
    _POOL,
    "withdraw",
    "stability_pool: ",
    no_request=lambda x, owner: (
        not _is_settling(x) and x.read_own_slot("member_requests", owner).withdrawal == 0
    ),
    cooldown_runs=lambda x, owner: (
        not _is_settling(x) and x.now < x.read_own_slot("member_requests", owner).ready_at
    ),
    debt_at_risk=lambda x, owner: not _is_settling(x) and _is_at_risk(x),
)
register_conditions(
    _BOTH,
    "claim",
    "stability_pool: ",
    debt_at_risk=lambda x, to, is_kept: _is_income_kept(x, is_kept, _is_at_risk(x)),
    settling=lambda x, to, is_kept: _is_income_kept(x, is_kept, _is_settling(x)),
    entry_waits=lambda x, to, is_kept: _is_income_kept(x, is_kept, _has_older_entry(x)),
)
register_conditions(
    _BOTH,
    "add_income",
    "pool: ",
    too_many_assets=lambda x, assets: assets > _MOST_COINS - x.read_own_slot("funds.assets").booked,
)
register_conditions(_POOL, "add_income", "pool: ", no_income=lambda x, assets: assets == 0)
register_conditions(
    _NAIVE,
    "deposit",
    "instant_pool: ",
    no_coins=lambda x, amount, has_claim: amount == 0,
    too_many_coins=_has_too_many_naive_coins,
)
register_conditions(_NAIVE, "withdraw", "instant_pool: ", one_coin_stays=_is_last_naive_coin_taken)
register_conditions(
    _BOTH,
    "liquidate",
    "liquidation_engine: ",
    safe_vault=_is_last_vault_safe,
    stale_price=lambda x, owners, to: (
        x.read_liquidation_price(x.contract.collateral_type) == 0
        or x.now > x.read(FEED, "prices", x.contract.collateral_type).fresh_until
    ),
    no_sales=lambda x, owners, to: (
        not x.read_engine_slot("ledger.auctions", x.contract.collateral_type).limit
    ),
)
register_conditions(
    _BOTH,
    "check_sale_terms",
    "stability_pool: ",
    other_type=lambda x, c, ratio: (
        c != x.contract.collateral_type
        or x.read_engine_slot("terms.of_types", c).token != x.contract.collateral_address
    ),
    high_penalty=lambda x, c, ratio: 10_000 + x.contract.penalty >= ratio,
)


def _is_for_pool_alone(call: CallContext, collateral_type: int, *args: Any) -> bool:
    address = call.read(_LIQUIDATIONS, "mechanism_of", collateral_type)
    mechanism: Any = call.step.model.world.addresses.get(address)
    return mechanism is not None and mechanism.KIND in KINDS and call.sender != address


register_conditions(_LIQUIDATIONS, "liquidate_and_buy", "stability_pool: ", not_for_sale=_is_for_pool_alone)
