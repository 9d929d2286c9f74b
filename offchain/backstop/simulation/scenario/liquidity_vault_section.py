"""The section of a scenario about the pool that takes over positions in the margin market."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backstop.deployment.parameter_dataclasses import BackstopParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.scenario_records import PoolMember
from backstop.simulation.scenario.yaml_document_reader import Field

_TERMS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "limit": (quantity_units.read_whole_stablecoin_count, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
    "notice": (quantity_units.read_seconds, bounds.MIN_BATCH_TIME, bounds.MAX_BATCH_TIME),
    "leverage": (quantity_units.read_basis_points, 1, bounds.MAX_LEVERAGE),
    "spread": (quantity_units.read_basis_points, 0, bounds.MAX_BAND),
    "share": (quantity_units.read_basis_points, 1, BASIS_POINTS),
    "quote_time": (quantity_units.read_seconds, bounds.MIN_QUOTE_TIME, bounds.MAX_QUOTE_TIME),
}
"""How each figure is read, and its bounds."""


def read_backstop_pool(field: Field) -> BackstopParameters:
    """Read the terms of the backstop pool, which takes over positions of the margin market.

    Its deposits are read when the market is opened.
    """
    section = field.read_section((), ("money", "members", *_TERMS))
    found: dict[str, Any] = {
        name: section[name].read_bounded(*_TERMS[name]) for name in _TERMS if name in section
    }
    return BackstopParameters(**found)


def read_pool_market_maker_deposit(field: Field | None) -> int:
    """Read the market maker's deposit into the backstop pool at the opening [wad]; 0 if none is given."""
    entry = _get_pool_field(field, "money")
    return 0 if entry is None else entry.read_bounded(quantity_units.read_stablecoin, 0, 10**27)


def read_pool_members(field: Field | None, duration: int) -> tuple[PoolMember, ...]:
    """Read the backstop pool's members: their opening deposits and times of withdrawal requests."""
    entry = _get_pool_field(field, "members")
    return (
        ()
        if entry is None
        else tuple(_read_member(*each, duration) for each in entry.read_mapping_entries().items())
    )


def _read_member(name: str, field: Field, duration: int) -> PoolMember:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) is None:
        field.raise_error(f"{name!r} is not a name: small letters, digits and _")
    section = field.read_section(("money",), ("asks",))
    asks = section.get("asks")
    return PoolMember(
        name,
        section["money"].read_bounded(quantity_units.read_stablecoin, 10**18, 10**27),
        None if asks is None else asks.read_bounded(quantity_units.read_multiday_clock, 0, duration),
    )


def _get_pool_field(field: Field | None, name: str) -> Field | None:
    """Return a field of the backstop pool's section; None if the field or the section is missing."""
    pool = None if field is None else field.read_mapping_entries().get("backstop")
    return None if pool is None else pool.read_mapping_entries().get(name)
