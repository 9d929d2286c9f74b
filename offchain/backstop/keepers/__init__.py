"""Keepers: their views of the protocol, and their decisions.

They operate any System and cannot tell model from chain.

Decisions are pure: a view of one block and a keeper's memory in, calls out. A keeper never acts for its own
loss: each call earns `minimum_profit` after gas, except for the public services, which their operators pay
for.

Importing this package registers the roles. A strategy of your own imports `Offer` and `Strategy` from here;
everything else is imported from its module.
"""

from backstop.keepers import all_role_names as all_role_names  # registers them
from backstop.keepers.strategy import Offer, Strategy

__all__ = ["Offer", "Strategy"]
