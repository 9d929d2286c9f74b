"""The property of caps, of a history: what a stage had at its first payment decides for all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from backstop.proof.properties import stages
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_WATERFALL = "LossWaterfall"
_Event = tuple[int, int, int]
"""Type, epoch, stage."""


@history_property(42)
class ACapIsOfWhatThereWas:
    """In one event a stage pays no more than its share of what it had before its first payment.

    However often it is asked, whatever enters or leaves it meanwhile; and no more than its absolute cap. One
    that gave up what it had reserved reserves nothing more in that event.
    """

    def __init__(self, model: ModelSystem) -> None:
        tables = model.world.contracts[_WATERFALL].tables
        self._had: dict[_Event, int] = {event: base - 1 for event, base in tables["bases"].items() if base}
        self._paid: Counter[_Event] = Counter(tables["covered"])
        self._gave_up: set[_Event] = set()

    def see(self, step: Transition, changes: Changes) -> None:
        """Add up payments by their events."""
        if {"covered", "reservations", "losses"}.isdisjoint(changes):
            return
        asked = step.action.method in ("cover", "fix")
        gone: Counter[int] = Counter()
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_WATERFALL, "ReservationReleased"):
                self._gave_up.add(log.values[:3])
            if log.contract != _WATERFALL or log.event not in ("LossCovered", "LossReserved"):
                continue
            c, epoch, k, amount = log.values
            event = c, epoch, k
            if epoch != step.model.timestamp // step.contract(_WATERFALL).epoch_length:
                raise Violation(f"stage {k} pays for epoch {epoch} of type {c} at {step.model.timestamp}")
            if asked and event in self._gave_up and log.event == "LossReserved":
                raise Violation(f"stage {k} has given up in epoch {epoch}, and is asked again")
            if event not in self._had and asked:
                self._had[event] = self._has(step, k, c, gone[k])
            gone[k] += amount
            if log.event == "LossCovered":
                self._paid[event] += amount
            if asked:
                self._check(step, event, self._paid[event] + (amount if log.event == "LossReserved" else 0))

    def _has(self, step: Transition, k: int, c: int, gone: int) -> int:
        """Return what a stage has before a payment [rad]; of what needs a rate, what the waterfall noted."""
        stage = stages.stage_of(step, k)
        if stage.KIND == "LedgerStage" and stage.account != 2:
            # Redistribution charges fees on the way, which come in before it pays.
            of_all = stage.account == 1
            left = (
                step.after("VaultEngine", "ledger.system").reserve
                if of_all
                else step.after("VaultEngine", "ledger.income", c).buffer
            )
            paid = sum(
                log.values[3]
                for log in step.outcome.logs
                if (log.contract, log.event) == (_WATERFALL, "LossCovered")
                and log.values[2] == k
                and (of_all or log.values[0] == c)
            )
            return int(left + paid - gone)
        if stage.KIND not in ("Pool", "ClawbackStage"):
            epoch = step.model.timestamp // step.contract(_WATERFALL).epoch_length
            return int(step.after(_WATERFALL, "bases", (c, epoch, k))) - 1
        shared = step.after(_WATERFALL, "stages", k).pooled
        return int(stages.capacity(step, k, c)) - (gone if shared else 0)

    def _check(self, step: Transition, event: _Event, paid: int) -> None:
        c, epoch, k = event
        terms = step.after(_WATERFALL, "stages", k)
        if terms.lifted and step.before(_WATERFALL, "counts").settlement:
            return
        cap = step.after(_WATERFALL, "caps_absolute", k)
        if terms.cap_bps != BASIS_POINTS:
            cap = min(cap, self._had[event] * terms.cap_bps // BASIS_POINTS)
        if paid > cap:
            raise Violation(f"stage {k} pays {paid} for epoch {epoch} of type {c}, of {self._had[event]}")
