"""Properties of limits, of a step and of a future: what is beyond fails, what is within works."""

from __future__ import annotations

from random import Random
from typing import Any

from backstop.model.listing import ids_of
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY, bracketed
from backstop.proof.properties.future import (
    VISITOR,
    accrue,
    apply,
    contract_of,
    must,
    pick,
    token_of,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

_ENGINE, _POLICY = "VaultEngine", "RiskPolicy"
_WAD, _RAD, _MILLIONTH = 10**18, 10**45, 10**12
_NO_CEILING = 2**33 - 1


@transition_property(69, calls=["VaultEngine.deposit_and_draw", "VaultEngine.repay_and_withdraw"])
def no_risk_is_taken_beyond_a_limit(step: Transition, changes: Changes) -> None:
    """Assert that after a draw a type's debt is under its ceiling, and all debt under the global one.

    Debt counts whether it is performing, sold or lost. What flows out of a type counts in full, drawn or
    withdrawn, and less with time; it stays under the flow's cap.
    """
    if step.action.contract != _ENGINE or step.action.method not in (
        "deposit_and_draw",
        "repay_and_withdraw",
    ):
        return
    c, owner, _, amount, _ = step.action.args
    draws = step.action.method == "deposit_and_draw"
    if not amount:
        return
    if draws:
        ceiling = step.after(_ENGINE, "terms.of_types", c).debt_ceiling
        if _debt(step, c) > ceiling * _RAD:
            raise Violation(f"type {c} owes {_debt(step, c)} over a ceiling of {ceiling}")
        highest = step.after(_ENGINE, "ledger.system").global_debt_ceiling
        whole = sum(_debt(step, each) for each in ids_of(step.after(_ENGINE, "terms.listed")))
        if highest != _NO_CEILING and whole > highest * _RAD:
            raise Violation(f"all types owe {whole} over a ceiling of {highest}")
    if step.after(_ENGINE, "vaults", (c, owner)).normalized_debt and _POLICY in step.model.world.contracts:
        _check_flow(step, c, amount if draws else 0, 0 if draws else amount)


def _check_flow(step: Transition, c: int, drawn: int, withdrawn: int) -> None:
    old, new = step.before(_POLICY, "flows", c), step.after(_POLICY, "flows", c)
    if not old.cap or step.after(_POLICY, "growths", c).anchor:
        return  # without a limit, or at a price that is held down
    unit = 10 ** (18 - step.after(_ENGINE, "terms.of_types", c).decimals)
    prices = step.after("PriceFeed", "prices", c)
    price = min(prices.current, prices.next)
    used = old.used - old.cap * 10**6 * (step.model.timestamp - old.updated) // old.window
    out = -(-drawn // _MILLIONTH) - (-(withdrawn // unit * unit) * price // (_MILLIONTH * RAY))
    if new.used != max(0, used) + out or new.used > old.cap * 10**6:
        raise Violation(f"type {c}: {out} flows out, {old} became {new}")


def _debt(step: Transition, c: int) -> int:
    """Return all that a type owes, wherever it is [rad]."""
    debts = step.after(_ENGINE, "ledger.debts", c)
    performing = debts.normalized_debt * debts.accumulated_rate
    sold = step.after(_ENGINE, "ledger.auctions", c).in_auction
    return int(performing + sold + step.after(_ENGINE, "ledger.deficit", c))


@counterfactual_property(78)
def what_is_within_all_limits_works(both: Both, random: Random) -> bool:
    """Assert that with three times the margin anybody may draw the least, where no limit is near.

    At a fresh price, in no mode, no halt and no grace: nothing that a page names stands against it.
    """
    engine, feed = contract_of(both, _ENGINE), contract_of(both, "PriceFeed")
    c = pick(random, [c for c in types(both) if token_of(both, c).KIND == "Token"])
    if c is None or engine.in_settlement(""):
        return False
    terms, prices, config = engine.terms[c], feed.prices[c], feed.configs[c]
    price, now = min(prices.current, prices.next), both.timestamp
    if not price or config.halted or now < config.grace_until or now > prices.fresh_until:
        return False
    drawn = max(1, terms.debt_floor) * _WAD
    policy = both.model.world.contracts.get(_POLICY)
    if policy is not None and not _is_calm(policy, c, drawn):
        return False
    debt = 2 * drawn * RAY
    needed = debt * terms.initial_ratio + (_add_ons(policy, c, debt) if policy else 0)
    raw = 3 * needed // (price * BASIS_POINTS * terms.unit) + 1
    if raw * terms.unit >= 2**100:
        return False
    with both.fork_state():
        accrue(both, c)
        if not _has_room(both, c, debt) or engine.vaults[c, VISITOR].normalized_debt:
            return False
        token = token_of(both, c).label
        must(both, token, "mint", VISITOR, raw, by=VISITOR)
        must(both, token, "approve", engine.address, raw, by=VISITOR)
        call = "deposit_and_draw", c, VISITOR, raw * terms.unit, drawn, VISITOR
        outcome = apply(both, _ENGINE, *call, by=VISITOR)
        if not outcome.ok:
            raise Violation(f"nobody can draw {drawn} on {raw * terms.unit} of type {c}: {outcome.reason!r}")
    return True


def _has_room(both: Both, c: int, more: int) -> bool:
    """Return whether ceilings leave room for a debt [rad]."""
    engine = contract_of(both, _ENGINE)
    every = {
        each: engine.debts[each].normalized_debt * engine.debts[each].accumulated_rate
        + engine.auctions[each].in_auction
        + engine.deficit[each]
        for each in types(both)
    }
    # Fees of other types that nobody has charged yet count later.
    highest = engine.system[()].global_debt_ceiling * _RAD
    room = every[c] + more < engine.terms[c].debt_ceiling * _RAD
    return room and 2 * sum(every.values()) + more < highest


def _is_calm(policy: Any, c: int, drawn: int) -> bool:
    """Return whether the policy has nothing against a draw: no mode, no held down price, room in the flow."""
    flow = policy.flows[c]
    left = flow.cap * 10**6 - flow.used
    return bool(
        policy.modes[()].mode == policy.terms[c].mode == 0
        and not policy.growths[c].anchor
        and (not flow.cap or left > 2 * drawn // _MILLIONTH)
    )


def _add_ons(policy: Any, c: int, debt: int) -> int:
    """Return more than what brackets can ask of a debt, its own and the type's [basis points x rad]."""
    terms = policy.terms[c]
    of_type = sum(rate for _, rate in (terms[4:6], terms[6:8]))
    return bracketed((terms[0:2], terms[2:4]), debt) + debt * of_type
