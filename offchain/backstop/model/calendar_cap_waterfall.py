"""The naive waterfall: caps count by the calendar, and begin anew with each epoch."""

from __future__ import annotations

from backstop.contract_base import external, require
from backstop.model.arithmetic import RAY, div_up
from backstop.model.loss_waterfall import LossWaterfall
from backstop.model.stage_caps import ALL_TYPES
from backstop.model.stage_order import Slot


class CalendarCapWaterfall(LossWaterfall):
    """Simple loss waterfall whose caps start anew in each calendar epoch, for comparison studies.

    Model of contracts/naive/CalendarCapWaterfall.vy.
    """

    KIND = "CalendarCapWaterfall"

    @external
    def cover(self, sender: str, collateral_type: int) -> int:
        """Charge a deficit to the stages in their order, and return the amount covered [rad].

        A stage is one source of funds of the waterfall. Stages that pay by an auction are skipped. Reverts if
        the type has no deficit.
        """
        due = self.vault_engine.deficit_when_idle(self.address, collateral_type)
        was_open = self.books[()].open >> collateral_type & 1
        require(due != 0 or was_open, "loss_waterfall: no deficit")
        self._note_recovery(collateral_type, due)
        epoch = self._carry_unresolved_loss_into_epoch(collateral_type).epoch
        settling = self.books[()].settlement != 0
        total = 0
        for k in self.lineup[()].ids:
            if due == 0:
                break
            terms: Slot = self.stages[k]
            if terms.asynchronous:
                continue
            works, capacity = self._read_stage_answer_and_capacity(k, collateral_type)
            amount = min(due, self._compute_room(collateral_type, k, capacity, settling=settling))
            paid = 0
            if amount != 0:
                works, paid, _ = self._absorb_and_verify_loss_payment(k, collateral_type, amount)
            if not works:
                self.emit("StageFailed", collateral_type, epoch, k)
            if paid != 0:
                self._book_payment(collateral_type, epoch, k, paid)
                if terms.is_capped:
                    self._count_payment(collateral_type, k, paid)
            due -= min(due, paid)
            total += paid
        return total

    def _count_payment(self, collateral_type: int, stage_index: int, amount: int) -> None:
        """Count a stage's payment toward its cap in this epoch; the next epoch starts at 0."""
        used = self._load_usage(stage_index, collateral_type)
        key = stage_index, ALL_TYPES if self.stages[stage_index].pooled else collateral_type
        self.used[key] = used._replace(before=used.before + div_up(amount, RAY))
