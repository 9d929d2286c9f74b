"""When a price has fallen so far that vaults have to be looked at before members of pools are paid.

A price falls by FALL or more in one step or in many: the drop is measured from the highest price since its
last fall.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.contract_base import World, declare_record_slot_bit_widths
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.bounds import FALL, LOOK, MAX_LOOK
from backstop.model.roles import Administered

# What `fallen` is a part of.
WHOLE = 2**20


@declare_record_slot_bit_widths(32, 32)
class PriceDropState(NamedTuple):
    """Times of the last large price drop and of the first in a row of drops [seconds]."""

    last: int = 0
    began: int = 0  # the first of those between which there never was time

    @property
    def withdrawals_paused_until(self) -> int:
        """Time until which pools pay no withdrawals [seconds].

        The pause lasts a fixed time after the last drop. Drops in a row extend it to at most one day after
        the first.
        """
        return min(self.last + LOOK, self.began + MAX_LOOK)


class PriceDrops(Administered):
    """Record of large price drops (model of contracts/modules/price_drops.vy)."""

    def __init__(self, world: World, name: str, address: str, admin: str, *others: Any) -> None:
        super().__init__(world, name, address, admin, *others)
        self.falls = self.table("price_drops.times", PriceDropState())

    def _update_fall_from_highest(self, fallen: int, before: int, now: int) -> int:
        """Return how far a price is below its peak since the last large drop [1 / WHOLE], rounded up.

        The price was `fallen` below its peak and moves from `before` to `now` [ray]. A large drop is
        recorded, and returns 0: the new price is the new peak.
        """
        left = min((WHOLE - fallen) * now // before, WHOLE)
        if left * BASIS_POINTS > WHOLE * (BASIS_POINTS - FALL):
            return WHOLE - left
        times: PriceDropState = self.falls[()]
        at = self.world.timestamp
        began = at if at > times.last + 2 * LOOK else times.began
        self.falls[()] = PriceDropState(at, began)
        return 0
