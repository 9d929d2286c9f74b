"""Rules of the timelock: whoever reads a proposal has time to leave before it counts."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.deployment.consistency.cycles import LONGEST_WINDOWS
from backstop.deployment.consistency.rule import REFUSED, Misfit, Prices, rule, time
from backstop.deployment.contracts import POOLS, pools_of
from backstop.deployment.parameters import Parameters

LEAD = 86_400
"""To notice a proposal [seconds]."""


def longest_exit(parameters: Parameters) -> int:
    """Return how long it takes at most to leave a pool [seconds], from the request on."""
    names = {*pools_of(parameters), *(name for name in POOLS if parameters.has_stage(name))}
    return max(getattr(parameters, name).cooldown for name in names)


@rule(
    REFUSED,
    "timelock.delay",
    "pool.cooldown",
    why="what can hurt a position is announced for longer than anybody needs to leave, with a day to notice",
)
def _timelock_delay(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    if parameters.timelock is None:
        return
    delay, longest = parameters.timelock.delay, longest_exit(parameters)
    if delay < longest + LEAD:
        yield Misfit("", (time(delay), time(longest)), f"the delay to {time(longest + LEAD)} or more")


@rule(
    REFUSED,
    "timelock.retraction",
    "domain.delay",
    why="a loss that was announced falsely can be taken back before anybody books it",
)
def _retraction(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    if parameters.timelock is None:
        return
    for domain in parameters.domains:
        if parameters.timelock.retraction >= domain.delay:
            values = time(parameters.timelock.retraction), time(domain.delay)
            yield Misfit(domain.name, values, f"the retraction to less than {time(domain.delay)}")


@rule(
    REFUSED,
    "timelock.delay",
    "margin.window",
    why="the margin market is left in time as well: a gain is final after an open and a pending cycle of up "
    "to four windows each, with a day to notice",
)
def _timelock_and_cycles(parameters: Parameters, prices: Prices) -> Iterator[Misfit]:
    margin = parameters.margin
    if parameters.timelock is None or margin is None:
        return
    delay, least = parameters.timelock.delay, LONGEST_WINDOWS * margin.window + LEAD
    if delay < least:
        yield Misfit("", (time(delay), time(margin.window)), f"the delay to {time(least)} or more")


RULES = (_timelock_delay, _retraction, _timelock_and_cycles)
