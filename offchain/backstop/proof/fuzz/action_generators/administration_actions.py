"""The admin turns every knob, within its bounds and just outside; others try as well."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.parameter_dataclasses import EXPONENTIAL, LINEAR
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY
from backstop.model.roles import CEILINGS, GUARDIAN, MINTER, STAGE
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.proof.fuzz.initial_actions import ADAPTED, ADAPTER, truncate_reporters_to_odd_count
from backstop.system import Action

ADMINISTERED = ("VaultEngine", "PriceFeed", "CollateralAuction", "LossWaterfall", "Settlement")


def _pick_administered_contract(context: GenerationContext) -> str:
    names = (*ADMINISTERED, "Equity", "Treasury", "AutoCeiling", "CircuitBreaker", *context.facilitators)
    return context.pick_item([name for name in names if name in context.deployment.addresses])


def _pick_admin_or_stranger(context: GenerationContext) -> str:
    return context.admin if context.draw_bool(0.93) else context.pick_account()


def _draw_value(context: GenerationContext, usual: tuple[int, ...], highest: int, lowest: int = 0) -> int:
    """Draw one of the usual values. One draw in six is at a bound, just outside it, or MAX_UINT256."""
    if context.draw_bool(0.83):
        return context.pick_item(usual)
    return context.pick_item((lowest, highest, highest + 1, max(lowest - 1, 0), MAX_UINT256))


@register_generator(weight=1, of_own_types=True)
def set_engine_parameter(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets a type's ceiling, debt floor, stability fee, auction limit or share.

    The share is the buffer's share of income, or the cap of redistribution. Mostly the admin calls, at times
    an unauthorised account.
    """
    c = context.draw_type()
    parameters = context.deployment.parameters.collateral_types[c]
    method, usual, highest = context.pick_item(
        (
            (
                "set_debt_ceiling",
                (parameters.debt_ceiling, context.get_terms(c).debt_ceiling + 1, 10**7),
                bounds.MAX_DEBT_CEILING,
            ),
            ("set_debt_floor", (parameters.debt_floor, 0, 1, 2_000), bounds.MAX_DEBT_FLOOR),
            ("set_stability_fee", (parameters.stability_fee, 0, 10**18), bounds.MAX_STABILITY_FEE),
            ("set_auction_limit", (parameters.auction_limit, 10**7, 1), bounds.MAX_DEBT_CEILING),
            ("set_buffer_share", (0, 5_000, 10_000), bounds.MAX_BUFFER_SHARE),
            ("set_redistribution_cap", (parameters.redistribution_cap, 0, 500), 10_000),
        )
    )
    yield context.build_action(
        "VaultEngine", method, c, _draw_value(context, usual, highest), by=_pick_admin_or_stranger(context)
    )


