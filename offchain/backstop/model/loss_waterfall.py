"""Who bears a loss, in which order. Amounts in rad.

All losses of a collateral type in one epoch are one event, and for each, exactly:

    created + carried_in == recovered + covered by the stages + carried_out + outstanding

A stage that needs time reserves its part of a deficit: nobody else covers that part until the stage
has paid it or given it up, or its time is over. A stage that fails counts as empty, and what one says
it has paid is not believed. Caps hold over any stretch of time as long as an epoch. Stages are added and left
out by a timelock; a stage keeps its id, and an id is used once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, add, div_up, mul, sub
from backstop.model.erc20 import words
from backstop.model.interfaces import ILiquidationEngine, IPriceFeed, IStage, IVaultEngine
from backstop.model.listing import ids_of
from backstop.model.roles import Administered
from backstop.model.signatures import keccak256
from backstop.model.state import ZERO_ADDRESS, World, external, immutable, require, slot, view

TOO_MUCH = 2**224
"""More than any stage can hold: one that claims it has failed [rad]."""
ALL_TYPES = bounds.MAX_TYPES
"""What `used` has in place of a type where a stage has one cap for all of them."""
UNCAPPED = MAX_UINT256
NOT_SET = bytes(32)
WINDING_UP = 2**255
"""Added to what is pending from the beginning of settlement until its books are closed."""


class StageTerms(NamedTuple):
    """A stage, and how much it may bear in a window: any stretch of time as long as an epoch."""

    stage: str
    pooled: bool  # one balance, and one cap, for all types, or one for each
    asynchronous: bool  # needs time: it reserves, and pays later; skipped in settlement
    lifted: bool  # its caps are lifted in settlement
    owes: bool  # has members, and pays at once: what it misses while it fails it pays later
    cap_absolute: int  # rad in a window; UNCAPPED is none
    cap_bps: int  # basis points of the balance and what was paid in the window; 10000 is none


@slot(8, 8, 16, 16, 64)
class Lineup(NamedTuple):
    """The stages and their order."""

    stages: int = 0
    known: int = 0  # stages that there ever were; the next one's id
    asynchronous: int = 0  # stages, a bit for each id
    owing: int = 0  # stages that owe what they missed, a bit for each id
    order: int = 0  # ids, 4 bits each

    @property
    def ids(self) -> list[int]:
        """The ids of the stages in their order."""
        return [self.order >> 4 * place & 15 for place in range(self.stages)]


@slot(254, 2)
class Books(NamedTuple):
    """What is open."""

    open: int = 0  # types with anything unresolved, a bit each
    settlement: int = 0  # 1 winding up, 2 books closed

    @property
    def winding_up(self) -> bool:
        """Whether settlement has begun and its books are not closed."""
        return self.settlement == 1

    @property
    def closed(self) -> bool:
        """Whether settlement has closed the books."""
        return self.settlement == 2


@slot(160, 1, 1, 1, 1, 14, 1)
class Slot(NamedTuple):
    """A stage's terms without its absolute cap."""

    stage: str = ZERO_ADDRESS
    pooled: int = 0
    asynchronous: int = 0
    lifted: int = 0
    owes: int = 0
    cap_bps: int = 0
    capped: int = 0  # whether there is an absolute cap

    @property
    def is_capped(self) -> bool:
        """Whether the stage has a cap of any kind."""
        return self.capped == 1 or self.cap_bps != BASIS_POINTS


@slot(188, 32, 16, 1)
class Loss(NamedTuple):
    """A type's loss."""

    unresolved: int = 0  # rad recognised and neither covered nor known to be recovered
    epoch: int = 0  # of the type's last event
    gave_up: int = 0  # stages that gave up, a bit each: passed over for now
    asked: int = 0  # whether all stages after those were asked since


@slot(32, 112, 112)
class Used(NamedTuple):
    """What a stage has paid, wei, in a bucket of time as long as an epoch and in the one before."""

    bucket: int = 0
    now: int = 0
    before: int = 0


@slot(188, 8, 40, 1, 1)
class Reservation(NamedTuple):
    """What a stage will pay of a type's deficit or give up, rad."""

    amount: int = 0
    place: int = 0  # 1 + the stage's id; it stays
    since: int = 0  # seconds, when it was made
    capped: int = 0  # whether the stage has a cap
    in_place: int = 0  # whether any of it is paid in another's place


