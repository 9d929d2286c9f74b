"""The property of delays, of a history: clocks of its own, started by events, say when a delay is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_WATERFALL, _SETTLEMENT = "LossWaterfall", "Settlement"
_RAD = 10**45


@history_property(43)
class DelaysAreKept:
    """New caps count no sooner than their delay after they were proposed, and with no loss open.

    Settlement begins once: a delay after it was announced and not taken back, or with losses above the bound
    in so many epochs in a row and one more. Its books close once, after that.
    """

    def __init__(self, model: ModelSystem) -> None:
        contracts = model.world.contracts
        # When what is waiting was proposed or announced; before this began to watch, long enough ago.
        self._proposed: dict[bytes, int] = {contracts[_WATERFALL].tables["proposed_hash"][()]: 0}
        progress = contracts[_SETTLEMENT].tables["progress"][()]
        self._announced: int | None = 0 if progress.announced_for else None
        self._begun, self._fixed = bool(progress.begun_at), bool(progress.fixed_at)
        self._streak: tuple[int, int] = (progress.noted_epoch, progress.streak)

    def see(self, step: Transition, changes: Changes) -> None:
        """Start clocks, and read them where something was waited for."""
        if step.action.contract not in (_WATERFALL, _SETTLEMENT):
            return
        now = step.model.timestamp
        for log in step.outcome.logs:
            if log.contract == _WATERFALL and log.event == "StagesProposed":
                self._proposed[log.values[0]] = now
            elif log.contract == _WATERFALL and log.event == "StagesSet":
                self._new_caps(step, log.values[0])
            elif log.contract != _SETTLEMENT:
                continue
            elif log.event == "Announced":
                self._announced = now if log.values[0] else None
            elif log.event == "DeficitNoted":
                self._note(step, *log.values)
            elif log.event == "Begun":
                self._begin(step)
            elif log.event == "Fixed":
                if self._fixed or not self._begun:
                    raise Violation("the books close twice, or before settlement has begun")
                self._fixed = True

    def _new_caps(self, step: Transition, order: bytes) -> None:
        if step.action.method == "set_stages":
            return
        waterfall = step.contract(_WATERFALL)
        since = self._proposed.pop(order, None)
        if since is None or step.model.timestamp - since < waterfall.cap_delay:
            raise Violation(f"caps that were proposed at {since} count at {step.model.timestamp}")
        if step.before(_WATERFALL, "counts").open:
            raise Violation("new caps for a loss that is open")

    def _note(self, step: Transition, epoch: int, deficit: int, streak: int) -> None:
        types = range(step.after("VaultEngine", "terms.collateral_types"))
        exact = sum(step.after("VaultEngine", "ledger.deficit", c) for c in types)
        bound = step.contract(_SETTLEMENT).bound * _RAD
        last, before = self._streak
        own = 0
        if exact > bound:
            own = before if before and epoch == last else before + 1 if epoch == last + 1 and before else 1
        self._streak = epoch, own
        present = step.model.timestamp // step.contract(_WATERFALL).epoch_length
        if (epoch, deficit, streak) != (present, exact, own):
            raise Violation(f"{deficit} noted in epoch {epoch}, {streak} in a row; it is {exact}, {own}")

    def _begin(self, step: Transition) -> None:
        settlement = step.contract(_SETTLEMENT)
        waited = self._announced is not None and step.model.timestamp - self._announced >= settlement.delay
        if self._begun or not (waited or self._streak[1] > settlement.epochs):
            raise Violation(f"settlement begins, announced at {self._announced}, {self._streak[1]} in a row")
        self._begun = True
