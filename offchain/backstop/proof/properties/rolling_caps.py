"""History properties of stage caps: payments per rolling window, and the order after a release."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties import stage_payment_order
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, history_property
from backstop.proof.properties.stability_fee_accrual import compute_rate_increase_by_losses

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_WATERFALL = "LossWaterfall"
_OF_ALL = -1
"""In place of a type: all of them."""


@history_property(42, writes=["covered", "reservations", "losses"], calls=["LossWaterfall.cover"])
class ReleasedStageIsSkippedUntilOthersWereAsked:
    """Checker that a stage that released a reservation waits for all later stages (property 42).

    The stage may reserve losses of the type again once all later stages were asked in an earlier epoch. A
    reservation is the part of a deficit that a slow stage has taken on. Each payment counts in the epoch in
    which it is made.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Type -> stages; type -> epoch in which all stages after those were asked.
        self._gave_up: dict[int, set[int]] = defaultdict(set)
        self._asked: dict[int, int] = {}
        for c, loss in model.world.contracts[_WATERFALL].tables["losses"].items():
            self._gave_up[c] = {k for k in range(16) if loss.gave_up >> k & 1}
            if loss.asked:
                self._asked[c] = loss.epoch

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record released reservations and complete rounds of stages, and check new reservations.

        Raises PropertyViolationError if a stage reserves too early, or a payment names another epoch.
        """
        covers = step.is_call(_WATERFALL, "cover")
        if not covers and {"covered", "reservations", "losses"}.isdisjoint(changes):
            return
        now = step.model.timestamp // step.get_contract(_WATERFALL).epoch_length
        for log in step.outcome.logs:
            if log.contract != _WATERFALL:
                continue
            if log.event == "ReservationReleased":
                c, _, k, _ = log.values
                self._clear_released_stages(c, now)
                self._gave_up[c].add(k)
                self._asked.pop(c, None)
            if log.event in ("LossCovered", "LossReserved"):
                c, epoch, k, _ = log.values
                if epoch != now:
                    raise PropertyViolationError(
                        f"stage {k} pays for epoch {epoch} of type {c} at {step.model.timestamp}"
                    )
            if log.event == "LossReserved":
                self._check_reservation(c, k, now)
        if covers:
            self._note_all_asked(step, step.action.args[0], now)

    def _clear_released_stages(self, collateral_type: int, now: int) -> None:
        """Forget a type's released reservations if all other stages were asked in an earlier epoch."""
        if self._asked.get(collateral_type, now) < now:
            self._gave_up[collateral_type].clear()
            del self._asked[collateral_type]

    def _check_reservation(self, collateral_type: int, stage_id: int, now: int) -> None:
        self._clear_released_stages(collateral_type, now)
        if stage_id in self._gave_up[collateral_type]:
            raise PropertyViolationError(
                f"stage {stage_id} has given up a loss of type {collateral_type}, and is asked again "
                "before the others"
            )

    def _note_all_asked(self, step: Transition, collateral_type: int, now: int) -> None:
        holders = [step.read_post_state(_WATERFALL, "stages", k).stage for k in range(16)]
        if not any(
            step.read_post_state(_WATERFALL, "reservations", (collateral_type, holder)).amount
            for holder in holders
        ):
            self._asked.setdefault(collateral_type, now)


class _StagePayment(NamedTuple):
    """Payment of a waterfall stage [rad], with its time and the stage's balance before it."""

    at: int
    had: int
    amount: int
    caps: tuple[int, int]  # the stage's then, rad and basis points: other caps count anew


