"""Calls that chance alone seldom makes possible: each move arranges first what a call needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.contract_base import ZERO_ADDRESS
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.equity_auction import EquityAuction
from backstop.model.interfaces import CAUTION
from backstop.model.member_pool import MemberPool
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.roles import STAGE
from backstop.model.surplus_auction import SurplusAuction
from backstop.model.treasury import Treasury
from backstop.proof.fuzz.action_generators.claim_actions import convert_claims
from backstop.proof.fuzz.action_generators.equity_actions import sell_surplus
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.action_generators.savings_actions import _settle_and_claim_batch, _wait_near_time
from backstop.proof.fuzz.action_generators.workout_actions import (
    foreclose_workout,
    pay_workout,
    top_up_workout,
)
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

_ENGINE, _WATERFALL = "VaultEngine", "LossWaterfall"
_MARKET = bounds.EQUITY_MARKET


@register_generator(weight=1.6)
def begin_workout(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that open a vault, make a margin call on it, and enter a workout.

    A workout is a repayment in instalments. It is then paid, topped up or foreclosed, and flagged as in doubt
    if due.
    """
    if context.workouts is None or context.policy is None or context.settling:
        return
    c, owner = context.draw_type(), context.pick_account()
    terms, price = context.get_terms(c), context.feed.prices[c].current
    floor = max(terms.debt_floor, 1) * WAD
    if not 0 < price < bounds.MAX_PRICE // 4 or context.get_vault(c, owner).normalized_debt:
        return
    # Just over the liquidation ratio a call needs a ratio that is higher.
    liquidation, initial = terms.liquidation_ratio, max(terms.initial_ratio, terms.liquidation_ratio + 500)
    if initial > bounds.MAX_RATIO:
        return
    discount = min(context.pick_item((0, 500, 2_000)), BASIS_POINTS - BASIS_POINTS * BASIS_POINTS // initial)
    offer = (
        discount,
        BASIS_POINTS,
        context.pick_item((0, 200)),
        context.pick_item((2, 4)),
        context.pick_item((3_600, 86_400)),
        0,
        10**8,
    )
    for contract, call, args in (
        (_ENGINE, "set_ratios", (c, liquidation, initial)),
        (_ENGINE, "set_auction_limit", (c, bounds.MAX_DEBT_CEILING)),
        (_ENGINE, "set_global_auction_limit", (bounds.MAX_GLOBAL_DEBT_CEILING,)),
        ("RiskPolicy", "set_call_terms", (c, initial, context.pick_item((60, 3_600)), 86_400)),
        ("RiskPolicy", "set_flow_limit", (c, 0, 86_400)),
        ("Workouts", "set_terms", (c, *offer)),
    ):
        yield context.build_action(contract, call, *args, by=context.admin)
    yield from post_price_until_current(context, c, price)
    if context.policy.mode(""):
        return  # new risk may need more now
    debt = floor * context.pick_item((1, 2, 5))
    worth = div_up(debt * RAY * (initial + 50) + context.policy.add_on("", c, 2 * debt * RAY), BASIS_POINTS)
    unit = int(terms.unit)
    deposit = div_up(div_up(worth, price), unit) * unit + context.get_vault(c, owner).locked_collateral % unit
    yield context.build_action(_ENGINE, "deposit_and_draw", c, owner, deposit, debt, owner, by=owner)
    vault = context.get_vault(c, owner)
    if not vault.normalized_debt:
        return
    need = context.get_debt(c, owner) * initial + context.policy.add_on("", c, context.get_debt(c, owner))
    called_at = need * 999 // (1_000 * vault.locked_collateral * BASIS_POINTS)
    if not 0 < called_at <= bounds.MAX_PRICE:
        return
    yield from post_price_until_current(context, c, called_at)
    yield context.build_action("LiquidationEngine", "call", c, owner, by=context.pick_account())
    yield context.build_action("CircuitBreaker", "force_mode", CAUTION, by=context.guardian)
    yield context.build_action("Workouts", "enter", c, owner, context.pick_item((1, offer[3])), by=owner)
    yield from context.pick_item((pay_workout, pay_workout, top_up_workout, foreclose_workout))(context)
    for workout_id in context.list_open_workouts():
        yield context.build_action("Workouts", "flag", workout_id, by=context.pick_account())


@register_generator(weight=0.7)
def flag_missed_payment(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that flags a workout's debt as in doubt, close to its next instalment's due time.

    A workout is a repayment in instalments. The call comes a second before, at or after the due time. At
    times a payment and a second call follow.
    """
    found = context.list_open_workouts()
    if context.workouts is None or not found:
        return
    workout_id = context.pick_item(found)
    due = context.workouts.schedules[workout_id].compute_due_time(context.workouts.balances[workout_id].met)
    yield from _wait_near_time(context, due + 1)
    yield context.build_action("Workouts", "flag", workout_id, by=context.pick_account())
    if context.draw_bool(0.5):
        yield from pay_workout(context)
        yield context.build_action("Workouts", "flag", workout_id, by=context.pick_account())


def _clear_losses(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that end equity auctions past their deadline and cover all deficits."""
    for name in context.equity_auctions:
        auction = cast(EquityAuction, context.world.contracts[name])
        for c in [c for c, sale in auction.sales.items() if sale.target]:
            yield from _wait_near_time(context, auction.sales[c].started_at + auction.duration + 1)
            yield context.build_action(name, "end", c, by=context.pick_account())
    for c in context.list_deficit_types():
        yield context.build_action(_WATERFALL, "cover", c, by=context.pick_account())


def _repeat_flags(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a `flag` call for each vault that is flagged for doubtful debt, at a fresh price.

    The call clears the flag of a vault that is safe now.
    """
    flags = context.liquidations.vault_flags
    for c, owner in [key for key, flag in flags.items() if flag and key[0] < min(context.listed, 4)]:
        if not context.has_fresh_price(c) and context.get_next_or_current_price(c):
            yield from post_price_until_current(context, c, context.get_next_or_current_price(c))
        yield context.build_action("LiquidationEngine", "flag", c, owner, by=context.pick_account())


def _has_no_losses(context: GenerationContext) -> bool:
    """Return whether no loss is open and no debt is in doubt."""
    return context.waterfall.books[()].open == 0 and context.waterfall.debt_at_risk_total("") == 0


@register_generator(weight=1.2)
def leave_staked_equity(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit into staked equity and a withdrawal from it in all its steps.

    The steps are the request, the closing of its batch, the settlement and the claim. Known losses mostly end
    the sequence early.
    """
    if "StakedEquity" not in context.pools or context.settling:
        return
    pool = cast(MemberPool, context.world.contracts["StakedEquity"])
    who = max(context.people, key=lambda each: context.get_balance("Equity", each))
    yield context.build_action(
        "StakedEquity",
        "deposit",
        context.draw_near_limit(context.get_balance("Equity", who) // 10),
        who,
        by=who,
    )
    if context.draw_bool(0.3):
        yield context.build_action(
            "StakedEquity",
            "add_income",
            context.draw_part(max(context.get_balance("Equity", who) // 100, 1)),
            by=who,
        )
    if not pool.cooldown:
        return
    for leaver in context.people:
        if pool.held(leaver) and context.draw_bool(0.6):
            yield context.build_action(
                "StakedEquity",
                "requestRedeem",
                context.draw_near_limit(pool.held(leaver)),
                leaver,
                leaver,
                by=leaver,
            )
    yield from _wait_near_time(context, pool.get_earliest_cut_time())
    yield context.build_action("StakedEquity", "cut", by=context.pick_account())
    yield from _clear_losses(context)
    yield from _repeat_flags(context)
    waits = pool.list_unsettled_batches()
    if not _has_no_losses(context) and context.draw_bool(0.8):
        return
    if waits:
        yield from _wait_near_time(context, pool.get_maturity(waits.start))
    yield from _settle_and_claim_batch(context, "StakedEquity")
    yield from _settle_and_claim_batch(context, "StakedEquity")


@register_generator(weight=1)
def sell_funded_surplus(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that fund the reserve above its target, distribute it, and sell the surplus."""
    if not context.has_equity or context.settling:
        return
    yield from _clear_losses(context)
    yield from _repeat_flags(context)
    if not _has_no_losses(context) and context.draw_bool(0.9):
        return
    surplus = cast(SurplusAuction, context.world.contracts["SurplusAuction"])
    treasury = cast(Treasury, context.world.contracts["Treasury"])
    giver, lot = context.find_richest_account(), surplus.whole_lot * WAD
    yield context.build_action("Treasury", "set_target", context.pick_item((0, 0, 1)), by=context.admin)
    if treasury.for_sale("") < lot:
        given = min(2 * lot, context.get_balance("Stablecoin", giver))
        yield context.build_action(_ENGINE, "grant_role", STAGE, giver, by=context.admin)
        yield context.build_action(_ENGINE, "give_to_reserve", given, by=giver)
        yield context.build_action(_ENGINE, "revoke_role", STAGE, giver, by=context.admin)
        yield context.build_action(
            "Treasury", "set_shares", tuple(0 for _ in treasury.pool_addresses), by=context.admin
        )
        yield from _wait_near_time(context, context.feed.falls[()].withdrawals_paused_until)
        yield context.build_action("Treasury", "distribute", by=context.pick_account())
    if context.feed.prices[_MARKET].current:
        yield from post_price_until_current(context, _MARKET, context.feed.prices[_MARKET].current)
    yield from sell_surplus(context)


@register_generator(weight=1)
def convert_claims_at_price(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a conversion of recovery claims into equity, at a fresh price and with enough mint cap."""
    if not context.has_equity:
        return
    series = [cast(RecoveryClaims, context.world.contracts[name]) for name in context.claims]
    if not any(each.set_price and each.series[()].outstanding for each in series):
        return
    yield context.build_action("Equity", "set_mint_cap", bounds.MAX_MINT_CAP, by=context.admin)
    if context.feed.prices[_MARKET].current:
        yield from post_price_until_current(context, _MARKET, context.feed.prices[_MARKET].current)
    for each in series:
        if each.set_price and each.series[()].outstanding:
            pool = context.world.at(each.pool_address).label
            for who in context.people:
                yield context.build_action(pool, "collect_claims", who, by=context.pick_account())
    yield from convert_claims(context)


@register_generator(weight=1.2)
def make_loss_good(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that make a waterfall stage fail, cover losses, and repay the stage's missed share.

    Later stages pay the share that the failed stage misses.
    """
    waterfall = context.waterfall
    pools = {context.world.contracts[name].address for name in context.savers}
    found = [k for k in waterfall.stage_ids("") if waterfall.stages[k].stage in pools]
    open_types = context.list_deficit_types()
    if not found or context.settling:
        return
    if open_types and context.draw_bool(0.8):
        # The pool behind pays, if it has anything.
        last, who = context.world.at(waterfall.stages[found[-1]].stage), context.find_richest_account()
        if len(found) > 1 and context.draw_bool(0.7):
            yield context.build_action(
                last.label,
                "deposit",
                context.draw_near_limit(context.get_balance("Stablecoin", who) // 2),
                who,
                by=who,
            )
        stage = waterfall.stages[found[0]].stage
        yield context.build_action(_ENGINE, "revoke_role", STAGE, stage, by=context.admin)
        for c in open_types:
            yield context.build_action(_WATERFALL, "cover", c, by=context.pick_account())
        yield context.build_action(_ENGINE, "grant_role", STAGE, stage, by=context.admin)
    owed = [key for key, amount in waterfall.missing.items() if amount]
    if not owed:
        return
    yield from _clear_losses(context)
    if waterfall.books[()].open and context.draw_bool(0.9):
        return
    for k, c in owed:
        yield context.build_action(_ENGINE, "grant_role", STAGE, waterfall.stages[k].stage, by=context.admin)
        yield context.build_action(_WATERFALL, "repay_missed_share", c, k, by=context.pick_account())


@register_generator(weight=0.8)
def sell_salvage_lots(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield an auction of salvage (collateral left over from auctions), and a purchase from it."""
    found = [c for c in range(min(context.listed, 4)) if context.engine.salvage[c]]
    if not found or context.settling:
        return
    c = context.pick_item(found)
    if context.get_next_or_current_price(c):
        yield from post_price_until_current(context, c, context.get_next_or_current_price(c))
    yield context.build_action("CollateralAuction", "sell_salvage", c, by=context.pick_account())
    auction_id, taker = int(context.auction.ids[()]), context.find_richest_account()
    lot = context.auction.lots[auction_id]
    if lot.started_at and context.draw_bool(0.7):
        yield Wait(context.pick_item((0, 30, 600)))
        amount = context.pick_item((MAX_UINT256, context.draw_near_limit(lot.lot)))
        yield context.build_action(
            "CollateralAuction", "take", auction_id, amount, MAX_UINT256, taker, b"", by=taker
        )


@register_generator(weight=0.8)
def liquidate_within_limit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a liquidation under an auction limit that leaves room for only a part of the vault.

    The room is the debt floor, twice the floor, the vault's debt, or one unit off these.
    """
    c = context.draw_type()
    found = context.list_unsafe_owners(c)
    if not found or context.settling:
        return
    owner = context.pick_item(found)
    floor, debt = context.get_terms(c).debt_floor, context.get_debt(c, owner) // RAD
    taken = int(context.engine.auctions[c].in_auction) // RAD
    room = context.pick_item(
        (floor, floor + 1, 2 * floor + 1, max(debt - floor, 0), debt, debt + 1, debt // 2)
    )
    yield context.build_action(
        _ENGINE, "set_auction_limit", c, min(taken + room, bounds.MAX_DEBT_CEILING), by=context.admin
    )
    if not context.has_fresh_price(c):
        yield from post_price_until_current(context, c, context.feed.prices[c].current)
    yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())
    limit = context.pick_item((10**7, bounds.MAX_DEBT_CEILING))
    yield context.build_action(_ENGINE, "set_auction_limit", c, limit, by=context.admin)


@register_generator(weight=2.5)
def call_out_of_turn(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a random call that mostly reverts now: too early, too late, repeated or without purpose."""
    c, who, amount = context.draw_type(), context.pick_account(), context.pick_item((1, WAD, 10**6 * WAD))
    calls: list[tuple[str, str, tuple[object, ...]]] = [
        ("Settlement", "record_deficit_breach", ()),
        ("Settlement", "cover_last", (c,)),
        ("Settlement", "fix_redemption_rates", ()),
        ("Settlement", "fix_price", (c,)),
        ("Settlement", "skim", (c, who)),
        ("Settlement", "redeem", (1,)),
        ("Settlement", "cash", (c, 1)),
        ("CollateralAuction", "sell_salvage", (c,)),
        ("CollateralAuction", "unwind", (context.draw_auction_id(),)),
        ("CollateralAuction", "close", (context.draw_auction_id(),)),
        ("CollateralAuction", "reset", (context.draw_auction_id(), who)),
        ("LiquidationEngine", "liquidate", (c, context.pick_item(context.people), who)),
        ("LossWaterfall", "cover", (c,)),
        ("LossWaterfall", "force_release", (c, context.random.randrange(4))),
        ("VaultEngine", "repay_and_withdraw", (c, who, 0, context.get_terms(c).unit, who)),
        ("VaultEngine", "deposit_and_draw", (c, who, 0, amount, who)),
    ]
    pool = context.pick_item(context.pools)
    calls += [
        (pool, "settle", ()),
        (pool, "cut", ()),
        (pool, "redeem", (amount, who, who)),
        (pool, "withdraw", (amount, who, who)),
        (pool, "transferFrom", (context.pick_account(), who, amount)),
        (
            pool,
            "deposit",
            (amount, context.pick_item((ZERO_ADDRESS, context.world.contracts[pool].address, who))),
        ),
    ]
    if context.settling:
        calls += [("Settlement", "begin", ()), ("Settlement", "fix_redemption_rates", ())]
    if context.workouts is not None:
        workout_id = context.draw_workout_id() or int(context.auction.ids[()])
        calls += [
            ("Workouts", "enter", (c, who, 1)),
            ("Workouts", "unwind", (workout_id,)),
            ("Workouts", "foreclose", (workout_id, who)),
            ("Workouts", "flag", (workout_id,)),
            ("Workouts", "top_up", (workout_id, context.get_terms(c).unit)),
        ]
    if context.policy is not None:
        calls += [("LiquidationEngine", "call", (c, who))]
    if context.has_equity:
        calls += [
            ("SurplusAuction", "start", ()),
            (
                "SurplusAuction",
                "take",
                (context.pick_item((0, amount)), context.pick_item((0, MAX_UINT256)), who, b""),
            ),
            ("Treasury", "distribute", ()),
        ]
    for facilitator in context.facilitators:
        calls += [
            (facilitator, "redeem", (1,)),
            (facilitator, "recover", (1,)),
            (facilitator, "realise_loss", ()),
        ]
    contract, method, args = context.pick_item(calls)
    yield context.build_action(contract, method, *args, by=who)
