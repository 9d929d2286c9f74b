"""The guards in the section `parameters`: policies of types, limits of flows, guards of all types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.deployment_parameters import (
    AutoCeilingParameters,
    BreakerParameters,
    GuardsParameters,
    PolicyParameters,
    WorkoutParameters,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import units
from backstop.simulation.scenario.document import Field
from backstop.simulation.scenario.margin import brackets_of


def policy_of(field: Field, ratio: int, initial: int) -> PolicyParameters:
    """Read what new risk of a type has to meet; calls lie between its two ratios."""
    section = field.section((), ("of_vaults", "of_type", "flow", "growth", "fee", "calls"))
    found: dict[str, Any] = {}
    for name in ("of_vaults", "of_type"):
        if name in section:
            found[name] = brackets_of(section[name], bounds.MAX_ADD_ON)
    if "flow" in section:
        found |= flow_of(section["flow"])
    if "growth" in section:
        growth = section["growth"].section(("anchor", "rate"))
        found["growth_anchor"] = growth["anchor"].between(units.price, 1, bounds.MAX_PRICE)
        found["growth"] = growth["rate"].between(units.yearly_basis_points, 0, bounds.MAX_GROWTH)
    if "fee" in section:
        found |= _fee_curve(section["fee"])
    if "calls" in section:
        calls = section["calls"].section(("ratio",), ("grace", "valid"))
        found["call_ratio"] = calls["ratio"].between(units.basis_points, ratio, initial)
        for name in ("grace", "valid"):
            if name in calls:
                found[f"call_{name}"] = calls[name].between(
                    units.seconds, bounds.MIN_CALL_TIME, bounds.MAX_CALL_TIME
                )
    return PolicyParameters(**found)


def _fee_curve(field: Field) -> dict[str, Any]:
    """Read the fee at three points, as the file has it; the protocol keeps slopes."""
    section = field.section(("idle", "at_kink", "full", "kink", "line"), ("speed",))
    idle = section["idle"].between(units.yearly_basis_points, 0, 2**14 - 1)
    at_kink = section["at_kink"].between(units.yearly_basis_points, idle, idle + 2**14 - 1)
    full = section["full"].between(units.yearly_basis_points, at_kink, bounds.MAX_CURVE)
    kink = section["kink"].between(units.basis_points, 1, BASIS_POINTS - 1)
    speed = section.get("speed")
    return {
        "curve": (idle, at_kink - idle, full - at_kink, kink),
        "line": section["line"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
        "speed": 0 if speed is None else speed.between(units.count, 0, bounds.MAX_FEE_SPEED),
    }


def guards_of(field: Field, symbols: tuple[str, ...]) -> GuardsParameters:
    """Read the section `guards`: automatic ceilings, the breaker, workouts, and what the modes change."""
    section = field.section((), ("ceilings", "breaker", "workouts", "caution_margin", "emergency_factor"))
    found: dict[str, Any] = {}
    if "ceilings" in section:
        found["ceilings"] = _ceilings(section["ceilings"], symbols)
    if "breaker" in section:
        found["breaker"] = _breaker(section["breaker"])
    if "workouts" in section:
        if "breaker" not in section:
            section["workouts"].fail("workouts need a `breaker`: vaults enter in caution")
        found["workouts"] = _workouts(section["workouts"], symbols)
    if "caution_margin" in section:
        found["caution_margin"] = section["caution_margin"].between(units.basis_points, 0, bounds.MAX_ADD_ON)
    if "emergency_factor" in section:
        found["emergency_factor"] = section["emergency_factor"].between(
            units.basis_points, bounds.MIN_LIMITS_FACTOR, bounds.MAX_LIMITS_FACTOR
        )
    return GuardsParameters(**found)


def flow_of(field: Field) -> dict[str, Any]:
    """Read a limit of outflows: so much in a window."""
    section = field.section(("cap", "window"))
    return {
        "flow_cap": section["cap"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
        "flow_window": section["window"].between(
            units.seconds, bounds.MIN_FLOW_WINDOW, bounds.MAX_FLOW_WINDOW
        ),
    }


def _ceilings(field: Field, symbols: tuple[str, ...]) -> tuple[AutoCeilingParameters, ...]:
    """Read automatic ceilings, by type up to the last that is named; a highest line of 0 is none."""
    alone = AutoCeilingParameters(gap=1, max_line=0, ttl=bounds.MIN_CEILING_TTL)
    found = [alone] * len(symbols)
    for symbol, entry in field.entries().items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.section(("gap", "max_line", "ttl"))
        found[symbols.index(symbol)] = AutoCeilingParameters(
            gap=section["gap"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
            max_line=section["max_line"].between(units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
            ttl=section["ttl"].between(units.seconds, bounds.MIN_CEILING_TTL, bounds.MAX_CEILING_TTL),
        )
    while found and found[-1] == alone:
        found.pop()
    return tuple(found)


def _workouts(field: Field, symbols: tuple[str, ...]) -> tuple[WorkoutParameters, ...]:
    """Read terms of workouts, by type up to the last that is named; a cap of 0 leaves a type without."""
    none = WorkoutParameters()
    found = [none] * len(symbols)
    readers: dict[str, tuple[Callable[[str], int], int, int]] = {
        "discount": (units.basis_points, 0, bounds.MAX_WORKOUT_DISCOUNT),
        "ratio": (units.basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO),
        "premium": (units.basis_points, 0, bounds.MAX_PREMIUM),
        "instalments": (units.count, 1, bounds.MAX_INSTALMENTS),
        "interval": (units.seconds, bounds.MIN_INTERVAL, bounds.MAX_INTERVAL),
        "period": (units.seconds, 0, bounds.MAX_WORKOUT_PERIOD),
        "cap": (units.whole_stablecoin, 1, bounds.MAX_DEBT_CEILING),
    }
    for symbol, entry in field.entries().items():
        if symbol not in symbols:
            entry.fail(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.section(("cap",), tuple(name for name in readers if name != "cap"))
        given = {name: section[name].between(*readers[name]) for name in readers if name in section}
        terms = WorkoutParameters(**given)
        highest = BASIS_POINTS * BASIS_POINTS // (BASIS_POINTS - terms.discount)
        if terms.ratio > highest:
            entry.fail(f"the ratio is above what entry asks for, {highest} basis points")
        found[symbols.index(symbol)] = terms
    while found and found[-1] == none:
        found.pop()
    return tuple(found)


def _breaker(field: Field) -> BreakerParameters:
    """Read the breaker: a trigger that is not named is off, and so is a level of it that is not."""
    triggers: dict[str, tuple[Callable[[str], int], int]] = {
        "losses": (units.whole_stablecoin, bounds.MAX_GLOBAL_DEBT_CEILING),
        "fall": (units.basis_points, BASIS_POINTS),
        "silence": (units.seconds, bounds.MAX_SILENCE),
        "auctions": (units.basis_points, BASIS_POINTS),
    }
    section = field.section(("calm_period",), tuple(triggers))
    found = {}
    for name, (reader, most) in triggers.items():
        caution = emergency = 0
        if name in section:
            levels = section[name].section((), ("caution", "emergency"))
            if "caution" in levels:
                caution = levels["caution"].between(reader, 1, most)
            if "emergency" in levels:
                emergency = levels["emergency"].between(reader, max(1, caution), most)
        found[name] = (caution, emergency)
    calm = section["calm_period"].between(units.seconds, bounds.MIN_CALM_PERIOD, bounds.MAX_CALM_PERIOD)
    return BreakerParameters(calm_period=calm, **found)
