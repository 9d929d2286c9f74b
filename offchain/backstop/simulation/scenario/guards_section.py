"""The guards in the section `parameters`: policies of types, limits of flows, guards of all types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.parameter_dataclasses import (
    AutoCeilingParameters,
    BreakerParameters,
    GuardsParameters,
    PolicyParameters,
    WorkoutParameters,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.margin_sections import read_margin_brackets
from backstop.simulation.scenario.yaml_document_reader import Field


def read_policy(field: Field, ratio: int, initial: int) -> PolicyParameters:
    """Read the risk policy of a collateral type: margin by size, flow limit, growth cap, fee, calls.

    The call ratio must lie between the liquidation ratio `ratio` and the initial ratio `initial`.
    """
    section = field.read_section((), ("of_vaults", "of_type", "flow", "growth", "fee", "calls"))
    found: dict[str, Any] = {}
    for name in ("of_vaults", "of_type"):
        if name in section:
            found[name] = read_margin_brackets(section[name], bounds.MAX_ADD_ON)
    if "flow" in section:
        found |= read_flow_limit(section["flow"])
    if "growth" in section:
        growth = section["growth"].read_section(("anchor", "rate"))
        found["growth_anchor"] = growth["anchor"].read_bounded(
            quantity_units.read_price_as_ray, 1, bounds.MAX_PRICE
        )
        found["growth"] = growth["rate"].read_bounded(
            quantity_units.read_basis_points_per_year, 0, bounds.MAX_GROWTH
        )
    if "fee" in section:
        found |= _read_fee_curve(section["fee"])
    if "calls" in section:
        calls = section["calls"].read_section(("ratio",), ("grace", "valid"))
        found["call_ratio"] = calls["ratio"].read_bounded(quantity_units.read_basis_points, ratio, initial)
        for name in ("grace", "valid"):
            if name in calls:
                found[f"call_{name}"] = calls[name].read_bounded(
                    quantity_units.read_seconds, bounds.MIN_CALL_TIME, bounds.MAX_CALL_TIME
                )
    return PolicyParameters(**found)


def _read_fee_curve(field: Field) -> dict[str, Any]:
    """Read a stability fee curve given at three points, and convert it to the protocol's slopes."""
    section = field.read_section(("idle", "at_kink", "full", "kink", "line"), ("speed",))
    idle = section["idle"].read_bounded(quantity_units.read_basis_points_per_year, 0, 2**14 - 1)
    at_kink = section["at_kink"].read_bounded(
        quantity_units.read_basis_points_per_year, idle, idle + 2**14 - 1
    )
    full = section["full"].read_bounded(quantity_units.read_basis_points_per_year, at_kink, bounds.MAX_CURVE)
    kink = section["kink"].read_bounded(quantity_units.read_basis_points, 1, BASIS_POINTS - 1)
    speed = section.get("speed")
    return {
        "curve": (idle, at_kink - idle, full - at_kink, kink),
        "line": section["line"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 1, bounds.MAX_DEBT_CEILING
        ),
        "speed": 0
        if speed is None
        else speed.read_bounded(quantity_units.read_whole_number, 0, bounds.MAX_FEE_SPEED),
    }


def read_guards(field: Field, symbols: tuple[str, ...]) -> GuardsParameters:
    """Read the section `guards`: automatic ceilings, breaker, workouts, and effects of risk modes."""
    section = field.read_section(
        (), ("ceilings", "breaker", "workouts", "caution_margin", "emergency_factor")
    )
    found: dict[str, Any] = {}
    if "ceilings" in section:
        found["ceilings"] = _read_automatic_ceilings(section["ceilings"], symbols)
    if "breaker" in section:
        found["breaker"] = _read_breaker(section["breaker"])
    if "workouts" in section:
        if "breaker" not in section:
            section["workouts"].raise_error("workouts need a `breaker`: vaults enter in caution")
        found["workouts"] = _read_workout_terms(section["workouts"], symbols)
    if "caution_margin" in section:
        found["caution_margin"] = section["caution_margin"].read_bounded(
            quantity_units.read_basis_points, 0, bounds.MAX_ADD_ON
        )
    if "emergency_factor" in section:
        found["emergency_factor"] = section["emergency_factor"].read_bounded(
            quantity_units.read_basis_points, bounds.MIN_LIMITS_FACTOR, bounds.MAX_LIMITS_FACTOR
        )
    return GuardsParameters(**found)


def read_flow_limit(field: Field) -> dict[str, Any]:
    """Read a limit on outflows: the amount that may flow out within a time window."""
    section = field.read_section(("cap", "window"))
    return {
        "flow_cap": section["cap"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 1, bounds.MAX_DEBT_CEILING
        ),
        "flow_window": section["window"].read_bounded(
            quantity_units.read_seconds, bounds.MIN_FLOW_WINDOW, bounds.MAX_FLOW_WINDOW
        ),
    }


