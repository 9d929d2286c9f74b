"""The record of losses, until they are absorbed.

All losses of a collateral type in one epoch are one event, and for each, exactly:

    created + carried_in == recovered + covered by the stages + carried_out + outstanding
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import add_uint256, sub
from backstop.model.interfaces import ILiquidationEngine, IVaultEngine
from backstop.model.roles import Administered

WINDING_UP = 2**255
"""Added to the pending time from the beginning of settlement until its books are closed."""


@declare_record_slot_bit_widths(254, 2)
class Books(NamedTuple):
    """Open items of the loss waterfall: collateral types with unresolved losses, and settlement's state."""

    open: int = 0  # types with anything unresolved, a bit each
    settlement: int = 0  # 1 winding up, 2 books closed

    @property
    def winding_up(self) -> bool:
        """True if settlement has begun and the books are not closed."""
        return self.settlement == 1

    @property
    def closed(self) -> bool:
        """True if settlement has closed the books."""
        return self.settlement == 2


@declare_record_slot_bit_widths(188, 32, 16, 1)
class Loss(NamedTuple):
    """Unresolved loss of a collateral type [rad], its event's epoch, and the stages that gave up paying.

    A stage is a source of funds of the loss waterfall.
    """

    unresolved: int = 0  # rad recognised and neither covered nor known to be recovered
    epoch: int = 0  # of the type's last event
    gave_up: int = 0  # stages that gave up, a bit each: passed over for now
    asked: int = 0  # whether all stages after those were asked since


class LossEvent(NamedTuple):
    """Record of all losses of a collateral type in one epoch [rad]."""

    created: int
    carried_in: int
    recovered: int
    covered: int
    carried_out: int
    outstanding: int