@slot(188, 8)
class InPlace(NamedTuple):
    """What of a reservation is paid in the place of a stage that failed, rad."""

    amount: int = 0
    stage: int = 0  # its id


class LossEvent(NamedTuple):
    """The record of one event, rad."""

    created: int
    carried_in: int
    recovered: int
    covered: int
    carried_out: int
    outstanding: int


class LossWaterfall(Administered):
    """See contracts/LossWaterfall.vy."""

    KIND = "LossWaterfall"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    # Knows what debt is in doubt.
    liquidation_engine_address = immutable("LIQUIDATION_ENGINE", str)
    # Seconds. The event of a loss is (collateral type, timestamp // EPOCH_LENGTH).
    epoch_length = immutable("EPOCH_LENGTH", int)
    # Seconds from the proposal of other stages or caps to their use. Pools insist on a shorter cooldown.
    cap_delay = immutable("CAP_DELAY", int)

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
        super().__init__(world, name, address, admin)
        require(epoch_length >= bounds.MIN_EPOCH, "loss_waterfall: short epoch")
        require(epoch_length <= bounds.MAX_EPOCH, "loss_waterfall: long epoch")
        require(cap_delay <= bounds.MAX_CAP_DELAY, "loss_waterfall: long delay")
        self.vault_engine_address = vault_engine
        self.liquidation_engine_address = liquidation_engine
        self.epoch_length = epoch_length
        self.cap_delay = cap_delay
        self.orders = self.table("order_hash", NOT_SET)
        self.proposals = self.table("proposed_hash", NOT_SET)
        self.ready_times = self.table("stages_ready_at")
        self.condemned = self.table("condemned")
        self.ids = self.table("ids")
        self.lineup = self.table("lineup", Lineup())
        self.books = self.table("books", Books())
        self.stages = self.table("stages", Slot())
        self.caps_absolute = self.table("caps_absolute")
        self.losses = self.table("losses", Loss())
        self.reservations = self.table("reservations", Reservation())
        self.created = self.table("created")
        self.carried_in = self.table("carried_in")
        self.recovered = self.table("recovered")
        self.carried_out = self.table("carried_out")
        self.paid = self.table("covered")
        self.used = self.table("used", Used())
        self.in_place = self.table("in_place", InPlace())
        self.missing = self.table("missed")
        self.owed = self.table("owed")

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return int(self.world.timestamp // self.epoch_length)

    # -------------------------------------------------------------------- order

    @external
    def set_stages(self, sender: str, terms: Sequence[StageTerms]) -> None:
        """Fix the order of losses, once."""
        self._only_admin(sender)
        require(self.orders[()] == NOT_SET, "loss_waterfall: stages are set")
        self._change(terms, now=True)

    @external
    def propose_stages(self, sender: str, terms: Sequence[StageTerms]) -> None:
        """Announce other caps, new stages between those that there are, and which are to be left out."""
        self._only_admin(sender)
        require(self.orders[()] != NOT_SET, "loss_waterfall: none are set")
        self.condemned[()] = self._change(terms, now=False)
        self.proposals[()] = _hash(terms)
        self.ready_times[()] = self.world.timestamp + self.cap_delay
        self.emit("StagesProposed", self.proposals[()], self.ready_times[()])

    @external
    def apply_stages(self, sender: str, terms: Sequence[StageTerms]) -> None:
        """Use the proposed list, after its delay and while no loss is open."""
        require(_hash(terms) == self.proposals[()], "loss_waterfall: not proposed")
        require(self.world.timestamp >= self.ready_times[()], "loss_waterfall: too early")
        require(self.books[()] == Books(), "loss_waterfall: losses open")
        self.proposals[()] = NOT_SET
        self._change(terms, now=True)

    # -------------------------------------------------------------- recognition

    @external
    def recognise(self, sender: str, collateral_type: int, amount: int) -> None:
        """Record a deficit that the ledger has booked; no stage pays here."""
        self._only_engine(sender)
        loss = self._roll(collateral_type)
        event = collateral_type, loss.epoch
        self.created[event] = add(self.created[event], amount)
        self.losses[collateral_type] = loss._replace(unresolved=add(loss.unresolved, amount))
        if loss.unresolved == 0:
            self._note_open(collateral_type)
        self.emit("LossRecognised", *event, amount)

    @external
    def retire(self, sender: str, collateral_type: int) -> None:
        """Close the record of a type that is retired, for whose losses no stage may sell any more."""
        self._only_engine(sender)
        require(self._reserved(collateral_type) == 0, "loss_waterfall: stages sell")
        self._note_recovery(collateral_type, 0)
        self._note_open(collateral_type)

    @external
    def wind_up(self, sender: str) -> None:
        """Settlement has begun."""
        self._only_engine(sender)
        self.books[()] = self.books[()]._replace(settlement=1)

    @external
    def close_books(self, sender: str) -> None:
        """Settlement has covered what it could; holders bear the rest, and nothing is in doubt any more."""
        self._only_engine(sender)
        books: Books = self.books[()]
        self.books[()] = books._replace(settlement=books.settlement + 1)

    # ----------------------------------------------------------------- coverage

    @external
    def cover(self, sender: str, collateral_type: int) -> int:
        """Have a deficit covered, from the first stage on; a busy stage makes the later ones wait."""
        due = self.vault_engine.deficit_at_rest(self.address, collateral_type)
        # One that was repaid in full without a stage is open until somebody says so here.
        was_open = self.books[()].open >> collateral_type & 1
        require(due != 0 or was_open, "loss_waterfall: no deficit")
        self._note_recovery(collateral_type, due)
        loss = self._roll(collateral_type)
        reserved = self._reserved(collateral_type)
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
            works, capacity = self._capacity(k, collateral_type)
            amount = min(due, self._room(collateral_type, k, capacity, settling=settling))
            paid = kept = 0
            if amount != 0:
                works, paid, kept = self._absorb(k, collateral_type, amount)
            if not works:
                self.emit("StageFailed", collateral_type, loss.epoch, k)
                if terms.owes and not settling:
                    failed.append((k, self._short(collateral_type, k, due, paid), total + paid))
            if paid != 0:
                self._book(collateral_type, loss.epoch, k, paid)
                if terms.is_capped:
                    self._use(collateral_type, k, paid)
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
        self._note_missed(collateral_type, failed, total - waiting, waiting, last)
        if asked and loss.gave_up and not loss.asked:
            self.losses[collateral_type] = self.losses[collateral_type]._replace(asked=1)
        return total

    @external
    def book_payment(self, sender: str, collateral_type: int, payer: str, amount: int) -> None:
        """Pay a part of what an asynchronous stage has reserved, with a buyer's stablecoin."""
        held = self._own_reservation(sender, collateral_type)
        require(amount <= held.amount, "loss_waterfall: not reserved")
        covered = self.vault_engine.cover_from_buyer(self.address, collateral_type, payer, sender, amount)
        self.reservations[collateral_type, sender] = held._replace(amount=sub(held.amount, covered))
        k = held.place - 1
        self._book(collateral_type, self._roll(collateral_type).epoch, k, covered)
        if held.capped:
            self._use(collateral_type, k, covered)
        if held.in_place:
            other: InPlace = self.in_place[collateral_type, sender]
            part = min(other.amount, covered)
            self.in_place[collateral_type, sender] = other._replace(amount=other.amount - part)
            self._owe(collateral_type, other.stage, part)

    @external
    def make_good(self, sender: str, collateral_type: int, stage: int) -> int:
        """Have a stage that works again pay to the reserve what others paid in its place."""
        owed = int(self.missing[stage, collateral_type])
        require(owed != 0, "loss_waterfall: nothing missed")
        require(self.books[()] == Books(), "loss_waterfall: cover first")
        works, capacity = self._capacity(stage, collateral_type)
        require(works, "loss_waterfall: no answer")
        amount = min(owed, self._room(collateral_type, stage, capacity))
        require(amount != 0 or capacity == 0, "loss_waterfall: no room")
        if amount != 0:
            before = self.vault_engine.reserve(self.address)
            self._stage(stage).absorb(self.address, collateral_type, amount)
            paid = self.vault_engine.reserve(self.address) - before
            require(paid >= amount, "loss_waterfall: still fails")
            if self.stages[stage].is_capped:
                self._use(collateral_type, stage, amount)
        left = 0 if amount == capacity else owed - amount
        self.missing[stage, collateral_type] = left
        self.owed[stage] = self.owed[stage] - owed + left
        if self.owed[stage] == 0:
            lineup: Lineup = self.lineup[()]
            self.lineup[()] = lineup._replace(owing=lineup.owing & ~(1 << stage))
        self.emit("LossMadeGood", collateral_type, stage, amount, left)
        return amount

    @external
    def release(self, sender: str, collateral_type: int) -> None:
        """Give up what is left of a reservation: the stage is passed over until all after it were asked."""
        self._release(collateral_type, sender, self._own_reservation(sender, collateral_type))

    @external
    def force_release(self, sender: str, collateral_type: int, stage: int) -> None:
        """Give up a stage's reservation in its place, once it is older than any sale, or in settlement."""
        holder = self.stages[stage].stage
        held: Reservation = self.reservations[collateral_type, holder]
        require(held.amount != 0, "loss_waterfall: nothing reserved")
        overdue = self.world.timestamp > held.since + bounds.MAX_RESERVATION
        require(self.books[()].settlement != 0 or overdue, "loss_waterfall: not overdue")
        self._release(collateral_type, holder, held)

    # -------------------------------------------------------------------- views

    @view
    def losses_beyond(self, sender: str, stage: str) -> int:
        """Return what of all deficits and doubts passes the stages before this one, without its reservation.

        What it owes for those that it missed is added. Asynchronous stages and such as fail, or owe, count as
        nothing. Return everything while settlement winds up.
        """
        if self.books[()].winding_up:
            return WINDING_UP
        if self.books[()].closed:
            return 0
        types = ids_of(self.vault_engine.listed(self.address))
        left = {}
        for c in types:
            deficit = self.vault_engine.deficit_of(self.address, c)
            own = self.reservations[c, stage].amount
            left[c] = add(deficit - min(deficit, own), self._doubt(c))
        for k in self.lineup[()].ids:
            present: Slot = self.stages[k]
            if present.stage == stage:
                return int(sum(left.values()) + self.owed[k])
            if present.asynchronous or self.owed[k]:
                continue
            spent = 0
            for c in types:
                if left[c] == 0:
                    continue
                _, capacity = self._capacity(k, c)
                more = spent if present.pooled else 0
                amount = min(left[c], self._room(c, k, capacity - min(capacity, more), more))
                left[c] -= amount
                spent += amount
        # One that was left out bears nothing any more, but what it owes.
        return int(self.owed[self.ids[stage] - 1]) if self.ids[stage] else 0

    @view
    def losses_at_payment(self, sender: str, stage: str) -> int:
        """Return the losses that pools pay by [rad]; no payment while a price has just fallen far."""
        if not self.books[()].settlement:
            feed = self.vault_engine.PRICE_FEED(self.address)
            until = self.world.attempt(lambda: cast(IPriceFeed, self.world.at(feed)).look_until(self.address))
            require(self.world.timestamp >= (until or 0), "loss_waterfall: price has fallen")
        return self.losses_beyond(sender, stage)

    @view
    def doubt_total(self, sender: str) -> int:
        """Return what may be lost, of all types [rad]: uncovered deficits, and debt in doubt."""
        types = ids_of(self.vault_engine.listed(self.address))
        return sum(self.vault_engine.deficit_of(self.address, c) + self._doubt(c) for c in types)

    @view
    def outstanding(self, sender: str, collateral_type: int) -> int:
        """Return a type's recognised and uncovered loss, the ledger's own figure [rad]."""
        return self.vault_engine.deficit_of(self.address, collateral_type)

    @view
    def reserved_of(self, sender: str, collateral_type: int) -> int:
        """Return what stages have reserved of a type's deficit [rad]."""
        return self._reserved(collateral_type)

    @view
    def event_of(self, sender: str, collateral_type: int, epoch: int) -> LossEvent:
        """Return the record of an event; recovered is what left the deficit without a stage."""
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
    def stage_ids(self, sender: str) -> list[int]:
        """Return the stages' ids in the order of losses."""
        return list(self.lineup[()].ids)

    @view
    def stage_terms(self, sender: str, stage: int) -> StageTerms:
        """Return a stage's address and caps, also of one that was left out; empty if there never was one."""
        present: Slot = self.stages[stage]
        return StageTerms(
            present.stage,
            bool(present.pooled),
            bool(present.asynchronous),
            bool(present.lifted),
            bool(present.owes),
            self.caps_absolute[stage],
            present.cap_bps,
        )

    @view
    def order_hash(self, sender: str) -> bytes:
        """Return the hash of the ABI-encoded list of stages; zero until they are set."""
        return bytes(self.orders[()])

    @view
    def stage_count(self, sender: str) -> int:
        """Return how many stages there are."""
        return int(self.lineup[()].stages)

    @view
    def proposed_hash(self, sender: str) -> bytes:
        """Return the hash of the list that is proposed; zero if there is none."""
        return bytes(self.proposals[()])

    @view
    def stages_ready_at(self, sender: str) -> int:
        """Return when what is proposed can be used [seconds]."""
        return int(self.ready_times[()])

    @view
    def pending_total(self, sender: str) -> int:
        """Return what is unresolved, of all types [rad]; + WINDING_UP while settlement winds up."""
        books: Books = self.books[()]
        if books.closed:
            return 0
        types = [c for c in range(bounds.MAX_TYPES) if books.open >> c & 1]
        total = sum(self.losses[c].unresolved for c in types)
        return int(total + books.winding_up * WINDING_UP)

    @view
    def reserved(self, sender: str, collateral_type: int, stage: int) -> int:
        """Return what a stage has reserved of a type's deficit [rad]."""
        return int(self.reservations[collateral_type, self.stages[stage].stage].amount)

    @view
    def last_epoch(self, sender: str, collateral_type: int) -> int:
        """Return the epoch of a type's last event."""
        return int(self.losses[collateral_type].epoch)

    @view
    def covered(self, sender: str, collateral_type: int, epoch: int, k: int) -> int:
        """Return what a stage paid for an event [rad]."""
        return int(self.paid[collateral_type, epoch, k])

    @view
    def missed(self, sender: str, k: int, collateral_type: int) -> int:
        """Return what others paid in a stage's place while it failed, and it owes [rad]."""
        return int(self.missing[k, collateral_type])

    # ------------------------------------------------------------------ helpers

    def _only_engine(self, sender: str) -> None:
        require(sender == self.vault_engine_address, "loss_waterfall: not vault engine")

    def _stage(self, k: int) -> IStage:
        return cast(IStage, self.world.at(self.stages[k].stage))

    def _own_reservation(self, stage: str, collateral_type: int) -> Reservation:
        """Return the caller's reservation; revert if it never had one of the type."""
        held: Reservation = self.reservations[collateral_type, stage]
        require(held.place != 0, "loss_waterfall: not a stage")
        return held

    def _roll(self, collateral_type: int) -> Loss:
        """Carry what is left of the last event into the present one, which is returned.

        Stages that gave up are asked again from then on, if all after them were asked meanwhile.
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
        """Book what the ledger repaid without a stage to the last event, before it is carried on."""
        loss: Loss = self.losses[collateral_type]
        amount = sub(loss.unresolved, deficit)
        if amount != 0:
            event = collateral_type, loss.epoch
            self.recovered[event] = self.recovered[event] + amount
            self.losses[collateral_type] = loss._replace(unresolved=deficit)
            if deficit == 0:
                self._note_open(collateral_type)
            self.emit("LossRecovered", *event, amount)

    def _book(self, collateral_type: int, epoch: int, k: int, amount: int) -> None:
        event = collateral_type, epoch, k
        self.paid[event] = self.paid[event] + amount
        loss: Loss = self.losses[collateral_type]
        self.losses[collateral_type] = loss._replace(unresolved=sub(loss.unresolved, amount))
        if loss.unresolved == amount:
            self._note_open(collateral_type)
        self.emit("LossCovered", *event, amount)

    def _note_open(self, collateral_type: int) -> None:
        """Keep the type's bit: whether anything of it is unresolved."""
        books: Books = self.books[()]
        bit = 1 << collateral_type
        if self.losses[collateral_type].unresolved == 0:
            self.books[()] = books._replace(open=books.open & ~bit)
        else:
            self.books[()] = books._replace(open=books.open | bit)

    def _doubt(self, collateral_type: int) -> int:
        """Return a type's debt that may be lost and is not booked [rad]."""
        liquidations = cast(ILiquidationEngine, self.world.at(self.liquidation_engine_address))
        return liquidations.doubt_of(self.address, collateral_type)

    def _reserved(self, collateral_type: int) -> int:
        """Return what asynchronous stages have reserved of a type's deficit [rad]."""
        lineup: Lineup = self.lineup[()]
        return sum(
            self.reservations[collateral_type, self.stages[k].stage].amount
            for k in lineup.ids
            if lineup.asynchronous >> k & 1
        )

    def _use(self, collateral_type: int, k: int, amount: int) -> None:
        """Count what a stage with a cap has paid, rounded up to the wei."""
        used = self._used(k, collateral_type)
        key = k, ALL_TYPES if self.stages[k].pooled else collateral_type
        self.used[key] = used._replace(now=used.now + div_up(amount, RAY))

    def _release(self, collateral_type: int, stage: str, held: Reservation) -> None:
        """End a reservation, if anything is left of it."""
        if held.amount == 0:
            return
        k = held.place - 1
        self.reservations[collateral_type, stage] = held._replace(amount=0)
        loss = self._roll(collateral_type)
        self.losses[collateral_type] = loss._replace(gave_up=loss.gave_up | 1 << k, asked=0)
        self.emit("ReservationReleased", collateral_type, loss.epoch, k, held.amount)

    def _capacity(self, k: int, collateral_type: int) -> tuple[bool, int]:
        """Return whether a stage answers, and what it says it can pay [rad]."""
        found = self.world.attempt(lambda: self._stage(k).capacity(self.address, collateral_type))
        return (False, 0) if found is None or found >= TOO_MUCH else (True, found)

    def _works(self, stage: str) -> bool:
        """Return whether a stage says what it holds, and lets this contract have it pay nothing."""
        self.vault_engine.deficit_at_rest(self.address, 0)

        def found() -> IStage:
            return cast(IStage, self.world.at(stage))

        capacity = self.world.attempt(lambda: found().capacity(self.address, 0))
        nothing = self.world.attempt(lambda: found().absorb(self.address, 0, 0))
        return capacity is not None and capacity < TOO_MUCH and nothing == (0, 0)

    def _change(self, terms: Sequence[StageTerms], *, now: bool) -> int:
        """Check a list of stages against the present one, and put it in its place if that is to be now.

        Return which of those that it leaves out fail, a bit each.
        """
        require(len(terms) != 0, "loss_waterfall: no stages")
        lineup: Lineup = self.lineup[()]
        known, slow, failing = lineup.known, lineup.asynchronous, 0
        order: list[int] = []
        rest = lineup.ids
        for each in (StageTerms(*found) for found in terms):
            require(each.stage != ZERO_ADDRESS, "loss_waterfall: zero stage")
            k = self.ids[each.stage] - 1
            if k < 0:
                require(known < bounds.MAX_STAGES, "loss_waterfall: too many stages")
                require(self._works(each.stage), "loss_waterfall: no stage")
                k, known = known, known + 1
                slow |= each.asynchronous << k
                if now:
                    self.ids[each.stage] = known
            else:
                while True:
                    require(len(rest) != 0, "loss_waterfall: other order")
                    other, *rest = rest
                    if other == k:
                        break
                    failing |= self._leave_out(other, now) << other
                    slow &= ~(1 << other)
                present: Slot = self.stages[k]
                require(each.pooled == present.pooled, "loss_waterfall: other kind")
                require(each.asynchronous == present.asynchronous, "loss_waterfall: other pace")
                require(each.lifted == present.lifted, "loss_waterfall: other end")
                require(each.owes == present.owes, "loss_waterfall: other debt")
            order.append(k)
            if now:
                self._store_stage(k, each)
        for other in rest:
            failing |= self._leave_out(other, now) << other
            slow &= ~(1 << other)
        if now:
            packed = sum(k << 4 * place for place, k in enumerate(order))
            self.lineup[()] = self.lineup[()]._replace(
                stages=len(order), known=known, asynchronous=slow, order=packed
            )
            self.orders[()] = _hash(terms)
            self.emit("StagesSet", self.orders[()])
        return failing

    def _leave_out(self, k: int, now: bool) -> bool:
        """Check that a stage can be left out, if that is to be now; return whether it fails."""
        stage = self.stages[k].stage
        works = self._works(stage)
        if now:
            for c in ids_of(self.vault_engine.listed(self.address)):
                require(self._doubt(c) == 0, "loss_waterfall: in doubt")
                if works:
                    works, held = self._capacity(k, c)
                    require(held == 0, "loss_waterfall: not empty")
            if works:
                require(self.owed[k] == 0, "loss_waterfall: it owes")
            else:
                require(self.condemned[()] >> k & 1 == 1, "loss_waterfall: it worked")
        return not works

    def _absorb(self, k: int, collateral_type: int, amount: int) -> tuple[bool, int, int]:
        """Have a stage pay: whether it did as it says, paid by the ledger's word, reserved [rad]."""
        answer = self.world.attempt(lambda: self._stage(k).absorb(self.address, collateral_type, amount))
        if answer is None:
            return False, 0, 0
        said, kept = answer
        if kept != 0 and said == 0 and self.stages[k].asynchronous and kept <= amount:
            # Nobody is asked after this; what it has paid all the same is not its own.
            return True, 0, kept
        left = self.vault_engine.deficit_of(self.address, collateral_type)
        paid = sub(self.losses[collateral_type].unresolved, left)
        if kept != 0 and (not self.stages[k].asynchronous or kept > amount - paid):
            return False, paid, 0
        return said == paid, paid, kept

    def _short(self, collateral_type: int, k: int, due: int, paid: int) -> int:
        """Return what stage k should have paid beside what it has [rad].

        With what it owes already it owes no more than it has, nor than its caps let it pay in a window. One
        that does not even say what it holds may hold all of it.
        """
        works, capacity = self._capacity(k, collateral_type)
        capacity, owed = capacity if works else TOO_MUCH, self.owed[k]
        held = capacity - min(capacity, owed)
        return min(due - min(due, paid), self._room(collateral_type, k, held, owed + paid))

    def _note_missed(
        self,
        collateral_type: int,
        failed: Sequence[tuple[int, int, int]],
        paid: int,
        kept: int,
        holder: str,
    ) -> None:
        """Have stages that failed owe what later ones paid in their place, the first as far as it was short.

        What is reserved in the place of one is owed once it is paid.
        """
        left = paid
        for k, short, before in failed:
            part = min(short, left, paid - before)
            left -= part
            self._owe(collateral_type, k, part)
            part = min(short - part, kept)
            if part != 0:
                kept = 0
                self.in_place[collateral_type, holder] = InPlace(part, k)
                held: Reservation = self.reservations[collateral_type, holder]
                self.reservations[collateral_type, holder] = held._replace(in_place=1)

    def _owe(self, collateral_type: int, k: int, amount: int) -> None:
        if amount != 0:
            self.missing[k, collateral_type] = self.missing[k, collateral_type] + amount
            self.owed[k] = self.owed[k] + amount
            lineup: Lineup = self.lineup[()]
            self.lineup[()] = lineup._replace(owing=lineup.owing | 1 << k)
            self.emit("LossMissed", collateral_type, k, amount)

    def _room(
        self, collateral_type: int, k: int, capacity: int, more: int = 0, settling: bool = False
    ) -> int:
        """Return what stage k may pay now of its capacity, under both caps, with `more` that it pays [rad].

        Caps hold over any window: two buckets of time lie over each. Room under a cap counts in whole wei, so
        that a stage that pays in tokens, rounding its payment up, never passes it.
        """
        terms: Slot = self.stages[k]
        if terms.lifted and settling:
            return capacity
        if not terms.is_capped:
            return capacity
        found = self._used(k, collateral_type)
        used = (found.now + found.before) * RAY + more
        if terms.pooled and terms.asynchronous:
            types = ids_of(self.vault_engine.listed(self.address))
            used += sum(self.reservations[c, terms.stage].amount for c in types)
        cap = int(self.caps_absolute[k])
        if terms.cap_bps != BASIS_POINTS:
            cap = min(cap, mul(capacity + used, terms.cap_bps) // BASIS_POINTS)
        return min(capacity, max(0, cap - used) // RAY * RAY)

    def _used(self, k: int, collateral_type: int) -> Used:
        """Return what a stage has paid in this bucket of time and the one before [wei]."""
        found: Used = self.used[k, ALL_TYPES if self.stages[k].pooled else collateral_type]
        bucket = self.epoch
        if bucket == found.bucket:
            return found
        return Used(bucket, 0, found.now if bucket == found.bucket + 1 else 0)

    def _store_stage(self, k: int, terms: StageTerms) -> None:
        require(terms.cap_bps <= BASIS_POINTS, "loss_waterfall: cap bounds")
        require(not (terms.owes and terms.asynchronous), "loss_waterfall: owes and waits")
        kind = int(terms.pooled), int(terms.asynchronous), int(terms.lifted), int(terms.owes)
        self.stages[k] = Slot(terms.stage, *kind, terms.cap_bps, int(terms.cap_absolute != UNCAPPED))
        self.caps_absolute[k] = terms.cap_absolute


def _hash(terms: Sequence[StageTerms]) -> bytes:
    return keccak256(words(32, len(terms), *(field for each in terms for field in StageTerms(*each))))
