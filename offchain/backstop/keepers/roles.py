"""The names of the roles. Importing this module registers them all."""

from __future__ import annotations

from backstop.keepers import (
    attacker,
    backstop_pool,
    buyers,
    closing,
    cycles,
    guards,
    liquidation,
    matching,
    people,
    pool_buyer,
    services,
    settling,
)
from backstop.keepers.keeper import HOLDER, REGISTER

MODULES = (
    attacker,
    backstop_pool,
    buyers,
    closing,
    cycles,
    guards,
    liquidation,
    matching,
    people,
    pool_buyer,
    services,
    settling,
)
"""The modules that have roles."""

ROLES = tuple(sorted(name for name in REGISTER if name != HOLDER))
"""The roles that a group of keepers may have."""
