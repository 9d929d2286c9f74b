"""New risk and its limits: margin calls, brackets, flow limits, fees that follow utilisation."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _list_callable_owners(context: GenerationContext, collateral_type: int) -> list[str]:
    """Return the owners of vaults under the call ratio, but not under the liquidation ratio.

    Both ratios are measured at the current price.
    """
    if context.policy is None or not context.policy.calls[collateral_type].ratio:
        return []
    found = []
    for owner in context.people:
        vault, debt = context.get_vault(collateral_type, owner), context.get_debt(collateral_type, owner)
        worth = vault.locked_collateral * context.feed.prices[collateral_type].current * BASIS_POINTS
        add_on = context.policy.add_on("", collateral_type, debt)
        terms = context.get_terms(collateral_type)
        if (
            debt * terms.liquidation_ratio
            <= worth - add_on
            < debt * context.policy.calls[collateral_type].ratio
        ):
            found.append(owner)
    return found


@register_generator(weight=1.5)
def make_margin_call(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a margin call of a vault, and then its rescue by the owner or its liquidation.

    If no vault is below its call ratio, price reports first lower the price to that ratio.
    """
    if context.policy is None:
        return
    c = context.draw_type()
    found = _list_callable_owners(context, c)
    if not found:
        owing = [
            owner
            for owner in context.people
            if context.get_debt(c, owner) and context.get_vault(c, owner).locked_collateral
        ]
        ratio = context.policy.calls[c].ratio
        if not owing or not ratio or context.draw_bool(0.5):
            if context.draw_bool(0.1):
                yield context.build_action(
                    "LiquidationEngine", "call", c, context.pick_account(), by=context.pick_account()
                )
            return
        owner = context.pick_item(owing)
        # A price at which this vault is just under its call ratio.
        need = context.get_debt(c, owner) * ratio + context.policy.add_on("", c, context.get_debt(c, owner))
        price = need // (context.get_vault(c, owner).locked_collateral * BASIS_POINTS)
        if not 0 < price <= bounds.MAX_PRICE:
            return
        for _ in range(2):
            yield from post_price_until_current(context, c, price)
        found = [owner]
    owner = context.pick_item(found)
    yield context.build_action("LiquidationEngine", "call", c, owner, by=context.pick_account())
    yield from _follow_margin_call(context, c, owner)


