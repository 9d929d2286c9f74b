"""Keepers: what they see, what they decide. They operate any System and cannot tell model from chain."""

from offchain.keepers.roles import SPENDERS, Intent, Keeper, Memory, approvals
from offchain.keepers.strategy import AtMarket, Guarded, Offer, Strategy, load_strategy, strategy_of
from offchain.keepers.view import Outside, View

__all__ = [
    "SPENDERS",
    "AtMarket",
    "Guarded",
    "Intent",
    "Keeper",
    "Memory",
    "Offer",
    "Outside",
    "Strategy",
    "View",
    "approvals",
    "load_strategy",
    "strategy_of",
]
