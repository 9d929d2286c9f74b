"""Property of halts and graces of a feed: the withheld prices, the start, and the prices after it."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.bounds import GUARDIAN_HALT
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_FEED = "PriceFeed"


@transition_property(206, calls=[f"{_FEED}.set_halted", f"{_FEED}.poke"])
def halt_withholds_next_price(step: Transition, changes: Changes) -> None:
    """Check that a market withholds its next price during a halt, and only then (property 206).

    The same holds in a grace period, the time after a feed outage in which the next price does not count. A
    halt changes no other price. The admin's halt lasts until the admin ends it. A guardian's halt is a grace
    period of two days. The price update that ends an outage starts a grace period. Raises
    PropertyViolationError otherwise.
    """
    if step.action.contract != _FEED or step.action.method not in ("set_halted", "poke"):
        return
    c, now = step.action.args[0], step.model.timestamp
    old, new = step.read_pre_state(_FEED, "configs", c), step.read_post_state(_FEED, "configs", c)
    prices, after = step.read_pre_state(_FEED, "prices", c), step.read_post_state(_FEED, "prices", c)
    kept = step.read_post_state(_FEED, "withheld", c)
    held = new.halted or now < new.grace_until
    if held and after.next:
        raise PropertyViolationError(
            f"market {c} is held back until {new.grace_until}, and goes to {after.next}"
        )
    if step.action.method == "poke":
        gap = old.grace and now > prices.fresh_until and prices.current
        until = now + old.grace if gap else old.grace_until
        if (new.halted, new.grace_until) != (old.halted, until):
            raise PropertyViolationError(f"market {c} was {old} and is {new}, its grace is until {until}")
        return
    pending = prices.next or step.read_pre_state(_FEED, "withheld", c)
    expected = prices._replace(next=0 if held else pending), pending if held else 0
    if (after, kept) != expected:
        raise PropertyViolationError(f"market {c}: a halt made {after}, {kept} of {prices}, not {expected}")
    until, halted = old.grace_until, step.action.args[1]
    if step.action.sender != step.read_pre_state(_FEED, "roles.admin"):
        until, halted = max(until, now + GUARDIAN_HALT), old.halted
    if (new.grace_until, new.halted) != (until, halted):
        raise PropertyViolationError(f"market {c}: {step.action.sender} made {new}, not {until, halted}")