@register_generator(weight=0.7, of_own_types=True)
def set_ratios(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets a type's liquidation and initial ratio, and mostly a restoring call."""
    c = context.draw_type()
    parameters = context.deployment.parameters.collateral_types[c]
    low = _draw_value(
        context, (parameters.liquidation_ratio, 11_000, 14_500), bounds.MAX_RATIO, bounds.MIN_RATIO
    )
    high = context.pick_item((low, low + 500, max(low - 1, 0), bounds.MAX_RATIO, bounds.MAX_RATIO + 1))
    yield context.build_action(
        "VaultEngine", "set_ratios", c, low, min(high, MAX_UINT256), by=_pick_admin_or_stranger(context)
    )
    if context.draw_bool(0.7):
        own = (parameters.liquidation_ratio, parameters.initial_ratio)
        yield context.build_action("VaultEngine", "set_ratios", c, *own, by=context.admin)


@register_generator(weight=0.7)
def set_global_limits(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the global debt ceiling or auction limit, and mostly a restoring call."""
    own = context.deployment.parameters
    if context.draw_bool(0.5):
        value = _draw_value(context, (own.global_debt_ceiling, 0, 10**6), bounds.MAX_GLOBAL_DEBT_CEILING)
        yield context.build_action(
            "VaultEngine", "set_global_debt_ceiling", value, by=_pick_admin_or_stranger(context)
        )
        if context.draw_bool(0.7):
            yield context.build_action(
                "VaultEngine", "set_global_debt_ceiling", own.global_debt_ceiling, by=context.admin
            )
    else:
        value = _draw_value(context, (own.global_auction_limit, 0, 10**5), bounds.MAX_GLOBAL_DEBT_CEILING)
        yield context.build_action(
            "VaultEngine", "set_global_auction_limit", value, by=_pick_admin_or_stranger(context)
        )
        if context.draw_bool(0.7):
            yield context.build_action(
                "VaultEngine", "set_global_auction_limit", own.global_auction_limit, by=context.admin
            )


@register_generator(weight=0.8, of_own_types=True)
def set_curve(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the price curve of a collateral type's auctions, also of those under way."""
    c = context.draw_type() if context.draw_bool(0.9) else context.listed
    own = context.deployment.parameters.collateral_types[min(c, context.listed - 1)].auction
    curve = (
        context.pick_item((own.curve, own.curve, LINEAR, EXPONENTIAL, EXPONENTIAL + 1))
        if context.draw_bool(0.5)
        else own.curve
    )
    period = _draw_value(context, (own.period, 90, 14_400), bounds.MAX_PERIOD, bounds.MIN_PERIOD)
    cut = _draw_value(context, (own.cut, 99 * RAY // 100, RAY - 1), bounds.MAX_CUT, bounds.MIN_CUT)
    tail = _draw_value(context, (own.tail, 3_600), bounds.MAX_TAIL, bounds.MIN_TAIL)
    cusp = _draw_value(context, (own.cusp, 4_000), bounds.MAX_CUSP, bounds.MIN_CUSP)
    yield context.build_action(
        "CollateralAuction",
        "set_curve",
        c,
        curve,
        period,
        cut,
        tail,
        cusp,
        by=_pick_admin_or_stranger(context),
    )


@register_generator(weight=0.8, of_own_types=True)
def set_auction_terms(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the starting price factor, penalty or rewards of a type's auctions.

    At times it adds terms to a type that already has terms, which reverts.
    """
    c = context.draw_type()
    own = context.deployment.parameters.collateral_types[c].auction
    kind = context.random.randrange(4)
    by = _pick_admin_or_stranger(context)
    if kind == 0:
        value = _draw_value(context, (own.buf, 12_000, 10_000), bounds.MAX_BUF, bounds.MIN_BUF)
        yield context.build_action("CollateralAuction", "set_buf", c, value, by=by)
    elif kind == 1:
        value = _draw_value(context, (own.penalty, 11_300, 10_000), bounds.MAX_PENALTY, bounds.MIN_PENALTY)
        yield context.build_action("CollateralAuction", "set_penalty", c, value, by=by)
    elif kind == 2:
        tip = _draw_value(context, (own.tip, 0, 50), bounds.MAX_TIP)
        chip = _draw_value(context, (own.chip, 0, 10), bounds.MAX_CHIP)
        yield context.build_action("CollateralAuction", "set_rewards", c, tip, chip, by=by)
    else:  # it has terms already
        values = (own.curve, own.period, own.cut, own.tail, own.cusp, own.buf, own.penalty, own.tip, own.chip)
        yield context.build_action("CollateralAuction", "add_terms", c, *values, by=by)


@register_generator(weight=0.7)
def stop_auctions(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that stop a type's auctions, try to start or restart one, and mostly resume them.

    The admin, the guardian or an unauthorised account sends the stop.
    """
    c = context.draw_type()
    by = context.pick_item((context.guardian, context.admin, context.admin, context.pick_account()))
    yield context.build_action(
        "CollateralAuction", "set_stop", c, context.pick_item((1, 1, 2, 2, 0, 3)), by=by
    )
    if context.draw_bool(0.5):
        due = [
            auction_id
            for auction_id in context.list_open_auctions()
            if context.auction.lots[auction_id].collateral_type == c
        ]
        if due:
            yield context.build_action(
                "CollateralAuction",
                "reset",
                context.pick_item(due),
                context.pick_account(),
                by=context.pick_account(),
            )
        found = context.list_unsafe_owners(c)
        if found:
            yield context.build_liquidation(
                c,
                found[0],
                context.pick_account(),
                by=context.pick_account(),
            )
    if context.draw_bool(0.85):
        yield context.build_action("CollateralAuction", "set_stop", c, 0, by=context.admin)


@register_generator(weight=0.8, of_own_types=True)
def set_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the reporters, quorum and times of a price feed's market.

    The reporters are the same again, one more, or a list that the feed refuses.
    """
    c = context.draw_type()
    own = context.deployment.parameters.collateral_types[c].feed
    reporters = [context.deployment.get_account(f"reporter_{i + 1}") for i in range(own.reporters)]
    if c == ADAPTED and context.draw_bool(0.6):
        reporters = [*truncate_reporters_to_odd_count(reporters), context.world.contracts[ADAPTER].address]
    if context.draw_bool(0.15):
        reporters.append(context.pick_item((reporters[0], ZERO_ADDRESS, context.pick_account())))
    if context.draw_bool(0.02):
        reporters = [context.pick_account()] * (bounds.MAX_REPORTERS + 1)
    quorum = (
        context.pick_item((bounds.MIN_QUORUM - 1, len(reporters) + 1))
        if context.draw_bool(0.1)
        else own.quorum
    )
    step = _draw_value(context, (own.step,), bounds.MAX_STEP, bounds.MIN_STEP)
    age = _draw_value(context, (own.max_age,), bounds.MAX_REPORT_AGE, 1)
    stale = (
        context.pick_item((max(step, 1) - 1, bounds.MAX_STALE_AFTER + 1))
        if context.draw_bool(0.1)
        else max(own.stale_after, step)
    )
    window = _draw_value(context, (own.window,), bounds.MAX_WINDOW, bounds.MIN_WINDOW)
    args = (c, tuple(reporters), quorum, step, age, min(stale, MAX_UINT256), window)
    yield context.build_action("PriceFeed", "set_market", *args, by=_pick_admin_or_stranger(context))


@register_generator(weight=0.8, of_own_types=True)
def set_guards(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets a price feed's guards, such as the deviation, and mostly a restoring call."""
    c = context.draw_feed_market()
    equity, types = context.deployment.parameters.equity, context.deployment.parameters.collateral_types
    own = types[c].feed if equity is None or c < context.listed else equity.feed
    deviation = _draw_value(context, (own.deviation, 0, 1, 1_000, 5_000), bounds.MAX_DEVIATION)
    confirmations = _draw_value(context, (1, 2, 3), bounds.MAX_CONFIRMATIONS, bounds.MIN_CONFIRMATIONS)
    grace = _draw_value(context, (own.grace, 0, 600), bounds.MAX_GRACE)
    dead_after = _draw_value(context, (own.dead_after, 0, 1, 3_600), bounds.MAX_DEAD_AFTER)
    yield context.build_action(
        "PriceFeed",
        "set_guards",
        c,
        deviation,
        confirmations,
        grace,
        dead_after,
        by=_pick_admin_or_stranger(context),
    )
    if context.draw_bool(0.7):
        values = own.deviation, own.confirmations, own.grace, own.dead_after
        yield context.build_action("PriceFeed", "set_guards", c, *values, by=context.admin)


@register_generator(weight=0.8)
def halt_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that halt a price feed's market, use the halted feed, and mostly end the halt."""
    c = context.draw_feed_market() if context.draw_bool(0.95) else context.listed
    by = context.pick_item((context.guardian, context.guardian, context.admin, context.pick_account()))
    yield context.build_action(
        "PriceFeed", "set_halted", c, context.pick_item((True, True, True, False)), by=by
    )
    if context.draw_bool(0.5):
        yield context.build_action("PriceFeed", "poke", c, by=context.pick_account())
    for owner in context.list_unsafe_owners(c)[:1] if c < context.listed else ():
        yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())
    if context.draw_bool(0.85):
        yield context.build_action("PriceFeed", "set_halted", c, False, by=context.admin)


@register_generator(weight=0.8)
def change_roles(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that grants or revokes a role of a random account.

    With the role of a waterfall stage, an ordinary account can pay for losses as a stage does.
    """
    contract, who = _pick_administered_contract(context), context.pick_account()
    role = context.pick_item((STAGE, GUARDIAN, MINTER, CEILINGS, bytes(32)))
    method = context.pick_item(("grant_role", "revoke_role"))
    yield context.build_action(contract, method, role, who, by=_pick_admin_or_stranger(context))


@register_generator(weight=0.6)
def transfer_admin_role(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that offers the admin role to an account, and at times its acceptance and return.

    In three of ten cases an account tries to accept the role without an offer.
    """
    contract, who = _pick_administered_contract(context), context.pick_account()
    if context.draw_bool(0.3):
        yield context.build_action(contract, "accept_admin", by=who)
        return
    yield context.build_action(contract, "transfer_admin", who, by=_pick_admin_or_stranger(context))
    if context.draw_bool(0.5):
        yield context.build_action(contract, "accept_admin", by=who)
        yield context.build_action(contract, "transfer_admin", context.admin, by=who)
        yield context.build_action(contract, "accept_admin", by=context.admin)


@register_generator(weight=0.5)
def retire_type(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that delist a collateral type, and at times a deposit or withdrawal in that type.

    Mostly the type is one that the run listed. A type in use makes the call revert.
    """
    later = range(context.listed, int(context.engine.type_count[()]))
    if later and context.draw_bool(0.8):
        c = context.pick_item(later)
    else:
        c = context.draw_type()
        if not context.engine.debts[c].normalized_debt and context.draw_bool(0.95):
            return
    yield context.build_action(
        "VaultEngine", "retire_collateral_type", c, by=_pick_admin_or_stranger(context)
    )
    who = context.pick_account()
    if context.draw_bool(0.5):
        yield context.build_action("VaultEngine", "deposit_and_draw", c, who, 10**18, 0, who, by=who)
    yield context.build_action(
        "VaultEngine",
        "repay_and_withdraw",
        c,
        who,
        0,
        MAX_UINT256 if context.draw_bool(0.1) else 0,
        who,
        by=who,
    )


@register_generator(weight=0.6)
def list_token(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that list another collateral type and use the type without price or terms.

    The feed has no market and the auctions have no terms for the new type. Some tokens are refused.
    """
    by = _pick_admin_or_stranger(context)
    choices = ("Plain", "Plain", "Fine", "Odd", "Stablecoin")
    token = context.world.contracts[context.pick_item(choices)].address
    low = _draw_value(context, (14_500,), bounds.MAX_RATIO, bounds.MIN_RATIO)
    yield context.build_action(
        "VaultEngine", "add_collateral_type", token, low, context.pick_item((low, low, 20_000)), by=by
    )
    c = int(context.engine.type_count[()]) - 1
    if c >= context.listed:
        who = context.pick_account()
        kind = context.random.randrange(4)
        if kind == 0:
            yield context.build_action("CollateralAuction", "set_buf", c, 12_000, by=context.admin)
        elif kind == 1:
            yield context.build_action("PriceFeed", "poke", c, by=who)
        elif kind == 2:
            yield context.build_liquidation(c, who, who, by=who)
        else:
            yield context.build_action("VaultEngine", "deposit_and_draw", c, who, 10**18, 1, who, by=who)


@register_generator(weight=0.8)
def set_stages(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the waterfall's stages, mostly invalid ones of an unused waterfall.

    The protocol's own waterfall has its stages fixed, so the call reverts there.
    """
    if context.draw_bool(0.3):
        yield context.build_action(
            "LossWaterfall",
            "set_stages",
            ((context.savings.address, True, False, False, False, 0, 0),),
            by=_pick_admin_or_stranger(context),
        )
        return
    first = (context.world.contracts["SpareStage"].address, True, False, False, False, MAX_UINT256, 10_000)
    other = context.pick_item((context.pick_account(), context.pick_account(), ZERO_ADDRESS))
    terms = context.pick_item(
        (
            (),
            (first, first),
            (first, (other, False, True, True, False, 10**45, context.pick_item((0, 10_001)))),
            ((other, False, False, False, False, 0, 10_001),),
            ((ZERO_ADDRESS, False, False, False, False, 0, 0),),
        )
    )
    if context.draw_bool(0.1):
        terms = (first,)
    yield context.build_action("SpareWaterfall", "set_stages", terms, by=_pick_admin_or_stranger(context))


@register_generator(weight=0.5)
def change_caps(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a proposal of new caps of the loss waterfall's stages, and mostly its application.

    The application comes after a delay. At times the proposal also changes another term of a stage, or the
    applied terms differ from the proposal.
    """
    terms = [tuple(context.waterfall.stage_terms("", k)) for k in context.waterfall.stage_ids("")]
    k = context.random.randrange(len(terms))
    caps = (
        context.pick_item((MAX_UINT256, MAX_UINT256, 0, 1_000 * RAD)),
        _draw_value(context, (10_000, 5_000, 1), 10_000),
    )
    terms[k] = (*terms[k][:5], *caps)
    wrong = list(terms)
    if context.draw_bool(0.25):
        kind = list(terms[k][:5])
        place = context.random.randrange(5)
        kind[place] = context.pick_account() if place == 0 else not kind[place]
        wrong[k] = (*kind, *caps)
        if context.draw_bool(0.2) and len(wrong) > 1:
            wrong.pop()
    yield context.build_action(
        "LossWaterfall", "propose_stages", tuple(wrong), by=_pick_admin_or_stranger(context)
    )
    if context.draw_bool(0.7):
        yield Wait(context.waterfall.cap_delay - context.pick_item((0, 0, 0, 1)))
        if context.draw_bool(0.1):
            wrong[0] = (*wrong[0][:6], 7)
        yield context.build_action("LossWaterfall", "apply_stages", tuple(wrong), by=context.pick_account())


@register_generator(weight=0.6)
def change_stages(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a proposal that adds, removes or reorders stages of the loss waterfall.

    Mostly its application follows, after the delay or one second too early. At times a removed stage loses
    its role first, so that it fails.
    """
    waterfall = context.waterfall
    terms = [tuple(waterfall.stage_terms("", k)) for k in waterfall.stage_ids("")]
    new = context.world.contracts[context.pick_item(("SpareStage", "SpareStage", "OddPool"))].address
    place = context.random.randrange(len(terms) + 1)
    kind = context.random.randrange(4)
    if kind < 2:
        slow = context.draw_bool(0.5)
        terms.insert(
            place, (new, context.draw_bool(0.5), slow, False, context.draw_bool(0.3), MAX_UINT256, 10_000)
        )
    if kind >= 1 and len(terms) > 1:
        terms.pop(context.random.randrange(len(terms)))
    if kind == 3 and len(terms) > 1 and context.draw_bool(0.3):
        terms.reverse()
    leaves = [waterfall.stages[k].stage for k in waterfall.stage_ids("")]
    leaves = [stage for stage in leaves if stage not in [each[0] for each in terms]]
    breaks = bool(leaves) and context.draw_bool(0.3)
    if breaks:
        yield context.build_action("VaultEngine", "revoke_role", STAGE, leaves[0], by=context.admin)
    yield context.build_action(
        "LossWaterfall", "propose_stages", tuple(terms), by=_pick_admin_or_stranger(context)
    )
    if context.draw_bool(0.8):
        yield Wait(waterfall.cap_delay - context.pick_item((0, 0, 0, 0, 1)))
        yield context.build_action("LossWaterfall", "apply_stages", tuple(terms), by=context.pick_account())
    if breaks and context.draw_bool(0.8):
        yield context.build_action("VaultEngine", "grant_role", STAGE, leaves[0], by=context.admin)
