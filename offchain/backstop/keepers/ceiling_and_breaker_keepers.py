"""Keepers of the guards: ceilings, the circuit breaker, a guardian's schedule."""

from __future__ import annotations

from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.model.arithmetic import RAD, RAY, div_up


@register_role("ceilings")
def plan_ceilings_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield adjustments of debt ceilings that automatically follow the debt.

    A ceiling is raised once at most half of its gap (the room kept above the debt) is left. It is lowered
    once it is at least half a gap too high.
    """
    for c in range(len(view.symbols)):
        terms, debt, old = view.get_ceiling_terms(c), view.get_type_debt(c), view.get_terms(c).debt_ceiling
        if terms.max_line == 0:
            continue
        new, half = terms.compute_ceiling(debt), terms.gap * RAD // 2
        may_rise = view.timestamp >= terms.raised_at + terms.ttl
        near = old * RAD - debt <= half
        if (new > old and near and may_rise) or (new < old and (old - new) * RAD >= half):
            yield keeper.build_intent("AutoCeiling", "adjust", c, about=c)


@register_role("breaker")
def plan_breaker_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield a call that raises or lowers the circuit breaker's mode.

    The mode is raised if an active trigger has a higher level. It is lowered if all triggers have a lower
    level and the calm period is over.
    """
    if view.breaker is None:
        return
    mode, calm_from, calm_period = view.breaker
    holding = view.list_active_trigger_levels()
    worst = holding[0][0] if holding else 0
    if worst > mode:
        yield keeper.build_intent("CircuitBreaker", "raise_mode", *holding[0][1:], about=worst)
    elif worst < mode and view.timestamp >= calm_from + calm_period:
        yield keeper.build_intent("CircuitBreaker", "lower_mode", about=mode)


@register_role("guardian")
def plan_guardian_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield the emergency calls of the group's schedule that are due.

    An entry halts a market of the price feed, announces a facilitator's whole debt as lost, or raises the
    mode.
    """
    for i, order in enumerate(keeper.group.schedule):
        if view.outside.clock < order.at or memory.done.keys() & {("force_mode", i), ("set_halted", i)}:
            continue
        if order.halt:
            c = view.symbols.index(order.halt)
            if not view.get_feed_config(c).halted and view.timestamp >= view.get_earliest_guardian_halt_time(
                c
            ):
                yield keeper.build_intent("PriceFeed", "set_halted", c, True, about=i)
        elif order.announce:
            facilitator = view.facilitators_by_name.get(order.announce)
            if facilitator is not None and facilitator.debt and facilitator.announced == 0:
                yield keeper.build_intent(
                    order.announce, "announce_loss", div_up(facilitator.debt, RAY), about=i
                )
        elif view.breaker is not None and view.breaker.mode < order.force_mode:
            yield keeper.build_intent("CircuitBreaker", "force_mode", order.force_mode, about=i)
