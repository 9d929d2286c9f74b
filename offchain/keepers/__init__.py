"""Keepers: what they see, what they decide. They operate any System and cannot tell model from chain."""

from offchain.keepers.roles import SPENDERS, Intent, Keeper, Memory, approvals, has_occasion
from offchain.keepers.vaults import Vaults
from offchain.keepers.view import Outside, View

__all__ = ["SPENDERS", "Intent", "Keeper", "Memory", "Outside", "Vaults", "View", "approvals", "has_occasion"]
