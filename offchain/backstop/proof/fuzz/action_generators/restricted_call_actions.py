"""Calls that only another contract, or a stage, may make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.deployment.contracts_by_parameter_name import STAGES
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.roles import STAGE
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


@register_generator(weight=0.9)
def call_restricted_functions(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a user's or the admin's call of a function that only a contract of the protocol may call."""
    c, who, amount = context.draw_type(), context.pick_account(), context.pick_item((0, 1, WAD, RAD))
    pool = context.pick_item((*context.savers, "OddPool"))
    stages = [STAGES[stage.name].contract for stage in context.deployment.parameters.stages]
    stages = [pool, *(stage for stage in stages if stage != "ScriptedStage")]
    contract, method, args = context.pick_item(
        (
            ("Stablecoin", "mint", (who, amount)),
            ("Stablecoin", "burn", (who, amount)),
            ("Stablecoin", "burn_allowed", (who, context.pick_account(), amount)),
            ("VaultEngine", "set_called", (c, who)),
            *_list_restricted_policy_calls(context, c, amount),
            ("VaultEngine", "seize", (c, who, amount, amount, who, amount)),
            ("VaultEngine", "release", (c, amount, who)),
            ("VaultEngine", "settle_take", (c, who, amount, amount, amount, who, amount)),
            ("VaultEngine", "write_off", (c, who, amount, amount)),
            ("VaultEngine", "reward", (c, who, amount)),
            ("CollateralAuction", "write_off", (c, amount)),
            ("LiquidationEngine", "write_down", (c, amount)),
            ("PriceFeed", "set_price", (c, amount)),
            ("CollateralAuction", "start", (c, who, amount, amount, RAY)),
            ("CollateralAuction", "set_minimum", (c, 1)),
            ("CollateralAuction", "reserve_id", ()),
            ("CollateralAuction", "settle_payment", (c, who, amount, amount, amount, who, amount)),
            ("CollateralAuction", "foreclose", (1, c, who, amount, amount, RAY, who)),
            ("CollateralAuction", "unwind_workout", (c, who, amount, amount)),
            ("LiquidationEngine", "move_to_workout", (c, who, amount, amount)),
            ("LossWaterfall", "recognise", (c, amount)),
            ("LossWaterfall", "wind_up", ()),
            ("LossWaterfall", "close_books", ()),
            ("VaultEngine", "begin_settlement", ()),
            ("VaultEngine", "unwind", (c, who, amount, amount)),
            ("VaultEngine", "skim", (c, who, amount, amount)),
            ("VaultEngine", "net", ()),
            ("VaultEngine", "redeem", (who, amount)),
            ("VaultEngine", "pay_out", (c, amount, who)),
            ("VaultEngine", "take_salvage", (c, amount)),
            ("LossWaterfall", "book_payment", (c, who, amount)),
            ("VaultEngine", "cover_from_buyer", (c, who, who, amount)),
            ("LossWaterfall", "release", (c,)),
            ("VaultEngine", "cover_by_redistribution", (c, amount)),
            ("VaultEngine", "spend_reserve", (amount, who)),
            (context.pick_item(stages), "absorb", (c, amount)),
            (context.pick_item(stages), "absorb", (c, amount)),
            (context.pick_item(stages), "absorb", (c, amount)),
            (pool, "claw_back", (c, amount)),
            *_list_role_restricted_equity_calls(context, who, amount),
        )
    )
    yield context.build_action(contract, method, *args, by=context.pick_item((who, who, context.admin)))


def _list_restricted_policy_calls(
    context: GenerationContext, collateral_type: int, amount: int
) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    if context.policy is None:
        return ()
    return (
        ("RiskPolicy", "check_new_risk", ((collateral_type, amount, 0, 10_000, amount, 0, 0, 0, 0),)),
        ("RiskPolicy", "reprice", (collateral_type, amount, amount)),
        ("RiskPolicy", "set_mode", (context.random.randrange(4),)),
    )


def _list_role_restricted_equity_calls(
    context: GenerationContext, account: str, amount: int
) -> tuple[tuple[str, str, tuple[Any, ...]], ...]:
    if not context.has_equity:
        return ()
    claims = context.pick_item(context.claims)
    return (
        (claims, "record", (0, 10**6 + 1, amount)),
        (claims, "issue", (account, amount, 0, 0, 0, 1)),
        ("Equity", "mint", (account, amount)),
        ("Equity", "reserve_mint", (amount,)),
        ("Equity", "release_mint", (amount,)),
        ("Equity", "mint_reserved", (account, amount, 0)),
        ("Treasury", "sell", (amount, account)),
        *((pool, "slash", (amount, account)) for pool in context.pools if pool not in context.savers),
        *((pool, "restore", (amount,)) for pool in context.pools if pool not in context.savers),
    )


@register_generator(weight=1)
def cover_as_stage(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a payment of a deficit by an account that holds the role of a waterfall stage.

    It pays from the buffer, the reserve, its tokens or by redistribution, up to the balance or 1 wei more.
    """
    holders = [who for who in context.people if context.engine.roles[STAGE, who]]
    c = context.pick_item(
        [c for c in range(context.listed) if context.engine.deficit[c]] or [context.draw_type()]
    )
    deficit = int(context.engine.deficit[c])
    if context.settlement.progress[()].fixed_at:
        return  # nor may one bring anything into closed books
    if context.waterfall._sum_reservations(c):
        return  # a stage that covers what another has reserved breaks the books by design
    if not holders:
        if not deficit and context.draw_bool(0.7):
            return
        holders = [context.pick_account()]
        yield context.build_action("VaultEngine", "grant_role", STAGE, holders[0], by=context.admin)
    who = holders[0]
    kind = context.random.randrange(4)
    if kind == 3:
        room = context.engine.redistribution_room("", c)
        amount = context.draw_near_limit(min(room, deficit), room, deficit)
        yield context.build_action("VaultEngine", "cover_by_redistribution", c, amount, by=who)
    elif kind == 0:
        held = int(context.engine.income[c].buffer)
        yield context.build_action(
            "VaultEngine",
            "cover_from_buffer",
            c,
            context.draw_near_limit(min(held, deficit), held, deficit),
            by=who,
        )
    elif kind == 1:
        held = int(context.engine.system[()].reserve)
        yield context.build_action(
            "VaultEngine",
            "cover_from_reserve",
            c,
            context.draw_near_limit(min(held, deficit), held, deficit),
            by=who,
        )
    else:
        held = int(context.stablecoin.balances[who])
        amount = min(held * RAY, deficit + 1)
        payer = context.pick_item((who, who, context.pick_account()))
        yield context.build_action(
            "VaultEngine", "cover_from_tokens", c, payer, context.draw_near_limit(amount), by=who
        )
    if context.draw_bool(0.6):
        yield context.build_action("VaultEngine", "revoke_role", STAGE, who, by=context.admin)
