"""Order in which stages absorb a loss. Amounts in rad.

A stage that needs time reserves its part of a deficit: no other stage covers that part until the stage has
paid or released it, or its time is over. A stage that fails counts as empty, and its report of a payment is
not trusted; it owes the amount that others pay in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    World,
    declare_record_slot_bit_widths,
    external,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, add_uint256, mul_uint256, sub
from backstop.model.interfaces import IPriceFeed
from backstop.model.listed_types import decode_listed_types
from backstop.model.loss_events import WINDING_UP, Books, Loss, LossEvent
from backstop.model.stage_caps import Reservation, StageCaps
from backstop.model.stage_order import TOO_MUCH, Lineup, Slot


@declare_record_slot_bit_widths(188, 8)
class InPlace(NamedTuple):
    """Part of a stage's reservation that is paid in place of a failed stage [rad].

    A reservation is the part of a deficit that a stage pays later. `stage` is the id of the failed stage.
    """

    amount: int = 0
    stage: int = 0  # its id


class LossWaterfall(StageCaps):
    """Loss waterfall: charges deficits to its stages (sources of funds) in a fixed order.

    Model of contracts/LossWaterfall.vy.
    """

    KIND = "LossWaterfall"

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        liquidation_engine: str,
        admin: str,
        epoch_length: int,
        cap_delay: int,
    ) -> None:
        super().__init__(
            world, name, address, vault_engine, liquidation_engine, admin, epoch_length, cap_delay
        )
        self.in_place = self.table("in_place", InPlace())
        self.missing = self.table("missed")

    # ----------------------------------------------------------------- coverage

    @external
    def cover(self, sender: str, collateral_type: int) -> int:
        """Charge a type's deficit to the stages in order; return the amount paid or reserved [rad].

        Any account may call this. A stage that sells assets reserves its part, and later stages wait for it.
        A stage that fails counts as empty, and owes the amount that others pay in its place. Reverts if the
        type has neither a deficit nor an open loss record.
        """
        due = self.vault_engine.deficit_when_idle(self.address, collateral_type)
        # One that was repaid in full without a stage is open until somebody says so here.
        was_open = self.books[()].open >> collateral_type & 1
        require(due != 0 or was_open, "loss_waterfall: no deficit")
        self._note_recovery(collateral_type, due)
        loss = self._carry_unresolved_loss_into_epoch(collateral_type)
        reserved = self._sum_reservations(collateral_type)
        due -= min(due, reserved)
        settling = self.books[()].settlement != 0
        asked = reserved == 0
        total = 0
        # Stages that failed: what they should have paid, and what was paid before them in this call.
        failed: list[tuple[int, int, int]] = []
        waiting, last = 0, ZERO_ADDRESS
        for k in self.lineup[()].ids:
            if due == 0:
                break
            terms: Slot = self.stages[k]
            holder = collateral_type, terms.stage
            if terms.asynchronous:
                if settling:
                    continue
                if reserved != 0 and self.reservations[holder].amount:
                    asked = False
                    break
                if loss.gave_up >> k & 1:
                    continue
            works, capacity = self._read_stage_answer_and_capacity(k, collateral_type)
            amount = min(due, self._compute_room(collateral_type, k, capacity, settling=settling))
            paid = kept = 0
            if amount != 0:
                works, paid, kept = self._absorb_and_verify_loss_payment(k, collateral_type, amount)
            if not works:
                self.emit("StageFailed", collateral_type, loss.epoch, k)
                if terms.owes and not settling:
                    failed.append((k, self._compute_shortfall(collateral_type, k, due, paid), total + paid))
            if paid != 0:
                self._book_payment(collateral_type, loss.epoch, k, paid)
                if terms.is_capped:
                    self._count_payment(collateral_type, k, paid)
            due -= min(due, paid + kept)
            total += paid + kept
            if kept != 0:
                self.reservations[holder] = Reservation(
                    kept, k + 1, self.world.timestamp, int(terms.is_capped)
                )
                self.emit("LossReserved", collateral_type, loss.epoch, k, kept)
                asked = False
                waiting, last = kept, terms.stage
                break
        self._record_failed_stages_missed_shares(collateral_type, failed, total - waiting, waiting, last)
        if asked and loss.gave_up and not loss.asked:
            self.losses[collateral_type] = self.losses[collateral_type]._replace(asked=1)
        return total

    @external
    def book_payment(self, sender: str, collateral_type: int, payer: str, amount: int) -> None:
        """Book a buyer's stablecoin as payment of a part of the calling stage's reservation [rad].

        The calling stage is one that pays by an auction. Reverts if the amount exceeds the reservation.
        """
        held = self._load_reservation_of_stage(sender, collateral_type)
        require(amount <= held.amount, "loss_waterfall: not reserved")
        covered = self.vault_engine.cover_from_buyer(self.address, collateral_type, payer, sender, amount)
        self.reservations[collateral_type, sender] = held._replace(amount=sub(held.amount, covered))
        k = held.place - 1
        self._book_payment(
            collateral_type, self._carry_unresolved_loss_into_epoch(collateral_type).epoch, k, covered
        )
        if held.capped:
            self._count_payment(collateral_type, k, covered)
        if held.in_place:
            other: InPlace = self.in_place[collateral_type, sender]
            part = min(other.amount, covered)
            self.in_place[collateral_type, sender] = other._replace(amount=other.amount - part)
            self._record_missed_share(collateral_type, other.stage, part)

    @external
    def repay_missed_share(self, sender: str, collateral_type: int, stage: int) -> int:
        """Charge a stage for losses that others paid in its place while it failed; return the amount [rad].

        The payment goes to the reserve. Any account may call this. Reverts while a loss is unresolved, or if
        the stage still fails.
        """
        owed = int(self.missing[stage, collateral_type])
        require(owed != 0, "loss_waterfall: nothing missed")
        require(self.books[()] == Books(), "loss_waterfall: cover first")
        works, capacity = self._read_stage_answer_and_capacity(stage, collateral_type)
        require(works, "loss_waterfall: no answer")
        amount = min(owed, self._compute_room(collateral_type, stage, capacity))
        require(amount != 0 or capacity == 0, "loss_waterfall: no room")
        if amount != 0:
            before = self.vault_engine.reserve(self.address)
            self._get_stage(stage).absorb(self.address, collateral_type, amount)
            paid = self.vault_engine.reserve(self.address) - before
            require(paid >= amount, "loss_waterfall: still fails")
            if self.stages[stage].is_capped:
                self._count_payment(collateral_type, stage, amount)
        left = 0 if amount == capacity else owed - amount
        self.missing[stage, collateral_type] = left
        self.owed[stage] = self.owed[stage] - owed + left
        if self.owed[stage] == 0:
            lineup: Lineup = self.lineup[()]
            self.lineup[()] = lineup._replace(owing=lineup.owing & ~(1 << stage))
        self.emit("MissedShareRepaid", collateral_type, stage, amount, left)
        return amount

    @external
    def release(self, sender: str, collateral_type: int) -> None:
        """Release the rest of the calling stage's reservation of a deficit.

        A reservation is the part that a stage would pay later from an auction. The stage is skipped until all
        stages after it were asked.
        """
        self._release_reservation(
            collateral_type, sender, self._load_reservation_of_stage(sender, collateral_type)
        )

    @external
    def force_release(self, sender: str, collateral_type: int, stage: int) -> None:
        """Release a stage's reservation that is older than any sale can last, or any in settlement.

        A reservation is the part of a deficit that a stage pays later. Any account may call this.
        """
        holder = self.stages[stage].stage
        held: Reservation = self.reservations[collateral_type, holder]
        require(held.amount != 0, "loss_waterfall: nothing reserved")
        overdue = self.world.timestamp > held.since + bounds.MAX_RESERVATION
        require(self.books[()].settlement != 0 or overdue, "loss_waterfall: not overdue")
        self._release_reservation(collateral_type, holder, held)

    @external
    def retire(self, sender: str, collateral_type: int) -> None:
        """Close the record of a retired collateral type. Only the vault engine may call this.

        Reverts while a stage has reserved part of the type's deficit.
        """
        self._only_engine(sender)
        require(self._sum_reservations(collateral_type) == 0, "loss_waterfall: stages sell")
        self._note_recovery(collateral_type, 0)
        self._update_unresolved_loss_bit(collateral_type)

    # -------------------------------------------------------------------- views

    @view
    def losses_reaching(self, sender: str, stage: str) -> int:
        """Return the losses of all types that would reach a stage after the stages before it paid [rad].

        Deficits and debt that may be lost count, without the stage's own reservation. The stage's debt for
        missed payments is added. Stages before it that sell assets, fail or owe count as empty. While
        settlement winds up, the result is an impossibly large amount.
        """
        return self._compute_losses_reaching(stage)

    @view
    def losses_at_payment(self, sender: str, stage: str) -> int:
        """Return the losses that reduce a pool's payment to members [rad], as `losses_reaching` does.

        Reverts while a price has just fallen far. Reverts also if a stage with a cap by share of its holdings
        has not yet covered its part of booked losses.
        """
        self._check_no_recent_price_fall()
        return self._compute_losses_reaching(stage, paying=True)

    @view
    def debt_at_risk_total(self, sender: str) -> int:
        """Return all listed types' possible losses [rad]: uncovered deficits and debt that may be lost."""
        types = decode_listed_types(self.vault_engine.listed(self.address))
        return sum(
            self.vault_engine.deficit_of(self.address, c) + self._ask_liquidation_debt_at_risk(c)
            for c in types
        )

    @view
    def debt_at_risk_at_payment(self, sender: str) -> int:
        """Return the possible losses of all types that limit the treasury's payments [rad].

        Reverts while a loss is unresolved, or while a price has just fallen far.
        """
        require(self.pending_total(self.address) == 0, "loss_waterfall: losses pending")
        self._check_no_recent_price_fall()
        return self.debt_at_risk_total(self.address)

    @view
    def event_of(self, sender: str, collateral_type: int, epoch: int) -> LossEvent:
        """Return the record of a type's losses in an epoch [rad].

        `recovered` is the amount that left the deficit without payment by a source of funds.
        """
        event = collateral_type, epoch
        recovered = self.recovered[event]
        outstanding = 0
        loss: Loss = self.losses[collateral_type]
        if epoch == loss.epoch:
            outstanding = self.vault_engine.deficit_of(self.address, collateral_type)
            recovered += sub(loss.unresolved, outstanding)
        return LossEvent(
            created=self.created[event],
            carried_in=self.carried_in[event],
            recovered=recovered,
            covered=sum(self.paid[collateral_type, epoch, k] for k in range(self.lineup[()].known)),
            carried_out=self.carried_out[event],
            outstanding=outstanding,
        )

    @view
    def reserved(self, sender: str, collateral_type: int, stage: int) -> int:
        """Return the part of a type's deficit that a stage will pay later from its auction [rad]."""
        return int(self.reservations[collateral_type, self.stages[stage].stage].amount)

    @view
    def reserved_of(self, sender: str, collateral_type: int) -> int:
        """Return the part of a type's deficit that all stages will pay later from their auctions [rad]."""
        return self._sum_reservations(collateral_type)

    @view
    def missed(self, sender: str, k: int, collateral_type: int) -> int:
        """Return the amount that stage `k` owes for a type's losses paid by others while it failed [rad].

        A stage is a source of funds of the loss waterfall.
        """
        return int(self.missing[k, collateral_type])

    # ------------------------------------------------------------------ helpers

    def _check_no_recent_price_fall(self) -> None:
        """Revert while the price feed reports a recent price drop; a feed that does not answer is ignored."""
        if not self.books[()].settlement:
            feed = self.vault_engine.PRICE_FEED(self.address)
            until = self.world.call_or_return_none(
                lambda: cast(IPriceFeed, self.world.at(feed)).withdrawals_paused_until(self.address)
            )
            require(self.world.timestamp >= (until or 0), "loss_waterfall: price has fallen")

    def _compute_losses_reaching(self, stage: str, paying: bool = False) -> int:
        if self.books[()].winding_up:
            return WINDING_UP
        if self.books[()].closed:
            return 0
        types = decode_listed_types(self.vault_engine.listed(self.address))
        left = {}
        for c in types:
            deficit = self.vault_engine.deficit_of(self.address, c)
            own = self.reservations[c, stage].amount
            left[c] = add_uint256(deficit - min(deficit, own), self._ask_liquidation_debt_at_risk(c))
        pooled = False
        for k in self.lineup[()].ids:
            present: Slot = self.stages[k]
            if present.stage == stage:
                if paying and any(left.values()):
                    self._check_stage_covered_losses(k, types)
                return int(sum(left.values()) + self.owed[k])
            pooled = pooled or bool(present.pooled)
            # What is added to debts may be in doubt again, and a type's own account behind one for all types
            # brings what depends on which type is covered first.
            of_a_type = not present.pooled and (pooled or not present.lifted)
            if present.asynchronous or self.owed[k] or of_a_type:
                continue
            spent = 0
            for c in types:
                if left[c] == 0:
                    continue
                _, capacity = self._read_stage_answer_and_capacity(k, c)
                more = spent if present.pooled else 0
                amount = min(left[c], self._compute_room(c, k, capacity - min(capacity, more), more))
                left[c] -= amount
                spent += amount
        # One that was left out bears nothing any more, but what it owes.
        return int(self.owed[self.ids[stage] - 1]) if self.ids[stage] else 0

    def _check_stage_covered_losses(self, stage_index: int, types: Sequence[int]) -> None:
        """Revert if a stage with a cap by share of its holdings can still pay part of a booked loss."""
        cap_bps = self.stages[stage_index].cap_bps
        if cap_bps == BASIS_POINTS:
            return
        for c in types:
            if self.vault_engine.deficit_of(self.address, c) and not self._sum_reservations(c):
                _, capacity = self._read_stage_answer_and_capacity(stage_index, c)
                room = self._compute_room(c, stage_index, capacity)
                least = mul_uint256(capacity, cap_bps) // BASIS_POINTS // BASIS_POINTS
                require(room <= least, "loss_waterfall: not covered yet")

    def _absorb_and_verify_loss_payment(
        self, stage_index: int, collateral_type: int, amount: int
    ) -> tuple[bool, int, int]:
        """Charge a stage, and return (whether its report is true, its payment, its reservation) [rad].

        The payment is measured in the ledger.
        """
        answer = self.world.call_or_return_none(
            lambda: self._get_stage(stage_index).absorb(self.address, collateral_type, amount)
        )
        if answer is None:
            return False, 0, 0
        said, kept = answer
        if kept != 0 and said == 0 and self.stages[stage_index].asynchronous and kept <= amount:
            # Nobody is asked after this; what it has paid all the same is not its own.
            return True, 0, kept
        left = self.vault_engine.deficit_of(self.address, collateral_type)
        paid = sub(self.losses[collateral_type].unresolved, left)
        if kept != 0 and (not self.stages[stage_index].asynchronous or kept > amount - paid):
            return False, paid, 0
        return said == paid, paid, kept

    def _compute_shortfall(self, collateral_type: int, stage_index: int, due: int, paid: int) -> int:
        """Return the amount that a failed stage should have paid beyond its actual payment [rad].

        With its earlier debt, the stage owes at most its holdings and the amount that its caps allow in a
        window. A stage that does not report its holdings counts as rich enough.
        """
        works, capacity = self._read_stage_answer_and_capacity(stage_index, collateral_type)
        capacity, owed = capacity if works else TOO_MUCH, self.owed[stage_index]
        held = capacity - min(capacity, owed)
        return min(due - min(due, paid), self._compute_room(collateral_type, stage_index, held, owed + paid))

    def _record_failed_stages_missed_shares(
        self,
        collateral_type: int,
        failed: Sequence[tuple[int, int, int]],
        paid: int,
        kept: int,
        holder: str,
    ) -> None:
        """Record that failed stages owe the payments of later stages in their place [rad].

        Each owes at most its shortfall; the first failed stage is charged first. For a reservation in place
        of a failed stage, the failed stage owes the amount once it is paid.
        """
        # What was paid before the first of them is nobody's to owe.
        left = paid - failed[0][2] if failed else 0
        for k, short, before in failed:
            part = min(short, left, paid - before)
            left -= part
            self._record_missed_share(collateral_type, k, part)
            part = min(short - part, kept)
            if part != 0:
                kept = 0
                self.in_place[collateral_type, holder] = InPlace(part, k)
                held: Reservation = self.reservations[collateral_type, holder]
                self.reservations[collateral_type, holder] = held._replace(in_place=1)

    def _record_missed_share(self, collateral_type: int, stage_index: int, amount: int) -> None:
        if amount != 0:
            self.missing[stage_index, collateral_type] = self.missing[stage_index, collateral_type] + amount
            self.owed[stage_index] = self.owed[stage_index] + amount
            lineup: Lineup = self.lineup[()]
            self.lineup[()] = lineup._replace(owing=lineup.owing | 1 << stage_index)
            self.emit("LossMissed", collateral_type, stage_index, amount)

    def _release_reservation(self, collateral_type: int, stage: str, held: Reservation) -> None:
        """Delete a stage's reservation of a deficit, and note that the stage gave up.

        Without a reservation this has no effect.
        """
        if held.amount == 0:
            return
        k = held.place - 1
        self.reservations[collateral_type, stage] = held._replace(amount=0)
        loss = self._carry_unresolved_loss_into_epoch(collateral_type)
        self.losses[collateral_type] = loss._replace(gave_up=loss.gave_up | 1 << k, asked=0)
        self.emit("ReservationReleased", collateral_type, loss.epoch, k, held.amount)
