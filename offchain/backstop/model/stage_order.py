"""Loss-absorbing stages, their order, and the maximum that each may pay.

Stages are added and left out by a timelock; a stage keeps its id, and an id is used once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.evm_crypto import keccak256
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.model.erc20 import encode_words
from backstop.model.interfaces import IStage
from backstop.model.listed_types import decode_listed_types
from backstop.model.loss_events import Books, LossEvents

TOO_MUCH = 2**224
"""More than any stage can hold: one that claims it has failed [rad]."""
UNCAPPED = MAX_UINT256
NOT_SET = bytes(32)


class StageTerms(NamedTuple):
    """Address and kind of a stage, and its caps on payments in any period as long as an epoch."""

    stage: str
    pooled: bool  # one balance, and one cap, for all types, or one for each
    asynchronous: bool  # needs time: it reserves, and pays later; skipped in settlement
    lifted: bool  # its caps are lifted in settlement
    owes: bool  # has members, and pays at once: what it misses while it fails it pays later
    cap_absolute: int  # rad in a window; UNCAPPED is none
    cap_bps: int  # basis points of the balance and what was paid in the window; 10000 is none


@declare_record_slot_bit_widths(8, 8, 16, 16, 64)
class Lineup(NamedTuple):
    """Active stages of the loss waterfall, their order and their kinds, packed in one slot."""

    stages: int = 0
    known: int = 0  # stages that there ever were; the next one's id
    asynchronous: int = 0  # stages, a bit for each id
    owing: int = 0  # stages that owe what they missed, a bit for each id
    order: int = 0  # ids, 4 bits each

    @property
    def ids(self) -> list[int]:
        """Ids of the active stages in the order in which they pay for losses."""
        return [self.order >> 4 * place & 15 for place in range(self.stages)]


@declare_record_slot_bit_widths(160, 1, 1, 1, 1, 14, 1)
class Slot(NamedTuple):
    """Terms of a stage without its absolute cap, packed in one slot."""

    stage: str = ZERO_ADDRESS
    pooled: int = 0
    asynchronous: int = 0
    lifted: int = 0
    owes: int = 0
    cap_bps: int = 0
    capped: int = 0  # whether there is an absolute cap

    @property
    def is_capped(self) -> bool:
        """True if the stage has a cap of any kind."""
        return self.capped == 1 or self.cap_bps != BASIS_POINTS


class StageOrder(LossEvents):
    """List of loss-absorbing stages, and its changes (part of contracts/LossWaterfall.vy)."""

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
        super().__init__(world, name, address, vault_engine, liquidation_engine, admin, epoch_length)
        require(cap_delay <= bounds.MAX_CAP_DELAY, "loss_waterfall: long delay")
        self.cap_delay = cap_delay
        self.orders = self.table("order_hash", NOT_SET)
        self.proposals = self.table("proposed_hash", NOT_SET)
        self.ready_times = self.table("stages_ready_at")
        self.condemned = self.table("condemned")
        self.ids = self.table("ids")
        self.lineup = self.table("lineup", Lineup())
        self.stages = self.table("stages", Slot())
        self.caps_absolute = self.table("caps_absolute")
        # What stages owe: one that does is not left out.
        self.owed = self.table("owed")

    @external
    def set_stages(self, sender: str, terms: Sequence[StageTerms]) -> None:
        """Set the first list of stages in the order in which they pay for losses.

        Only the admin may call, and only once.
        """
        self._only_admin(sender)
        require(self.orders[()] == NOT_SET, "loss_waterfall: stages are set")
        self._check_and_replace_stages(terms, now=True)

    @external
    def propose_stages(self, sender: str, terms: Sequence[StageTerms]) -> None:
        """Propose a new list of stages, which may be applied after a delay.

        It may change caps, insert new stages and leave out old ones, but not reorder them. Only the admin may
        call.
        """
        self._only_admin(sender)
        require(self.orders[()] != NOT_SET, "loss_waterfall: none are set")
        self.condemned[()] = self._check_and_replace_stages(terms, now=False)
        self.proposals[()] = _hash_terms(terms)
        self.ready_times[()] = self.world.timestamp + self.cap_delay
        self.emit("StagesProposed", self.proposals[()], self.ready_times[()])

    @external
    def apply_stages(self, sender: str, terms: Sequence[StageTerms]) -> None:
        """Replace the list of stages by the proposed one.

        Raises RevertError before its delay has passed, or while a loss is open.
        """
        require(_hash_terms(terms) == self.proposals[()], "loss_waterfall: not proposed")
        require(self.world.timestamp >= self.ready_times[()], "loss_waterfall: too early")
        require(self.books[()] == Books(), "loss_waterfall: losses open")
        self.proposals[()] = NOT_SET
        self._check_and_replace_stages(terms, now=True)

    # -------------------------------------------------------------------- views

    @view
    def stage_ids(self, sender: str) -> list[int]:
        """Return the ids of the stages in the order in which they pay for losses."""
        return list(self.lineup[()].ids)

    @view
    def stage_terms(self, sender: str, stage: int) -> StageTerms:
        """Return the address, kind and caps of the stage with this id, also if it was left out.

        Return empty terms if the id was never used.
        """
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
        """Return the hash of the ABI-encoded list of stages; zero until the list is set."""
        return bytes(self.orders[()])

    @view
    def stage_count(self, sender: str) -> int:
        """Return the number of active stages."""
        return int(self.lineup[()].stages)

    @view
    def proposed_hash(self, sender: str) -> bytes:
        """Return the hash of the proposed list of stages; zero if there is no proposal."""
        return bytes(self.proposals[()])

    @view
    def stages_ready_at(self, sender: str) -> int:
        """Return the time from which the proposed list may be applied [seconds]."""
        return int(self.ready_times[()])

    # ------------------------------------------------------------------ helpers

    def _get_stage(self, stage_index: int) -> IStage:
        return cast(IStage, self.world.at(self.stages[stage_index].stage))

    def _read_stage_answer_and_capacity(self, stage_index: int, collateral_type: int) -> tuple[bool, int]:
        """Return whether a stage answers with a plausible capacity, and this capacity [rad]."""
        found = self.world.call_or_return_none(
            lambda: self._get_stage(stage_index).capacity(self.address, collateral_type)
        )
        return (False, 0) if found is None or found >= TOO_MUCH else (True, found)

    def _is_working(self, stage: str) -> bool:
        """Return True if a stage reports its capacity and accepts a charge of zero."""
        self.vault_engine.deficit_when_idle(self.address, 0)

        def found() -> IStage:
            return cast(IStage, self.world.at(stage))

        capacity = self.world.call_or_return_none(lambda: found().capacity(self.address, 0))
        nothing = self.world.call_or_return_none(lambda: found().absorb(self.address, 0, 0))
        return capacity is not None and capacity < TOO_MUCH and nothing == (0, 0)

    def _check_and_replace_stages(self, terms: Sequence[StageTerms], *, now: bool) -> int:
        """Check a list of stages against the present one, and with `now` replace the present list.

        Return a bit for each stage that is left out and does not work.
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
                require(self._is_working(each.stage), "loss_waterfall: no stage")
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
                    failing |= self._check_removal_and_get_failure(other, now) << other
                    slow &= ~(1 << other)
                present: Slot = self.stages[k]
                require(each.pooled == present.pooled, "loss_waterfall: other kind")
                require(each.asynchronous == present.asynchronous, "loss_waterfall: other pace")
                require(each.lifted == present.lifted, "loss_waterfall: other end")
                require(each.owes == present.owes, "loss_waterfall: other debt")
            order.append(k)
            if now:
                self._validate_and_store_stage(k, each)
        for other in rest:
            failing |= self._check_removal_and_get_failure(other, now) << other
            slow &= ~(1 << other)
        if now:
            packed = sum(k << 4 * place for place, k in enumerate(order))
            self.lineup[()] = self.lineup[()]._replace(
                stages=len(order), known=known, asynchronous=slow, order=packed
            )
            self.orders[()] = _hash_terms(terms)
            self.emit("StagesSet", self.orders[()])
        return failing

    def _check_removal_and_get_failure(self, stage_index: int, now: bool) -> bool:
        """Return True if a stage that is left out does not work.

        With `now` raise RevertError unless the stage may be left out at this time.
        """
        stage: Slot = self.stages[stage_index]
        works = self._is_working(stage.stage)
        barred = stage.cap_bps == 0 or (stage.capped == 1 and self.caps_absolute[stage_index] == 0)
        if now:
            for c in decode_listed_types(self.vault_engine.listed(self.address)):
                require(self._ask_liquidation_debt_at_risk(c) == 0, "loss_waterfall: debt at risk")
                if works:
                    works, held = self._read_stage_answer_and_capacity(stage_index, c)
                    require(held == 0 or barred, "loss_waterfall: not empty")
            if works:
                require(self.owed[stage_index] == 0, "loss_waterfall: it owes")
            else:
                require(self.condemned[()] >> stage_index & 1 == 1, "loss_waterfall: it worked")
        return not works

    def _validate_and_store_stage(self, stage_index: int, terms: StageTerms) -> None:
        require(terms.cap_bps <= BASIS_POINTS, "loss_waterfall: cap bounds")
        require(not (terms.owes and terms.asynchronous), "loss_waterfall: owes and waits")
        kind = int(terms.pooled), int(terms.asynchronous), int(terms.lifted), int(terms.owes)
        self.stages[stage_index] = Slot(
            terms.stage, *kind, terms.cap_bps, int(terms.cap_absolute != UNCAPPED)
        )
        self.caps_absolute[stage_index] = terms.cap_absolute


def _hash_terms(terms: Sequence[StageTerms]) -> bytes:
    return keccak256(encode_words(32, len(terms), *(field for each in terms for field in StageTerms(*each))))
