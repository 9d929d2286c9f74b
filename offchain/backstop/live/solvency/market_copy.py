"""A copy of the margin market in which accounts are updated, and which reads from the original.

Writes stay in the copy, so that an audit notes, and a verification holds, each slot that is read.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

from backstop.contract_base import Table
from backstop.model.perpetual_market import PerpetualMarket


class _OverlayTable(Table):
    """Storage table that keeps its own writes, and reads all other keys from an underlying table."""

    __slots__ = ("under",)

    def __init__(self, under: Table) -> None:
        super().__init__([], under.contract, under.path, under.default)
        self.under = under

    def __missing__(self, key: Hashable) -> Any:
        return self.under[key]


def copy_market_with_overlay_tables(market: PerpetualMarket) -> PerpetualMarket:
    """Return a copy of a perpetual market: it reads the market's storage and never writes to it."""
    found = copy.copy(market)
    found.world = copy.copy(market.world)
    found.world.journal, found.world.logs = [], []
    for name, value in vars(market).items():
        if isinstance(value, Table):
            setattr(found, name, _OverlayTable(value))
    return found


def advance_copied_account_to_now(copied_market: PerpetualMarket, owner: str) -> None:
    """Settle an account of a copied market for all cycles (settlement periods) that it has missed.

    The copy must come from `copy_market_with_overlay_tables`.
    """
    clock = copied_market.clocks[()]
    account = copied_market.accounts[owner]
    while account.cycle != clock.cycle or account.markets & clock.ended:
        copied_market._settle_missed_cycles(owner)
        after = copied_market.accounts[owner]
        if after == account:
            return
        account = after
