"""Who bears a loss, in which order. Amounts in rad.

All losses of a collateral type in one epoch are one event, and for each, exactly:

    created + carried_in == recovered + covered by the stages + carried_out + outstanding
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from offchain.model import bounds
from offchain.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, add, mul, sub
from offchain.model.erc20 import words
from offchain.model.roles import Administered
from offchain.model.signatures import keccak256
from offchain.model.state import ZERO_ADDRESS, World, external, require, view

if TYPE_CHECKING:
    from offchain.model.vault_engine import VaultEngine

BUSY = MAX_UINT256
UNCAPPED = MAX_UINT256
NOT_SET = bytes(32)


class Stage(Protocol):
    """What every stage can do."""

    def capacity(self, sender: str, collateral_type: int) -> int: ...

    def absorb(self, sender: str, collateral_type: int, amount: int) -> int: ...


class StageTerms(NamedTuple):
    """A stage, and how much of one event it may bear."""

    stage: str
    pooled: bool  # one balance for all types, or one for each
    cap_absolute: int  # rad for each event; UNCAPPED is none
    cap_bps: int  # basis points of the balance before the event's first payment; 10000 is none


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

    def __init__(
        self, world: World, name: str, address: str, vault_engine: str, admin: str, epoch_length: int
    ) -> None:
        super().__init__(world, name, address, admin)
        require(epoch_length >= bounds.MIN_EPOCH, "loss_waterfall: short epoch")
        require(epoch_length <= bounds.MAX_EPOCH, "loss_waterfall: long epoch")
        self.vault_engine_address = vault_engine
        self.epoch_length = epoch_length
        self.orders = self.table("order_hash", NOT_SET)
        self.counts = self.table("stage_count")
        self.stages = self.table("stages", ZERO_ADDRESS)
        self.pooled = self.table("pooled", False)
        self.caps_absolute = self.table("caps_absolute")
        self.caps_bps = self.table("caps_bps")
        self.last_epochs = self.table("last_epoch")
        self.unresolved = self.table("unresolved")
        self.unresolved_total = self.table("unresolved_total")
        self.created = self.table("created")
        self.carried_in = self.table("carried_in")
        self.recovered = self.table("recovered")
        self.carried_out = self.table("carried_out")
        self.paid = self.table("covered")
        self.bases = self.table("bases")

    @property
    def vault_engine(self) -> VaultEngine:
        return cast("VaultEngine", self.world.at(self.vault_engine_address))

    @property
    def epoch(self) -> int:
        """The present epoch."""
        return int(self.world.timestamp // self.epoch_length)

    @external
    def set_stages(self, sender: str, terms: list[StageTerms]) -> None:
        """Fix the order of losses and its caps, once."""
        self._only_admin(sender)
        require(self.orders[()] == NOT_SET, "loss_waterfall: stages are set")
        require(len(terms) != 0, "loss_waterfall: no stages")
        terms = [StageTerms(*each) for each in terms]
        for k, each in enumerate(terms):
            require(each.stage != ZERO_ADDRESS, "loss_waterfall: zero stage")
            require(each.cap_bps <= BASIS_POINTS, "loss_waterfall: cap bounds")
            require(all(each.stage != self.stages[j] for j in range(k)), "loss_waterfall: stage twice")
            self.stages[k] = each.stage
            self.pooled[k] = each.pooled
            self.caps_absolute[k] = each.cap_absolute
            self.caps_bps[k] = each.cap_bps
        self.counts[()] = len(terms)
        self.orders[()] = keccak256(words(32, len(terms), *(field for each in terms for field in each)))
        self.emit("StagesSet", self.orders[()])

    @external
    def recognise(self, sender: str, collateral_type: int, amount: int) -> None:
        """Record a deficit that the ledger has booked; no stage pays here."""
        require(sender == self.vault_engine_address, "loss_waterfall: not vault engine")
        epoch = self._roll(collateral_type)
        self.created[collateral_type, epoch] = add(self.created[collateral_type, epoch], amount)
        self.unresolved[collateral_type] = add(self.unresolved[collateral_type], amount)
        self.unresolved_total[()] = add(self.unresolved_total[()], amount)
        self.emit("LossRecognised", collateral_type, epoch, amount)

    @external
    def cover(self, sender: str, collateral_type: int) -> int:
        """Have a deficit covered, from the first stage on; a busy stage makes the later ones wait."""
        due = self.vault_engine.deficit_of(self.address, collateral_type)
        require(due != 0, "loss_waterfall: no deficit")
        self._note_recovery(collateral_type, due)
        epoch = self._roll(collateral_type)
        total = 0
        for k in range(self.counts[()]):
            stage = self._stage(k)
            capacity = stage.capacity(self.address, collateral_type)
            if capacity == BUSY:
                break
            amount = min(due, self._allowed(collateral_type, epoch, k, capacity))
            if amount == 0:
                continue
            event = collateral_type, epoch, k
            if self.bases[event] == 0:
                self.bases[event] = capacity + 1
            paid = stage.absorb(self.address, collateral_type, amount)
            require(paid != 0, "loss_waterfall: nothing paid")
            require(paid <= amount, "loss_waterfall: paid too much")
            self.paid[event] = self.paid[event] + paid
            self._resolve(collateral_type, paid)
            due -= paid
            total += paid
            self.emit("LossCovered", collateral_type, epoch, k, paid)
            if due == 0:
                break
        return total

    @view
    def losses_beyond(self, sender: str, stage: str) -> int:
        """What of all deficits would pass the stages before this one; busy ones count as nothing."""
        if self.unresolved_total[()] == 0:
            return 0
        types = self.vault_engine.collateral_types(self.address)
        left = [self.vault_engine.deficit_of(self.address, c) for c in range(types)]
        for k in range(self.counts[()]):
            if self.stages[k] == stage:
                return sum(left)
            spent = 0
            for c in range(types):
                if left[c] == 0:
                    continue
                capacity = self._stage(k).capacity(self.address, c)
                if capacity == BUSY:
                    continue
                if self.pooled[k]:
                    capacity -= min(capacity, spent)
                amount = min(left[c], self._allowed(c, self.epoch, k, capacity))
                left[c] -= amount
                spent += amount
        return 0

    @view
    def outstanding(self, sender: str, collateral_type: int) -> int:
        """A type's recognised and uncovered loss: the ledger's own figure."""
        return self.vault_engine.deficit_of(self.address, collateral_type)

    @view
    def event_of(self, sender: str, collateral_type: int, epoch: int) -> LossEvent:
        """The record of an event; recovered is what left the deficit without a stage."""
        event = collateral_type, epoch
        recovered = self.recovered[event]
        outstanding = 0
        if epoch == self.last_epochs[collateral_type]:
            outstanding = self.vault_engine.deficit_of(self.address, collateral_type)
            recovered += sub(self.unresolved[collateral_type], outstanding)
        return LossEvent(
            created=self.created[event],
            carried_in=self.carried_in[event],
            recovered=recovered,
            covered=sum(self.paid[collateral_type, epoch, k] for k in range(self.counts[()])),
            carried_out=self.carried_out[event],
            outstanding=outstanding,
        )

    @view
    def stage_terms(self, sender: str, index: int) -> StageTerms:
        """A stage's address and caps; empty beyond the last."""
        return StageTerms(
            self.stages[index], self.pooled[index], self.caps_absolute[index], self.caps_bps[index]
        )

    @view
    def order_hash(self, sender: str) -> bytes:
        """The hash of the ABI-encoded list of stages; zero until they are set."""
        return bytes(self.orders[()])

    @view
    def stage_count(self, sender: str) -> int:
        """How many stages there are."""
        return int(self.counts[()])

    @view
    def last_epoch(self, sender: str, collateral_type: int) -> int:
        """The epoch of a type's last event."""
        return int(self.last_epochs[collateral_type])

    @view
    def covered(self, sender: str, collateral_type: int, epoch: int, index: int) -> int:
        """What a stage paid for an event."""
        return int(self.paid[collateral_type, epoch, index])

    @view
    def VAULT_ENGINE(self, sender: str) -> str:
        """The ledger."""
        return self.vault_engine_address

    @view
    def EPOCH_LENGTH(self, sender: str) -> int:
        """Seconds of an epoch."""
        return self.epoch_length

    def _stage(self, k: int) -> Stage:
        return cast(Stage, self.world.at(self.stages[k]))

    def _roll(self, collateral_type: int) -> int:
        """Carry what is left of the last event into the present one; the present epoch."""
        epoch = self.epoch
        last = self.last_epochs[collateral_type]
        if epoch != last:
            carried = self.unresolved[collateral_type]
            if carried != 0:
                self.carried_out[collateral_type, last] = carried
                self.carried_in[collateral_type, epoch] = carried
                self.emit("LossCarried", collateral_type, epoch, carried)
            self.last_epochs[collateral_type] = epoch
        return epoch

    def _note_recovery(self, collateral_type: int, deficit: int) -> None:
        """What the ledger repaid without a stage belongs to the last event, before it is carried on."""
        amount = sub(self.unresolved[collateral_type], deficit)
        if amount != 0:
            event = collateral_type, self.last_epochs[collateral_type]
            self.recovered[event] = self.recovered[event] + amount
            self._resolve(collateral_type, amount)
            self.emit("LossRecovered", *event, amount)

    def _resolve(self, collateral_type: int, amount: int) -> None:
        self.unresolved[collateral_type] = sub(self.unresolved[collateral_type], amount)
        self.unresolved_total[()] = sub(self.unresolved_total[()], amount)

    def _allowed(self, collateral_type: int, epoch: int, k: int, capacity: int) -> int:
        """What stage k may still pay for an event: its capacity, under both caps.

        Room under a cap counts in whole wei, so that a stage that pays in tokens, rounding its
        payment up, never passes it.
        """
        event = collateral_type, epoch, k
        cap = int(self.caps_absolute[k])
        if self.caps_bps[k] != BASIS_POINTS:
            base = capacity if self.bases[event] == 0 else self.bases[event] - 1
            cap = min(cap, mul(base, self.caps_bps[k]) // BASIS_POINTS)
        if cap == UNCAPPED:
            return capacity
        return min(capacity, sub(cap, self.paid[event]) // RAY * RAY)
