"""The names of the roles. Importing this module registers them all."""

from __future__ import annotations

from backstop.keepers import (
    adl_keeper,
    auction_bidders,
    ceiling_and_breaker_keepers,
    margin_keepers,
    order_matcher,
    perpetual_vault_keeper,
    pool_quote_filler,
    scripted_attacker,
    service_keepers,
    settlement_keeper,
    simulated_users,
    vault_margin_call_and_liquidation_keepers,
)
from backstop.keepers.keeper_role_register import HOLDER, REGISTER

MODULES = (
    scripted_attacker,
    perpetual_vault_keeper,
    auction_bidders,
    adl_keeper,
    margin_keepers,
    ceiling_and_breaker_keepers,
    vault_margin_call_and_liquidation_keepers,
    order_matcher,
    simulated_users,
    pool_quote_filler,
    service_keepers,
    settlement_keeper,
)
"""The modules that have roles."""

ROLES = tuple(sorted(name for name in REGISTER if name != HOLDER))
"""The roles that a group of keepers may have."""
