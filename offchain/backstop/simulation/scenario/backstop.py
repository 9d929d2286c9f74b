"""The section of a scenario about the pool that takes over positions in the margin market."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from backstop.deployment.deployment_parameters import BackstopParameters
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario import units
from backstop.simulation.scenario.document import Field
from backstop.simulation.scenario.schema import PoolMember

_TERMS: dict[str, tuple[Callable[[str], int], int, int]] = {
    "limit": (units.whole_stablecoin, 0, bounds.MAX_GLOBAL_DEBT_CEILING),
    "notice": (units.seconds, bounds.MIN_BATCH_TIME, bounds.MAX_BATCH_TIME),
    "leverage": (units.basis_points, 1, bounds.MAX_LEVERAGE),
    "spread": (units.basis_points, 0, bounds.MAX_BAND),
    "share": (units.basis_points, 1, BASIS_POINTS),
    "quote_time": (units.seconds, bounds.MIN_QUOTE_TIME, bounds.MAX_QUOTE_TIME),
}
"""How each figure is read, and its bounds."""


def backstop_of(field: Field) -> BackstopParameters:
    """Read the pool's limit and rules; whose money it has is read by whoever opens the market."""
    section = field.section((), ("money", "members", *_TERMS))
    found: dict[str, Any] = {name: section[name].between(*_TERMS[name]) for name in _TERMS if name in section}
    return BackstopParameters(**found)


def backstop_money_of(field: Field | None) -> int:
    """Read what the market maker puts into the pool at the opening, wad; 0 without one."""
    entry = _of_pool(field, "money")
    return 0 if entry is None else entry.between(units.stablecoin, 0, 10**27)


def pool_members_of(field: Field | None, duration: int) -> tuple[PoolMember, ...]:
    """Read who puts how much into the pool at the opening, and when each asks to leave."""
    entry = _of_pool(field, "members")
    return () if entry is None else tuple(_member(*each, duration) for each in entry.entries().items())


def _member(name: str, field: Field, duration: int) -> PoolMember:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) is None:
        field.fail(f"{name!r} is not a name: small letters, digits and _")
    section = field.section(("money",), ("asks",))
    asks = section.get("asks")
    return PoolMember(
        name,
        section["money"].between(units.stablecoin, 10**18, 10**27),
        None if asks is None else asks.between(units.clock, 0, duration),
    )


def _of_pool(field: Field | None, name: str) -> Field | None:
    """Return a field of the pool's section, if the margin market has both."""
    pool = None if field is None else field.entries().get("backstop")
    return None if pool is None else pool.entries().get(name)
