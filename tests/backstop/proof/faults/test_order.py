"""Losses of two types at once: the caller of cover chooses the order, but not the payment of each stage."""

from __future__ import annotations

from backstop.proof.faults.breakable_components import Component
from backstop.proof.faults.core_scenario import SALE, WBTC, XAU, iter_core_scenario_moments
from backstop.proof.faults.intact_and_broken_call_runner import CallRunner
from backstop.proof.faults.liveness_calls import CALLS_OF_THE_CORE, CallStep
from tests.backstop.proof.faults.holes import SETTLE_SALE


def test_the_order_of_types_in_settlement(artifacts):
    """With a cap for each type Savings paid 10,053.57 or 15,080.35 of 20,107.14, as one liked."""
    bench = next(
        CallRunner(it, moment) for moment, it in iter_core_scenario_moments(artifacts) if moment == SALE
    )
    it = bench.it
    (call,) = [call for call in CALLS_OF_THE_CORE if call.name == SETTLE_SALE]
    steps = call.steps(it, None)
    before = [each for each in steps if each.action.method not in ("cover_last", "fix_redemption_rates")]
    after = steps[len(before) :]
    paid = []
    for first in (WBTC, XAU):
        steps = [*before, CallStep(it.build_action("LossWaterfall.cover", first, by="coverer")), *after]
        bench.register_slots_written_by_steps(steps)
        run = bench.run_steps_and_roll_back(steps, Component(""), None)
        assert run.reason is None and run.wrong is None
        paid.append(bench.sum_stage_payments(run.words, types=(WBTC, XAU))[it.stages.index("Savings")])
    assert abs(paid[0] - paid[1]) < 10
