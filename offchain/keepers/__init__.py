"""Keepers: what they see, what they decide. They operate any System and cannot tell model from chain."""

from offchain.keepers.roles import Intent, Keeper, Memory
from offchain.keepers.view import Outside, View

__all__ = ["Intent", "Keeper", "Memory", "Outside", "View"]
