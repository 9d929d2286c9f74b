"""Another protocol that is insured: its coin comes in and goes out, its deficits are reported and paid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD, div_up
from backstop.model.coin_adapter import CoinAdapter
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _get_adapter(context: GenerationContext) -> CoinAdapter | None:
    found = context.deployment.parameters.facilitators
    if not found or not found[0].coin:
        return None
    return cast(CoinAdapter, context.world.contracts[found[0].adapter])


def _get_coin(context: GenerationContext, adapter: CoinAdapter) -> str:
    return str(context.world.addresses[adapter.coin_address].label)


@register_generator(weight=12, of_adapters=True)
def deposit_coins(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit of another protocol's coins into the adapter, in exchange for stablecoin.

    The amount is up to the debt ceiling or a unit more. Mostly a faucet call mints the coins before.
    """
    adapter = _get_adapter(context)
    if adapter is None:
        return
    c, coin, who = adapter.collateral_type, _get_coin(context, adapter), context.pick_account()
    lost = int(context.world.contracts[context.deployment.parameters.facilitators[0].name].tables["lost"][()])
    debt = div_up(context.get_debt(c, adapter.facilitator_address), RAY)
    room = max(0, context.get_terms(c).debt_ceiling * WAD - debt - lost) // adapter.unit
    amount = context.draw_near_limit(room, room // 20)
    if context.draw_bool(0.95):
        yield context.build_action(coin, "mint", who, amount, by=who)
        yield context.build_action(coin, "approve", adapter.address, MAX_UINT256, by=who)
    yield context.build_action(adapter.label, "deposit", amount, context.pick_account(), by=who)


@register_generator(weight=6, of_adapters=True)
def withdraw_coins(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield an exchange of stablecoin for another protocol's coins, of a random part or too much."""
    adapter = _get_adapter(context)
    if adapter is None:
        return
    who = context.pick_item((context.find_richest_account(), context.pick_account()))
    held = context.get_balance("Stablecoin", who) // adapter.unit
    amount = context.pick_item((context.draw_near_limit(held), context.draw_part(max(held, 1))))
    if context.draw_bool(0.95):
        yield context.build_action("Stablecoin", "approve", adapter.address, MAX_UINT256, by=who)
    yield context.build_action(adapter.label, "withdraw", amount, context.pick_account(), by=who)


@register_generator(weight=5, of_adapters=True)
def report_deficit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the other protocol's report of a deficit, and mostly the calls that book, cover and pay it."""
    adapter = _get_adapter(context)
    if adapter is None:
        return
    c, name = adapter.collateral_type, context.deployment.parameters.facilitators[0].name
    debt = div_up(context.get_debt(c, adapter.facilitator_address), RAY) // adapter.unit
    by = adapter.protocol if context.draw_bool(0.95) else context.pick_account()
    amount = context.pick_item((context.draw_near_limit(debt), context.draw_part(max(debt, 1)), 1, 0))
    yield context.build_action(adapter.label, "report_deficit", amount, by=by)
    if context.draw_bool(0.4):
        return
    announced = context.world.contracts[name].tables["announced"][()]
    yield Wait(max(0, announced.ready_at - context.now - context.pick_item((0, 0, 0, 1))))
    yield context.build_action(name, "realise_loss", by=context.pick_account())
    if context.draw_bool(0.7):
        yield context.build_action("LossWaterfall", "cover", c, by=context.pick_account())
    if context.draw_bool(0.7):
        yield context.build_action(adapter.label, "pay_protocol", by=context.pick_account())


@register_generator(weight=2, of_adapters=True)
def waive_deficit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the other protocol's waiver of an uncovered deficit, and the payment of the covered part.

    The waiver is for all, a part, or a wei too much.
    """
    adapter = _get_adapter(context)
    if adapter is None:
        return
    deficit = div_up(int(context.engine.deficit[adapter.collateral_type]), RAY)
    if deficit or context.draw_bool(0.1):
        by = adapter.protocol if context.draw_bool(0.95) else context.pick_account()
        yield context.build_action(adapter.label, "waive_deficit", context.draw_near_limit(deficit), by=by)
    yield context.build_action(adapter.label, "pay_protocol", by=context.pick_account())
