"""Current payment limit of a stage: its caps, over any stretch of time as long as an epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.contract_base import declare_record_slot_bit_widths, require
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up, mul_uint256
from backstop.model.listed_types import decode_listed_types
from backstop.model.stage_order import Lineup, Slot, StageOrder

ALL_TYPES = bounds.MAX_TYPES
"""Key of `used` in place of a type where a stage has one cap for all of them."""


@declare_record_slot_bit_widths(32, 112, 112)
class CapUsage(NamedTuple):
    """Payments of a stage in the present epoch and in the previous one [wei]."""

    bucket: int = 0
    now: int = 0
    before: int = 0


@declare_record_slot_bit_widths(188, 8, 40, 1, 1)
class Reservation(NamedTuple):
    """Amount of a type's deficit that a stage has reserved, to pay it or release it later [rad]."""

    amount: int = 0
    place: int = 0  # 1 + the stage's id; it stays
    since: int = 0  # seconds, when it was made
    capped: int = 0  # whether the stage has a cap
    in_place: int = 0  # whether any of it is paid in another's place


class StageCaps(StageOrder):
    """Payment limits and reservations of the loss waterfall's stages (part of contracts/LossWaterfall.vy)."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reservations = self.table("reservations", Reservation())
        self.used = self.table("used", CapUsage())

    def _compute_room(
        self, collateral_type: int, stage_index: int, capacity: int, more: int = 0, settling: bool = False
    ) -> int:
        """Return how much of its capacity a stage may pay now under both caps [rad].

        `more` is an amount that the stage pays besides. The caps hold over any period as long as an epoch,
        since the present and the previous epoch both count. Room under a cap is rounded down to whole wei, so
        that a stage that rounds its payment up stays below the cap.
        """
        terms: Slot = self.stages[stage_index]
        if terms.lifted and settling:
            return capacity
        if not terms.is_capped:
            return capacity
        found = self._load_usage(stage_index, collateral_type)
        used = (found.now + found.before) * RAY + more
        if terms.pooled and terms.asynchronous:
            types = decode_listed_types(self.vault_engine.listed(self.address))
            used += sum(self.reservations[c, terms.stage].amount for c in types)
        cap = int(self.caps_absolute[stage_index])
        if terms.cap_bps != BASIS_POINTS:
            cap = min(cap, mul_uint256(capacity + used, terms.cap_bps) // BASIS_POINTS)
        return min(capacity, max(0, cap - used) // RAY * RAY)

    def _count_payment(self, collateral_type: int, stage_index: int, amount: int) -> None:
        """Add a capped stage's payment [rad] to its usage, rounded up to wei."""
        used = self._load_usage(stage_index, collateral_type)
        key = stage_index, ALL_TYPES if self.stages[stage_index].pooled else collateral_type
        self.used[key] = used._replace(now=used.now + div_up(amount, RAY))

    def _load_usage(self, stage_index: int, collateral_type: int) -> CapUsage:
        """Return a stage's payments in the present epoch and in the previous one [wei]."""
        found: CapUsage = self.used[
            stage_index, ALL_TYPES if self.stages[stage_index].pooled else collateral_type
        ]
        bucket = self.epoch
        if bucket == found.bucket:
            return found
        return CapUsage(bucket, 0, found.now if bucket == found.bucket + 1 else 0)

    def _sum_reservations(self, collateral_type: int) -> int:
        """Return the total that asynchronous stages have reserved of a type's deficit [rad]."""
        lineup: Lineup = self.lineup[()]
        return sum(
            self.reservations[collateral_type, self.stages[k].stage].amount
            for k in lineup.ids
            if lineup.asynchronous >> k & 1
        )

    def _load_reservation_of_stage(self, stage: str, collateral_type: int) -> Reservation:
        """Return a stage's reservation for a type; raise RevertError if the stage never had one."""
        held: Reservation = self.reservations[collateral_type, stage]
        require(held.place != 0, "loss_waterfall: not a stage")
        return held
