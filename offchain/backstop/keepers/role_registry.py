"""The names of the roles. Importing this module registers them all."""

from __future__ import annotations

from backstop.keepers import (
    adl_keeper,
    attacker,
    auction_bidders,
    backstop_pool_keeper,
    guard_keepers,
    liquidation_keepers,
    margin_keepers,
    order_matcher,
    pool_buyer,
    service_keepers,
    settlement_keeper,
    simulated_users,
)
from backstop.keepers.keeper_decisions import HOLDER, REGISTER

MODULES = (
    attacker,
    backstop_pool_keeper,
    auction_bidders,
    adl_keeper,
    margin_keepers,
    guard_keepers,
    liquidation_keepers,
    order_matcher,
    simulated_users,
    pool_buyer,
    service_keepers,
    settlement_keeper,
)
"""The modules that have roles."""

ROLES = tuple(sorted(name for name in REGISTER if name != HOLDER))
"""The roles that a group of keepers may have."""
