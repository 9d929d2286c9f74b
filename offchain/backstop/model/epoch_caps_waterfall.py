"""The naive waterfall: caps count by the calendar, and begin anew with each epoch."""

from __future__ import annotations

from backstop.model.arithmetic import RAY, div_up
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.stage_caps import ALL_TYPES
from backstop.model.stage_order import Slot
from backstop.model.state import external, require


class EpochCapsWaterfall(LossWaterfall):
    """See contracts/naive/EpochCapsWaterfall.vy."""

    KIND = "EpochCapsWaterfall"

    @external
    def cover(self, sender: str, collateral_type: int) -> int:
        """Have a deficit covered, from the first stage on; those that need time are left out."""
        due = self.vault_engine.deficit_at_rest(self.address, collateral_type)
        was_open = self.books[()].open >> collateral_type & 1
        require(due != 0 or was_open, "loss_waterfall: no deficit")
        self._note_recovery(collateral_type, due)
        epoch = self._roll(collateral_type).epoch
        settling = self.books[()].settlement != 0
        total = 0
        for k in self.lineup[()].ids:
            if due == 0:
                break
            terms: Slot = self.stages[k]
            if terms.asynchronous:
                continue
            works, capacity = self._capacity(k, collateral_type)
            amount = min(due, self._room(collateral_type, k, capacity, settling=settling))
            paid = 0
            if amount != 0:
                works, paid, _ = self._absorb(k, collateral_type, amount)
            if not works:
                self.emit("StageFailed", collateral_type, epoch, k)
            if paid != 0:
                self._book(collateral_type, epoch, k, paid)
                if terms.is_capped:
                    self._use(collateral_type, k, paid)
            due -= min(due, paid)
            total += paid
        return total

    def _use(self, collateral_type: int, k: int, amount: int) -> None:
        """Count what a stage with a cap has paid in this epoch where the next one drops it."""
        used = self._used(k, collateral_type)
        key = k, ALL_TYPES if self.stages[k].pooled else collateral_type
        self.used[key] = used._replace(before=used.before + div_up(amount, RAY))
