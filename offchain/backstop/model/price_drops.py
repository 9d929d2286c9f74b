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
    """Falls of any price, by FALL or more; times in seconds."""

    last: int = 0
    began: int = 0  # the first of those between which there never was time

    @property
    def withdrawals_paused_until(self) -> int:
        """Until when payments wait: for a while, and for falls in a row for a day in all."""
        return min(self.last + LOOK, self.began + MAX_LOOK)


class PriceDrops(Administered):
    """Falls of prices. See contracts/modules/price_drops.vy."""

    def __init__(self, world: World, name: str, address: str, admin: str, *others: Any) -> None:
        super().__init__(world, name, address, admin, *others)
        self.falls = self.table("price_drops.times", PriceDropState())

    def _update_fall_from_highest(self, fallen: int, before: int, now: int) -> int:
        """Return how far a price is under its highest since its last fall, in 1 / WHOLE, rounded up.

        It was `fallen`, and goes from one to another [ray]. A fall is noted, and counting begins again.
        """
        left = min((WHOLE - fallen) * now // before, WHOLE)
        if left * BASIS_POINTS > WHOLE * (BASIS_POINTS - FALL):
            return WHOLE - left
        times: PriceDropState = self.falls[()]
        at = self.world.timestamp
        began = at if at > times.last + 2 * LOOK else times.began
        self.falls[()] = PriceDropState(at, began)
        return 0
