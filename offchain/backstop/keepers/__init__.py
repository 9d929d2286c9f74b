"""Keepers: what they see, what they decide. They operate any System and cannot tell model from chain."""

from backstop.keepers.margin_view import MarginView
from backstop.keepers.orders import OrderFile, orders_of
from backstop.keepers.roles import SPENDERS, Intent, Keeper, Memory, approvals, has_occasion
from backstop.keepers.strategy import AtMarket, Guarded, Offer, Strategy, load_strategy, strategy_of
from backstop.keepers.vaults import Vaults
from backstop.keepers.view import Finder, Outside, View

__all__ = [
    "SPENDERS",
    "AtMarket",
    "Finder",
    "Guarded",
    "Intent",
    "Keeper",
    "MarginView",
    "Memory",
    "Offer",
    "OrderFile",
    "Outside",
    "Strategy",
    "Vaults",
    "View",
    "approvals",
    "has_occasion",
    "load_strategy",
    "orders_of",
    "strategy_of",
]