def _read_automatic_ceilings(field: Field, symbols: tuple[str, ...]) -> tuple[AutoCeilingParameters, ...]:
    """Read automatic debt ceilings by collateral type, up to the last type that is named.

    A `max_line` of 0 means that a type has no automatic ceiling.
    """
    alone = AutoCeilingParameters(gap=1, max_line=0, ttl=bounds.MIN_CEILING_TTL)
    found = [alone] * len(symbols)
    for symbol, entry in field.read_mapping_entries().items():
        if symbol not in symbols:
            entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.read_section(("gap", "max_line", "ttl"))
        found[symbols.index(symbol)] = AutoCeilingParameters(
            gap=section["gap"].read_bounded(
                quantity_units.read_whole_stablecoin_count, 1, bounds.MAX_DEBT_CEILING
            ),
            max_line=section["max_line"].read_bounded(
                quantity_units.read_whole_stablecoin_count, 1, bounds.MAX_DEBT_CEILING
            ),
            ttl=section["ttl"].read_bounded(
                quantity_units.read_seconds, bounds.MIN_CEILING_TTL, bounds.MAX_CEILING_TTL
            ),
        )
    while found and found[-1] == alone:
        found.pop()
    return tuple(found)


def _read_workout_terms(field: Field, symbols: tuple[str, ...]) -> tuple[WorkoutParameters, ...]:
    """Read the terms of workouts by collateral type, up to the last type that is named.

    A cap of 0 means that a type has no workouts.
    """
    none = WorkoutParameters()
    found = [none] * len(symbols)
    readers: dict[str, tuple[Callable[[str], int], int, int]] = {
        "discount": (quantity_units.read_basis_points, 0, bounds.MAX_WORKOUT_DISCOUNT),
        "ratio": (quantity_units.read_basis_points, bounds.MIN_RATIO, bounds.MAX_RATIO),
        "premium": (quantity_units.read_basis_points, 0, bounds.MAX_PREMIUM),
        "instalments": (quantity_units.read_whole_number, 1, bounds.MAX_INSTALMENTS),
        "interval": (quantity_units.read_seconds, bounds.MIN_INTERVAL, bounds.MAX_INTERVAL),
        "period": (quantity_units.read_seconds, 0, bounds.MAX_WORKOUT_PERIOD),
        "cap": (quantity_units.read_whole_stablecoin_count, 1, bounds.MAX_DEBT_CEILING),
    }
    for symbol, entry in field.read_mapping_entries().items():
        if symbol not in symbols:
            entry.raise_error(f"{symbol!r} is not one of: {', '.join(symbols)}")
        section = entry.read_section(("cap",), tuple(name for name in readers if name != "cap"))
        given = {name: section[name].read_bounded(*readers[name]) for name in readers if name in section}
        terms = WorkoutParameters(**given)
        highest = BASIS_POINTS * BASIS_POINTS // (BASIS_POINTS - terms.discount)
        if terms.ratio > highest:
            entry.raise_error(f"the ratio is above what entry asks for, {highest} basis points")
        found[symbols.index(symbol)] = terms
    while found and found[-1] == none:
        found.pop()
    return tuple(found)


def _read_breaker(field: Field) -> BreakerParameters:
    """Read the circuit breaker's triggers; a trigger or level that is left out is off."""
    triggers: dict[str, tuple[Callable[[str], int], int]] = {
        "losses": (quantity_units.read_whole_stablecoin_count, bounds.MAX_GLOBAL_DEBT_CEILING),
        "fall": (quantity_units.read_basis_points, BASIS_POINTS),
        "silence": (quantity_units.read_seconds, bounds.MAX_SILENCE),
        "auctions": (quantity_units.read_basis_points, BASIS_POINTS),
    }
    section = field.read_section(("calm_period",), tuple(triggers))
    found = {}
    for name, (reader, most) in triggers.items():
        caution = emergency = 0
        if name in section:
            levels = section[name].read_section((), ("caution", "emergency"))
            if "caution" in levels:
                caution = levels["caution"].read_bounded(reader, 1, most)
            if "emergency" in levels:
                emergency = levels["emergency"].read_bounded(reader, max(1, caution), most)
        found[name] = (caution, emergency)
    calm = section["calm_period"].read_bounded(
        quantity_units.read_seconds, bounds.MIN_CALM_PERIOD, bounds.MAX_CALM_PERIOD
    )
    return BreakerParameters(calm_period=calm, **found)
