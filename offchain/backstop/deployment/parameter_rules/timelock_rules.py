"""Rules of the timelock: a reader of a proposal has time to leave before the proposal takes effect."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.contracts_by_parameter_name import POOLS, list_pools
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.parameter_rules.mark_price_rules import LONGEST_WINDOWS
from backstop.deployment.parameter_rules.parameter_rule import (
    REFUSED,
    Prices,
    RuleViolation,
    define_parameter_rule,
    format_duration_in_one_unit,
)

LEAD = 86_400
"""To notice a proposal [seconds]."""


def compute_longest_exit(parameters: Parameters) -> int:
    """Return the longest time from a withdrawal request to its payment in any pool [seconds]."""
    names = {*list_pools(parameters), *(name for name in POOLS if parameters.has_stage(name))}
    return max(getattr(parameters, name).cooldown for name in names)


@define_parameter_rule(
    REFUSED,
    "timelock.delay",
    "pool.cooldown",
    why="a change that can hurt a position is announced for longer than any account needs to withdraw, with "
    "a day to notice",
)
def _iter_timelock_delay_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    if parameters.timelock is None:
        return
    delay, longest = parameters.timelock.delay, compute_longest_exit(parameters)
    if delay < longest + LEAD:
        yield RuleViolation(
            "",
            (format_duration_in_one_unit(delay), format_duration_in_one_unit(longest)),
            f"the delay to {format_duration_in_one_unit(longest + LEAD)} or more",
        )


@define_parameter_rule(
    REFUSED,
    "timelock.retraction",
    "facilitator.delay",
    why="a loss that was announced falsely can be cancelled before it can be booked",
)
def _iter_retraction_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    if parameters.timelock is None:
        return
    for facilitator in parameters.facilitators:
        if parameters.timelock.retraction >= facilitator.delay:
            values = (
                format_duration_in_one_unit(parameters.timelock.retraction),
                format_duration_in_one_unit(facilitator.delay),
            )
            yield RuleViolation(
                facilitator.name,
                values,
                f"the retraction to less than {format_duration_in_one_unit(facilitator.delay)}",
            )


@define_parameter_rule(
    REFUSED,
    "timelock.delay",
    "margin.window",
    why="the margin market is left in time as well: a gain is final after an open and a pending cycle of up "
    "to four windows each, with a day to notice",
)
def _iter_timelock_and_cycles_violations(parameters: Parameters, prices: Prices) -> Iterator[RuleViolation]:
    margin = parameters.margin
    if parameters.timelock is None or margin is None:
        return
    delay, least = parameters.timelock.delay, LONGEST_WINDOWS * margin.window + LEAD
    if delay < least:
        yield RuleViolation(
            "",
            (format_duration_in_one_unit(delay), format_duration_in_one_unit(margin.window)),
            f"the delay to {format_duration_in_one_unit(least)} or more",
        )


RULES = (_iter_timelock_delay_violations, _iter_retraction_violations, _iter_timelock_and_cycles_violations)
