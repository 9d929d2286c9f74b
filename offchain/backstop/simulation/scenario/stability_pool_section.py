"""The section `stability_pool` of a collateral type: members' stablecoin repays its unsafe vaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.deployment.parameter_dataclasses import StabilityPoolParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.product_sum import MAX_COINS
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.scenario_records import DAY, StabilityPoolMember
from backstop.simulation.scenario.yaml_document_reader import Field

AUCTION, WRITE_OFF = "auction", "write-off"
"""The choices for debt that a pool's coins do not cover."""

MOST_ENTRY_DELAYS = 2
"""A deposit takes part after at most so many entry delays."""

_OF_MEMBERS = ("members", "debt_share", "leaves_at")
_LIMITS = {
    "penalty": (quantity_units.read_basis_points, 0, bounds.MAX_LIQUIDATION_BONUS),
    "reward": (quantity_units.read_basis_points, 0, BASIS_POINTS),
    "entry_delay": (quantity_units.read_seconds, bounds.MIN_COOLDOWN, bounds.MAX_COOLDOWN),
    "cooldown": (quantity_units.read_seconds, 0, bounds.MAX_COOLDOWN),
    "vesting": (quantity_units.read_seconds, bounds.MIN_VESTING, bounds.MAX_VESTING),
    "income_share": (quantity_units.read_basis_points, 0, BASIS_POINTS),
}


def read_stability_pool(field: Field) -> StabilityPoolParameters:
    """Read the terms of a collateral type's stability pool; fields left out get their default.

    Raises BackstopError if members would receive collateral worth less than the debt that they repay.
    """
    section = field.read_section((), (*_LIMITS, "remainder", *_OF_MEMBERS))
    found: dict[str, Any] = {
        name: section[name].read_bounded(*limits) for name, limits in _LIMITS.items() if name in section
    }
    if "remainder" in section:
        found["has_write_off"] = section["remainder"].read_choice((AUCTION, WRITE_OFF)) == WRITE_OFF
    terms = StabilityPoolParameters(**found)
    worth = (BASIS_POINTS + terms.penalty) * (BASIS_POINTS - terms.reward)
    if worth < BASIS_POINTS**2:
        most = BASIS_POINTS - -(-(BASIS_POINTS**2) // (BASIS_POINTS + terms.penalty))
        place = section["reward"] if "reward" in section else section["penalty"]
        place.raise_error(
            f"leaves members less than the debt that they repay: set the reward to {most} bps or less, or a "
            "larger penalty"
        )
    return terms


def read_stability_pool_members(
    parameters: Field,
    terms: Mapping[str, StabilityPoolParameters | None],
    opened_before: int,
    duration: int,
) -> tuple[StabilityPoolMember, ...]:
    """Read the members of each stability pool: opening deposits and times of withdrawal.

    The opening is `opened_before` seconds before the start. Raises BackstopError if deposits would not take
    part by the start.
    """
    found: list[StabilityPoolMember] = []
    types = parameters.read_mapping_entries()["collateral_types"].read_mapping_entries()
    for symbol, pool in terms.items():
        if pool is None:
            continue
        field = types[symbol].read_mapping_entries()["stability_pool"]
        section = field.read_section((), (*_LIMITS, "remainder", *_OF_MEMBERS))
        leaves_at = (
            section["leaves_at"].read_bounded(quantity_units.read_multiday_clock, 0, duration)
            if "leaves_at" in section
            else None
        )
        members = section["members"].read_mapping_entries() if "members" in section else {}
        own = [
            StabilityPoolMember(
                symbol,
                name,
                amount=entry.read_bounded(quantity_units.read_stablecoin, WAD, MAX_COINS),
                leaves_at=leaves_at,
            )
            for name, entry in members.items()
        ]
        if "debt_share" in section:
            share = section["debt_share"].read_bounded(quantity_units.read_basis_points, 1, BASIS_POINTS)
            name = f"depositors of {symbol}"
            own.append(StabilityPoolMember(symbol, name, debt_share=share, leaves_at=leaves_at))
        most = (opened_before - DAY) // MOST_ENTRY_DELAYS
        # Without the field it is an hour, and a book is opened two days before the start at least.
        if own and pool.entry_delay > most:
            section["entry_delay"].raise_error(
                f"{pool.entry_delay} s are too long for deposits at the opening, which take part after up to "
                f"twice that: set {most} s or less, or a longer `opened_before`"
            )
        found += own
    return tuple(found)
