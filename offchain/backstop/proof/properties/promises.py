"""Promises that today's rules do not keep, as properties: a campaign asserts them with --promises.

Each becomes an ordinary property, under its number, with the rule that keeps it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backstop.proof.properties import stages
from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.registry import Violation, history_promise, transition_promise
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_WATERFALL, _FEED = "LossWaterfall", "PriceFeed"


@history_promise(71)
class ACapHoldsOverAnyWindow:
    """In any time as long as an epoch a stage pays no more than its share of what it had before."""

    def __init__(self, model: ModelSystem) -> None:
        # (type, stage) -> when, what it had before, what it paid [rad].
        self._payments: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)

    def see(self, step: Transition, changes: Changes) -> None:
        """Keep the payments of the last window."""
        if "covered" not in changes or step.before(_WATERFALL, "counts").settlement:
            return
        now, length = step.model.timestamp, step.contract(_WATERFALL).epoch_length
        for log in step.outcome.logs:
            if (log.contract, log.event) != (_WATERFALL, "LossCovered"):
                continue
            c, _, k, amount = log.values
            terms = step.after(_WATERFALL, "stages", k)
            if terms.cap_bps == BASIS_POINTS or stages.stage_of(step, k).KIND not in (
                "Pool",
                "ClawbackStage",
            ):
                continue
            window = [each for each in self._payments[c, k] if each[0] > now - length]
            window.append((now, int(stages.capacity(step, k, c)), amount))
            self._payments[c, k] = window
            # What has entered meanwhile may pay as well: the most that there ever was to take a share of.
            paid, most = 0, 0
            for _, had, part in window:
                most = max(most, had + paid)
                paid += part
            if paid > most * terms.cap_bps // BASIS_POINTS + RAY * len(window):
                raise Violation(f"stage {k} pays {paid} of {most} for type {c} within {length} s")


@transition_promise(74)
def nobody_finds_income_in_an_empty_pool(step: Transition, changes: Changes) -> None:
    """Assert that where all shares have become void no income is left for whoever comes next."""
    for log in step.outcome.logs:
        if log.event == "NewGeneration" and "assets" in step.model.world.contracts[log.contract].tables:
            left = own.unvested(step.after(log.contract, "assets"), step.model.timestamp)
            if left > 10**6:
                raise Violation(f"{log.contract}: {left} wei of income are nobody's")


