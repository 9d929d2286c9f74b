"""Members of pools: enter, ask to leave, leave, earn; also in a pool of a false token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.erc20 import ERC20
from backstop.model.member_pool import MemberPool
from backstop.proof.fuzz.action_generators.price_actions import post_price
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _pick_pool(context: GenerationContext) -> str:
    return "OddPool" if context.draw_bool(0.08) else context.pick_item(context.pools)


def _get_asset_balance(context: GenerationContext, pool: MemberPool, owner: str) -> int:
    return int(cast(ERC20, pool.token).balances[owner])


@register_generator(weight=3)
def deposit_savings(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit into a pool, of a random part of an account's balance."""
    name, who = (
        _pick_pool(context),
        context.pick_item((context.find_richest_account(), context.pick_account())),
    )
    pool = cast(MemberPool, context.world.contracts[name])
    held = min(_get_asset_balance(context, pool, who), 10**7 * WAD)
    if held == 0:
        return
    yield context.build_action(
        name,
        "deposit",
        context.draw_near_limit(held, held // 3),
        context.pick_item((who, who, context.pick_account())),
        by=who,
    )


@register_generator(weight=0.5)
def donate_to_pool(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a plain token transfer to a pool, which the pool does not count as a deposit."""
    pool, who = cast(MemberPool, context.world.contracts[_pick_pool(context)]), context.pick_account()
    given = context.draw_near_limit(_get_asset_balance(context, pool, who) // 100)
    yield context.build_action(cast(ERC20, pool.token).label, "transfer", pool.address, given, by=who)


@register_generator(weight=1.5)
def mint_pool_shares(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit into a pool that is given by its number of shares (`mint` of ERC-4626)."""
    name, who = (
        _pick_pool(context),
        context.pick_item((context.find_richest_account(), context.pick_account())),
    )
    pool = cast(MemberPool, context.world.contracts[name])
    held = min(_get_asset_balance(context, pool, who), 10**7 * WAD)
    if held == 0:
        return
    yield context.build_action(name, "mint", context.draw_near_limit(pool._to_shares(held)), who, by=who)


@register_generator(weight=3)
def request_redemption(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a request to redeem pool shares with the next withdrawal batch, at times also its payment.

    The sender may be another account, with or without the owner's permission.
    """
    name = _pick_pool(context)
    pool = cast(MemberPool, context.world.contracts[name])
    holders = [who for who in context.people if pool.held(who)]
    if not holders or (pool.cooldown == 0 and context.draw_bool(0.9)):
        return
    who = context.pick_item(holders)
    controller = context.pick_item((who, who, who, context.pick_account()))
    sender = who
    if context.draw_bool(0.15):
        sender = context.pick_account()
        yield from _grant_redemption_permission(context, name, who, sender)
    yield context.build_action(
        name, "requestRedeem", context.draw_near_limit(pool.held(who)), controller, who, by=sender
    )
    if context.draw_bool(0.3):
        yield from _wait_near_time(context, pool.get_earliest_cut_time())
        yield context.build_action(name, "cut", by=context.pick_account())
        if context.draw_bool(0.7):
            yield from _wait_near_time(context, pool.get_maturity(pool.line[()].collecting - 1))
            yield from _settle_and_claim_batch(context, name)


def _grant_redemption_permission(
    context: GenerationContext, pool_name: str, owner: str, sender: str
) -> Iterator[Action | Wait]:
    """Yield the call that permits `sender` to redeem for `owner`: as operator or by allowance.

    At times no permission is given, or an operator's permission is revoked.
    """
    pool = cast(MemberPool, context.world.contracts[pool_name])
    how = context.pick_item(("operator", "operator", "allowance", "no longer", "nothing"))
    if how == "allowance":
        yield context.build_action(
            pool_name, "approve", sender, context.draw_near_limit(pool.held(owner) + 1), by=owner
        )
    elif how != "nothing":
        yield context.build_action(pool_name, "setOperator", sender, how == "operator", by=owner)


@register_generator(weight=2)
def cut_batch(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that closes a pool's batch of withdrawal requests, when due or a second early."""
    name = _pick_pool(context)
    pool = cast(MemberPool, context.world.contracts[name])
    if not pool.batches[pool.line[()].collecting].units and context.draw_bool(0.9):
        return
    yield from _wait_near_time(context, pool.get_earliest_cut_time())
    yield context.build_action(name, "cut", by=context.pick_account())


@register_generator(weight=2)
def settle_batch(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that pays a pool's next batch of withdrawals, when it is due or a second early.

    At times a falling price pauses withdrawals before it.
    """
    name = _pick_pool(context)
    pool = cast(MemberPool, context.world.contracts[name])
    waits = pool.list_unsettled_batches()
    if context.draw_bool(0.6) and waits:
        yield from _wait_near_time(context, pool.get_maturity(waits.start))
    elif context.now < pool.get_earliest_batch_settlement_time() and context.draw_bool(0.9):
        return
    if context.draw_bool(0.3):
        c = context.draw_type()
        yield from post_price(
            context,
            c,
            context.get_next_or_current_price(c) * context.pick_item((9_400, 9_600)) // BASIS_POINTS,
        )
        if context.draw_bool(0.5):
            yield from _wait_near_time(context, context.feed.falls[()].withdrawals_paused_until)
    yield from _settle_and_claim_batch(context, name)


def _wait_near_time(context: GenerationContext, time: int) -> Iterator[Wait]:
    """Yield a wait until a time, or until 1 second before or after it; nothing if it has passed."""
    if time > context.world.timestamp:
        yield Wait(time - context.world.timestamp + context.pick_item((-1, 0, 0, 0, 1)))


def _settle_and_claim_batch(context: GenerationContext, pool_name: str) -> Iterator[Action | Wait]:
    yield context.build_action(pool_name, "settle", by=context.pick_account())
    yield from _claim_batch(context, pool_name)


@register_generator(weight=2)
def claim_redemption(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a claim of a paid withdrawal batch; in a pool without cooldown, a redemption of shares."""
    name = _pick_pool(context)
    pool = cast(MemberPool, context.world.contracts[name])
    if pool.cooldown:
        yield from _claim_batch(context, name)
        return
    ready = [who for who in context.people if pool.held(who)]
    if ready or context.draw_bool(0.1):
        yield from _redeem_shares(context, name, context.pick_item(ready or context.people))


def _claim_batch(context: GenerationContext, name: str) -> Iterator[Action | Wait]:
    pool = cast(MemberPool, context.world.contracts[name])
    mine = [who for who in context.people if pool.lines[who].first]
    if not mine and context.draw_bool(0.9):
        return
    controller = context.pick_item(mine or context.people)
    sender = controller
    if context.draw_bool(0.15):
        sender = context.pick_account()
        yield from _grant_redemption_permission(context, name, controller, sender)
    receiver = context.pick_item((controller, context.pick_account()))
    shares, assets = pool.maxRedeem("", controller), pool.maxWithdraw("", controller)
    if context.draw_bool(0.6):
        call, amount = "redeem", context.pick_item((shares, shares, context.draw_near_limit(shares)))
    else:
        call, amount = "withdraw", context.pick_item((assets, context.draw_near_limit(assets)))
    yield context.build_action(name, call, amount, receiver, controller, by=sender)


def _redeem_shares(context: GenerationContext, name: str, owner: str) -> Iterator[Action | Wait]:
    pool = cast(MemberPool, context.world.contracts[name])
    sender = owner
    if context.draw_bool(0.1):
        sender = context.pick_account()
        if context.draw_bool(0.6):
            yield context.build_action(
                name, "approve", sender, context.draw_near_limit(pool.held(owner) + 1), by=owner
            )
    shares = pool.held(owner)
    if context.draw_bool(0.5):
        yield context.build_action(
            name, "redeem", context.draw_near_limit(shares), context.pick_account(), owner, by=sender
        )
    else:
        yield context.build_action(
            name,
            "withdraw",
            context.draw_near_limit(pool._to_claim(shares)),
            context.pick_account(),
            owner,
            by=sender,
        )


@register_generator(weight=1.2)
def add_income(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a payment of income to a pool, which vests over time, and at times a wait.

    Payments of 1 wei try to prolong the vesting.
    """
    name = _pick_pool(context)
    who = context.find_richest_account()
    held = min(_get_asset_balance(context, cast(MemberPool, context.world.contracts[name]), who), 10**6 * WAD)
    amount = context.pick_item(
        (context.draw_near_limit(held // 100), context.draw_part(max(held // 10, 1)), 1)
    )
    yield context.build_action(name, "add_income", amount, by=who)
    yield Wait(context.pick_item((0, 0, 600, 3_600)))


@register_generator(weight=1)
def collect_claims(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that collects an account's recovery claims for losses that a pool has absorbed."""
    name = context.pick_item(context.savers)
    pool = cast(MemberPool, context.world.contracts[name])
    state = pool.state[()]
    if (state.mark or state.generation) or context.draw_bool(0.1):
        yield context.build_action(name, "collect_claims", context.pick_account(), by=context.pick_account())


@register_generator(weight=0.4)
def request_redemption_twice(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield two redemption requests for halves of an account's shares, in consecutive batches.

    Then the two batches are settled and claimed together.
    """
    name, who = context.pick_item(context.pools), context.pick_account()
    pool = cast(MemberPool, context.world.contracts[name])
    held = pool.held(who)
    if held < 2 or not pool.cooldown:
        return
    for shares in (held // 2, held - held // 2):
        yield context.build_action(name, "requestRedeem", shares, who, who, by=who)
        yield from _wait_near_time(context, pool.get_earliest_cut_time())
        yield context.build_action(name, "cut", by=who)
    yield from _wait_near_time(context, pool.get_maturity(pool.line[()].collecting - 1))
    yield from _settle_and_claim_batch(context, name)
