"""Property of settlement that begins by losses: after whole epochs, and then for sure."""

from __future__ import annotations

from random import Random

from backstop.model.arithmetic import RAD, WAD
from backstop.proof.properties.both import Both
from backstop.proof.properties.future import (
    VISITOR,
    apply,
    contract_of,
    deficit,
    lose,
    must,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property

_MOST_EPOCHS = 8


@counterfactual_property(193)
def settlement_begins_after_its_epochs_of_losses(both: Both, random: Random) -> bool:
    """Check that losses above the bound open settlement once they have stood for all its epochs, not before.

    Noted in each of them, by anybody. A type collapses for it, and no one covers.
    """
    settlement, waterfall = contract_of(both, "Settlement"), contract_of(both, "LossWaterfall")
    if settlement.progress[()].begun_at or settlement.epochs > _MOST_EPOCHS:
        return False
    length = waterfall.epoch_length
    with both.fork_state():
        must(both, "Settlement", "retract", by=settlement.admins[()])
        if sum(deficit(both, each) for each in types(both)) <= settlement.bound * RAD:
            lose(both, random, (settlement.bound + 1) * WAD)
        if sum(deficit(both, each) for each in types(both)) <= settlement.bound * RAD:
            return False
        # A clock of its own: an epoch without a note starts it again.
        both.advance(2 * length - both.timestamp % length + random.randrange(length))
        must(both, "Settlement", "note", by=VISITOR)
        since = both.timestamp
        for epoch in range(settlement.epochs):
            for wait in (random.randrange(1, length), 0):
                both.advance(wait or since + (epoch + 1) * length - 1 - both.timestamp)
                with both.fork_state():
                    if apply(both, "Settlement", "begin", by=VISITOR).ok:
                        stood = both.timestamp - since
                        raise Violation(
                            f"settlement begins after {stood} s of losses: {settlement.epochs} of {length}"
                        )
            both.advance(1)
            if epoch + 1 < settlement.epochs:
                must(both, "Settlement", "note", by=VISITOR)
        outcome = apply(both, "Settlement", "begin", by=VISITOR)
        if not outcome.ok:
            stood = both.timestamp - since
            raise Violation(f"losses stand for {stood} s, and settlement does not begin: {outcome.reason!r}")
    return True
