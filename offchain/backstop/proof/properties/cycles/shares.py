"""The property of haircuts: who gained in a cycle bears its losses, each the same share."""

from __future__ import annotations

from backstop.proof.properties.figures.cycles import (
    ACCOUNTS,
    CLOCK,
    GAINED,
    LATE_OF,
    LEVELS,
    LOSSES,
    MARKET,
    MARKETS,
    PENDINGS,
    POSITIONS,
    TOTALS,
    WORTHS,
    haircut_in,
    in_cycle,
    ours,
    there,
    told,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(93, writes=[ACCOUNTS], events=[f"{MARKET}.Settled"])
def all_gains_bear_the_same_share(step: Transition, changes: Changes) -> None:
    """Assert that a final cycle takes of each gain its side's share of losses, rounded up, and no more.

    What was booked for an account is given as far as its haircuts are missing, by the better of what it had
    at the end of the cycle and brought since, and of what it had a roll later.
    """
    if not there(step):
        return
    settled: dict[str, tuple[int, ...]] = {}
    for values in told(step, "Settled"):
        settled.setdefault(values[0], values[1:])
    for owner, each in ours(changes, ACCOUNTS).items():
        if each.old.cycle and each.new.cycle > each.old.cycle:
            _check(step, owner, settled.pop(owner, None))
    if settled:
        raise Violation(f"{settled} settled, and stay in their cycle")


def _check(step: Transition, owner: str, found: tuple[int, ...] | None) -> None:
    account = step.before(MARKET, ACCOUNTS, owner)
    final = account.cycle - 1
    haircut, booked, own = 0, step.before(MARKET, LATE_OF, owner), account.cash
    for m in MARKETS:
        if account.markets >> m & 1:
            gained = step.before(MARKET, GAINED, in_cycle(owner, m, final))
            cycle = step.after(MARKET, LOSSES, (m, final)), step.after(MARKET, TOTALS, (m, final))
            haircut += haircut_in(gained, *cycle)
            booked += step.before(MARKET, PENDINGS, (owner, m)).booked
            size = step.before(MARKET, POSITIONS, (owner, m)).size
            own += size * step.after(MARKET, LEVELS, (m, final + 2))[size < 0]
            if haircut > sum(
                step.before(MARKET, GAINED, in_cycle(owner, k, final))[s] for k in MARKETS for s in (0, 1)
            ):
                raise Violation(f"{owner} bears {haircut}, more than it gained in cycle {final}")
    most = max(step.before(MARKET, WORTHS, owner).value, own)
    given = min(booked, max(0, haircut - most))
    if not haircut and not booked:
        return
    expected = final, haircut, booked, given
    if found != expected and step.after(MARKET, CLOCK).cycle > final + 1:
        raise Violation(f"{owner} settled {found}, not {expected}")
