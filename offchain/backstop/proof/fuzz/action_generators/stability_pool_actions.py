"""Actions on stability pools: deposits, withdrawals, claims, income and liquidations."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, WAD, div_up
from backstop.model.instant_stability_pool import InstantStabilityPool
from backstop.model.stability_pool import MAX_VAULTS, OffsetPool, StabilityPool
from backstop.proof.fuzz.action_generators.fixed_discount_actions import make_vault_unsafe
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import MOVES, register_generator
from backstop.system import Action

_MONTH = 30 * 86_400


def _draw_pool(context: GenerationContext) -> OffsetPool | None:
    """Draw a stability pool, mostly of a collateral type with debt; None if no type has a pool."""
    pools = [c for c in range(min(context.listed, 4)) if context.find_stability_pool(c) is not None]
    indebted = [c for c in pools if context.get_type_debt_totals(c).normalized_debt]
    choices = indebted if indebted and context.draw_bool(0.8) else pools
    return context.find_stability_pool(context.pick_item(choices)) if choices else None


def _list_members(context: GenerationContext, pool: OffsetPool) -> list[str]:
    """Return the acting accounts with a deposit, a request or gains in a stability pool."""
    return [who for who in context.people if any(pool.member_of("", who))]


def _pick_member(context: GenerationContext, pool: OffsetPool) -> str:
    """Pick a member of a stability pool, at times an account that is no member."""
    members = _list_members(context, pool)
    return context.pick_item(members) if members and context.draw_bool(0.95) else context.pick_account()


def _wait_for_delay(context: GenerationContext, seconds: int) -> Iterator[Action | Wait]:
    """Yield a wait of about `seconds`, at times one second shorter. Mostly skip waits over 30 days."""
    if seconds > 0 and (seconds <= _MONTH or context.draw_bool(0.3)):
        yield Wait(max(0, seconds + context.pick_item((0, 0, 0, 1, 60, -1))))


def _wait_for_entry(context: GenerationContext, pool: OffsetPool) -> Iterator[Action | Wait]:
    """Yield a wait until a deposit made now may be admitted to the stability pool."""
    epoch = context.now // pool.entry_delay + 2
    yield from _wait_for_delay(context, epoch * pool.entry_delay - context.now)


def _clear_flags(context: GenerationContext, pool: OffsetPool) -> Iterator[Action | Wait]:
    """Yield a `flag` call for each vault of the pool's type that is flagged for doubtful debt.

    The call clears the flag of a vault that is safe now.
    """
    c = pool.collateral_type
    for owner in context.people:
        if context.liquidations.vault_flags[c, owner]:
            yield context.build_action("LiquidationEngine", "flag", c, owner, by=context.pick_account())


@register_generator(weight=16, of_stability_pools=True)
def enter_stability_pool(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit of stablecoin into a stability pool, and mostly a wait and its admission.

    The amount is random or close to a vault's debt.
    """
    pool = _draw_pool(context)
    if pool is None:
        return
    c = pool.collateral_type
    holders = [who for who in context.people if context.get_balance("Stablecoin", who)]
    if not holders:
        yield from MOVES["open_vault"].play(context)
        return
    who = context.find_richest_account() if context.draw_bool(0.6) else context.pick_item(holders)
    held = context.get_balance("Stablecoin", who)
    debts = [context.get_debt(c, owner) // RAY for owner in context.people]
    amount = min(held, context.draw_near_limit(held, held // 10, *(debt for debt in debts if debt)))
    if context.draw_bool(0.05):
        amount = context.pick_item((0, held + 1, WAD, MAX_UINT256))
    if context.draw_bool(0.7):
        yield from _clear_flags(context, pool)
    if isinstance(pool, InstantStabilityPool):
        yield context.build_action(pool.label, "deposit", amount, context.draw_bool(0.5), by=who)
        return
    yield context.build_action(pool.label, "deposit", amount, by=who)
    if context.draw_bool(0.6):
        yield from _wait_for_entry(context, pool)
        yield context.build_action(pool.label, "admit", by=context.pick_account())


@register_generator(weight=8, of_stability_pools=True)
def request_pool_withdrawal(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a member's withdrawal request of a part, all or too much, and mostly its payment.

    In an instant pool, yield the withdrawal itself.
    """
    pool = _draw_pool(context)
    if pool is None:
        return
    who = _pick_member(context, pool)
    coins = pool.member_of("", who).coins
    if isinstance(pool, InstantStabilityPool):
        amount = context.pick_item((coins, coins // 2, coins + 1, context.draw_part(coins)))
        yield context.build_action(pool.label, "withdraw", amount, context.draw_bool(0.5), by=who)
        return
    amount = context.pick_item((coins, coins // 2, coins + 1, context.draw_part(coins), MAX_UINT256))
    yield context.build_action(pool.label, "request_withdrawal", amount, by=who)
    if context.draw_bool(0.6):
        yield from _wait_for_delay(context, pool.cooldown)
        if context.draw_bool(0.7):
            yield from _clear_flags(context, pool)
        yield context.build_action(pool.label, "withdraw", who, by=context.pick_account())


@register_generator(weight=8, of_stability_pools=True)
def withdraw_from_stability_pool(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the call that pays a member's requested withdrawal, mostly once it is due."""
    pool = _draw_pool(context)
    if not isinstance(pool, StabilityPool):
        return
    waiting = [who for who in context.people if pool.member_requests[who].withdrawal]
    ready = [who for who in waiting if pool.member_requests[who].ready_at <= context.now]
    members = ready or waiting
    owner = context.pick_item(members) if members and context.draw_bool(0.9) else context.pick_account()
    if owner in waiting and owner not in ready and context.draw_bool(0.7):
        yield from _wait_for_delay(context, pool.member_requests[owner].ready_at - context.now)
    by = owner if context.draw_bool(0.5) else context.pick_account()
    yield context.build_action(pool.label, "withdraw", owner, by=by)


@register_generator(weight=8, of_stability_pools=True)
def claim_pool_gains(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a claim of a member's gains in a stability pool, at times with a deposit of its income."""
    pool = _draw_pool(context)
    if pool is None:
        return
    who = _pick_member(context, pool)
    to = who if context.draw_bool(0.7) else context.pick_item((context.pick_account(), pool.address))
    yield context.build_action(pool.label, "claim", to, context.draw_bool(0.5), by=who)


@register_generator(weight=3, of_stability_pools=True)
def admit_pool_entries(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the call that admits waiting deposits to a stability pool, when they are due or before."""
    pool = _draw_pool(context)
    if not isinstance(pool, StabilityPool):
        return
    entries = pool.entries_waiting("")
    if entries.older and context.draw_bool(0.8):
        yield from _wait_for_delay(context, (entries.older_epoch + 2) * pool.entry_delay - context.now)
    yield context.build_action(pool.label, "admit", by=context.pick_account())


@register_generator(weight=5, of_stability_pools=True)
def add_pool_income(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a payment of income to a stability pool, and at times a wait while the income vests."""
    pool = _draw_pool(context)
    if pool is None:
        return
    giver = context.find_richest_account()
    if not context.get_balance("Stablecoin", giver):
        return
    amount = context.draw_part(context.get_balance("Stablecoin", giver) // context.pick_item((1, 100)))
    yield context.build_action(pool.label, "add_income", amount, by=giver)
    if context.draw_bool(0.5):
        yield from _wait_for_delay(context, pool.vesting // context.pick_item((1, 2, 100)))


@register_generator(weight=40, of_stability_pools=True)
def liquidate_with_stability_pool(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that make vaults unsafe, and their liquidation by a stability pool.

    The call may also name safe vaults or a vault twice. Other liquidations of the remaining debt follow.
    """
    pool = _draw_pool(context)
    if pool is None:
        return
    c = pool.collateral_type
    indebted = [who for who in context.people if context.get_vault(c, who).normalized_debt]
    if not indebted or not context.feed.configs[c].reporters:
        yield from MOVES["open_vault"].play(context)
        return
    if context.draw_bool(0.7):
        yield from _match_coins_to_debt(context, pool, context.pick_item(indebted))
    yield from make_vault_unsafe(context, c, context.pick_item(indebted))
    for owner in context.list_unsafe_owners(c):
        if context.draw_bool(0.2):
            yield context.build_action("LiquidationEngine", "flag", c, owner, by=context.pick_account())
    unsafe = context.list_unsafe_owners(c)
    owners = context.pick_item((unsafe[:1], unsafe, [*unsafe, *unsafe[:1]], list(context.people), indebted))
    if context.draw_bool(0.02):
        # No vault, the most vaults of a call, and one more.
        owners = (list(context.people) * MAX_VAULTS)[: context.pick_item((0, MAX_VAULTS, MAX_VAULTS + 1))]
    to = context.pick_account() if context.draw_bool(0.98) else pool.address
    yield context.build_action(pool.label, "liquidate", tuple(owners), to, by=context.pick_account())
    for owner in context.list_unsafe_owners(c)[: context.pick_item((0, 1, 1, 2))]:
        by, receiver = context.pick_account(), context.pick_account()
        if context.draw_bool(0.6):
            yield context.build_action("LiquidationEngine", "liquidate", c, owner, receiver, by=by)
        else:
            yield context.build_liquidation(c, owner, receiver, by=by)


def _match_coins_to_debt(context: GenerationContext, pool: OffsetPool, owner: str) -> Iterator[Action | Wait]:
    """Yield a deposit that fills a stability pool to about a vault's debt, a part of it, or twice it."""
    debt = div_up(context.get_debt(pool.collateral_type, owner), RAY)
    wanted = context.pick_item((debt, debt, debt // 2, debt // 3, 2 * debt)) + WAD
    yield from _fill_pool(context, pool, wanted + context.pick_item((0, 0, 1, -1, WAD)))


def _fill_pool(context: GenerationContext, pool: OffsetPool, wanted: int) -> Iterator[Action | Wait]:
    """Yield a deposit that fills a stability pool to `wanted` stablecoin [wad], and its admission."""
    who = context.find_richest_account()
    missing = min(wanted - pool.totalSupply(""), context.get_balance("Stablecoin", who))
    if missing <= 0:
        return
    if isinstance(pool, InstantStabilityPool):
        yield context.build_action(pool.label, "deposit", missing, False, by=who)
        return
    yield from _clear_flags(context, pool)
    yield context.build_action(pool.label, "deposit", missing, by=who)
    yield from _wait_for_entry(context, pool)
    yield context.build_action(pool.label, "admit", by=context.pick_account())


@register_generator(weight=4, of_stability_pools=True)
def drain_stability_pool(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield repeated fillings and liquidations that use nearly all of a stability pool's stablecoin.

    Each round makes the pool's product of depletion factors smaller.
    """
    pool = _draw_pool(context)
    if pool is None or pool.entry_delay > 3_600:
        return
    c, floor = pool.collateral_type, context.get_terms(pool.collateral_type).debt_floor
    for _ in range(context.pick_item((1, 3, 6))):
        owner = context.pick_account()
        yield from _borrow_for_pool(context, c, owner, max(4 * floor, 5_000) * WAD)
        debt = context.get_debt(c, owner) // RAY
        if not debt or not context.feed.configs[c].reporters:
            return
        yield from _fill_pool(context, pool, max(debt - 2 * floor * WAD, debt // 2) + WAD)
        yield from make_vault_unsafe(context, c, owner)
        to = context.pick_account()
        yield context.build_action(pool.label, "liquidate", (owner,), to, by=context.pick_account())


def _borrow_for_pool(
    context: GenerationContext, collateral_type: int, owner: str, debt: int
) -> Iterator[Action | Wait]:
    """Yield a deposit and a draw of debt [wad] at twice the initial ratio, with a fresh price."""
    c, terms = collateral_type, context.get_terms(collateral_type)
    if not context.has_fresh_price(c):
        yield from post_price_until_current(context, c, context.feed.prices[c].current)
    price = context.get_lower_feed_price(c)
    if price:
        needed = div_up(2 * debt * RAY * terms.initial_ratio, price * BASIS_POINTS)
        args = c, owner, div_up(needed, terms.unit) * terms.unit, debt, owner
        yield context.build_action("VaultEngine", "deposit_and_draw", *args, by=owner)


@register_generator(weight=5, of_stability_pools=True)
def misuse_stability_pool(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that a stability pool's rules limit, such as a purchase by another account.

    Other calls set the type's mechanism again, check sale terms, or set a ratio close to the pool's penalty.
    """
    pool = _draw_pool(context)
    if pool is None:
        return
    c, engine = pool.collateral_type, "LiquidationEngine"
    edge = BASIS_POINTS + pool.penalty + context.pick_item((0, 1, 1, 500))
    upper = max(edge, context.get_terms(c).initial_ratio)
    purchase = (c, context.pick_account(), *(MAX_UINT256,) * 3, context.pick_account(), b"")
    contract, method, args, by = context.pick_item(
        (
            (engine, "liquidate_and_buy", purchase, context.find_richest_account()),
            (engine, "set_mechanism", (context.draw_type(), pool.address), context.admin),
            ("VaultEngine", "set_ratios", (c, edge, upper), context.admin),
            (pool.label, "check_sale_terms", (context.pick_item((c, c, 0)), edge), context.pick_account()),
        )
    )
    yield context.build_action(contract, method, *args, by=by)
