"""Keepers: what they see, what they decide. They operate any System and cannot tell model from chain.

Decisions are pure: a view of one block and a keeper's memory in, calls out. A keeper never acts for its own
loss: whatever it sends earns `minimum_profit` after gas, but for the public services, which their operators
pay for.

Importing this package registers the roles. A strategy of your own imports `Offer` and `Strategy` from here;
everything else is imported from its module.
"""

from backstop.keepers import all_role_names as all_role_names  # registers them
from backstop.keepers.strategy import Offer, Strategy

__all__ = ["Offer", "Strategy"]