@history_property(71, writes=["covered", "missed"])
class StageCapHoldsOverRollingWindow:
    """Checker that a stage's payments in any epoch-long window stay under its caps (property 71).

    The relative cap is a share of the highest balance that the stage had in the window. All types count
    together if the stage has one balance for all types.
    """

    def __init__(self, model: ModelSystem) -> None:
        # (type, stage) -> payments of the last two windows.
        self._payments: dict[tuple[int, int], list[_StagePayment]] = defaultdict(list)

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record each stage's payments over two epochs, and check their rolling sum.

        Raises PropertyViolationError if the sum is above the absolute or the relative cap.
        """
        # The waterfall to compare with begins anew at each epoch: that is what is wrong with it.
        if {"covered", "missed"}.isdisjoint(changes) or step.get_contract(_WATERFALL).KIND != _WATERFALL:
            return
        settling = step.read_pre_state(_WATERFALL, "books").settlement
        # Of one step, which may cover several types.
        gone: dict[int, int] = defaultdict(int)
        for log in step.outcome.logs:
            if log.contract != _WATERFALL or log.event not in ("LossCovered", "MissedShareRepaid"):
                continue
            c, _, k, amount = (
                log.values if log.event == "LossCovered" else (log.values[0], 0, *log.values[1:3])
            )
            terms = step.read_post_state(_WATERFALL, "stages", k)
            if not (terms.lifted and settling):
                has = (
                    stage_payment_order.compute_capacity(step, k, c) - gone[k]
                    if _can_pay_at_once(step, k)
                    else 0
                )
                caps = step.read_post_state(_WATERFALL, "caps_absolute", k), terms.cap_bps
                payment = _StagePayment(step.model.timestamp, has, amount, caps)
                self._add_and_check_payment(step, _OF_ALL if terms.pooled else c, k, payment)
            gone[k] += amount

    def _add_and_check_payment(
        self, step: Transition, type_or_all: int, stage_id: int, payment: _StagePayment
    ) -> None:
        length, terms = (
            step.get_contract(_WATERFALL).epoch_length,
            step.read_post_state(_WATERFALL, "stages", stage_id),
        )
        known = [
            each
            for each in self._payments[type_or_all, stage_id]
            if each.at > payment.at - 2 * length and each.caps == payment.caps
        ]
        self._payments[type_or_all, stage_id] = known = [*known, payment]
        window = [each.amount for each in known if each.at > payment.at - length]
        cap = step.read_post_state(_WATERFALL, "caps_absolute", stage_id)
        if not terms.asynchronous and sum(window) > cap:
            raise PropertyViolationError(
                f"stage {stage_id} pays {sum(window)} within {length} s, under a cap of {cap}"
            )
        if terms.cap_bps == BASIS_POINTS or not _can_pay_at_once(step, stage_id):
            return  # of what the others have, part comes in as it goes
        # What has entered meanwhile may pay as well: the most that there ever was to take a share of.
        paid, most = 0, 0
        for each in known:
            most = max(most, each.had + paid)
            paid += each.amount
        if sum(window) > most * terms.cap_bps // BASIS_POINTS + RAY * len(window):
            raise PropertyViolationError(f"stage {stage_id} pays {sum(window)} of {most} within {length} s")


@history_property(82, writes=["ledger.redistributions"])
class RedistributionStaysWithinRatioGap:
    """Checker that redistributed losses raise a debt by no more than the cap (property 82).

    The limit applies to any window as long as an epoch. A second limit is the gap between the initial and the
    liquidation ratio.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Type -> when losses were shared in the last window, and what each added [ray].
        self._added: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record each redistributed loss over an epoch, and check its rolling sum against both limits.

        Raises PropertyViolationError if a limit is exceeded.
        """
        for contract, c, _, new in changes.get("ledger.redistributions", ()):
            if (added := compute_rate_increase_by_losses(step, contract, c)) == 0:
                continue
            now, length = step.model.timestamp, step.get_contract(_WATERFALL).epoch_length
            known = [each for each in self._added[c] if each[0] > now - length]
            self._added[c] = [*known, (now, added)]
            earlier = sum(each for _, each in known)
            without = step.read_post_state(contract, "ledger.debts", c).accumulated_rate - added - earlier
            ratios = step.read_post_state(contract, "terms.of_types", c)
            gap = ratios.initial_ratio - ratios.liquidation_ratio
            most = min(without * new.cap // BASIS_POINTS, without * gap // ratios.liquidation_ratio)
            if earlier + added > most:
                raise PropertyViolationError(
                    f"type {c}: {earlier + added} of a rate of {without} within {length} s"
                )


def _can_pay_at_once(step: Transition, stage_id: int) -> bool:
    """Return whether the stage is a pool or the clawback of income, which hold their funds themselves."""
    return stage_payment_order.get_stage_contract_model(step, stage_id).KIND in ("Pool", "ClawbackStage")