def _follow_margin_call(
    context: GenerationContext, collateral_type: int, owner: str
) -> Iterator[Action | Wait]:
    assert context.policy is not None
    terms = context.policy.calls[collateral_type]
    kind = context.random.randrange(5)
    if kind == 0:
        yield context.build_action(
            "VaultEngine",
            "deposit_and_draw",
            collateral_type,
            owner,
            0,
            context.draw_part(10**21),
            owner,
            by=owner,
        )
        yield context.build_action(
            "VaultEngine",
            "repay_and_withdraw",
            collateral_type,
            owner,
            0,
            context.get_terms(collateral_type).unit,
            owner,
            by=owner,
        )
    elif kind == 1:
        repaid = context.draw_near_limit(context.get_debt(collateral_type, owner) // RAY // 2)
        yield context.build_action(
            "VaultEngine", "repay_and_withdraw", collateral_type, owner, repaid, 0, owner, by=owner
        )
    elif kind == 2:
        deposit = context.draw_near_limit(context.get_vault(collateral_type, owner).locked_collateral)
        yield context.build_action(
            "VaultEngine",
            "deposit_and_draw",
            collateral_type,
            owner,
            deposit,
            0,
            owner,
            by=context.pick_account(),
        )
    else:
        yield Wait(terms.grace + context.pick_item((-1, 0, 1, terms.valid, terms.valid + 1)))
        if context.draw_bool(0.8):
            yield from post_price_until_current(
                context, collateral_type, context.feed.prices[collateral_type].current
            )
        yield context.build_liquidation(collateral_type, owner, owner, by=context.pick_account())
        if context.draw_bool(0.3):
            yield context.build_action(
                "LiquidationEngine", "call", collateral_type, owner, by=context.pick_account()
            )


@register_generator(weight=2.2)
def set_policy(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets a risk limit: brackets, flow limit, growth cap, fee curve or call terms.

    At times it sets the effects of the circuit breaker's modes, or the policy contract itself. Some values
    are out of bounds.
    """
    if context.policy is None:
        return
    by = context.admin if context.draw_bool(0.93) else context.pick_account()
    c, kind = context.draw_type(), context.random.randrange(8)
    above = (0, 1, 10**4, 10**7, bounds.MAX_DEBT_CEILING, bounds.MAX_DEBT_CEILING + 1)
    rates = (0, 1, 500, 3_000, bounds.MAX_ADD_ON)
    if kind == 0:
        four = [(context.pick_item(above), context.pick_item(rates)) for _ in range(4)]
        yield context.build_action("RiskPolicy", "set_brackets", c, tuple(four[:2]), tuple(four[2:]), by=by)
    elif kind == 1:
        cap, window = (
            context.pick_item((*above, 10**5)),
            context.pick_item((59, 60, 3_600, 86_400, bounds.MAX_FLOW_WINDOW)),
        )
        yield context.build_action("RiskPolicy", "set_flow_limit", c, cap, window, by=by)
    elif kind == 2:
        anchor = context.draw_near_limit(context.get_lower_feed_price(c), 0, bounds.MAX_PRICE)
        growth = context.pick_item((0, 500, bounds.MAX_GROWTH, bounds.MAX_GROWTH + 1))
        yield context.build_action("RiskPolicy", "set_growth_cap", c, anchor, growth, by=by)
    elif kind == 3:
        points = (0, 1, 400, 9_000, 10_000, 16_384, MAX_UINT256)
        curve = tuple(context.pick_item(points[:5] if context.draw_bool(0.9) else points) for _ in range(4))
        line = context.draw_near_limit(context.get_type_debt_totals(c).performing // RAD, 10**6)
        speed = context.pick_item((0, 0, 1, 50, bounds.MAX_FEE_SPEED, bounds.MAX_FEE_SPEED + 1))
        yield context.build_action("RiskPolicy", "set_fee_curve", c, curve, line, speed, by=by)
    elif kind == 4:
        terms = context.get_terms(c)
        ratio = context.draw_near_limit(terms.liquidation_ratio, terms.initial_ratio, 0)
        times = (59, 60, 3_600, 86_400, bounds.MAX_CALL_TIME + 1)
        yield context.build_action(
            "RiskPolicy",
            "set_call_terms",
            c,
            ratio,
            context.pick_item(times),
            context.pick_item(times),
            by=by,
        )
    elif kind == 5:
        factor = context.pick_item(
            (0, 99, 100, 10_000, bounds.MAX_LIMITS_FACTOR, bounds.MAX_LIMITS_FACTOR + 1)
        )
        yield context.build_action(
            "RiskPolicy", "set_effects", context.pick_item((*rates, 10_001)), factor, by=by
        )
    elif kind == 6:
        yield context.build_action("VaultEngine", "set_fee_dynamic", c, context.draw_bool(0.7), by=by)
    else:
        # Itself answers for every type; nobody else does.
        policy = context.policy.address if context.draw_bool(0.7) else context.pick_account()
        yield context.build_action("VaultEngine", "set_risk_policy", policy, by=by)
    if context.draw_bool(0.1):
        yield context.build_action(
            "RiskPolicy",
            "sync_mode",
            context.random.randrange(context.listed + 1),
            by=context.pick_account(),
        )


@register_generator(weight=1)
def exhaust_flow_limit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield two draws of debt that use up a type's flow limit, to the wei or above it."""
    if context.policy is None:
        return
    c, owner = context.draw_type(), context.pick_item(context.people)
    flow = context.policy.flow_of("", c)
    if not flow.cap:
        return
    left = (flow.cap * 10**6 - flow.used) * 10**12
    for _ in range(2):
        drawn = min(
            max(context.draw_near_limit(left), 0), max(context.get_drawable_debt_by_ratio(c, owner), 0)
        )
        yield context.build_action("VaultEngine", "deposit_and_draw", c, owner, 0, drawn, owner, by=owner)
        yield Wait(context.pick_item((0, 1, flow.window // 2)))
