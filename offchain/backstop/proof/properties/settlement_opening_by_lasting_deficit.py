"""Property of settlement that begins by losses: after whole epochs, and then for sure."""

from __future__ import annotations

from random import Random

from backstop.model.arithmetic import RAD, WAD
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.proof.properties.property_registry import PropertyViolationError, counterfactual_property
from backstop.proof.properties.what_if_steps_and_state_readings import (
    VISITOR,
    apply_or_raise,
    attempt_call_and_get_outcome,
    create_deficit_and_get_type,
    get_contract,
    list_collateral_types,
    read_deficit,
)

_MOST_EPOCHS = 8


@counterfactual_property(193)
def lasting_deficit_opens_settlement(lockstep: LockstepLike, random: Random) -> bool:
    """Check that a lasting deficit above the bound opens settlement, and not earlier (property 193).

    The trial causes a deficit on a fork of model and chain, and no stage covers it. A visitor records the
    deficit in each epoch. Settlement must be refused until all required epochs have passed, and must then
    begin. Returns False if the state does not allow the trial. Raises PropertyViolationError if settlement
    begins too early or is refused at the end.
    """
    settlement, waterfall = get_contract(lockstep, "Settlement"), get_contract(lockstep, "LossWaterfall")
    if settlement.progress[()].begun_at or settlement.epochs > _MOST_EPOCHS:
        return False
    length = waterfall.epoch_length
    with lockstep.fork_state():
        apply_or_raise(lockstep, "Settlement", "cancel_announcement", by=settlement.admins[()])
        if (
            sum(read_deficit(lockstep, each) for each in list_collateral_types(lockstep))
            <= settlement.bound * RAD
        ):
            create_deficit_and_get_type(lockstep, random, (settlement.bound + 1) * WAD)
        if (
            sum(read_deficit(lockstep, each) for each in list_collateral_types(lockstep))
            <= settlement.bound * RAD
        ):
            return False
        # A clock of its own: an epoch without a note starts it again.
        lockstep.advance(2 * length - lockstep.timestamp % length + random.randrange(length))
        apply_or_raise(lockstep, "Settlement", "record_deficit_breach", by=VISITOR)
        since = lockstep.timestamp
        for epoch in range(settlement.epochs):
            for wait in (random.randrange(1, length), 0):
                lockstep.advance(wait or since + (epoch + 1) * length - 1 - lockstep.timestamp)
                with lockstep.fork_state():
                    if attempt_call_and_get_outcome(lockstep, "Settlement", "begin", by=VISITOR).ok:
                        stood = lockstep.timestamp - since
                        raise PropertyViolationError(
                            f"settlement begins after {stood} s of losses: {settlement.epochs} of {length}"
                        )
            lockstep.advance(1)
            if epoch + 1 < settlement.epochs:
                apply_or_raise(lockstep, "Settlement", "record_deficit_breach", by=VISITOR)
        outcome = attempt_call_and_get_outcome(lockstep, "Settlement", "begin", by=VISITOR)
        if not outcome.ok:
            stood = lockstep.timestamp - since
            raise PropertyViolationError(
                f"losses stand for {stood} s, and settlement does not begin: {outcome.reason!r}"
            )
    return True
