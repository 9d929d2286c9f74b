"""The property of haircuts: accounts that gained in a cycle absorb its losses, each the same share."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.margin_figures import (
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
    build_cycle_key,
    compute_market_haircut_amount,
    get_market_changes,
    has_margin_market,
    list_event_values,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(93, writes=[ACCOUNTS], events=[f"{MARKET}.Settled"])
def gains_bear_equal_haircut_share(step: Transition, changes: Changes) -> None:
    """Check that each gain of a final cycle bears the same share of losses (property 93).

    The share is that of its side of the market, rounded up. An account's booked shortfall is paid out as far
    as its haircuts (shares of others' losses) exceed its value. The value is that at the cycle's end with
    later deposits, or one cycle later if that is more. Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    settled: dict[str, tuple[int, ...]] = {}
    for values in list_event_values(step, "Settled"):
        settled.setdefault(values[0], values[1:])
    for owner, each in get_market_changes(changes, ACCOUNTS).items():
        if each.old.cycle and each.new.cycle > each.old.cycle:
            _check_settled_haircut(step, owner, settled.pop(owner, None))
    if settled:
        raise PropertyViolationError(f"{settled} settled, and stay in their cycle")


def _check_settled_haircut(
    step: Transition, owner: str, settled_event_values: tuple[int, ...] | None
) -> None:
    account = step.read_pre_state(MARKET, ACCOUNTS, owner)
    final = account.cycle - 1
    haircut, booked, own = 0, step.read_pre_state(MARKET, LATE_OF, owner), account.cash
    for m in MARKETS:
        if account.markets >> m & 1:
            gained = step.read_pre_state(MARKET, GAINED, build_cycle_key(owner, m, final))
            cycle = (
                step.read_post_state(MARKET, LOSSES, (m, final)),
                step.read_post_state(MARKET, TOTALS, (m, final)),
            )
            haircut += compute_market_haircut_amount(gained, *cycle)
            booked += step.read_pre_state(MARKET, PENDINGS, (owner, m)).booked
            size = step.read_pre_state(MARKET, POSITIONS, (owner, m)).size
            own += size * step.read_post_state(MARKET, LEVELS, (m, final + 2))[size < 0]
            if haircut > sum(
                step.read_pre_state(MARKET, GAINED, build_cycle_key(owner, k, final))[s]
                for k in MARKETS
                for s in (0, 1)
            ):
                raise PropertyViolationError(f"{owner} bears {haircut}, more than it gained in cycle {final}")
    most = max(step.read_pre_state(MARKET, WORTHS, owner).value, own)
    given = min(booked, max(0, haircut - most))
    if not haircut and not booked:
        return
    expected = final, haircut, booked, given
    if settled_event_values != expected and step.read_post_state(MARKET, CLOCK).cycle > final + 1:
        raise PropertyViolationError(f"{owner} settled {settled_event_values}, not {expected}")
