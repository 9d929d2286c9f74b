"""Promises that today's rules do not keep, as properties: a campaign asserts them with --promises.

Each becomes an ordinary property, under its number, with the rule that keeps it.
"""

from __future__ import annotations

from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.registry import Violation, transition_promise
from backstop.proof.properties.transition import Changes, Transition


@transition_promise(74)
def nobody_finds_income_in_an_empty_pool(step: Transition, changes: Changes) -> None:
    """Assert that where all shares have become void no income is left for whoever comes next."""
    for log in step.outcome.logs:
        if log.event == "NewGeneration" and "assets" in step.model.world.contracts[log.contract].tables:
            left = own.unvested(step.after(log.contract, "assets"), step.model.timestamp)
            if left > 10**6:
                raise Violation(f"{log.contract}: {left} wei of income are nobody's")


