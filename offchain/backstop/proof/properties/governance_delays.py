"""The property of delays, of a history: clocks of its own, started by events, say when a delay is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_WATERFALL, _SETTLEMENT = "LossWaterfall", "Settlement"
_RAD = 10**45


@history_property(43, events=["LossWaterfall.StagesProposed", "LossWaterfall.StagesSet", "Settlement.*"])
class ChangesTakeEffectAfterDelay:
    """Checker that governance changes take effect only after their delays (property 43).

    New caps of waterfall stages count after their delay, and only with no open loss. Settlement begins once.
    It needs a delay after an announcement that was not cancelled, or losses above a bound for several epochs,
    recorded in each. The books close once, after settlement began.
    """

    def __init__(self, model: ModelSystem) -> None:
        contracts = model.world.contracts
        # When what is waiting was proposed or announced; before this began to watch, long enough ago.
        self._proposed: dict[bytes, int] = {contracts[_WATERFALL].tables["proposed_hash"][()]: 0}
        progress = contracts[_SETTLEMENT].tables["progress"][()]
        self._announced: int | None = 0 if progress.announced_for else None
        self._begun, self._fixed = bool(progress.begun_at), bool(progress.fixed_at)
        self._noted: tuple[int, int] = (progress.noted_epoch, progress.above_since)

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record the time of each proposal and announcement, and check each change that takes effect.

        Raises PropertyViolationError if a change is too early, or if settlement begins or closes twice.
        """
        if step.action.contract not in (_WATERFALL, _SETTLEMENT):
            return
        now = step.model.timestamp
        for log in step.outcome.logs:
            if log.contract == _WATERFALL and log.event == "StagesProposed":
                self._proposed[log.values[0]] = now
            elif log.contract == _WATERFALL and log.event == "StagesSet":
                self._check_new_caps(step, log.values[0])
            elif log.contract != _SETTLEMENT:
                continue
            elif log.event == "Announced":
                self._announced = now if log.values[0] else None
            elif log.event == "DeficitBreachRecorded":
                self._check_recorded_deficit_breach(step, *log.values)
            elif log.event == "Begun":
                self._check_settlement_beginning(step)
            elif log.event == "Fixed":
                if self._fixed or not self._begun:
                    raise PropertyViolationError("the books close twice, or before settlement has begun")
                self._fixed = True

    def _check_new_caps(self, step: Transition, order: bytes) -> None:
        if step.action.method == "set_stages":
            return
        waterfall = step.get_contract(_WATERFALL)
        since = self._proposed.pop(order, None)
        if since is None or step.model.timestamp - since < waterfall.cap_delay:
            raise PropertyViolationError(
                f"caps that were proposed at {since} count at {step.model.timestamp}"
            )
        if step.read_pre_state(_WATERFALL, "books").open:
            raise PropertyViolationError("new caps for a loss that is open")

    def _check_recorded_deficit_breach(
        self, step: Transition, epoch: int, deficit: int, breached_since: int
    ) -> None:
        types = decode_listed_types(step.read_post_state("VaultEngine", "terms.listed"))
        exact = sum(step.read_post_state("VaultEngine", "ledger.deficit", c) for c in types)
        bound = step.get_contract(_SETTLEMENT).bound * _RAD
        last, before = self._noted
        own = 0
        if exact > bound:
            own = before if before and epoch <= last + 1 else step.model.timestamp
        self._noted = epoch, own
        present = step.model.timestamp // step.get_contract(_WATERFALL).epoch_length
        if (epoch, deficit, breached_since) != (present, exact, own):
            raise PropertyViolationError(
                f"{deficit} noted in epoch {epoch}, since {breached_since}; it is {exact}, {own}"
            )

    def _check_settlement_beginning(self, step: Transition) -> None:
        settlement = step.get_contract(_SETTLEMENT)
        waited = self._announced is not None and step.model.timestamp - self._announced >= settlement.delay
        length, (_, since) = step.get_contract(_WATERFALL).epoch_length, self._noted
        stood = since != 0 and step.model.timestamp - since >= settlement.epochs * length
        if self._begun or not (waited or stood):
            raise PropertyViolationError(
                f"settlement begins, announced at {self._announced}, losses since {since}"
            )
        self._begun = True