class LossEvents(Administered):
    """Part of the loss waterfall that records losses by collateral type and epoch; amounts in rad.

    See contracts/LossWaterfall.vy.
    """

    vault_engine_address = immutable("VAULT_ENGINE", str)
    # Knows what debt is in doubt.
    liquidation_engine_address = immutable("LIQUIDATION_ENGINE", str)
    # Seconds. The event of a loss is (collateral type, timestamp // EPOCH_LENGTH).
    epoch_length = immutable("EPOCH_LENGTH", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        liquidation_engine: str,
        admin: str,
        epoch_length: int,
    ) -> None:
        super().__init__(world, name, address, admin)
        require(epoch_length >= bounds.MIN_EPOCH, "loss_waterfall: short epoch")
        require(epoch_length <= bounds.MAX_EPOCH, "loss_waterfall: long epoch")
        self.vault_engine_address = vault_engine
        self.liquidation_engine_address = liquidation_engine
        self.epoch_length = epoch_length
        self.books = self.table("books", Books())
        self.losses = self.table("losses", Loss())
        self.created = self.table("created")
        self.carried_in = self.table("carried_in")
        self.recovered = self.table("recovered")
        self.carried_out = self.table("carried_out")
        self.paid = self.table("covered")

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def epoch(self) -> int:
        """Number of the present epoch."""
        return int(self.world.timestamp // self.epoch_length)

    # -------------------------------------------------------------- recognition

    @external
    def recognise(self, sender: str, collateral_type: int, amount: int) -> None:
        """Record a deficit [rad] that the ledger has booked; no source of funds pays in this call.

        Only the vault engine may call this.
        """
        self._only_engine(sender)
        loss = self._carry_unresolved_loss_into_epoch(collateral_type)
        event = collateral_type, loss.epoch
        self.created[event] = add_uint256(self.created[event], amount)
        self.losses[collateral_type] = loss._replace(unresolved=add_uint256(loss.unresolved, amount))
        if loss.unresolved == 0:
            self._update_unresolved_loss_bit(collateral_type)
        self.emit("LossRecognised", *event, amount)

    @external
    def wind_up(self, sender: str) -> None:
        """Record that settlement has begun. Only the vault engine may call this."""
        self._only_engine(sender)
        self.books[()] = self.books[()]._replace(settlement=1)

    @external
    def close_books(self, sender: str) -> None:
        """Record that settlement has closed the books: holders of stablecoin bear the losses left.

        From then on no debt counts as one that may be lost. Only the vault engine may call this.
        """
        self._only_engine(sender)
        books: Books = self.books[()]
        self.books[()] = books._replace(settlement=books.settlement + 1)

    # -------------------------------------------------------------------- views

    @view
    def outstanding(self, sender: str, collateral_type: int) -> int:
        """Return a type's recognised and uncovered loss, as the ledger states it [rad]."""
        return self.vault_engine.deficit_of(self.address, collateral_type)

    @view
    def pending_total(self, sender: str) -> int:
        """Return the unresolved losses of all collateral types [rad]; 0 once the books are closed.

        While settlement winds up, the large constant WINDING_UP is added.
        """
        books: Books = self.books[()]
        if books.closed:
            return 0
        types = [c for c in range(bounds.MAX_TYPES) if books.open >> c & 1]
        total = sum(self.losses[c].unresolved for c in types)
        return int(total + books.winding_up * WINDING_UP)

    @view
    def last_epoch(self, sender: str, collateral_type: int) -> int:
        """Return the epoch of a collateral type's last loss event."""
        return int(self.losses[collateral_type].epoch)

    @view
    def covered(self, sender: str, collateral_type: int, epoch: int, k: int) -> int:
        """Return the amount that stage `k` paid for a type's losses of an epoch [rad].

        A stage is a source of funds of the loss waterfall.
        """
        return int(self.paid[collateral_type, epoch, k])

    # ------------------------------------------------------------------ helpers

    def _only_engine(self, sender: str) -> None:
        require(sender == self.vault_engine_address, "loss_waterfall: not vault engine")

    def _carry_unresolved_loss_into_epoch(self, collateral_type: int) -> Loss:
        """Carry a type's unresolved loss into the event of the present epoch, and return its loss record.

        If all later stages (sources of funds) were asked meanwhile, stages that gave up are asked again from
        then on.
        """
        loss: Loss = self.losses[collateral_type]
        epoch = self.epoch
        if epoch != loss.epoch:
            if loss.unresolved != 0:
                self.carried_out[collateral_type, loss.epoch] = loss.unresolved
                self.carried_in[collateral_type, epoch] = loss.unresolved
                self.emit("LossCarried", collateral_type, epoch, loss.unresolved)
            gave_up = 0 if loss.asked else loss.gave_up
            loss = Loss(loss.unresolved, epoch, gave_up)
            self.losses[collateral_type] = loss
        return loss

    def _note_recovery(self, collateral_type: int, deficit: int) -> None:
        """Record the part of a loss that left the deficit without payment by a source of funds.

        The amount is booked to the type's last event. `deficit` is the ledger's present figure [rad].
        """
        loss: Loss = self.losses[collateral_type]
        amount = sub(loss.unresolved, deficit)
        if amount != 0:
            event = collateral_type, loss.epoch
            self.recovered[event] = self.recovered[event] + amount
            self.losses[collateral_type] = loss._replace(unresolved=deficit)
            if deficit == 0:
                self._update_unresolved_loss_bit(collateral_type)
            self.emit("LossRecovered", *event, amount)

    def _book_payment(self, collateral_type: int, epoch: int, stage_index: int, amount: int) -> None:
        event = collateral_type, epoch, stage_index
        self.paid[event] = self.paid[event] + amount
        loss: Loss = self.losses[collateral_type]
        self.losses[collateral_type] = loss._replace(unresolved=sub(loss.unresolved, amount))
        if loss.unresolved == amount:
            self._update_unresolved_loss_bit(collateral_type)
        self.emit("LossCovered", *event, amount)

    def _update_unresolved_loss_bit(self, collateral_type: int) -> None:
        """Set the type's bit in the open books if it has an unresolved loss, or clear it."""
        books: Books = self.books[()]
        bit = 1 << collateral_type
        if self.losses[collateral_type].unresolved == 0:
            self.books[()] = books._replace(open=books.open & ~bit)
        else:
            self.books[()] = books._replace(open=books.open | bit)

    def _ask_liquidation_debt_at_risk(self, collateral_type: int) -> int:
        """Return a type's debt that may be lost and is not booked as a loss [rad]."""
        liquidations = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
        return liquidations.debt_at_risk_of(self.address, collateral_type)
