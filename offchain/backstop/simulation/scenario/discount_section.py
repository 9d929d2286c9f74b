"""The section `discount` of a collateral type: its unsafe vaults are sold at a fixed discount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.deployment.parameter_dataclasses import DiscountParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.yaml_document_reader import Field, Section

# What says how large the bonus is, and what goes with it; then the same of how much is sold.
_BONUSES = {
    "base_bonus": ("max_bonus", "full_bonus_health"),
    "max_discount": (),
    "cursor": ("max_bonus",),
}
_AMOUNTS = {"target_health": (), "close_factor": ("whole_close_health", "small_position")}

_LIMITS = {
    "base_bonus": (0, bounds.MAX_LIQUIDATION_BONUS),
    "max_bonus": (0, bounds.MAX_LIQUIDATION_BONUS),
    "full_bonus_health": (0, BASIS_POINTS - 1),
    "max_discount": (1, bounds.MAX_LIQUIDATION_BONUS),
    "cursor": (1, BASIS_POINTS - 1),
    "target_health": (BASIS_POINTS + 1, bounds.MAX_TARGET_HEALTH),
    "close_factor": (bounds.MIN_CLOSE_FACTOR, BASIS_POINTS),
    "whole_close_health": (0, BASIS_POINTS),
    "fee": (0, BASIS_POINTS),
}


def read_discount(field: Field) -> DiscountParameters:
    """Read the terms of sales of unsafe vaults at a fixed discount.

    The section must define exactly one kind of bonus and one kind of amount.
    """
    section = field.read_section((), (*_LIMITS, "small_position"))
    bonus = _require_one_kind(field, section, _BONUSES)
    amount = _require_one_kind(field, section, _AMOUNTS)
    if bonus == "cursor" and "max_bonus" not in section:
        field.raise_error("'max_bonus' is missing: a cursor needs it")
    # A field that the file leaves out is off.
    found: dict[str, Any] = dict.fromkeys((*_LIMITS, "small_position"), 0)
    for name, limits in _LIMITS.items():
        if name in section:
            found[name] = section[name].read_bounded(quantity_units.read_basis_points, *limits)
    if bonus == "base_bonus":
        if "max_bonus" not in section:
            found["max_bonus"] = found["base_bonus"]
        elif found["max_bonus"] < found["base_bonus"]:
            section["max_bonus"].raise_error("is under the base_bonus")
    if amount == "close_factor" and "small_position" in section:
        found["small_position"] = section["small_position"].read_bounded(
            quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_SMALL_POSITION
        )
    return DiscountParameters(**found)


def _require_one_kind(field: Field, section: Section, kinds: dict[str, tuple[str, ...]]) -> str:
    """Return the only kind that a section defines.

    Raises BackstopError if there is none or several, or a field of another kind.
    """
    given = [name for name in kinds if name in section]
    if len(given) != 1:
        but = f", and has {' and '.join(given)}" if given else ""
        field.raise_error(f"needs one of {', '.join(kinds)}{but}")
    own: Sequence[str] = kinds[given[0]]
    for name in dict.fromkeys(name for each in kinds.values() for name in each):
        if name in section and name not in own:
            section[name].raise_error(f"does not go with {given[0]}")
    return given[0]
